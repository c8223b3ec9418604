"""Uncertainty of means: a paired bootstrap over people, since composites of one are alike.

Every resample draws as many people as there are, with replacement, and takes all their samples.
The draws depend on the people and the seed alone, so all methods of a table share them, and what
two methods find equally hard cancels in their difference.

A method that was trained with several seeds is another one with each: every resample draws seeds
too, one fewer than there are, which keeps the variance of their mean without bias (Rao and Wu,
"Resampling inference with complex survey data", 1988; as many as there are would lose a third of
that of three). Rows of the same seeds share these draws as well. What a row with one seed would be
with another is not known, and in no interval.

Fewer than two people have no interval: one, drawn again and again, is always the same, and what
comes out would have no width and claim to be certain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 20_000  # of fewer, ranks of rows that are all but level would hang on the draws
FEWEST_RESAMPLES = 1000
COUNTS = 20_000_000  # numbers that are held at most: 160 MB
MOST_KNOWN = 100  # sums of a row that are kept for its next pair
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
class Scores:
    """One number a sample and seed.

    Attributes:
        values: (S, N); nan where a sample is not counted.
        seeds: the S seeds.
    """

    values: Floats
    seeds: tuple[int, ...] = (0,)

    @property
    def counted(self) -> NDArray[np.bool_]:
        """(N,) the samples that count with every seed."""
        return np.asarray(~np.isnan(self.values).any(axis=0))

    @property
    def averaged(self) -> Floats:
        """(N,) the mean over the seeds; nan where a sample is not counted."""
        return np.asarray(self.values.mean(axis=0))

    def only(self, chosen: NDArray[np.bool_]) -> "Scores":
        """The same with nan for all samples that are not chosen."""
        return Scores(np.where(chosen, self.values, np.nan), self.seeds)


def of_one_seed(values: Floats) -> Scores:
    """(N,) numbers that know of no seeds."""
    return Scores(values[None])


@dataclass(frozen=True, eq=False)
class Resampling:
    """How often each person stands in each resample.

    Attributes:
        people: (P,) the distinct people, sorted.
        counts: (R, P) float64 whole numbers; every row sums to P.
    """

    people: tuple[str, ...]
    counts: Floats
    # Every pair of a table asks for the sums of both its rows, and all rows count alike.
    _known: dict[bytes, Floats] = field(default_factory=dict, init=False, repr=False)

    def sums(self, persons: Sequence[str], values: Floats) -> Floats:
        """(R, S) sums of (S, N) numbers over the samples of each resample."""
        place = {person: i for i, person in enumerate(self.people)}
        per_person = np.zeros((len(self.people), len(values)))
        np.add.at(per_person, [place[p] for p in persons], values.T)
        key = per_person.tobytes()
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.pop(next(iter(self._known)))
            self._known[key] = self.counts @ per_person
        return self._known[key]

    def means(self, persons: Sequence[str], scores: Scores) -> Floats:
        """(R,) mean of each resample over its samples and seeds; nan where it has none."""
        counted = scores.counted
        return self.ratios(
            persons,
            Scores(np.where(counted, scores.values, 0.0), scores.seeds),
            Scores(np.where(counted, 1.0, 0.0)[None]),
        )

    def ratios(self, persons: Sequence[str], tops: Scores, bottoms: Scores) -> Floats:
        """(R,) sum(tops) / sum(bottoms), the mean of it over the seeds that each resample draws.

        nan where a sum of bottoms is 0. Bottoms of one seed are those of all.
        """
        above = self.sums(persons, tops.values)
        below = np.broadcast_to(self.sums(persons, bottoms.values), above.shape)
        found = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
        return np.asarray((found * self.shares_of(tops.seeds)).sum(axis=1))

    def shares_of(self, seeds: Sequence[int]) -> Floats:
        """(R, S) the share that each seed has of each resample; rows sum to 1."""
        n = len(seeds)
        if n == 1:
            return np.ones((len(self.counts), 1))
        rng = np.random.default_rng([1, *seeds])
        drawn = rng.multinomial(n - 1, np.full(n, 1 / n), size=len(self.counts))
        return np.asarray(drawn / (n - 1), np.float64)


def resampling(
    people: Sequence[str], rng: np.random.Generator, resamples: int | None = None
) -> Resampling:
    """Draw the resamples; ``people`` may repeat and come in any order.

    ``resamples``: how many; by default as many as tables have, fewer for very many people.
    """
    distinct = tuple(sorted(set(people)))
    n = len(distinct)
    if resamples is None:
        resamples = max(FEWEST_RESAMPLES, min(RESAMPLES, COUNTS // max(1, n)))
    if not n:
        return Resampling((), np.zeros((resamples, 0)))
    counts = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return Resampling(distinct, counts.astype(np.float64))


def default_resampling(people: Sequence[str]) -> Resampling:
    """The resamples of our tables: seed 0."""
    return resampling(people, np.random.default_rng(0))


def mean_interval(draws: Resampling, persons: Sequence[str], scores: Scores) -> Interval | None:
    """Interval of the mean over samples and seeds; None where fewer than two people are."""
    if not several(persons, scores.counted):
        return None
    return percentiles(draws.means(persons, scores))


def difference(
    draws: Resampling, persons: Sequence[str], first: Scores, second: Scores
) -> Difference | None:
    """Everything about mean(first) - mean(second) over samples that both count.

    None where these are of fewer than two people: nothing is known of chance then.
    """
    counted = first.counted & second.counted
    if not several(persons, counted):
        return None
    drawn = draws.means(persons, first.only(counted)) - draws.means(persons, second.only(counted))
    interval = percentiles(drawn)
    if interval is None:
        return None
    gain = (first.averaged - second.averaged)[counted]
    return Difference(math.fsum(gain) / len(gain), interval, two_sided(drawn), len(gain))


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
