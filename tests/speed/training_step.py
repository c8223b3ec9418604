"""Time and peak memory of training steps at full size, in a process of its own.

    python -m tests.speed.training_step TRACK BATCH STEPS PRECISION

prints one line of JSON. The steps are those of the real loop, on made-up samples; the first warms
up. Time: on the wall with CUDA, of the processor without. Memory: what the CUDA allocator gave out
at most, or the largest resident size of the process.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from hdeocc import train
from hdeocc.method import Budget, FitData, method_class
from tests.fakes import make_samples

PIXELS = 256
STAGE_1 = "mask.two-stage"


def measure(track: str, batch: int, steps: int, precision: Any) -> dict[str, Any]:
    """Milliseconds of each step but the first, and the peak memory in MB."""
    cuda = torch.cuda.is_available()
    step, took = train.train_step, []
    clock = time.perf_counter if cuda else time.process_time

    def timed(*given: Any) -> Any:
        started = clock()
        found = step(*given)
        if cuda:
            torch.cuda.synchronize()
        took.append(1000 * (clock() - started))
        return found

    train.train_step = timed
    samples = make_samples(batch, PIXELS, np.random.default_rng(0))
    data = FitData(samples, samples[:1])
    if track == "content":
        data.upstream = {STAGE_1: method_class("mask", "two-stage")("full")}
    budget = Budget(batch * (steps + 1), batch=batch, precision=precision)
    fabric = Fabric(accelerator="cuda" if cuda else "cpu", devices=1, precision=precision)
    method_class(track, "two-stage")("full").fit(data, budget, fabric)
    return {"milliseconds": took[1:], "megabytes": _peak(cuda)}


def _peak(cuda: bool) -> float | None:
    if cuda:
        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    track, batch, steps, precision = sys.argv[1:]
    print(json.dumps(measure(track, int(batch), int(steps), precision)))
