"""How long the steps of a training take, how long they wait for data, and how much memory."""

import resource
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from hdeocc.batch import Batch
from hdeocc.method import Budget

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WARM_UP = 3  # the first steps choose kernels and fill caches
KEPT = 100_000


class Pace:
    """Times of the steps of this process, those of the first few left out."""

    def __init__(self, device: torch.device) -> None:
        self.steps = 0
        self._device = device
        self._taken: list[float] = []
        self._waited: list[float] = []
        self._wait = self._last = 0.0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def waiting(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, with the time that getting them takes noted."""
        self._last = begun = time.perf_counter()
        for batch in batches:
            self._wait = time.perf_counter() - begun
            yield batch
            begun = time.perf_counter()

    def stepped(self) -> None:
        """A step is done; it began when the one before was, data included."""
        now = time.perf_counter()
        self.steps += 1
        if self.steps > WARM_UP and len(self._taken) < KEPT:
            self._taken.append(now - self._last)
            self._waited.append(self._wait)
        self._last = now

    def paused(self) -> None:
        """Something that is no step was done since."""
        self._last = time.perf_counter()

    def facts(self, budget: Budget, fabric: "Fabric") -> dict[str, Any]:
        """JSON-able: milliseconds of a step (median, p10, p90), of waiting, peak memory."""
        taken = sorted(self._taken)
        facts: dict[str, Any] = {"device": _name(self._device), "processes": fabric.world_size}
        facts |= {"batch": budget.batch, "precision": budget.precision}
        if taken:
            facts["step_ms"] = {
                "median": 1000 * statistics.median(taken),
                "p10": 1000 * taken[len(taken) // 10],
                "p90": 1000 * taken[9 * len(taken) // 10],
            }
            facts["waited_ms"] = 1000 * statistics.median(self._waited)
        return facts | {"peak_memory_bytes": self._memory(), "memory_of": self._memory_of()}

    def _memory(self) -> int:
        if self._device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self._device))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024

    def _memory_of(self) -> str:
        return "tensors on the GPU" if self._device.type == "cuda" else "the process"


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {torch.get_num_threads()} threads"
