"""The engine of one machine: processes that live as long as the build, one thread each."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool

from synth.engines.base import Engine, Function, WorkerLostError, interrupts_held
from synth.shards import Job


class Processes(Engine[Future[str]]):
    """``workers`` processes; none outlives this one."""

    def __init__(self, workers: int) -> None:
        self.width = workers
        # Fresh processes: a forked one would inherit the threads of OpenCV or torch half-alive.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, set_up_worker)

    def submit(self, function: Function, jobs: Sequence[Job]) -> Future[str]:
        with interrupts_held():
            try:
                return self._pool.submit(function, jobs)
            except BrokenProcessPool as error:
                raise WorkerLostError("a worker process died (out of memory?)") from error

    def wait(self, handles: Sequence[Future[str]], seconds: float) -> list[Future[str]]:
        return list(wait_for(handles, seconds, return_when=FIRST_COMPLETED).done)

    def result(self, handle: Future[str]) -> str:
        try:
            return handle.result()
        except BrokenProcessPool as error:
            raise WorkerLostError("a worker process died (out of memory?)") from error

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


def set_up_worker() -> None:
    """Set a worker process up: deaf to Ctrl-C (the build stops it), and never an orphan."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
