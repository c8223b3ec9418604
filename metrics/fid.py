"""Fréchet Inception distance (Heusel et al. 2017), fed and computed as the pytorch_fid command.

Features are pytorch-fid's 2048 pooled ones of 8-bit photos; it resizes them to 299 x 299 itself.
The distance is computed here because pytorch-fid 0.3.0 calls an argument of SciPy's matrix root
that SciPy 1.18 removed. Two routes give the same number:

* `_Few`, below as many photos as dimensions. With X and Y the centred features as rows, the
  covariances are X'X/(n-1) and Y'Y/(m-1), and the trace of the root of their product is the sum of
  the singular values (the nuclear norm) of X Y' over sqrt((n-1)(m-1)): an n x m matrix instead of a
  2048 x 2048 one. Leaving photos out only drops rows and columns and centres again.
* `_Many`, from means and covariances that are accumulated block by block.

Memory is at most a few 2048 x 2048 matrices however many photos there are. With fewer photos than
2049 the distance is biased upwards: report it with its n and compare only at equal n.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from metrics.errors import MetricsError
from metrics.feature_file import DIMENSIONS
from metrics.jackknife import Groups
from metrics.kid import Features

_BLOCK = 512

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Statistics:
    """Running number, mean and scatter of feature vectors."""

    def __init__(self, dimensions: int = DIMENSIONS) -> None:
        self.n = 0
        self.mean: Vector = np.zeros(dimensions)
        self._scatter: Matrix = np.zeros((dimensions, dimensions))

    def update(self, features: NDArray) -> None:
        """Add a batch of features, (B, dimensions). ValueError for another shape or nan."""
        batch = np.asarray(features, dtype=np.float64)
        if batch.ndim != 2 or batch.shape[1] != self.mean.size or not np.isfinite(batch).all():
            raise ValueError(f"features must be finite (B, {self.mean.size}), got {batch.shape}")
        if len(batch):
            mean = batch.mean(0)
            centred = batch - mean
            self._add(len(batch), mean, centred.T @ centred)

    def without(self, part: "Statistics") -> "Statistics":
        """What is left when a part of the same photos is taken out; at least one must be."""
        rest = Statistics(self.mean.size)
        rest.n = self.n - part.n
        rest.mean = (self.mean * self.n - part.mean * part.n) / rest.n
        shift = part.mean - rest.mean
        apart = np.outer(shift, shift) * (rest.n * part.n / self.n)
        rest._scatter = self._scatter - part._scatter - apart
        return rest

    def _add(self, n: int, mean: Vector, scatter: Matrix) -> None:
        """Chan et al.'s pairwise update: no difference of large sums."""
        total = self.n + n
        shift = mean - self.mean
        self._scatter += scatter
        self._scatter += np.outer(shift, shift) * (self.n * n / total)
        self.mean = self.mean + shift * (n / total)
        self.n = total

    def covariance(self) -> Matrix:
        """Unbiased covariance, (dimensions, dimensions). MetricsError for fewer than two photos."""
        if self.n < 2:
            raise MetricsError(_too_few(self.n))
        return self._scatter / (self.n - 1)


def frechet_distance(mean1: Vector, cov1: Matrix, mean2: Vector, cov2: Matrix) -> float:
    """Squared Fréchet distance of two Gaussians: |m1-m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

    Means (D,), covariances (D, D), all float64. The trace of the root is the sum of the square
    roots of the eigenvalues of S1 S2. With S1 = F F^T these are the eigenvalues of the symmetric
    F^T S2 F, which a symmetric solver finds fast and without imaginary parts, and F needs only
    as many columns as S1 has ranks (at most n - 1 of n photos).
    """
    if mean1.shape != mean2.shape or not cov1.shape == cov2.shape == (mean1.size, mean1.size):
        raise ValueError(
            f"shapes differ: means {mean1.shape} {mean2.shape}, covariances {cov1.shape} "
            f"{cov2.shape}"
        )
    factor = _factor(cov1)
    root_trace = _root_sum(factor.T @ cov2 @ factor)
    return _put_together(mean1 - mean2, float(np.trace(cov1) + np.trace(cov2)), root_trace)


def _root_sum(symmetric: Matrix) -> float:
    """Sum of the square roots of the eigenvalues, none of which is really negative."""
    return float(np.sqrt(np.clip(np.linalg.eigvalsh(symmetric), 0, None)).sum())


def _put_together(difference: Vector, traces: float, root_trace: float) -> float:
    distance = float(difference @ difference) + traces - 2 * root_trace
    return max(distance, 0.0)  # rounding may leave -1e-9 for identical sets


def _factor(covariance: Matrix) -> Matrix:
    """F of shape (D, rank) with F F^T equal to the covariance: Cholesky with pivots."""
    from scipy.linalg import lapack

    packed, pivots, rank, _ = lapack.dpstrf(covariance, lower=1)
    factor = np.empty((len(pivots), rank))
    factor[pivots - 1] = np.tril(packed)[:, :rank]
    return factor


