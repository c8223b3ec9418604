"""Rows of a benchmark made by several processes at once, each on its share of cores or on its GPU.

Small networks leave most of a processor idle: as many processes as there are cores finish sooner
than one that uses all of them. Rows that share a training, such as a mask row and what is guided by
it, wait for each other; what is made is the same as when one process makes it all, row by row.

A terminal shows how far the rows are, by their checkpoints; what a process has to say stands in
``logs/job-N.log``. One Ctrl-C reaches all of them: a training keeps
its checkpoint. They end when the process that started them ends, however it does.
"""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection, resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import click
import torch

from leaderboards.benchmark import Benchmark
from leaderboards.fit import Rerun
from leaderboards.folder import Folder
from leaderboards.make_rows import Datasets, RowMaker, training_samples
from leaderboards.plan import Planned, stands_on
from leaderboards.status import DONE, MISSING, row_status
from synth.engines.base import interrupts_held
from synth.errors import InputError
from synth.store import Dataset

EVERY = 5  # seconds between two looks at how far the rows are
AGAIN = 20  # seconds after which a process that was told to stop, and goes on, is told again
CLEAR = "\r\x1b[K"  # back to the begin of the terminal's line, which is emptied

Answer = tuple[Literal["made", "refused", "broke"], Any]


@dataclass
class Schedule:
    """Which row may be made next: the first that shares nothing unmade with a row in the making.

    Attributes:
        waiting: rows not begun, with what each stands on.
    """

    waiting: list[tuple[Planned, frozenset[str]]]
    _making: dict[Planned, frozenset[str]] = field(default_factory=dict)
    _made: set[str] = field(default_factory=set)

    def next(self) -> Planned | None:
        """The row to begin now; None where all that wait have to wait on."""
        busy = frozenset[str]().union(*self._making.values())
        for place, (row, needed) in enumerate(self.waiting):
            if not (needed - self._made) & busy:
                del self.waiting[place]
                self._making[row] = needed - self._made
                return row
        return None

    def made(self, row: Planned) -> None:
        """A row was made, and with it all that it stands on."""
        self._made |= self._making.pop(row)


@dataclass(frozen=True)
class _Work:
    """What a process is given when it begins."""

    benchmark: Benchmark
    folder: Folder
    train: Path
    test: Path
    data_root: Path | None
    rerun: Rerun
    threads: int
    number: int
    log: Path


@dataclass
class _Job:
    """A process, and the row that it makes."""

    process: Any
    pipe: "connection.Connection[Any, Any]"
    log: Path
    row: Planned | None = None


