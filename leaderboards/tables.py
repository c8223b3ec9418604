"""Tables from records: one a (track, test split, protocol), never ranked across these."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from leaderboards import rows as making
from leaderboards import stats
from leaderboards.bins import BinValue, binned
from leaderboards.empty import empty_cells
from leaderboards.records import Record
from leaderboards.rows import Row, Samples
from leaderboards.stats import Interval
from metrics import protocol
from metrics.protocol import HEADLINE, TRACKS, MetricSpec

TRACK_TITLES = {
    "mask": "Mask completion",
    "content": "Content recovery",
    "full": "Full pipeline",
}


@dataclass(frozen=True)
class Table:
    """Rows that may be compared with each other, best first; after them those that rank apart.

    Attributes:
        best: by metric, the keys of the rows that show the best value; never of those apart.
        second: by metric, the keys of the rows that show the next best value.
        notes: by metric (or column of `COST`) and row key, why a cell is empty.
        samples: the samples behind the rows.
    """

    track: str
    rows: tuple[Row, ...]
    best: dict[str, frozenset[str]]
    second: dict[str, frozenset[str]]
    notes: dict[tuple[str, str], str]
    samples: Samples = field(repr=False, compare=False)
    # Every format asks for the same bins, and each is a bootstrap of its own.
    _bins: dict[tuple[str, str], list[BinValue]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def first(self) -> Record:
        """Any record of the table; data and protocol are the same in all."""
        return self.rows[0].record

    @property
    def specs(self) -> list[MetricSpec]:
        """All columns, headline first; those of body parts come last."""
        return _specs(self.track, self.rows)

    @property
    def shown(self) -> list[MetricSpec]:
        """The columns of printed tables, headline first."""
        return [spec for spec in self.specs if spec.shown]

    @property
    def headline(self) -> str:
        """The metric that sorts."""
        return HEADLINE[self.track]

    @property
    def people(self) -> int:
        """How many people stand behind the samples."""
        return len(self.samples.draws.people)

    def spec(self, metric: str) -> MetricSpec:
        """The column of a metric; KeyError for one that the table has not."""
        return next_spec(self.specs, metric)

    def label(self, record: Record) -> str:
        """What the row of a record is called: its title, its name where titles repeat, its past."""
        titles = Counter(row.record.title for row in self.rows)
        names = Counter(row.record.method for row in self.rows)
        more = []
        if titles[record.title] > 1:
            more += [record.method, *([record.benchmark] if names[record.method] > 1 else [])]
        if record.pretrained is not None:
            more.append(f"pre-trained on {record.pretrained}")
        if told := Row((record,)).told:
            more.append(f"told: {', '.join(told)}")
        return record.title + (f" ({', '.join(more)})" if more else "")

    def binned(self, row: Row, metric: str) -> list[BinValue]:
        """A row's metric by tenths of the visible share; bins without a number are left out."""
        if (row.key, metric) not in self._bins:
            self._bins[row.key, metric] = binned(self.samples, row, self.spec(metric))
        return self._bins[row.key, metric]


def next_spec(specs: Sequence[MetricSpec], metric: str) -> MetricSpec:
    """The spec of a name; KeyError where it is not among them."""
    for spec in specs:
        if spec.name == metric:
            return spec
    raise KeyError(metric)


def make_tables(records: Sequence[Record]) -> list[Table]:
    """All tables, by track, then data set and protocol (our own first).

    Raises:
        InputError: the same method and seed twice on the same data.
    """
    groups: dict[tuple[str, str, str, str, int], list[Record]] = {}
    for record in records:
        groups.setdefault(record.group, []).append(record)
    return [_table(one) for one in sorted(groups.values(), key=_place)]


