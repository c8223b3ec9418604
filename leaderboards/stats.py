"""Uncertainty of means: a paired bootstrap over people, since composites of one are alike.

Every resample draws as many people as there are, with replacement, and takes all their samples.
The draws depend on the people and the seed alone, so all methods of a table share them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A two-sided percentile interval."""

    low: float
    high: float

    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Resampling:
    """How often each person stands in each resample.

    Attributes:
        people: (P,) the distinct people, sorted.
        counts: (R, P) float64 whole numbers; every row sums to P.
    """

    people: tuple[str, ...]
    counts: Floats

    def sums(self, persons: Sequence[str], values: Floats) -> Floats:
        """(R,) sum of one value a sample, over the samples of each resample."""
        place = {person: i for i, person in enumerate(self.people)}
        per_person = np.zeros(len(self.people))
        np.add.at(per_person, [place[p] for p in persons], values)
        return np.asarray(self.counts @ per_person, np.float64)


def resampling(
    people: Sequence[str], rng: np.random.Generator, resamples: int = RESAMPLES
) -> Resampling:
    """Draw the resamples; ``people`` may repeat and come in any order."""
    distinct = tuple(sorted(set(people)))
    n = len(distinct)
    if not n:
        return Resampling((), np.zeros((resamples, 0)))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return Resampling(distinct, counts.astype(np.float64))


def default_resampling(people: Sequence[str]) -> Resampling:
    """The resamples of our tables: seed 0."""
    return resampling(people, np.random.default_rng(0))


def mean_interval(draws: Resampling, persons: Sequence[str], values: Floats) -> Interval | None:
    """Interval of the mean over samples; nan samples are not counted. None where none is left."""
    counted = ~np.isnan(values)
    tops = draws.sums(persons, np.where(counted, values, 0.0))
    return _percentiles(tops, draws.sums(persons, counted.astype(np.float64)))


def ratio_interval(
    draws: Resampling, persons: Sequence[str], tops: Floats, bottoms: Floats
) -> Interval | None:
    """Interval of sum(tops) / sum(bottoms), such as pooled IoU."""
    return _percentiles(draws.sums(persons, tops), draws.sums(persons, bottoms))


def difference_interval(
    draws: Resampling, persons: Sequence[str], first: Floats, second: Floats
) -> Interval | None:
    """Interval of mean(first - second) over samples that both count."""
    return mean_interval(draws, persons, first - second)


def _percentiles(tops: Floats, bottoms: Floats) -> Interval | None:
    drawn = bottoms > 0
    if not drawn.any():
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(tops[drawn] / bottoms[drawn], [tail, 100 - tail])
    return Interval(float(low), float(high))
