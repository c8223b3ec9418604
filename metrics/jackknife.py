"""Intervals of numbers that are no means: the grouped jackknife over people.

FID, KID and mean IoU are made of a whole set, so the spread of per-sample scores says nothing about
them, and resampling with repetition would bias FID (repeated photos narrow a covariance). The
jackknife leaves out one group of people at a time, on both sides of the comparison, and takes the
number again (Quenouille 1956, Tukey 1958; by groups: Shao and Tu, "The jackknife and bootstrap",
1995). All photos of a person are in one group, since they resemble each other.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MOST_GROUPS = 100
LEVEL = 0.95

Groups = NDArray[np.intp]


def groups_of(people: Sequence[str], most: int = MOST_GROUPS) -> Groups:
    """A group number, 0, 1, ..., for each sample, from its person; at most `most` groups.

    People are dealt out in the order of their names, so the order of the samples does not matter.
    """
    names = {person: rank for rank, person in enumerate(sorted(set(people)))}
    return np.array([names[person] % most for person in people], np.intp)


def interval(value: float, without: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval around `value` from the values without each group; None where there is none.

    With k groups the standard error is sqrt((k - 1) / k * sum of squared deviations) and the
    quantile that of Student's t with k - 1 degrees of freedom.
    """
    replicates = np.asarray(without, np.float64)
    k = len(replicates)
    if k < 2 or not np.isfinite(replicates).all():
        return None
    from scipy.special import stdtrit

    error = np.sqrt((k - 1) / k * np.square(replicates - replicates.mean()).sum())
    reach = float(stdtrit(k - 1, (1 + LEVEL) / 2) * error)
    return value - reach, value + reach
