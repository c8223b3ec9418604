"""Processes that make samples ahead, so that whoever uses them need not wait."""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import cv2

from synth.engines.base import interrupts_held
from synth.engines.processes import set_up_worker
from synth.errors import InputError
from synth.sample import Sample

# Samples under way for each process: enough to even out quick and slow ones, and little memory.
_DEPTH = 8


class Ahead(Iterator[Sample]):
    """Samples by index, in the order of the indices, made by processes before they are needed.

    The processes start at once, each with its own copy of the samples' maker; ``close`` (or the
    end of the program, however it comes) ends them. What comes out does not depend on how many
    there are.

    Args:
        samples: what makes a sample from its index; it is sent to each process once.
        indices: which samples, in order; read as far as the processes are ahead.
        workers: how many processes, at least 1, of one thread each.

    Raises:
        InputError: while iterating: a sample cannot be made, or a process died.
    """

    def __init__(self, samples: Sequence[Sample], indices: Iterable[int], workers: int = 1) -> None:
        # Fresh processes: a forked one would inherit the threads of OpenCV or torch half-alive.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, _start, (samples,))
        self._indices = iter(indices)
        self._waiting: deque[Future[Sample]] = deque()
        with interrupts_held():
            for _ in range(_DEPTH * workers):
                self._ask()

    def __next__(self) -> Sample:
        if not self._waiting:
            raise StopIteration
        try:
            sample = self._waiting.popleft().result()
            self._ask()
        except BrokenProcessPool:
            raise InputError(
                "a process that makes samples died (out of memory?); start again with fewer workers"
            ) from None
        return sample

    def close(self) -> None:
        """End the processes; what they were making is dropped."""
        self._waiting.clear()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _ask(self) -> None:
        index = next(self._indices, None)
        if index is not None:
            self._waiting.append(self._pool.submit(_make, index))


_mine: dict[str, Any] = {}


def _start(samples: Sequence[Sample]) -> None:
    set_up_worker()
    cv2.setNumThreads(1)
    _mine["samples"] = samples


def _make(index: int) -> Sample:
    samples: Sequence[Sample] = _mine["samples"]
    return samples[index]