def distance(a: Features, b: Features) -> float:
    """FID between two (n, D) sets of features; MetricsError for fewer than two photos."""
    return _route(a, b).distance()


def distances(
    a: Features, b: Features, groups_a: Groups, groups_b: Groups
) -> tuple[float, list[float]]:
    """FID of two sets, and FID without each group of photos (left out of both).

    Groups are numbers from 0, one a photo; a group whose absence leaves fewer than two photos has
    nan. Raises MetricsError for fewer than two photos.
    """
    route = _route(a, b)
    count = int(max(groups_a.max(), groups_b.max())) + 1
    return route.distance(), [
        route.without(groups_a == group, groups_b == group) for group in range(count)
    ]


def _route(a: Features, b: Features) -> "_Few | _Many":
    if min(len(a), len(b)) < 2:
        raise MetricsError(_too_few(min(len(a), len(b))))
    return (_Few if max(len(a), len(b)) < a.shape[1] else _Many)(a, b)


def _too_few(n: int) -> str:
    return f"FID needs at least 2 photos on each side, got {n}: add some"


def _enough(out_a: NDArray[np.bool_], out_b: NDArray[np.bool_]) -> bool:
    return bool(min(np.count_nonzero(~out_a), np.count_nonzero(~out_b)) >= 2)


class _Few:
    """The route by the nuclear norm; features are in memory once, and so is X Y'."""

    def __init__(self, a: Features, b: Features) -> None:
        self._a, self._b = a[:].astype(np.float64), b[:].astype(np.float64)
        origin = self._b.mean(0)  # near both means, so that no digits are lost in differences
        self._a -= origin
        self._b -= origin
        self._moments = _moments(self._a), _moments(self._b)
        self._cross = self._a @ self._b.T

    def distance(self) -> float:
        return self._of(*self._moments, self._cross, _nuclear_norm)

    def without(self, out_a: NDArray[np.bool_], out_b: NDArray[np.bool_]) -> float:
        if not _enough(out_a, out_b):
            return float("nan")
        a = _less(self._moments[0], _moments(self._a[out_a]))
        b = _less(self._moments[1], _moments(self._b[out_b]))
        return self._of(a, b, self._cross[np.ix_(~out_a, ~out_b)], _nuclear_norm_fast)

    @staticmethod
    def _of(a: "_Moments", b: "_Moments", cross: Matrix, norm: Callable[[Matrix], float]) -> float:
        centred = cross - cross.mean(0) - cross.mean(1)[:, None] + cross.mean()
        traces = 0.0
        for n, total, squares in (a, b):
            traces += (squares - float(total @ total) / n) / (n - 1)
        root_trace = norm(centred) / float(np.sqrt((a[0] - 1) * (b[0] - 1)))
        return _put_together(a[1] / a[0] - b[1] / b[0], traces, root_trace)


def _nuclear_norm(matrix: Matrix) -> float:
    return float(np.linalg.svd(matrix, compute_uv=False).sum())


def _nuclear_norm_fast(matrix: Matrix) -> float:
    """Three times as fast, each singular value exact to 1e-8 of the largest: for intervals."""
    return _root_sum(matrix @ matrix.T)


_Moments = tuple[int, Vector, float]  # number, sum, sum of squares


def _moments(features: Matrix) -> _Moments:
    flat = features.ravel()
    return len(features), features.sum(0), float(flat @ flat)


def _less(whole: _Moments, part: _Moments) -> _Moments:
    return whole[0] - part[0], whole[1] - part[1], whole[2] - part[2]


class _Many:
    """The route by covariances; only blocks of the features are in memory."""

    def __init__(self, a: Features, b: Features) -> None:
        self._features = a, b
        self._whole = [_statistics(x, np.ones(len(x), bool)) for x in (a, b)]

    def distance(self) -> float:
        return _gaussian_distance(*self._whole)

    def without(self, out_a: NDArray[np.bool_], out_b: NDArray[np.bool_]) -> float:
        if not _enough(out_a, out_b):
            return float("nan")
        rests = [
            whole.without(_statistics(features, out))
            for whole, features, out in zip(
                self._whole, self._features, (out_a, out_b), strict=True
            )
        ]
        return _gaussian_distance(*rests)


def _statistics(features: Features, wanted: NDArray[np.bool_]) -> Statistics:
    statistics = Statistics(features.shape[1])
    rows = np.flatnonzero(wanted)
    for start in range(0, len(rows), _BLOCK):
        statistics.update(features[rows[start : start + _BLOCK]])
    return statistics


def _gaussian_distance(a: Statistics, b: Statistics) -> float:
    return frechet_distance(a.mean, a.covariance(), b.mean, b.covariance())
