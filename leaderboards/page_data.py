"""What the page's script reads: every table as JSON, its values also by how much is hidden.

Bins are counted by the hidden share here, 0 (up to a tenth hidden) to 9, since that is what a
reader sees; those of the protocol count the visible share, the other way round.
"""

import math
from collections.abc import Sequence
from typing import Any

from leaderboards.gallery import Cases
from leaderboards.page_words import words_of
from leaderboards.records import Record, SampleScores
from leaderboards.stats import Interval
from leaderboards.tables import Row, Table, beats
from metrics.protocol import BINS, MetricSpec, bin_of
from synth.sample import Sample

SECOND = {"mask": "invisible_iou", "content": "lpips_hole", "full": "iou"}


def row_keys(table: Table) -> list[str]:
    """A short name of each row for links: the method, numbered where it stands twice."""
    keys: list[str] = []
    for row in table.rows:
        method = row.record.method
        keys.append(method if method not in keys else f"{method}~{len(keys)}")
    return keys


def pictures_of(table: Table) -> str:
    """Under which name the page keeps the pictures of a table: track, and rules other than ours.

    Masks look the same by all rules.
    """
    rules = table.first.protocol
    if table.track == "mask":
        return table.track
    named = [table.track, *([rules.name] if rules.name != "strict" else [])]
    return ".".join([*named, *([f"band-{rules.border_band}"] if rules.border_band else [])])


def table_data(table: Table, name: str, cases: Cases) -> dict[str, Any]:
    """One table for the script, JSON-able; ``cases`` are the samples with pictures."""
    specs = table.specs
    keys = row_keys(table)
    scores = [{s.id: s for s in row.record.samples} for row in table.rows]
    return {
        "id": name,
        "track": table.track,
        "pictures": pictures_of(table),
        "headline": table.headline,
        "second": SECOND[table.track],
        "n": table.first.n_expected,
        "bins": _bin_sizes(table.first),
        "specs": [_spec(spec) for spec in specs],
        "rows": [_row(table, r, k, specs) for r, k in zip(table.rows, keys, strict=True)],
        "samples": [
            *(_sample(table, sample, scores) for sample in cases.spread),
            *(_sample(table, sample, scores) | {"extra": True} for sample in cases.extreme),
        ],
    }


def _spec(spec: MetricSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title + (f" ({spec.unit})" if spec.unit else ""),
        "up": spec.higher_is_better,
        "decimals": spec.decimals,
        "words": words_of(spec),
        "shown": spec.shown,
    }


def _bin_sizes(record: Record) -> list[int]:
    sizes = [0] * BINS
    for sample in record.samples:
        sizes[hidden_bin(sample.hidden_share)] += 1
    return sizes


def hidden_bin(hidden_share: float) -> int:
    """The tenth of the hidden share that a sample is in, 0 to 9."""
    return BINS - 1 - bin_of(hidden_share)


def _row(table: Table, row: Row, key: str, specs: Sequence[MetricSpec]) -> dict[str, Any]:
    record = row.record
    return {
        "key": key,
        "method": record.method,
        "label": table.label(record),
        "rank": row.rank,
        "apart": row.apart,
        "better": _better_rows(table, row),
        "consumes": list(record.consumes),
        "parameters": record.parameters,
        "macs": record.macs,
        "ms": row.milliseconds,
        "all": {spec.name: _total(row, spec) for spec in specs},
        "bins": {spec.name: _binned(table, row, spec) for spec in specs},
    }


def _better_rows(table: Table, row: Row) -> list[int]:
    """Places of the rows that are better beyond chance, so that ranks can be counted anew."""
    if row.rank is None:
        return []
    like = [(i, other) for i, other in enumerate(table.rows) if other.apart == row.apart]
    ranked = [(i, other) for i, other in like if other.rank is not None]
    spec = table.spec(table.headline)
    return [i for i, other in ranked if beats(other, row, spec, table.samples)]


def _total(row: Row, spec: MetricSpec) -> list[float | None]:
    """[value, low, high, spread] of all samples."""
    interval = row.intervals.get(spec.name)
    return [
        _short(row.value(spec.name), spec),
        *_ends(interval, spec),
        _short(row.spread(spec.name), spec),
    ]


def _binned(table: Table, row: Row, spec: MetricSpec) -> list[list[float | None] | None]:
    """[value, low, high, n] by tenth of the hidden share, None where nothing is counted."""
    made: list[list[float | None] | None] = [None] * BINS
    for low, _, value, n, interval in table.binned(row, spec.name):
        if not math.isnan(value):
            place = BINS - 1 - round(low * BINS)
            made[place] = [_short(value, spec), *_ends(interval, spec), n]
    return made


def _ends(interval: Interval | None, spec: MetricSpec) -> list[float | None]:
    if interval is None:
        return [None, None]
    return [_short(interval.low, spec), _short(interval.high, spec)]


def _short(value: float | None, spec: MetricSpec) -> float | None:
    """Four figures more than are printed, so that nothing rounds or sorts another way."""
    return None if value is None or math.isnan(value) else round(value, spec.decimals + 4)


def _sample(
    table: Table, sample: Sample, scores: Sequence[dict[str, SampleScores]]
) -> dict[str, Any]:
    """What the gallery says of a sample: [headline, second] of every row, None if not scored."""
    names = (table.headline, SECOND[table.track])
    specs = [table.spec(name) for name in names]
    found = [by_id.get(sample.sample_id) for by_id in scores]
    return {
        "id": sample.sample_id,
        "hidden": round(sample.hidden_share, 4),
        "bin": hidden_bin(sample.hidden_share),
        "scores": [None if s is None else _pair(s, specs) for s in found],
    }


def _pair(scores: SampleScores, specs: Sequence[MetricSpec]) -> list[float | None]:
    numbers = scores.numbers()
    return [_short(numbers.get(spec.name, math.nan), spec) for spec in specs]
