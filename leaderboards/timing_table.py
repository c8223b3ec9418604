"""Timings of networks as a table, as CSV and as JSON, beside what a paper printed."""

import csv
import json
import os
from dataclasses import asdict, astuple, dataclass, field, fields
from importlib import resources
from io import StringIO
from pathlib import Path

import numpy as np

from hdeocc import provenance
from leaderboards.published import UNKNOWN
from leaderboards.speed import SpeedBenchmark
from synth.atomic import check_target, make_folder_of, write_text
from synth.errors import InputError

FILES = ("speed.json", "speed.csv", "speed.md")
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


@dataclass(frozen=True)
class Timings:
    """What a benchmark of speed found.

    Attributes:
        left_out: why nothing was timed in a precision, by its name.
    """

    benchmark: SpeedBenchmark
    rows: tuple[Timing, ...]
    left_out: dict[str, str] = field(default_factory=dict)


def published_timing() -> dict[str, Published]:
    """Milliseconds and note of every timing in published.csv, by item."""
    text = (resources.files("leaderboards") / "published.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["group"] == "timing"]
    return {row["item"]: (float(row["value"]), row["note"]) for row in rows}


def check_out(out: Path) -> None:
    """Make the folder that `write_timings` writes into.

    Raises:
        InputError: it is a file, cannot be made or written, or has a folder where a table goes.
    """
    for name in FILES:
        check_target(out / name)
    make_folder_of(out / FILES[0])
    if not os.access(out, os.W_OK):
        raise InputError(f"{out}: cannot be written (no permission); give another --out")


def write_timings(out: Path, timings: Timings) -> None:
    """Write speed.json, speed.csv and speed.md."""
    benchmark = timings.benchmark
    as_json, as_csv, as_markdown = (out / name for name in FILES)
    about = {
        "benchmark": benchmark.model_dump(mode="json"),
        "rows": [asdict(timing) for timing in timings.rows],
        "left_out": timings.left_out,
        "library_versions": provenance.library_versions(),
    }
    write_text(as_json, json.dumps(about, indent=1, allow_nan=False) + "\n")
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(Timing))
    writer.writerows(astuple(timing) for timing in timings.rows)
    write_text(as_csv, text.getvalue())
    write_text(as_markdown, f"#### {benchmark.title}\n\n{speed_table(timings)}\n")


def speed_table(timings: Timings) -> str:
    """The rows as a Markdown table, with what was printed elsewhere apart, in the last columns."""
    head = ("network", "batch", "precision", "parameters", "multiply-adds", "ms", "p10 to p90",
            "n", "printed ms", "note")  # fmt: skip
    lines = [head, tuple("---" if i in (0, 2, 9) else "---:" for i in range(len(head)))]
    lines += [_cells(timing) for timing in timings.rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    devices = ", ".join(dict.fromkeys(timing.device for timing in timings.rows))
    words = [f"Device: {devices}. Printed figures: published.csv, on other hardware."]
    words += [f"Not timed in {name}: {why}." for name, why in timings.left_out.items()]
    return f"{table}\n\n{' '.join(words)}"


def _cells(timing: Timing) -> tuple[str, ...]:
    ends = (timing.low, timing.high)
    spread = " to ".join(_plain(end, 3) for end in ends if end is not None)
    printed = UNKNOWN if timing.published is None else f"{timing.published:.2f}"
    return (
        timing.title,
        str(timing.batch),
        timing.precision,
        f"{timing.parameters / 1e6:.1f} M",
        f"{timing.macs / 1e9:.1f} G",
        _plain(timing.milliseconds, 4),
        spread,
        str(timing.repetitions),
        printed,
        timing.note,
    )


def _plain(value: float, digits: int) -> str:
    """So many digits, and no power of ten: a pass may take half a minute."""
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")