def filtered(
    tables: Sequence[Table], *, track: str | None = None, consumes: Collection[str] | None = None
) -> list[Table]:
    """The tables of one track, with the rows that read nothing but ``consumes``; ranked anew."""
    kept = [
        record
        for table in tables
        if track in (None, table.track)
        for row in table.rows
        if consumes is None or set(row.record.consumes) <= set(consumes)
        for record in row.records
    ]
    return make_tables(kept)


def _place(records: list[Record]) -> tuple[int, str, int, tuple[str, str, str, str, int]]:
    # The smallest name: results of one test split may come from data sets of several names.
    name = min(record.data.name for record in records)
    rules = protocol.NAMES.index(records[0].protocol.name)
    return list(TRACK_TITLES).index(records[0].track), name, rules, records[0].group


def _table(records: list[Record]) -> Table:
    track = records[0].track
    headline = next_spec(TRACKS[track], HEADLINE[track])
    rows = making.by_method(records)
    rows.sort(key=lambda row: (row.apart, *_order(row, headline), row.key))
    samples = making.samples_of(rows)
    specs = _specs(track, rows)
    ranked = [
        replace(
            row,
            rank=_rank(row, rows, headline, samples),
            intervals=_intervals(row, specs, samples),
        )
        for row in rows
    ]
    tops = {spec.name: _tops([row for row in rows if not row.apart], spec) for spec in specs}
    notes = empty_cells(rows, specs)
    best, second = ({name: top[i] for name, top in tops.items()} for i in (0, 1))
    return Table(track, tuple(ranked), best, second, notes, samples)


def _specs(track: str, rows: Sequence[Row]) -> list[MetricSpec]:
    found = {name for row in rows for name in row.metrics}
    plain = [spec for spec in TRACKS[track] if spec.shown or spec.name in found]
    plain.sort(key=lambda spec: spec.name != HEADLINE[track])
    parts = sorted(name for name in found if "@" in name)
    return plain + [protocol.spec_of(track, name) for name in parts]


def _intervals(row: Row, specs: Sequence[MetricSpec], samples: Samples) -> dict[str, Interval]:
    found = {spec.name: making.interval(row, spec, samples) for spec in specs}
    return {name: interval for name, interval in found.items() if interval is not None}


def _order(row: Row, spec: MetricSpec) -> tuple[bool, float]:
    value = row.value(spec.name)
    if math.isnan(value):
        return True, 0.0
    return False, -value if spec.higher_is_better else value


def _tops(rows: Sequence[Row], spec: MetricSpec) -> tuple[frozenset[str], frozenset[str]]:
    """The rows that print the best value, and those that print the next best."""
    printed = {row.key: round(row.value(spec.name), spec.decimals) for row in rows}
    values = {value for value in printed.values() if not math.isnan(value)}
    order = [*sorted(values, reverse=spec.higher_is_better), math.nan, math.nan]
    best, second = (
        frozenset(key for key, value in printed.items() if value == wanted) for wanted in order[:2]
    )
    return best, second


def _rank(row: Row, rows: Sequence[Row], spec: MetricSpec, samples: Samples) -> int | None:
    if math.isnan(row.value(spec.name)):
        return None
    like = [other for other in rows if other.apart == row.apart]
    return 1 + sum(beats(other, row, spec, samples) for other in like)


def beats(first: Row, second: Row, spec: MetricSpec, samples: Samples) -> bool:
    """Whether ``first`` is better beyond chance, on the same samples."""
    if first is second or math.isnan(first.value(spec.name)):
        return False
    found = compare(first, second, spec, samples)
    if found is None:
        return False
    if spec.higher_is_better:
        return found.mean > 0 and found.interval.low > 0
    return found.mean < 0 and found.interval.high < 0


def compare(first: Row, second: Row, spec: MetricSpec, samples: Samples) -> stats.Difference | None:
    """The paired difference of two rows in a per-sample metric, over people and seeds."""
    scores = [samples.by_seed(row, spec.name) for row in (first, second)]
    return stats.difference(samples.draws, samples.persons, *scores)
