"""Uncertainty of means: a paired bootstrap over people, since composites of one are alike.

Every resample draws as many people as there are, with replacement, and takes all their samples.
The draws depend on the people and the seed alone, so all methods of a table share them, and what
two methods find equally hard cancels in their difference.

Fewer than two people have no interval: one, drawn again and again, is always the same, and what
comes out would have no width and claim to be certain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000
LEVEL = 0.95
LEAST_PEOPLE = 2

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
class Difference:
    """How much one method's mean is above another's, on the samples that both count.

    Attributes:
        mean: first minus second.
        interval: of that.
        p: two-sided, by the share of resamples on the other side of zero; at least
            2 / (resamples + 1), for a bootstrap cannot know less.
        n: samples that both count.
    """

    mean: float
    interval: Interval
    p: float
    n: int


@dataclass(frozen=True, eq=False)
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

    def ratios(self, persons: Sequence[str], tops: Floats, bottoms: Floats) -> Floats:
        """(R,) sum(tops) / sum(bottoms) of each resample, nan where the latter is 0."""
        above, below = self.sums(persons, tops), self.sums(persons, bottoms)
        return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)

    def means(self, persons: Sequence[str], values: Floats) -> Floats:
        """(R,) mean of each resample over its samples; nan samples are not counted."""
        counted = ~np.isnan(values)
        return self.ratios(persons, np.where(counted, values, 0.0), counted.astype(np.float64))


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
    """Interval of the mean over samples; nan samples are not counted.

    None where fewer than two people are.
    """
    if not several(persons, ~np.isnan(values)):
        return None
    return percentiles(draws.means(persons, values))


def ratio_interval(
    draws: Resampling, persons: Sequence[str], tops: Floats, bottoms: Floats
) -> Interval | None:
    """Interval of sum(tops) / sum(bottoms), such as pooled IoU; None for fewer than two people."""
    if not several(persons, bottoms > 0):
        return None
    return percentiles(draws.ratios(persons, tops, bottoms))


def difference(
    draws: Resampling, persons: Sequence[str], first: Floats, second: Floats
) -> Difference | None:
    """Everything about mean(first - second) over samples that both count.

    None where these are of fewer than two people: nothing is known of chance then.
    """
    gain = first - second
    counted = gain[~np.isnan(gain)]
    drawn = draws.means(persons, gain)
    interval = percentiles(drawn)
    if interval is None or not several(persons, ~np.isnan(gain)):
        return None
    mean = math.fsum(counted) / len(counted)
    return Difference(mean, interval, two_sided(drawn), len(counted))


def several(persons: Sequence[str], counted: NDArray[np.bool_]) -> bool:
    """Whether the samples that count are of enough people to say how much people differ."""
    found = {person for person, counts in zip(persons, counted.tolist(), strict=True) if counts}
    return len(found) >= LEAST_PEOPLE


def two_sided(drawn: Floats) -> float:
    """Twice the smaller share of resamples on one side of zero, zeros on both; at most 1."""
    drawn = drawn[~np.isnan(drawn)]
    smaller = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0))
    return float(min(1.0, 2 * (1 + smaller) / (1 + len(drawn))))


def percentiles(drawn: Floats) -> Interval | None:
    """The interval between the percentiles of what was drawn; nan is left out."""
    drawn = drawn[~np.isnan(drawn)]
    if not len(drawn):
        return None
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(float(low), float(high))
