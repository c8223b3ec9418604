"""Tables from records: one a (track, test split, protocol), never ranked across these."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from leaderboards import stats
from leaderboards.records import Record
from leaderboards.stats import Interval
from metrics.protocol import HEADLINE, TRACKS, MetricSpec

TRACK_TITLES = {
    "mask": "Mask completion",
    "content": "Content recovery",
    "full": "Full pipeline",
}
EMPTY = "–"


@dataclass(frozen=True)
class Row:
    """One record with its rank and intervals.

    Attributes:
        rank: 1 + how many rows are better beyond chance; None without a score. Rows whose paired
            interval of the difference includes zero do not outrank each other.
        intervals: by metric, where one can be given.
    """

    record: Record
    rank: int | None
    intervals: dict[str, Interval]


@dataclass(frozen=True)
class Table:
    """Rows that may be compared with each other, best first.

    Attributes:
        best: by metric, the keys of the rows that show the best value.
        notes: by metric and row key, why a cell is empty.
    """

    track: str
    rows: tuple[Row, ...]
    best: dict[str, frozenset[str]]
    notes: dict[tuple[str, str], str]

    @property
    def first(self) -> Record:
        """Any record of the table; data and protocol are the same in all."""
        return self.rows[0].record

    @property
    def specs(self) -> list[MetricSpec]:
        """The columns, headline first."""
        found = TRACKS[self.track]
        return sorted(found, key=lambda spec: spec.name != self.headline)

    @property
    def headline(self) -> str:
        """The metric that sorts."""
        return HEADLINE[self.track]

    @property
    def several_seeds(self) -> bool:
        """Whether rows must be told apart by seed."""
        return len({row.record.seed for row in self.rows}) > 1

    def label(self, record: Record) -> str:
        """What the row is called."""
        return f"{record.title} (seed {record.seed})" if self.several_seeds else record.title


def make_tables(records: Sequence[Record]) -> list[Table]:
    """All tables, by track, then data set and protocol."""
    groups: dict[tuple[int, str, str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault(_group(record), []).append(record)
    return [_table(groups[key]) for key in sorted(groups)]


def _group(record: Record) -> tuple[int, str, str, str, str]:
    protocol = record.protocol
    place = list(TRACK_TITLES).index(record.track)
    data = record.data
    return place, data.name, data.test_fingerprint, protocol.name, protocol.version


def _table(records: list[Record]) -> Table:
    track = records[0].track
    headline = HEADLINE[track]
    spec = next(s for s in TRACKS[track] if s.name == headline)
    ordered = sorted(records, key=lambda r: (*_order(r, spec), r.method, r.seed))
    people = [s.person for r in ordered for s in r.samples]
    draws = stats.default_resampling(people)
    rows = tuple(Row(r, _rank(r, ordered, spec, draws), _intervals(r, draws)) for r in ordered)
    best = {s.name: _best(ordered, s) for s in TRACKS[track]}
    cells = [(s.name, r) for r in ordered for s in TRACKS[track]]
    notes = {(name, r.key): why for name, r in cells if (why := _why(r, name)) is not None}
    return Table(track, rows, best, notes)


def _order(record: Record, spec: MetricSpec) -> tuple[bool, float]:
    value = record.total(spec.name)
    if math.isnan(value):
        return True, 0.0
    return False, -value if spec.higher_is_better else value


def _best(records: list[Record], spec: MetricSpec) -> frozenset[str]:
    values = {r.key: round(r.total(spec.name), spec.decimals) for r in records}
    shown = [v for v in values.values() if not math.isnan(v)]
    if not shown:
        return frozenset()
    top = max(shown) if spec.higher_is_better else min(shown)
    return frozenset(key for key, value in values.items() if value == top)


def _why(record: Record, metric: str) -> str | None:
    if not math.isnan(record.total(metric)):
        return None
    if record.n_expected == 0:
        return "no sample of this split knows what is hidden"
    if not record.complete:
        return f"only {record.n_scored} of {record.n_expected} samples were scored"
    return record.empty.get(metric, "not counted on any sample")


def _values(record: Record, metric: str) -> np.ndarray:
    return np.array([s.numbers().get(metric, math.nan) for s in record.samples], np.float64)


def _intervals(record: Record, draws: stats.Resampling) -> dict[str, Interval]:
    if not record.complete:
        return {}
    persons = [s.person for s in record.samples]
    found: dict[str, Interval | None] = {}
    for spec in TRACKS[record.track]:
        if spec.per_sample:
            found[spec.name] = stats.mean_interval(draws, persons, _values(record, spec.name))
    if "pooled_iou" in record.totals:
        counts = [np.nan_to_num(_values(record, n)) for n in ("intersection", "union")]
        found["pooled_iou"] = stats.ratio_interval(draws, persons, counts[0], counts[1])
    return {name: interval for name, interval in found.items() if interval is not None}


def _rank(
    record: Record, others: list[Record], spec: MetricSpec, draws: stats.Resampling
) -> int | None:
    if math.isnan(record.total(spec.name)):
        return None
    return 1 + sum(_beats(other, record, spec, draws) for other in others if other is not record)


def _beats(first: Record, second: Record, spec: MetricSpec, draws: stats.Resampling) -> bool:
    """Whether ``first`` is better beyond chance, on the same samples."""
    if math.isnan(first.total(spec.name)):
        return False
    persons = [s.person for s in second.samples]
    mine = {s.id: s.numbers().get(spec.name, math.nan) for s in first.samples}
    values = np.array([mine.get(s.id, math.nan) for s in second.samples], np.float64)
    gain = values - _values(second, spec.name)
    interval = stats.mean_interval(draws, persons, gain if spec.higher_is_better else -gain)
    return interval is not None and interval.low > 0


def to_frame(table: Table) -> pd.DataFrame:
    """One row a result: all metrics in full precision with their intervals, and all facts."""
    return pd.DataFrame([_facts(table, row) for row in table.rows])


def _facts(table: Table, row: Row) -> dict[str, object]:
    record = row.record
    facts: dict[str, object] = {
        "track": record.track,
        "rank": row.rank,
        "method": record.method,
        "title": record.title,
        "seed": record.seed,
    }
    for spec in table.specs:
        interval = row.intervals.get(spec.name)
        facts[spec.name] = record.total(spec.name)
        if spec.per_sample or spec.name == "pooled_iou":
            facts[f"{spec.name}_low"] = interval.low if interval else math.nan
            facts[f"{spec.name}_high"] = interval.high if interval else math.nan
    return facts | {
        "n_expected": record.n_expected,
        "n_scored": record.n_scored,
        "consumes": " ".join(record.consumes),
        "learned": record.learned,
        "parameters": record.parameters,
        "milliseconds": record.milliseconds,
        "device": record.device,
        "seconds_fit": record.seconds_fit,
        "benchmark": record.benchmark,
        "preset": record.preset,
        "protocol": f"{record.protocol.name} {record.protocol.version}",
        "test_fingerprint": record.data.test_fingerprint,
        "code_version": record.code_version,
    }


def to_csv(tables: Sequence[Table]) -> str:
    """All tables below each other; a metric that a track has not is an empty cell."""
    frames = [to_frame(table).astype(object) for table in tables]
    joined = pd.concat(frames, ignore_index=True)
    columns = dict.fromkeys(column for frame in frames for column in frame.columns)
    metrics = [column for column in columns if column in _metric_columns()]
    head = ["track", "rank", "method", "title", "seed"]
    tail = [c for c in joined.columns if c not in head and c not in metrics]
    return str(joined[[*head, *metrics, *tail]].to_csv(index=False, lineterminator="\n"))


def _metric_columns() -> set[str]:
    names = {spec.name for specs in TRACKS.values() for spec in specs}
    return names | {f"{n}_low" for n in names} | {f"{n}_high" for n in names}


def arrow(spec: MetricSpec) -> str:
    """Which way is better."""
    return "↑" if spec.higher_is_better else "↓"


def number(value: float, spec: MetricSpec) -> str:
    """A value as tables print it."""
    return EMPTY if math.isnan(value) else f"{value:.{spec.decimals}f}"


def count(n: int) -> str:
    """A number of parameters, such as "1.2 M"."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= limit:
            return f"{n / limit:.3g} {unit}"
    return str(n)


def milliseconds(value: float | None) -> str:
    """A duration with three figures, as far as it can be measured."""
    if value is None:
        return EMPTY
    if value < 0.1:
        return "< 0.1"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def footnotes(table: Table) -> dict[str, int]:
    """Each reason for an empty cell, numbered from 1 in the order of rows and columns."""
    numbered: dict[str, int] = {}
    for row in table.rows:
        for spec in table.specs:
            reason = table.notes.get((spec.name, row.record.key))
            if reason is not None:
                numbered.setdefault(reason, len(numbered) + 1)
    return numbered
