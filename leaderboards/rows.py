"""One row of a table: a method, with all the seeds that it was run with."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards import stats
from leaderboards.records import Record, Total
from leaderboards.stats import Floats, Interval, Resampling, Scores
from metrics.protocol import MetricSpec
from synth.errors import InputError

POOLED = "pooled_iou"
# What a track gives to every method; all else that a method may read is an answer, or close to it.
GIVEN: Mapping[str, frozenset[str]] = {
    "mask": frozenset({"image", "initial"}),
    "content": frozenset({"image", "initial", "modal", "amodal"}),
    "full": frozenset({"image", "initial"}),
}

Chosen = NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """The records of one method, by seed, with the row's rank and intervals.

    Attributes:
        records: one a seed, in the order of the seeds.
        rank: 1 + how many rows are better beyond chance, of those that are ``apart`` for the same
            reason or for none; None without a score. Rows whose paired interval of the difference
            includes zero, or who have none (one person), do not outrank each other.
        intervals: by metric, where one can be given.
    """

    records: tuple[Record, ...]
    rank: int | None = None
    intervals: dict[str, Interval] = field(default_factory=dict)

    @property
    def record(self) -> Record:
        """The record of the first seed: what it says of the method holds for all."""
        return self.records[0]

    @property
    def key(self) -> str:
        """Names the row within its table."""
        return self.record.key

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, sorted."""
        return tuple(record.seed for record in self.records)

    @property
    def apart(self) -> str:
        """Why it is ranked among its like only; "" for a row of the comparison itself.

        "pre-trained": it learned from other data than the benchmark's. "told: ...": it reads truths
        that its track does not give. Rows are alike that are told the same.
        """
        why = [] if self.record.pretrained is None else ["pre-trained"]
        return "; ".join([*why, *([f"told: {', '.join(self.told)}"] if self.told else [])])

    @property
    def told(self) -> tuple[str, ...]:
        """The truths that it reads though its track does not give them, sorted."""
        return tuple(sorted(set(self.record.consumes) - GIVEN[self.record.track]))

    @property
    def complete(self) -> bool:
        """Whether every expected sample was scored, with every seed."""
        return all(record.complete for record in self.records)

    def value(self, metric: str) -> float:
        """Mean over the seeds; nan where one of them has no number."""
        if not self.complete:
            return math.nan
        return _mean([record.total(metric) for record in self.records])

    def spread(self, metric: str) -> float | None:
        """Standard deviation over the seeds (n - 1); None with one seed or without a number."""
        values = [record.total(metric) for record in self.records]
        if len(values) < 2 or math.isnan(self.value(metric)):
            return None
        return statistics.stdev(values)

    def count(self, metric: str) -> int:
        """How many samples the metric counts, at most over the seeds."""
        found = [record.totals.get(metric) for record in self.records]
        return max((total.n for total in found if total is not None), default=0)

    @property
    def timed_on(self) -> str | None:
        """The device of its milliseconds: where its first timed seed ran; None where not timed."""
        timed = (one.device for one in self.records if one.milliseconds is not None)
        return next(timed, None)

    @property
    def milliseconds(self) -> float | None:
        """Median time of one sample, averaged over the seeds; None where not measured.

        Seeds that ran elsewhere than ``timed_on`` are left out: a mean over two machines is the
        time of neither.
        """
        here = [one for one in self.records if one.device == self.timed_on]
        return _known_mean(record.milliseconds for record in here)

    @property
    def seconds_fit(self) -> float | None:
        """Time of fitting, averaged over the seeds; None for methods that learn nothing."""
        return _known_mean(record.seconds_fit for record in self.records)

    @property
    def metrics(self) -> set[str]:
        """Every metric that has a number with some seed."""
        return {
            name
            for record in self.records
            for name, total in record.totals.items()
            if total.value is not None
        }


def _known_mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None


def _mean(values: Sequence[float]) -> float:
    if any(math.isnan(value) for value in values):
        return math.nan
    return math.fsum(values) / len(values)


