"""How fast both networks are at 256 px, plain and made fast, beside their own baselines.

The rows are those of the benchmark paper-speed, timed by its own code. Networks of a table take
turns, so that other work on the machine falls on all of them alike; ratios are medians over the
rounds. "fast" is `hdeocc.fast.for_inference`, with the same results; "compiled" is that behind
torch.compile, on a GPU or where COMPILE=1 is set. MORE THAN fails no test.

GPU: the clock on the wall, waiting for the device each time, 50 warm-up passes and 300 more. CPU:
the processor time of one core, which other work on the machine does not touch, and as many rounds
as the time allows.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hdeocc.fast import for_inference
from hdeocc.method import method_class
from hdeocc.provenance import device_name
from leaderboards.cost import macs_of
from leaderboards.speed import Precision, SpeedBenchmark, SpeedRow, load_speed
from leaderboards.timing import one_pass, own_network, repeat
from leaderboards.timing_table import published_timing
from tests.speed.process import training_steps
from tests.speed.report import NetworkRow, Report

pytestmark = [pytest.mark.speed, pytest.mark.usefixtures("one_core")]

CUDA = torch.cuda.is_available()
COMPILE = CUDA or os.environ.get("COMPILE") == "1"
DEVICE = torch.device("cuda" if CUDA else "cpu")
PRECISIONS: tuple[Precision, ...] = ("32-true", "bf16-mixed") if CUDA else ("32-true",)
ROUNDS = 10  # on a GPU
# On a CPU: at least so many rounds, and no new one after so many seconds of processor time.
LEAST, SECONDS = {1: 3, 16: 2}, {1: 25.0, 16: 60.0}
LIMITS = {"stage 1": 1.15, "stage 2": 1.35}  # of the network with branches over its baseline
UNDER = 10.0  # milliseconds of both stages on a GPU in bfloat16
Printed = dict[str, float]


@pytest.fixture(scope="module")
def benchmark_rows() -> SpeedBenchmark:
    return load_speed("paper-speed")


@pytest.fixture(scope="module")
def printed() -> Printed:
    """Milliseconds that the paper printed; of the whole, the true sum of its stages."""
    found = {item: value for item, (value, _) in published_timing().items()}
    return found | {"both (ours)": found["stage 1 (ours)"] + found["stage 2 (ours)"]}


def networks_of(stage: str, rows: SpeedBenchmark, batch: int) -> tuple[dict[str, nn.Module], Any]:
    """Baseline and ours, plain and fast, and ours with less to do; and their common input."""
    torch.manual_seed(0)
    made: dict[str, nn.Module] = {}
    given: Any = None
    for row in (row for row in rows.speed if row.title.startswith(stage)):
        made[row.title], given = _network(row, rows, batch)
    if stage == "stage 2" and (batch == 1 or CUDA):
        ours = next(row for row in rows.speed if row.title == "stage 2 (ours)")
        small = ours.model_copy(update={"options": {"pga_fusion_kernel": 1}})
        made["stage 2 (ours, 1x1 fusions)"], _ = _network(small, rows, batch)
    fast = {f"{title}, fast": for_inference(network) for title, network in made.items()}
    if stage == "stage 1" and batch == 1:
        whole = made["stage 1 (ours)"]
        fast["stage 1 (ours), fast, as used"] = for_inference(whole, modal_parsing=False)
    if COMPILE:
        for title in [title for title in made if "1x1" not in title]:
            fast[f"{title}, fast, compiled"] = for_inference(made[title], compiled=True)
    return made | fast, given


def _without_failed(
    networks: dict[str, nn.Module], inputs: Any, precision: Precision, report: Report
) -> dict[str, nn.Module]:
    """The networks that run: compiling may fail on machines without a compiler."""
    kept = dict(networks)
    for name in [name for name in networks if "compiled" in name]:
        try:
            one_pass(networks[name], inputs, precision)()
        except Exception as error:
            report.notes.append(f"{name}, {precision}: not compiled: {str(error).splitlines()[0]}")
            del kept[name]
    return kept


def _rival(name: str) -> str:
    """The baseline of the same kind: plain, fast or compiled."""
    kind = ", fast, compiled" if "compiled" in name else ", fast" if "fast" in name else ""
    return f"{name[:7]} (baseline){kind}"


def _network(row: SpeedRow, rows: SpeedBenchmark, batch: int) -> tuple[nn.Module, Any]:
    method = method_class(row.track, row.method).variant(rows.preset, row.options)
    network, inputs = own_network(method, rows.pixels, batch)
    return network.to(DEVICE).eval(), [tensor.to(DEVICE) for tensor in inputs]


def take_turns(passes: dict[str, Callable[[], object]], batch: int, rows: SpeedBenchmark) -> Any:
    """Milliseconds of every network, round by round."""
    if CUDA:
        for once in passes.values():
            repeat(once, rows.warm_up, 3, rows.seconds)
        each = rows.repetitions // ROUNDS
        return [{name: repeat(once, 0, each, rows.seconds) for name, once in passes.items()}
                for _ in range(ROUNDS)]  # fmt: skip
    found: list[dict[str, list[float]]] = []
    started = time.process_time()
    if batch == 1:
        for once in passes.values():
            once()
    while len(found) < LEAST[batch] or time.process_time() - started < SECONDS[batch]:
        found.append({name: [_processor_time(once)] for name, once in passes.items()})
    return found


def _processor_time(once: Callable[[], object]) -> float:
    """Milliseconds of one pass."""
    started = time.process_time()
    once()
    return 1000 * (time.process_time() - started)


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("stage", ["stage 1", "stage 2"])
def test_stage(
    stage: str, batch: int, benchmark_rows: SpeedBenchmark, printed: Printed, report: Report
) -> None:
    report.device = device_name(DEVICE)
    everyone, inputs = networks_of(stage, benchmark_rows, batch)
    for precision in PRECISIONS:
        networks = _without_failed(everyone, inputs, precision, report)
        passes = {n: one_pass(net, inputs, precision) for n, net in networks.items()}
        rounds = take_turns(passes, batch, benchmark_rows)
        medians = {name: [float(np.median(one[name])) for one in rounds] for name in networks}
        base = f"{stage} (baseline)"
        for name, network in networks.items():
            rival = _rival(name) if _rival(name) in networks else base
            ratios = [a / b for a, b in zip(medians[name], medians[rival], strict=True)]
            macs = _macs(name, passes, batch, report)
            alone = batch == 1 and precision == "32-true" and name in printed
            report.networks.append(
                NetworkRow(
                    name,
                    batch,
                    precision,
                    sum(p.numel() for p in network.parameters()),
                    macs,
                    [ms for one in rounds for ms in one[name]],
                    float(np.median(ratios)),
                    printed[name] if alone else None,
                    printed[name] / printed[base] if alone else None,
                )
            )
            if "baseline" not in name:
                what = f"{name} over its baseline, batch {batch}, {precision}"
                report.compare(what, ratios, LIMITS[stage], at_most=True)
        gained = [a / b for a, b in zip(
            medians[f"{stage} (ours)"], medians[f"{stage} (ours), fast"], strict=True)]  # fmt: skip
        report.compare(f"{stage} (ours): fast, times as fast, batch {batch}, {precision}", gained)


def _macs(name: str, passes: dict[str, Any], batch: int, report: Report) -> int:
    """Multiply-adds of a picture; counting takes a pass, and does not see into compiled code."""
    name = name.removesuffix(", compiled")
    alike = next((row for row in report.networks if row.what == name), None)
    return macs_of(passes[name]) // batch if alike is None else alike.macs


def test_both_stages(printed: Printed, report: Report) -> None:
    """The sum of the two stages that were measured in this run."""
    for batch in (1, 16):
        for precision in PRECISIONS:
            for suffix in ("", ", fast", ", fast, compiled"):
                names = [f"{stage} (ours){suffix}" for stage in LIMITS]
                rows = [report.network(name, batch, precision) for name in names]
                found = [row for row in rows if row is not None]
                if len(found) < 2:
                    continue
                total = sum(row.median for row in found)
                what = f"both (ours){suffix}, ms a pass, batch {batch}, {precision}"
                asked = UNDER if CUDA and batch == 1 and precision == "bf16-mixed" else None
                report.compare(what, [total], asked, at_most=True)
    report.compare("both (paper), ms: the true sum of its stages", [printed["both (ours)"]])


@pytest.mark.parametrize("track", ["mask", "content"])
def test_training_step(track: str, report: Report) -> None:
    """Batch 16 on a GPU, 1 on a CPU."""
    batch, steps = (16, 30) if CUDA else (1, 3)
    precision: Precision = "bf16-mixed" if CUDA else "32-true"
    found = training_steps(f"{track}.two-stage", "full", 256, batch, steps, precision)
    stage = "stage 1" if track == "mask" else "stage 2"
    report.add_training(
        f"{stage}, batch {batch}, {precision}", found["milliseconds"], found["megabytes"]
    )
