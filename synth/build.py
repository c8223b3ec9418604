"""Building a data set: shards are the unit of work, finished ones are never written again."""

import json
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from synth.atomic import write_json
from synth.errors import InputError
from synth.finish import checksum, finish
from synth.lock import build_lock
from synth.plan import Plan, make_sample, open_plan
from synth.recipe import Recipe
from synth.sample import Sample
from synth.shards import SCHEMA, Job, Marker, finished, jobs, recipe_hash, write_shard
from synth.store import Dataset

_POLL_SECONDS = 0.2
DataRoot = str | os.PathLike[str] | None


class _Stopped(Exception):
    """A worker was told to stop before its shard was done."""


def build(
    recipe: Recipe,
    out: str | Path,
    data_root: DataRoot = None,
    workers: int = 1,
    part: tuple[int, int] = (1, 1),
    progress: bool = True,
) -> Dataset | None:
    """Build a data set into ``out``, or go on with one that was begun.

    The same recipe gives the same fingerprint for any number of workers and parts, and after any
    number of interruptions. A data set that is complete is only opened.

    Args:
        recipe: what to build, seed and counts included.
        out: the folder; new, empty, or holding the same recipe's shards.
        data_root: what relative paths in the recipe start from; see ``synth.sources.open``.
        workers: processes, each with one thread; 1 builds in this process.
        part: (i, n): write only every n-th shard, beginning with the i-th.
        progress: whether to show a bar on standard error.

    Returns:
        The data set, or None while shards of other parts are missing.

    Raises:
        InputError: bad sources, a foreign folder, another build at work, or no room.
        KeyboardInterrupt: stopped by the user; nothing is half-written, and it can go on.
    """
    _check_arguments(recipe, workers, part)
    folder = Path(out)
    digest = recipe_hash(recipe)
    _refuse_foreign(folder, digest)
    planned = jobs(recipe)
    if _all_finished(folder, planned, digest) and (done := _described(folder)) is not None:
        return done
    plan = open_plan(recipe, data_root)
    _make_folder(folder)
    with build_lock(folder, part):
        _claim(folder, recipe, digest)
        mine = planned[part[0] - 1 :: part[1]]
        todo = [job for job in mine if not finished(folder, job, digest)]
        _write_all(_Work(folder, digest, plan), todo, workers, progress)
        markers = _all_finished(folder, planned, digest)
        if not markers:
            return None
        finish(folder, plan, markers)
    return Dataset.open(folder)


def _described(folder: Path) -> Dataset | None:
    """The data set that ``dataset.json`` describes; None where that is missing or damaged."""
    try:
        dataset = Dataset.open(folder)
    except InputError:
        return None
    return dataset if dataset.info.get("checksum") == checksum(dataset.info) else None


def _all_finished(folder: Path, planned: list[Job], digest: str) -> list[Marker]:
    """The markers of all shards; empty while any is still to be written."""
    markers = [marker for job in planned if (marker := finished(folder, job, digest))]
    return markers if len(markers) == len(planned) else []


def _check_arguments(recipe: Recipe, workers: int, part: tuple[int, int]) -> None:
    if workers < 1:
        raise InputError(f"--workers {workers}: give 1 or more")
    if not 1 <= part[0] <= part[1]:
        raise InputError(f"--part {part[0]}/{part[1]}: give i/n with i from 1 to n, such as 1/4")
    if not jobs(recipe):
        raise InputError(
            f"{recipe.name}: all counts are 0; give counts.train, counts.val or counts.test"
        )


def _refuse_foreign(folder: Path, digest: str) -> None:
    """Raise InputError where the folder holds something else than this recipe's shards."""
    if not folder.exists():
        return
    try:
        known = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: no usable folder ({error.strerror}); choose another") from None
    identity = folder / "recipe.json"
    foreign = [name for name in known if not name.startswith((".build-", ".tmp-"))]
    if foreign and not identity.is_file():
        raise InputError(
            f"{folder}: holds something else ({foreign[0]}); choose a new or empty folder"
        )
    if identity.is_file() and _recipe_hash_in(identity) != digest:
        raise InputError(
            f"{folder}: holds a data set of another recipe or seed; choose another folder"
        )


