"""The leaderboard page: one HTML file that opens from disk and asks nothing of the network.

Its bytes depend on the records and pictures alone: no dates, no random names.
"""

import base64
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from leaderboards import gallery
from leaderboards.benchmark import bundled
from leaderboards.folder import Folder
from leaderboards.gallery import Strip
from leaderboards.pictures import encode_jpeg
from leaderboards.tables import (
    TRACK_TITLES,
    Row,
    Table,
    arrow,
    count,
    footnotes,
    milliseconds,
    number,
)
from metrics.protocol import TRACKS, MetricSpec
from synth.sample import Sample

MAX_BYTES = 16_000_000
# Sides and JPEG qualities to try, until the page is small enough.
SIZES = ((192, 86), (160, 80), (128, 76), (96, 70))

TRACK_WORDS = {
    "mask": "Given the photo and the visible mask, find the whole person. "
    "The pictures show where each method found the hidden part.",
    "content": "Given the true masks, paint the hidden part. Only the method's colours inside the "
    "hole count; everything else is the input.",
    "full": "Both steps in a row, as in use: first the mask is predicted, then the part that it "
    "uncovers is painted.",
}
METRIC_WORDS = {
    "iou": "Overlap of the predicted and the true whole person: shared pixels over all pixels of "
    "either. Mean over samples.",
    "invisible_iou": "The same overlap, for the hidden part alone. Predicted pixels on the visible "
    "person neither help nor hurt.",
    "pooled_iou": "Overlap of all pixels of the test split taken together, so that large people "
    "weigh more.",
    "mask_l1": "Share of the picture's pixels whose mask is wrong.",
    "l1_hole": "Mean colour error inside the true hidden part; 0 is perfect, 1 is black for white.",
    "l1": "The same error over the whole picture (of masks: share of wrong pixels).",
    "psnr_hole": "Peak signal-to-noise ratio inside the hidden part, in decibels.",
    "psnr": "Peak signal-to-noise ratio over the whole picture, in decibels.",
    "ssim": "Structural similarity over the whole picture; 1 is identical.",
    "lpips_hole": "Learned perceptual distance (LPIPS, AlexNet) inside the hidden part; follows "
    "what people see better than pixel errors do.",
    "lpips": "Learned perceptual distance (LPIPS, AlexNet) over the whole picture.",
    "fid": "Distance between all recovered and all true pictures as Inception sees them. Biased "
    "with few pictures: compare rows of one table only.",
}


@dataclass(frozen=True)
class Plot:
    """A value with its interval on the scale of its column, in percent of the width."""

    low: float
    high: float
    value: float


def render_page(
    tables: Sequence[Table], shown: Sequence[Table], folder: Folder, samples: Sequence[Sample]
) -> str:
    """The page of all tables, with pictures for those in ``shown``."""
    text = ""
    for side, quality in SIZES:
        text = _page(tables, _galleries(shown, folder, samples, side), quality)
        if len(text) <= MAX_BYTES:
            break
    return text


def _galleries(
    shown: Sequence[Table], folder: Folder, samples: Sequence[Sample], side: int
) -> dict[int, list[Strip]]:
    return {id(table): list(gallery.strips(table, folder, samples, side)) for table in shown}


def _page(tables: Sequence[Table], galleries: dict[int, list[Strip]], quality: int) -> str:
    environment = Environment(
        loader=PackageLoader("leaderboards"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "arrow": arrow,
        "cell": _cell,
        "picture": lambda picture: _inlined(encode_jpeg(picture, quality)),
        "count": count,
        "milliseconds": milliseconds,
        "sort_value": _sort_value,
        "footnotes": footnotes,
        "note": _note,
    }
    page = environment.get_template("leaderboard.html.j2")
    return page.render(
        tables=[_Section(table, galleries.get(id(table), []), i) for i, table in enumerate(tables)],
        first=tables[0].first,
        command=_command(tables[0].first.benchmark),
        several_data=len({t.first.data.test_fingerprint for t in tables}) > 1,
        code_versions=sorted({row.record.code_version for t in tables for row in t.rows}),
        devices=sorted({row.record.device for t in tables for row in t.rows}),
        metrics=_legend(tables),
        published=published(),
    )


def _command(benchmark: str) -> str:
    given = benchmark if benchmark in bundled() else f"{benchmark}.toml"
    return f"hdeocc bench run {given} --out {benchmark}"


class _Section:
    """A table as the template reads it."""

    def __init__(self, table: Table, strips: list[Strip], index: int) -> None:
        self.table, self.strips = table, strips
        self.id = f"{table.track}-{index}"
        self.title = TRACK_TITLES[table.track]
        self.words = TRACK_WORDS[table.track]
        self.people = len({s.person for row in table.rows for s in row.record.samples})
        self.plots = _plots(table)
        self.headline = next(s for s in table.specs if s.name == table.headline)


def _plots(table: Table) -> dict[str, Plot]:
    """Intervals of the headline metric on one scale, by row key."""
    found = {row.record.key: row.intervals.get(table.headline) for row in table.rows}
    values = {row.record.key: row.record.total(table.headline) for row in table.rows}
    known = {key: interval for key, interval in found.items() if interval is not None}
    if not known:
        return {}
    low = min(interval.low for interval in known.values())
    span = max(interval.high for interval in known.values()) - low or 1.0

    def place(value: float) -> float:
        return round(4 + 92 * (value - low) / span, 2)

    return {k: Plot(place(i.low), place(i.high), place(values[k])) for k, i in known.items()}


def _cell(table: Table, row: Row, spec: MetricSpec) -> dict[str, object]:
    record, interval = row.record, row.intervals.get(spec.name)
    between = ""
    if interval is not None:
        between = f"{number(interval.low, spec)} to {number(interval.high, spec)}"
    return {
        "text": number(record.total(spec.name), spec),
        "between": between,
        "best": record.key in table.best[spec.name],
        "sort": _sort_value(record.total(spec.name)),
    }


def _note(table: Table, row: Row, spec: MetricSpec) -> int | None:
    reason = table.notes.get((spec.name, row.record.key))
    return None if reason is None else footnotes(table)[reason]


def _sort_value(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(value)


def _inlined(jpeg: bytes) -> Markup:
    return Markup("data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii"))


def _legend(tables: Sequence[Table]) -> list[tuple[MetricSpec, str]]:
    used = {spec.name: spec for table in tables for spec in TRACKS[table.track]}
    return [(spec, METRIC_WORDS.get(name, "")) for name, spec in used.items()]


def published() -> list[dict[str, str]]:
    """Figures printed by others, with their source; never ranked with ours."""
    text = (resources.files("leaderboards") / "published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
