"""What a worker does, on whatever machine: open the plan once, write the shards it is given."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from synth.claim import source_digests
from synth.errors import InputError, MachineError
from synth.lock import Lock
from synth.plan import Plan, make_sample, open_plan
from synth.recipe import Recipe
from synth.sample import Sample
from synth.shards import Job, finished, first_difference, write_shard

_BEAT_SECONDS = 0.5


@dataclass(frozen=True)
class Task:
    """What a worker needs to know besides its shards: small, for it may travel far.

    Attributes:
        folder: the data set's, absolute, on a file system that all workers share.
        recipe, digest: the recipe and its hash.
        data_root: what relative paths in the recipe start from.
        sources: hash of each source's input; see ``synth.claim.source_digests``.
        lock: of the build that sent the task; the worker stops when it is no longer held.
    """

    folder: Path
    recipe: Recipe
    digest: str
    data_root: str | None
    sources: dict[str, str]
    lock: Lock


class Pulse:
    """Called after each sample: now and then tells the count, and stops where the lock is gone."""

    def __init__(self, lock: Lock, tell: Callable[[int], None]) -> None:
        self._lock, self._tell, self._count = lock, tell, 0
        self._next = 0.0

    def __call__(self, count: int) -> None:
        self._count += count
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _BEAT_SECONDS
        if not self._lock.is_held():
            folder = self._lock.path.parent
            raise InputError(f"{folder}: this build was stopped, or another one took the folder")
        self._tell(self._count)


def write_remotely(task: Task, count_file: str, jobs: Sequence[Job]) -> str:
    """``write_shards`` in a process that knows nothing yet.

    The plan is opened at the first call and kept for later ones. The samples written so far are
    told in the file ``count_file`` of the folder.

    Returns:
        "", or in one line what is wrong.
    """
    if not task.folder.is_dir():
        return f"{task.folder}: not found on {socket.gethostname()}; choose a shared folder"

    def tell(count: int) -> None:
        with suppress(OSError):
            (task.folder / count_file).write_text(str(count))

    try:
        return write_shards(_plan_of(task), task, Pulse(task.lock, tell), jobs)
    except (InputError, MachineError) as error:
        return error.message


_opened: dict[str, Plan] = {}


def _plan_of(task: Task) -> Plan:
    """The task's plan; the one before is forgotten."""
    key = task.lock.owner
    if key not in _opened:
        plan = open_plan(task.recipe, task.data_root)
        changed = first_difference(task.sources, source_digests(plan))
        if changed:
            raise InputError(
                f"the source of {changed} is another on {socket.gethostname()} than where the "
                "build was started; give every machine the same files"
            )
        _opened.clear()
        _opened[key] = plan
    return _opened[key]


def write_shards(plan: Plan, task: Task, pulse: Pulse, jobs: Sequence[Job]) -> str:
    """Write those of the shards that are not finished, one thread working.

    Returns:
        "", or in one line what is wrong.
    """
    try:
        with _one_thread():
            for job in jobs:
                if finished(task.folder, job, task.digest, task.sources):
                    pulse(job.count)
                else:
                    _write(plan, task, pulse, job)
    except (InputError, MachineError) as error:
        return error.message
    return ""


def _write(plan: Plan, task: Task, pulse: Pulse, job: Job) -> None:
    def samples() -> Iterator[Sample]:
        for index in range(job.first, job.first + job.count):
            yield make_sample(plan, index)
            pulse(1)

    plan.skipped.clear()
    write_shard(task.folder, job, task.digest, samples(), lambda: dict(plan.skipped), task.sources)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
