"""What a build asks of an engine: run this function on these shards, tell when it is done."""

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from synth.shards import Job

# Writes shards and returns "", or in one line why it could not.
Function = Callable[[Sequence[Job]], str]
Handle = TypeVar("Handle")


class WorkerLostError(Exception):
    """A worker ended without an answer: it was killed, ran out of memory or time."""


class Engine(ABC, Generic[Handle]):
    """Runs calls somewhere. An engine is closed whatever happens, also with calls under way.

    Attributes:
        width: how many calls are kept under way at once.
        remote: whether calls run in other processes: the function must be picklable then, and
            they see nothing of this process but the folder.
    """

    width: int = 1
    remote: bool = True

    def divide(self, todo: Sequence[Job]) -> list[Sequence[Job]]:
        """The shards of each call: one, unless starting a call is dear."""
        return [[job] for job in todo]

    @abstractmethod
    def submit(self, function: Function, jobs: Sequence[Job]) -> Handle:
        """Start a call."""

    @abstractmethod
    def wait(self, handles: Sequence[Handle], seconds: float) -> list[Handle]:
        """Those of ``handles`` that are done; waits for the first, but not longer than that."""

    @abstractmethod
    def result(self, handle: Handle) -> str:
        """What a call that is done returned.

        Raises:
            WorkerLostError: it ended without an answer.
            Exception: whatever it raised.
        """

    @abstractmethod
    def close(self) -> None:
        """Drop the calls that wait, let those under way end, give everything back."""


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Ctrl-C waits until the block is over, and processes started in it never hear of it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
