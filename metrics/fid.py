"""Fréchet Inception distance (Heusel et al. 2017), fed and computed as the pytorch_fid command.

Features are pytorch-fid's 2048 pooled ones of 8-bit photos; it resizes them to 299 x 299 itself.
Mean and covariance accumulate in float64, in any order and batch size, with constant memory. The
distance is computed here because pytorch-fid 0.3.0 calls an argument of SciPy's matrix root that
SciPy 1.18 removed.

With fewer photos than 2049 the covariance is singular and the distance is biased upwards, so every
distance must be reported with its n and compared only at equal n.
"""

import os
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metrics.errors import MetricsError

DIMENSIONS = 2048

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Statistics:
    """Running number, mean and scatter of feature vectors; one set of photos is one of these."""

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

    def merge(self, other: "Statistics") -> None:
        """Add everything another instance has seen, for example in another process."""
        if other.n:
            self._add(other.n, other.mean, other._scatter)

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
            raise MetricsError(f"FID needs at least 2 photos on each side, got {self.n}: add some")
        return self._scatter / (self.n - 1)

    def save(self, path: Path) -> None:
        """Write mu, sigma and n as npz, atomically; the pytorch_fid command reads it as well."""
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with partial.open("wb") as stream:
                np.savez_compressed(stream, mu=self.mean, sigma=self.covariance(), n=self.n)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> "Statistics":
        """Read what `save` wrote. MetricsError with one line for a damaged or foreign file."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                mean, sigma, n = stored["mu"], stored["sigma"], int(stored["n"])
        except (OSError, KeyError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise MetricsError(
                f"{path} is not a file of FID statistics ({error}): delete it, it is made again"
            ) from error
        if n < 2 or mean.ndim != 1 or sigma.shape != (mean.size, mean.size):
            raise MetricsError(f"{path} holds statistics of shape {sigma.shape}, n {n}: delete it")
        statistics = cls(mean.size)
        statistics._add(n, mean.astype(np.float64), sigma.astype(np.float64) * (n - 1))
        return statistics


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
    eigenvalues = np.linalg.eigvalsh(factor.T @ cov2 @ factor)
    root_trace = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    difference = mean1 - mean2
    distance = difference @ difference + np.trace(cov1) + np.trace(cov2) - 2 * root_trace
    return float(max(distance, 0.0))  # rounding may leave -1e-9 for identical sets


def _factor(covariance: Matrix) -> Matrix:
    """F of shape (D, rank) with F F^T equal to the covariance: Cholesky with pivots."""
    from scipy.linalg import lapack

    packed, pivots, rank, _ = lapack.dpstrf(covariance, lower=1)
    factor = np.empty((len(pivots), rank))
    factor[pivots - 1] = np.tril(packed)[:, :rank]
    return factor


def distance(a: Statistics, b: Statistics) -> float:
    """FID between two sets; smaller is more alike. MetricsError for fewer than two photos."""
    return frechet_distance(a.mean, a.covariance(), b.mean, b.covariance())


class FrechetInception:
    """Turns 8-bit photos into FID features. Raises MetricsError where weights are missing."""

    def __init__(self, device: str = "cpu") -> None:
        import torch  # only when a network is really wanted

        from metrics.features import inception

        self._device = torch.device(device)
        self._network = inception().to(self._device)

    def features(self, photos: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(B, 2048) features of (B, H, W, 3) uint8 photos."""
        from metrics.features import exact_inference, photos_to_tensor

        with exact_inference(self._device):
            pooled = self._network(photos_to_tensor(photos).to(self._device))[0]
        return pooled[:, :, 0, 0].cpu().double().numpy()
