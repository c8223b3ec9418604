"""How long one pass of a network takes, and how much it computes, beside what a paper printed.

As the paper's own script does it, but in eval mode: random tensors, warm-up passes, then many
repetitions of one forward pass, the device waited for each time.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from hdeocc import provenance
from hdeocc.learned import Learned
from hdeocc.method import Method, method_class
from hdeocc.precision import Precision, too_slow
from hdeocc.two_stage_content import TwoStageContent
from hdeocc.two_stage_mask import TwoStageMask
from leaderboards.cost import macs_of
from leaderboards.speed import SpeedBenchmark, SpeedRow
from leaderboards.timing_table import (
    Published,
    Timing,
    Timings,
    check_out,
    published_timing,
    write_timings,
)
from synth.errors import InputError
from synth.parsing import NUM_LABELS

Pass = Callable[[], object]


def run_speed(benchmark: SpeedBenchmark, out: Path, progress: bool = True) -> Timings:
    """Time every row and write speed.json, speed.csv and speed.md into ``out``.

    Raises:
        InputError: a method without a network, no precision that the device is fit for, or a
            folder that cannot be written.
    """
    check_out(out)  # before minutes of timing
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precisions, left_out = _precisions(benchmark, device)
    printed = published_timing()
    made: list[Timing] = []
    for row in benchmark.speed:
        method = method_class(row.track, row.method).variant(benchmark.preset, row.options)
        for batch in benchmark.batches:
            network, inputs = own_network(method, benchmark.pixels, batch)
            network.to(device).eval()
            inputs = [tensor.to(device) for tensor in inputs]
            for precision in precisions:
                if progress:
                    click.echo(f"time {row.title}, batch {batch}, {precision}", err=True)
                once = one_pass(network, inputs, precision)
                made.append(_timed(benchmark, row, network, once, batch, precision, printed))
    made += _totals(benchmark, made, printed)
    timings = Timings(benchmark, tuple(made), left_out)
    write_timings(out, timings)
    return timings


def _precisions(
    benchmark: SpeedBenchmark, device: torch.device
) -> tuple[list[Precision], dict[str, str]]:
    """Those to time, and why the others are left out."""
    found = {precision: too_slow(precision, device) for precision in benchmark.precisions}
    left_out: dict[str, str] = {
        precision: why for precision, why in found.items() if why is not None
    }
    kept = [precision for precision in benchmark.precisions if precision not in left_out]
    if not kept:
        raise InputError(
            f"benchmark {benchmark.name}: {next(iter(left_out.values()))}; give it another of "
            "its precisions"
        )
    return kept, left_out


def own_network(method: Method, pixels: int, batch: int) -> tuple[nn.Module, list[Tensor]]:
    """The network that a row is about, and random input of it; that of stage 2 is given a parsing.

    Raises:
        InputError: the method has no network.
    """
    draw = torch.Generator().manual_seed(0)

    def tensor(channels: int) -> Tensor:
        return torch.rand(batch, channels, pixels, pixels, generator=draw)

    if isinstance(method, TwoStageMask):
        return method.net, [tensor(3), tensor(1)]
    if isinstance(method, TwoStageContent):
        return method.net.stage_2, [tensor(3), tensor(1), tensor(1), tensor(NUM_LABELS)]
    if isinstance(method, Learned):
        network = method.nets.generator
        first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
        return network, [tensor(first.in_channels)]
    raise InputError(f"method {type(method).__name__}: has no network to time; leave the row out")


def one_pass(network: nn.Module, inputs: Sequence[Tensor], precision: Precision) -> Pass:
    """A forward pass that returns when the device has finished it."""
    device = inputs[0].device

    @torch.inference_mode()
    def once() -> None:
        half: AbstractContextManager[object] = nullcontext()
        if precision == "bf16-mixed":
            half = torch.autocast(device.type, torch.bfloat16)
        with half:
            network(*inputs)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return once


def _timed(
    benchmark: SpeedBenchmark,
    row: SpeedRow,
    network: nn.Module,
    once: Pass,
    batch: int,
    precision: Precision,
    printed: dict[str, Published],
) -> Timing:
    value, note = _printed(row.published, batch, precision, printed)
    times = repeat(once, benchmark.warm_up, benchmark.repetitions, benchmark.seconds)
    tenths = statistics.quantiles(times, n=10, method="inclusive")
    return Timing(
        title=row.title,
        batch=batch,
        precision=precision,
        parameters=sum(p.numel() for p in network.parameters()),
        macs=macs_of(once) // batch,
        milliseconds=statistics.median(times),
        low=tenths[0],
        high=tenths[-1],
        repetitions=len(times),
        device=provenance.device_name(next(network.parameters()).device),
        published=value,
        note=note,
    )


def repeat(once: Pass, warm_up: int, repetitions: int, seconds: float) -> list[float]:
    """Milliseconds of each repetition after a warm-up; fewer of both after so many seconds.

    A quarter of the time at most goes to the warm-up, and three repetitions are always made.
    """
    for _ in _until(warm_up, 1, seconds / 4):
        once()
    times = []
    for _ in _until(repetitions, 3, seconds):
        started = time.perf_counter()
        once()
        times.append(1000 * (time.perf_counter() - started))
    return times


def _until(most: int, least: int, seconds: float) -> Iterable[int]:
    begun = time.perf_counter()
    for number in range(most):
        if number >= least and time.perf_counter() - begun > seconds:
            return
        yield number


def _totals(
    benchmark: SpeedBenchmark, made: Sequence[Timing], printed: dict[str, Published]
) -> list[Timing]:
    """Sums of rows that were measured alike."""
    sums = []
    for title, parts in benchmark.totals.items():
        for first in (t for t in made if t.title == parts[0]):
            alike = [t for t in made if (t.batch, t.precision) == (first.batch, first.precision)]
            rows = [next(t for t in alike if t.title == part) for part in parts]
            known = _printed(title, first.batch, first.precision, printed)
            sums.append(_sum(title, rows, known))
    return sums


def _sum(title: str, rows: Sequence[Timing], printed: tuple[float | None, str]) -> Timing:
    return Timing(
        title=title,
        batch=rows[0].batch,
        precision=rows[0].precision,
        parameters=sum(t.parameters for t in rows),
        macs=sum(t.macs for t in rows),
        milliseconds=sum(t.milliseconds for t in rows),
        low=None,
        high=None,
        repetitions=min(t.repetitions for t in rows),
        device=rows[0].device,
        published=printed[0],
        note=printed[1],
    )


def _printed(
    item: str | None, batch: int, precision: str, printed: dict[str, Published]
) -> tuple[float | None, str]:
    """What was printed for an item; all of it at batch 1 in full precision."""
    alike = batch == 1 and precision == "32-true"
    return printed.get(item or "", (None, "")) if alike else (None, "")
