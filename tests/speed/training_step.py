"""Time and peak memory of training steps of a method, in a process of its own.

    python -m tests.speed.training_step TRACK.METHOD PRESET PIXELS BATCH STEPS PRECISION

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
from hdeocc.method import Budget, FitData, Method, Preset, method_class
from tests.fakes import make_samples


def measure(
    key: str, preset: Preset, pixels: int, batch: int, steps: int, precision: Any
) -> dict[str, Any]:
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
    samples = make_samples(batch, pixels, np.random.default_rng(0))
    method = _made(key, preset)
    data = FitData(samples, samples[:1])
    data.upstream = {below: _made(below, preset) for below in method.upstream}
    budget = Budget(batch * (steps + 1), batch=batch, precision=precision)
    fabric = Fabric(accelerator="cuda" if cuda else "cpu", devices=1, precision=precision)
    method.fit(data, budget, fabric)
    return {"milliseconds": took[1:], "megabytes": _peak(cuda)}


def _made(key: str, preset: Preset) -> Method:
    track, _, name = key.partition(".")
    return method_class(track, name)(preset)


def _peak(cuda: bool) -> float | None:
    if cuda:
        return torch.cuda.max_memory_allocated() / 1e6
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    key, preset, pixels, batch, steps, precision = sys.argv[1:]
    chosen: Any = preset
    found = measure(key, chosen, int(pixels), int(batch), int(steps), precision)
    print(json.dumps(found))