def by_method(records: Iterable[Record]) -> list[Row]:
    """Rows of records that may be compared: those that differ in their seed alone make one.

    Raises:
        InputError: the same method and seed twice.
    """
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        found.setdefault(_identity(record), []).append(record)
    rows = [Row(tuple(sorted(one, key=lambda r: r.seed))) for one in found.values()]
    seen: set[str] = set()
    for row in rows:
        for record in row.records:
            if record.key in seen:
                raise InputError(
                    f"{record.key}: two results of this name on the same data; remove one of them"
                )
            seen.add(record.key)
    return rows


def _used(settings: Any) -> Any:
    """Settings without those that are None: what an earlier version did not know is not used."""
    if not isinstance(settings, dict):
        return settings
    return {name: _used(value) for name, value in settings.items() if value is not None}


def _identity(record: Record) -> tuple[str, ...]:
    """What seeds of one method share; two benchmarks may train one method differently."""
    reads = [sorted(record.consumes), record.pretrained]
    made = json.dumps([_used(record.budget), record.options, reads], sort_keys=True)
    data = record.data.fingerprint
    return record.benchmark, record.method, record.preset, data, made


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a table's complete rows, in the order of their ids.

    Attributes:
        persons: of each sample.
        hidden: hidden share of each, (N,).
        draws: the resamples that all rows share.
    """

    ids: tuple[str, ...]
    persons: tuple[str, ...]
    hidden: Floats
    draws: Resampling

    def scores(self, row: Row, metric: str) -> Floats:
        """(N,) one number a sample, averaged over the seeds; nan where it is not counted."""
        return self.by_seed(row, metric).averaged

    def by_seed(self, row: Row, metric: str) -> Scores:
        """One number a sample and seed; nan where a sample is not counted."""
        values = np.stack([self.of_record(record, metric) for record in row.records])
        return Scores(values, row.seeds)

    def of_record(self, record: Record, name: str) -> Floats:
        """(N,) scores (or counts of pixels) of one record."""
        known = {sample.id: sample.scores.get(name) for sample in record.samples}
        values = [known.get(one) for one in self.ids]
        return np.array([math.nan if v is None else v for v in values], np.float64)

    def pooled(self, row: Row, chosen: Chosen) -> tuple[Scores, Scores]:
        """Pixels of intersection and union; 0 where not ``chosen``."""
        parts = [self.by_seed(row, name) for name in ("intersection", "union")]
        tops, bottoms = (Scores(np.nan_to_num(p.values) * chosen, p.seeds) for p in parts)
        return tops, bottoms


def samples_of(rows: Sequence[Row]) -> Samples:
    """The samples of rows on one test split."""
    complete = [record for row in rows if row.complete for record in row.records]
    found = {s.id: (s.person, s.hidden_share) for record in complete for s in record.samples}
    ids = tuple(sorted(found))
    persons = tuple(found[one][0] for one in ids)
    hidden = np.array([found[one][1] for one in ids], np.float64)
    return Samples(ids, persons, hidden, stats.default_resampling(persons))


def interval(row: Row, spec: MetricSpec, samples: Samples) -> Interval | None:
    """Interval of a row's number, over people; None without a number, or with one person."""
    if math.isnan(row.value(spec.name)):
        return None
    if spec.per_sample:
        return stats.mean_interval(samples.draws, samples.persons, samples.by_seed(row, spec.name))
    if spec.name == POOLED:
        return pooled_interval(row, samples, np.ones(len(samples.ids), np.bool_))
    return averaged([record.totals.get(spec.name) for record in row.records])


def pooled_interval(row: Row, samples: Samples, chosen: Chosen) -> Interval | None:
    """Interval of the pooled IoU of the chosen samples, averaged over seeds in each resample.

    None where the samples are of fewer than two people.
    """
    tops, bottoms = samples.pooled(row, chosen)
    if not stats.several(samples.persons, np.all(bottoms.values > 0, axis=0)):
        return None
    return stats.percentiles(samples.draws.ratios(samples.persons, tops, bottoms))


def averaged(totals: Sequence[Total | None]) -> Interval | None:
    """The mean interval of numbers that carry their own; None where one has none."""
    lows = [total.low for total in totals if total is not None and total.low is not None]
    highs = [total.high for total in totals if total is not None and total.high is not None]
    if not lows or len(lows) < len(totals):
        return None
    return Interval(_mean(lows), _mean(highs))
