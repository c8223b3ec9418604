"""What every registered row costs at `small`: parameters, multiply-adds, milliseconds, memory.

One prediction of one drawn person of 128 px by each method's own `predict`, as the leaderboards
time it; weights are as drawn, since the cost does not depend on them. Processor time of one core,
or the clock on the wall where a GPU computes. Then the peak memory of training steps at batch 8,
each in a process of its own, which 6 GB are to be enough for. MORE THAN fails no test.
"""

import time
from functools import cache

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from hdeocc.batch import Batch, collate
from hdeocc.learned import Learned
from hdeocc.method import Budget, FitData, Method, entries, method_class
from hdeocc.provenance import device_name
from leaderboards.cost import count_macs
from leaderboards.predict import TIMED, WARM_UP
from synth.errors import InputError
from synth.sample import Sample
from tests.fakes import make_samples
from tests.speed.process import training_steps
from tests.speed.report import CostRow, Report

pytestmark = [pytest.mark.speed, pytest.mark.usefixtures("one_core")]

CUDA = torch.cuda.is_available()
PRESET, PIXELS, BATCH = "small", 128, 8
LIMIT = 6000  # megabytes of a training at `small`
SECONDS = 20.0  # no further prediction of a row after so many


@cache
def _samples() -> list[Sample]:
    return make_samples(TIMED, PIXELS, np.random.default_rng(0))


@cache
def _ready(key: str) -> Method:
    """A method that can predict; one without a network learns from the few samples."""
    track, _, name = key.partition(".")
    method = method_class(track, name)(PRESET)
    data = FitData(_samples(), _samples()[:1])
    data.upstream = {below: _ready(below) for below in method.upstream}
    budget = Budget(samples=1, precision="32-true")
    if isinstance(method, Learned):
        method.prepare(data, budget)
        method.nets.to("cuda" if CUDA else "cpu")
    else:
        method.fit(data, budget, Fabric(accelerator="cpu", devices=1))
    return method


def _milliseconds(method: Method, batches: list[Batch]) -> list[float]:
    clock = time.perf_counter if CUDA else time.process_time
    for batch in batches[:WARM_UP]:
        method.predict(batch)
    found: list[float] = []
    until = clock() + SECONDS
    for batch in batches:
        started = clock()
        method.predict(batch)
        found.append(1000 * (clock() - started))
        if clock() > until:
            break
    return found


@pytest.mark.parametrize("key", sorted(entries()))
def test_row(key: str, report: Report) -> None:
    try:
        method = _ready(key)
    except InputError as error:
        report.notes.append(f"{key}: not measured: {error.message}")
        pytest.skip(error.message)
    batches = [collate([sample]).only(method.consumes) for sample in _samples()]
    took = _milliseconds(method, batches)
    macs = count_macs(method, batches[0])
    memory = _training_megabytes(key, report) if isinstance(method, Learned) else None
    report.costs_on = device_name("cuda" if CUDA else "cpu")
    report.costs.append(CostRow(key, method.parameters_used(), macs, took, memory))


def _training_megabytes(key: str, report: Report) -> float | None:
    precision = "bf16-mixed" if CUDA else "32-true"
    found: float | None = training_steps(key, PRESET, PIXELS, BATCH, 2, precision)["megabytes"]
    if found is not None:
        what = f"{key}: GB to train at batch {BATCH}"
        report.compare(what, [found / 1e3], LIMIT / 1e3, at_most=True)
    return found
