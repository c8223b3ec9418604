"""Building a data set: shards are the unit of work, finished ones are never written again."""

import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from synth.atomic import temporary
from synth.claim import claim, identify, is_claimed, refuse_changed, source_digests
from synth.engines import Opener, in_processes
from synth.engines.base import Engine, WorkerLostError
from synth.engines.work import Pulse, Task, write_remotely, write_shards
from synth.errors import InputError
from synth.finish import checksum, finish
from synth.lock import build_lock
from synth.plan import Plan, open_plan
from synth.recipe import Recipe
from synth.shards import Job, finished, jobs
from synth.store import Dataset

_POLL_SECONDS = 0.2
DataRoot = str | os.PathLike[str] | None


def build(
    recipe: Recipe,
    out: str | Path,
    data_root: DataRoot = None,
    workers: int = 1,
    part: tuple[int, int] = (1, 1),
    progress: bool = True,
    engine: Opener | None = None,
) -> Dataset | None:
    """Build a data set into ``out``, or go on with one that was begun.

    The same recipe gives the same fingerprint for any number of workers and parts, on any engine,
    and after any number of interruptions. A data set that is complete is only opened.

    Args:
        recipe: what to build, seed and counts included.
        out: the folder; new, empty, or holding the same recipe's shards. With an engine of
            several machines all of them must see it under this path.
        data_root: what relative paths in the recipe start from; see ``synth.sources.open``.
        workers: processes, each with one thread; 1 builds in this process.
        part: (i, n): write only every n-th shard, beginning with the i-th.
        progress: whether to show a bar on standard error.
        engine: what writes the shards instead of ``workers``; see ``synth.engines.choose``.

    Returns:
        The data set, or None while shards of other parts are missing.

    Raises:
        InputError: bad or changed sources, a foreign folder, another build at work, no room, or a
            worker that died.
        KeyboardInterrupt: stopped by the user; nothing is half-written, and it can go on.
    """
    _check_arguments(recipe, workers, part)
    folder, planned = Path(out), jobs(recipe)
    digest = identify(folder, recipe)
    if is_claimed(folder) and all(finished(folder, job, digest) for job in planned):
        done = _described(folder)
        if done is not None:
            return done
    plan = open_plan(recipe, data_root)
    sources = source_digests(plan)
    refuse_changed(folder, sources)
    running = engine(folder) if engine else in_processes(workers)
    try:
        _make_folder(folder)
        with build_lock(folder.resolve(), part) as lock:
            claim(folder, recipe, sources)
            mine = planned[part[0] - 1 :: part[1]]
            todo = [job for job in mine if not finished(folder, job, digest, sources)]
            root = _absolute(data_root)
            task = Task(folder.resolve(), recipe, digest, root, sources, lock)
            _write_all(running, plan, task, todo, progress)
            if not all(finished(folder, job, digest, sources) for job in planned):
                return None
            finish(folder, plan)
    finally:
        running.close()
    return Dataset.open(folder)


def _check_arguments(recipe: Recipe, workers: int, part: tuple[int, int]) -> None:
    if workers < 1:
        raise InputError(f"--workers {workers}: give 1 or more")
    if not 1 <= part[0] <= part[1]:
        raise InputError(f"--part {part[0]}/{part[1]}: give i/n with i from 1 to n, such as 1/4")
    recipe.check_samples()


def _described(folder: Path) -> Dataset | None:
    """The data set that ``dataset.json`` describes; None where that is missing or damaged."""
    try:
        dataset = Dataset.open(folder)
    except InputError:
        return None
    return dataset if dataset.info.get("checksum") == checksum(dataset.info) else None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder"
        ) from None


def _absolute(given: DataRoot) -> str | None:
    """The data root as workers find it, wherever they run; None where no source needs one."""
    from synth.sources.open import data_root

    try:
        return str(data_root(given).resolve())
    except InputError:
        return None


def _write_all(
    engine: Engine[Any], plan: Plan, task: Task, todo: Sequence[Job], progress: bool
) -> None:
    """Write shards with an engine; when anything fails, all workers are told to stop."""
    total = sum(job.count for job in todo)
    bar = tqdm(total=total, unit="sample", disable=not progress or not total)
    calls = _Calls(engine, plan, task, bar)
    try:
        calls.run(engine.divide(todo))
    except BaseException as error:
        task.lock.revoke()
        engine.close()
        if isinstance(error, WorkerLostError):
            raise InputError(
                f"{task.folder}: {error}; start the same command again, it goes on where it "
                "stopped, perhaps with fewer --workers"
            ) from None
        raise
    finally:
        calls.forget_counts()
        bar.close()


class _Calls:
    """The calls of a build: how many are under way, and how many samples they have written."""

    def __init__(self, engine: Engine[Any], plan: Plan, task: Task, bar: "tqdm[Any]") -> None:
        self._engine, self._plan, self._task, self._bar = engine, plan, task, bar
        self._running: dict[Any, Sequence[Job]] = {}
        self._written = 0

    def run(self, calls: Sequence[Sequence[Job]]) -> None:
        """All calls, ``engine.width`` at a time; the first failure is raised."""
        waiting = deque(calls)
        while waiting or self._running:
            while waiting and len(self._running) < self._engine.width:
                shards = waiting.popleft()
                handle = self._engine.submit(self._function(shards), shards)
                self._running[handle] = shards
            for handle in self._engine.wait(list(self._running), _POLL_SECONDS):
                self._end(handle)
            self._show(sum(self._count(shards) for shards in self._running.values()))

    def forget_counts(self) -> None:
        """Remove the files in which calls under way told their counts."""
        for shards in self._running.values():
            self._count_file(shards).unlink(missing_ok=True)

    def _function(self, shards: Sequence[Job]) -> Callable[[Sequence[Job]], str]:
        if self._engine.remote:
            return partial(write_remotely, self._task, self._count_file(shards).name)
        return partial(write_shards, self._plan, self._task, Pulse(self._task.lock, self._show))

    def _end(self, handle: Any) -> None:
        shards = self._running[handle]
        message = self._engine.result(handle)
        if message:
            raise InputError(message)
        self._written += sum(job.count for job in shards)
        self._count_file(shards).unlink(missing_ok=True)
        del self._running[handle]

    def _count_file(self, shards: Sequence[Job]) -> Path:
        return temporary(self._task.folder / f"{shards[0].name}.count")

    def _count(self, shards: Sequence[Job]) -> int:
        try:
            return int(self._count_file(shards).read_text())
        except (OSError, ValueError):
            return 0

    def _show(self, under_way: int) -> None:
        count = self._written + under_way
        if count > self._bar.n:
            self._bar.update(count - self._bar.n)