def _recipe_hash_in(identity: Path) -> str:
    try:
        return str(json.loads(identity.read_bytes())["recipe_hash"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{identity}: is damaged; choose another folder") from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be made ({error.strerror}); choose another folder"
        ) from None


def _claim(folder: Path, recipe: Recipe, digest: str) -> None:
    """Say whose folder it is; called with the lock held, so nobody else claims it meanwhile."""
    _refuse_foreign(folder, digest)
    if not (folder / "recipe.json").is_file():
        value = {"schema": SCHEMA, "recipe_hash": digest, "recipe": recipe.model_dump(mode="json")}
        write_json(folder / "recipe.json", value, indent=1)


@dataclass(frozen=True)
class _Work:
    """What a worker needs to know besides the shard."""

    folder: Path
    digest: str
    plan: Plan


class _Bar:
    """The progress bar, fed by the samples finished in all processes together."""

    def __init__(self, jobs_todo: list[Job], progress: bool) -> None:
        total = sum(job.count for job in jobs_todo)
        self._bar = tqdm(total=total, unit="sample", disable=not progress or not total)

    def show(self, count: int) -> None:
        if count > self._bar.n:
            self._bar.update(count - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def _write_all(work: _Work, todo: list[Job], workers: int, progress: bool) -> None:
    bar = _Bar(todo, progress)
    try:
        if workers == 1 or len(todo) <= 1:
            _write_here(work, todo, bar)
        else:
            _write_in_processes(work, todo, min(workers, len(todo)), bar)
    finally:
        bar.close()


def _write_here(work: _Work, todo: list[Job], bar: _Bar) -> None:
    count, plan = 0, work.plan

    def samples(job: Job) -> Iterator[Sample]:
        nonlocal count
        for index in range(job.first, job.first + job.count):
            yield make_sample(plan, index)
            count += 1
            bar.show(count)

    with _one_thread():
        for job in todo:
            plan.skipped.clear()
            write_shard(work.folder, job, work.digest, samples(job), lambda: dict(plan.skipped))


@contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _write_in_processes(work: _Work, todo: list[Job], workers: int, bar: _Bar) -> None:
    # Fresh processes: a forked one would inherit the threads of OpenCV or torch half-alive.
    context = multiprocessing.get_context("spawn")
    count, stop = context.Value("q", 0), context.Event()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (work, count, stop))
    try:
        with _deaf_to_interrupts():
            futures = [pool.submit(_write_in_worker, job) for job in todo]
        _watch(futures, count, bar)
    except BrokenProcessPool:
        raise InputError(
            f"{work.folder}: a worker process died (out of memory?); start the same command "
            "again, it goes on where it stopped, perhaps with fewer --workers"
        ) from None
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started meanwhile never hear Ctrl-C, not even while they are being set up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _watch(futures: list["Future[None]"], count: Any, bar: _Bar) -> None:
    """Wait for all shards; the first failure is raised."""
    waiting: set[Future[None]] = set(futures)
    while waiting:
        done, waiting = wait(waiting, _POLL_SECONDS, return_when=FIRST_EXCEPTION)
        bar.show(count.value)
        for future in done:
            future.result()


_worker: dict[str, Any] = {}


def _start_worker(work: _Work, count: Any, stop: Any) -> None:
    """Set a worker process up: one thread, deaf to Ctrl-C (the parent stops it), never orphaned."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _worker.update(work=work, count=count, stop=stop)


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _write_in_worker(job: Job) -> None:
    work: _Work = _worker["work"]
    skipped = work.plan.skipped
    skipped.clear()
    samples = _counted_samples(work.plan, job)
    write_shard(work.folder, job, work.digest, samples, lambda: dict(skipped))


def _counted_samples(plan: Plan, job: Job) -> Iterator[Sample]:
    count, stop = _worker["count"], _worker["stop"]
    for index in range(job.first, job.first + job.count):
        if stop.is_set():
            raise _Stopped
        yield make_sample(plan, index)
        with count.get_lock():
            count.value += 1
