"""How long the steps of a training take, how long they wait for data, and how much memory."""

import json
import resource
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hdeocc.batch import Batch
from hdeocc.folders import read_json
from hdeocc.method import Budget
from hdeocc.provenance import device_name
from synth.atomic import write_text

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WARM_UP = 3  # the first steps choose kernels and fill caches
KEPT = 100_000


class Elapsed:
    """How long a training has taken, those parts included that were interrupted or killed.

    What a killed one did after it was last kept is not in it; it is done again.
    """

    def __init__(self, workdir: Path | None) -> None:
        self._path = None if workdir is None else workdir / "seconds.json"
        known = self._path is not None and self._path.is_file()
        value = read_json(self._path).get("seconds") if known and self._path else 0.0
        self._before = float(value) if isinstance(value, int | float) else 0.0
        self._started = time.perf_counter()

    @property
    def seconds(self) -> float:
        """All of it so far."""
        return self._before + time.perf_counter() - self._started

    def keep(self) -> None:
        """Write it down, where there is a folder."""
        if self._path is not None and self._path.parent.is_dir():
            write_text(self._path, json.dumps({"seconds": self.seconds}))

    def forget(self) -> None:
        """The training is done and its time is kept elsewhere."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


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
        facts: dict[str, Any] = {
            "device": device_name(self._device),
            "processes": fabric.world_size,
        }
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
