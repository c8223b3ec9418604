"""Smooth periodic 3D noise with its gradient, looked up by OpenCV's bilinear remap."""

from functools import lru_cache

import cv2
import numpy as np

from synth.people.geometry import Array

SIZE = 48
LINE = 512  # samples in a row of the remap; OpenCV bounds the width of a picture


@lru_cache(maxsize=1)
def _volume() -> Array:
    """Slices stacked downwards (SIZE * (SIZE + 1), SIZE + 1, 4): value and gradient per tile."""
    rng = np.random.default_rng(0)
    frequency = np.fft.fftfreq(SIZE) * SIZE
    radius = np.sqrt(
        frequency[:, None, None] ** 2 + frequency[None, :, None] ** 2 + frequency[None, None] ** 2
    )
    spectrum = np.where((radius > 2) & (radius < 13), (radius + 1e-3) ** -1.6, 0)
    value = np.fft.ifftn(np.fft.fftn(rng.standard_normal((SIZE,) * 3)) * spectrum).real
    value /= value.std()
    gradient = [(np.roll(value, -1, k) - np.roll(value, 1, k)) * SIZE / 2 for k in range(3)]
    volume = np.stack([value, *gradient], -1).astype(np.float32)
    volume = np.pad(volume, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="wrap")
    return np.ascontiguousarray(volume.reshape(SIZE * (SIZE + 1), SIZE + 1, 4))


def noise(points: Array) -> tuple[Array, Array]:
    """Noise at points (N, 3), one tile a unit: values (N,) of variance 1, gradients (N, 3)."""
    count = len(points)
    if count == 0:
        return np.zeros(0, np.float32), np.zeros((0, 3), np.float32)
    padded = np.zeros((-(-count // LINE) * LINE, 3), np.float32)
    padded[:count] = points
    grid = (padded - np.floor(padded)) * SIZE
    level = np.floor(grid[:, 0])
    between = (grid[:, 0] - level)[:count, None]
    level = np.minimum(level, SIZE - 1)
    column = grid[:, 2].reshape(-1, LINE)
    lower = _lookup(level * (SIZE + 1) + grid[:, 1], column, count)
    upper = _lookup(np.mod(level + 1, SIZE) * (SIZE + 1) + grid[:, 1], column, count)
    found = lower + (upper - lower) * between
    return found[:, 0], found[:, 1:]


def _lookup(row: Array, column: Array, count: int) -> Array:
    row = row.reshape(-1, LINE)
    found = cv2.remap(_volume(), column, row.astype(np.float32), cv2.INTER_LINEAR)
    return found.reshape(-1, 4)[:count]
