"""Kernel Inception distance (Binkowski et al. 2018): FID's sister without its bias.

The squared maximum mean discrepancy of two sets of Inception features under the cubic kernel
k(x, y) = (x . y / d + 1)^3, by the unbiased estimate over all pairs: the mean of k within each set,
a photo with itself left out, minus twice the mean of k between the sets. (The paper averages it
over random subsets of 1,000 photos; all pairs at once need no random numbers and vary less.) Being
unbiased it scatters around 0 for sets of the same kind, so it may be negative. Sums are made block
by block, so memory does not grow with the number of photos.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from metrics.errors import MetricsError
from metrics.jackknife import Groups

BLOCK = 512

Matrix = NDArray[np.float64]


class Features(Protocol):
    """An (n, dimensions) matrix that is read piece by piece, such as an array."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, wanted: slice | NDArray[np.intp], /) -> NDArray[np.floating]: ...


@dataclass(frozen=True)
class _Sums:
    """Kernel sums between groups of photos: all that KID needs, for any groups left out."""

    within_a: Matrix  # (groups, groups) over pairs of two photos of a
    within_b: Matrix
    between: Matrix
    sizes_a: NDArray[np.int64]
    sizes_b: NDArray[np.int64]

    def distance(self, kept: NDArray[np.bool_]) -> float:
        a, b = int(self.sizes_a[kept].sum()), int(self.sizes_b[kept].sum())
        within_a, within_b, between = (
            float(kept @ sums @ kept) for sums in (self.within_a, self.within_b, self.between)
        )
        return within_a / (a * (a - 1)) + within_b / (b * (b - 1)) - 2 * between / (a * b)


def distance(a: Features, b: Features) -> float:
    """KID between two (n, D) sets of features. MetricsError for fewer than two photos."""
    groups = np.zeros(len(a), np.intp), np.zeros(len(b), np.intp)
    return distances(a, b, *groups)[0]


def distances(
    a: Features, b: Features, groups_a: Groups, groups_b: Groups
) -> tuple[float, list[float]]:
    """KID of two sets, and KID without each group of photos (left out of both), in one pass.

    Groups are numbers from 0, one a photo; a group whose absence leaves fewer than two photos has
    nan. Raises MetricsError for fewer than two photos.
    """
    if min(len(a), len(b)) < 2:
        raise MetricsError(f"KID needs at least 2 photos on each side, got {len(a)} and {len(b)}")
    count = int(max(groups_a.max(), groups_b.max())) + 1
    sums = _Sums(
        _kernel_sums(a, a, groups_a, groups_a, count, same=True),
        _kernel_sums(b, b, groups_b, groups_b, count, same=True),
        _kernel_sums(a, b, groups_a, groups_b, count, same=False),
        np.bincount(groups_a, minlength=count),
        np.bincount(groups_b, minlength=count),
    )
    everything = np.ones(count, bool)
    return sums.distance(everything), [_without(sums, group, everything) for group in range(count)]


def _without(sums: _Sums, group: int, everything: NDArray[np.bool_]) -> float:
    kept = everything.copy()
    kept[group] = False
    enough = min(sums.sizes_a[kept].sum(), sums.sizes_b[kept].sum()) >= 2
    return sums.distance(kept) if enough else float("nan")


def _kernel_sums(
    a: Features, b: Features, groups_a: Groups, groups_b: Groups, count: int, *, same: bool
) -> Matrix:
    """(count, count) sums of the kernel over all pairs; for the same set without i = j."""
    total = np.zeros((count, count))
    for i, x in _blocks(a):
        for j, y in _blocks(b):
            if same and j < i:
                continue  # symmetric: counted with its mirror image below
            kernel = _kernel(x, y)
            if same and i == j:
                np.fill_diagonal(kernel, 0)
            part = _members(groups_a[i : i + BLOCK], count) @ kernel
            part = part @ _members(groups_b[j : j + BLOCK], count).T
            total += part + part.T if same and i != j else part
    return total


def _blocks(features: Features) -> Iterator[tuple[int, Matrix]]:
    for start in range(0, len(features), BLOCK):
        yield start, np.asarray(features[start : start + BLOCK], np.float64)


def _kernel(x: Matrix, y: Matrix) -> Matrix:
    base = x @ y.T / x.shape[1] + 1
    return base * base * base


def _members(groups: Groups, count: int) -> Matrix:
    """(count, B): 1 where a photo is in a group."""
    return np.asarray(groups == np.arange(count)[:, None], np.float64)
