"""How long one pass of a network takes, and how much it computes, beside what a paper printed.

As the paper's own script does it, but in eval mode: random tensors, warm-up passes, then many
repetitions of one forward pass, the device waited for each time.
"""

import csv
import json
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, astuple, dataclass, fields
from importlib import resources
from io import StringIO
from pathlib import Path

import click
import torch
from torch import Tensor, nn

from hdeocc.learned import Learned
from hdeocc.method import Method, method_class
from hdeocc.two_stage_content import TwoStageContent
from hdeocc.two_stage_mask import TwoStageMask
from leaderboards import provenance
from leaderboards.cost import macs_of
from leaderboards.published import UNKNOWN
from leaderboards.speed import Precision, SpeedBenchmark, SpeedRow
from synth.atomic import write_text
from synth.errors import InputError
from synth.parsing import NUM_LABELS

Pass = Callable[[], object]
Published = tuple[float, str]


@dataclass(frozen=True)
class Timing:
    """What one network costs on one device.

    Attributes:
        macs: multiply-adds of one picture.
        milliseconds, low, high: median, 10th and 90th percentile of a pass of the whole batch; a
            sum of rows has no percentiles.
        published: what a paper printed for it, in milliseconds; None where nothing is.
    """

    title: str
    batch: int
    precision: str
    parameters: int
    macs: int
    milliseconds: float
    low: float | None
    high: float | None
    repetitions: int
    device: str
    published: float | None = None
    note: str = ""


def run_speed(benchmark: SpeedBenchmark, out: Path, progress: bool = True) -> list[Timing]:
    """Time every row and write speed.json, speed.csv and speed.md into ``out``.

    Raises:
        InputError: a method without a network, or a folder that cannot be written.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    printed = published_timing()
    made: list[Timing] = []
    for row in benchmark.speed:
        method = method_class(row.track, row.method).variant(benchmark.preset, row.options)
        for batch in benchmark.batches:
            network, inputs = own_network(method, benchmark.pixels, batch)
            network.to(device).eval()
            inputs = [tensor.to(device) for tensor in inputs]
            for precision in benchmark.precisions:
                if progress:
                    click.echo(f"time {row.title}, batch {batch}, {precision}", err=True)
                once = one_pass(network, inputs, precision)
                made.append(_timed(benchmark, row, network, once, batch, precision, printed))
    made += _totals(benchmark, made, printed)
    _write(out, benchmark, made)
    return made


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


def published_timing() -> dict[str, Published]:
    """Milliseconds and note of every timing in published.csv, by item."""
    text = (resources.files("leaderboards") / "published.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["group"] == "timing"]
    return {row["item"]: (float(row["value"]), row["note"]) for row in rows}


def _printed(
    item: str | None, batch: int, precision: str, printed: dict[str, Published]
) -> tuple[float | None, str]:
    """What was printed for an item; all of it at batch 1 in full precision."""
    alike = batch == 1 and precision == "32-true"
    return printed.get(item or "", (None, "")) if alike else (None, "")


def _write(out: Path, benchmark: SpeedBenchmark, made: Sequence[Timing]) -> None:
    about = {"benchmark": benchmark.model_dump(mode="json"), "rows": [asdict(t) for t in made]}
    about |= {"library_versions": provenance.library_versions()}
    write_text(out / "speed.json", json.dumps(about, indent=1, allow_nan=False) + "\n")
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Timing))
    writer.writerows(astuple(timing) for timing in made)
    write_text(out / "speed.csv", text.getvalue())
    write_text(out / "speed.md", f"#### {benchmark.title}\n\n{speed_table(made)}\n")


def speed_table(made: Sequence[Timing]) -> str:
    """The rows as a Markdown table, with what was printed elsewhere apart, in the last columns."""
    head = ("network", "batch", "precision", "parameters", "multiply-adds", "ms", "p10 to p90",
            "n", "printed ms", "note")  # fmt: skip
    lines = [head, tuple("---" if i in (0, 2, 9) else "---:" for i in range(len(head)))]
    lines += [_cells(timing) for timing in made]
    devices = ", ".join(dict.fromkeys(timing.device for timing in made))
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{table}\n\nDevice: {devices}. Printed figures: published.csv, on other hardware."


def _cells(timing: Timing) -> tuple[str, ...]:
    spread = "" if timing.low is None else f"{timing.low:.3g} to {timing.high:.3g}"
    printed = UNKNOWN if timing.published is None else f"{timing.published:.2f}"
    return (
        timing.title,
        str(timing.batch),
        timing.precision,
        f"{timing.parameters / 1e6:.1f} M",
        f"{timing.macs / 1e9:.1f} G",
        f"{timing.milliseconds:.4g}",
        spread,
        str(timing.repetitions),
        printed,
        timing.note,
    )