def make_rows(
    benchmark: Benchmark,
    folder: Folder,
    rows: Sequence[Planned],
    data: Datasets,
    data_root: Path | None,
    rerun: Rerun,
    jobs: int,
    progress: bool,
) -> None:
    """Make rows in ``jobs`` processes.

    Their records are without milliseconds, which beside other work would be none.

    Raises:
        InputError: a row was refused, or its process ended; the others are stopped, and go on
            where they were when the run is started again.
    """
    schedule = Schedule([(row, stands_on(benchmark, row)) for row in rows])
    jobs = max(1, min(jobs, len(rows)))
    threads = max(1, torch.get_num_threads() // jobs)
    works = [
        _Work(
            benchmark, folder, data.train.path, data.test.path, data_root, rerun, threads,
            number, folder.root / "logs" / f"job-{number}.log",
        )
        for number in range(1, jobs + 1)
    ]  # fmt: skip
    fitted: set[Path] = set()
    shown = _Progress(benchmark, folder, progress)
    with _processes(works) as pool:
        while schedule.waiting or any(job.row for job in pool):
            for job in pool:
                if job.row is None and (row := schedule.next()):
                    _begin(job, row, fitted)
                    shown.say(f"[{len(rows) - len(schedule.waiting)}/{len(rows)}] {row}")
            making = [job for job in pool if job.row]
            ready = connection.wait([job.pipe for job in making], timeout=EVERY)
            if not ready:
                shown.show([job.row for job in making if job.row])
            for pipe in ready:
                job = next(one for one in pool if one.pipe is pipe)
                row, models = _answer(job)
                schedule.made(row)
                fitted |= models
                shown.say(f"      {row}: made")


class _Progress:
    """What a terminal is told: a line for all that happened, below it how far the rows are now."""

    def __init__(self, benchmark: Benchmark, folder: Folder, wanted: bool) -> None:
        self.benchmark, self.folder, self.wanted = benchmark, folder, wanted
        self.live = wanted and sys.stderr.isatty()

    def say(self, text: str) -> None:
        """A line that stays."""
        if self.wanted:
            click.echo(f"{CLEAR if self.live else ''}{text}", err=True)

    def show(self, rows: Sequence[Planned]) -> None:
        """A line that the next one replaces; only in a terminal."""
        if self.live:
            now = " | ".join(f"{row}: {self._state(row)}" for row in rows)
            width = shutil.get_terminal_size().columns - 1
            click.echo(f"{CLEAR}{now[:width]}", err=True, nl=False)

    def _state(self, row: Planned) -> str:
        state = row_status(self.benchmark, self.folder, row)
        if state.fitted not in (DONE, MISSING):
            return state.fitted
        return "predicts, scores" if state.fitted == DONE else "begins"


def _begin(job: _Job, row: Planned, fitted: set[Path]) -> None:
    """Give a row to a process, with the models that others have fitted in this run."""
    job.row = row
    with contextlib.suppress(OSError):  # who cannot be told has no answer either
        job.pipe.send((row, fitted))


def _answer(job: _Job) -> tuple[Planned, set[Path]]:
    """The row that a process has made, and all models it fitted.

    Raises:
        InputError: it has not made it.
    """
    row = job.row
    assert row is not None
    job.row = None
    try:
        kind, said = job.pipe.recv()
    except (EOFError, OSError):
        kind, said = "broke", "its process ended, as when memory is out"
    if kind == "refused":
        raise InputError(str(said))
    if kind == "broke":
        raise InputError(f"row {row}: {said}; {job.log} has its last words")
    return row, said


@contextlib.contextmanager
def _processes(works: Sequence[_Work]) -> Iterator[list[_Job]]:
    """Processes that wait for rows. They are stopped when the block ends, kindly where it fails."""
    spawning = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA
    pool: list[_Job] = []
    try:
        for work in works:
            ours, theirs = spawning.Pipe()
            process = spawning.Process(target=_work, args=(work, theirs))
            resource_tracker.ensure_running()  # it lets signals through again when it starts
            with interrupts_held():
                process.start()
                pool.append(_Job(process, ours, work.log))
            theirs.close()
        yield pool
        for job in pool:
            with contextlib.suppress(OSError):
                job.pipe.send(None)
        for job in pool:
            job.process.join()
    except BaseException:
        _stop(pool)
        raise
    finally:
        for job in pool:
            # A signal that comes right before a wait for the pipe does not end the wait; this does.
            job.pipe.close()
        for job in pool:
            _wait(job, pool)


def _wait(job: _Job, pool: Sequence[_Job]) -> None:
    """Wait for the end of a process; a further Ctrl-C stops all at once."""
    while job.process.is_alive():
        try:
            job.process.join()
        except KeyboardInterrupt:
            _stop(pool)


def _stop(pool: Sequence[_Job]) -> None:
    for job in pool:
        if job.process.is_alive():
            os.kill(job.process.pid, signal.SIGINT)


# --- in the process ---------------------------------------------------------------------------


def _work(work: _Work, pipe: "connection.Connection[Any, Any]") -> None:
    """Make the rows that come through the pipe, and answer each; ends when None comes."""
    os.setsid()  # a terminal's Ctrl-C reaches the parent alone, which passes it on once
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work.log.parent.mkdir(parents=True, exist_ok=True)
    with open(work.log, "a", buffering=1, encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
        with contextlib.suppress(EOFError, BrokenPipeError), _until_interrupted():
            _use_device(work)
            maker: RowMaker | None = None
            while asked := pipe.recv():
                row, fitted = asked
                click.echo(str(row), err=True)
                try:
                    maker = maker or _maker(work)
                    maker.fitter.made |= fitted
                    maker.make(row)
                    answer: Answer = ("made", maker.fitter.made)
                except InputError as error:
                    answer = ("refused", error.message)
                except Exception as error:
                    traceback.print_exc()
                    first = next(iter(str(error).splitlines()), "")
                    answer = ("broke", f"{type(error).__name__}: {first}")
                pipe.send(answer)


@contextlib.contextmanager
def _until_interrupted() -> Iterator[None]:
    """A block that SIGINT ends; where something swallows it, as destructors do, it comes again."""

    def told(number: int, frame: FrameType | None) -> None:
        signal.setitimer(signal.ITIMER_REAL, AGAIN)
        raise KeyboardInterrupt

    # Who was started in the background ignores Ctrl-C, and so would its processes.
    signal.signal(signal.SIGINT, told)
    signal.signal(signal.SIGALRM, told)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _maker(work: _Work) -> RowMaker:
    data = Datasets(Dataset.open(work.train), Dataset.open(work.test))
    train = training_samples(work.benchmark, data.train, work.data_root, work.threads)
    return RowMaker(work.benchmark, work.folder, data, train, work.rerun, timed=False)


def _use_device(work: _Work) -> None:
    """So many threads, and of several GPUs the one whose turn it is."""
    torch.set_num_threads(work.threads)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    known = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    if known:
        os.environ["CUDA_VISIBLE_DEVICES"] = known[(work.number - 1) % len(known)]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGINT)
