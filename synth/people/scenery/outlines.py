"""Closed outlines in the unit square (x right, y down), as (k, 2) float arrays."""

from collections.abc import Sequence

import numpy as np

Points = np.ndarray | Sequence[tuple[float, float]]


def ellipse(x: float, y: float, a: float, b: float, count: int = 36) -> np.ndarray:
    """Outline of an ellipse, (count, 2)."""
    turn = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + a * np.cos(turn), y + b * np.sin(turn)], axis=1)


def rectangle(x0: float, y0: float, x1: float, y1: float, corner: float = 0.0) -> np.ndarray:
    """Outline of a rectangle with rounded corners, clockwise from the top left."""
    if corner <= 0:
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    turn = np.linspace(0, np.pi / 2, 6)
    arc = corner * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    spin = np.array([[0, -1], [1, 0]])
    centres = [(x1 - corner, y1 - corner), (x0 + corner, y1 - corner),
               (x0 + corner, y0 + corner), (x1 - corner, y0 + corner)]  # fmt: skip
    quarters = [arc @ np.linalg.matrix_power(spin.T, k) + c for k, c in enumerate(centres)]
    return np.concatenate(quarters)


def curve(points: Points, count: int = 8) -> np.ndarray:
    """A closed smooth (Catmull-Rom) outline through the points, (len * count, 2)."""
    p = np.array(points, float)
    before, after, next_ = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, count, endpoint=False)[None, :, None]
    a, b, c, d = (q[:, None] for q in (before, p, after, next_))
    path = b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
    return path.reshape(-1, 2)


def blob(rng: np.random.Generator, x: float, y: float, a: float, b: float) -> np.ndarray:
    """A lumpy closed outline around an ellipse."""
    turn = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    lump = rng.uniform(0.75, 1.08, 14)
    return curve(np.stack([x + a * lump * np.cos(turn), y + b * lump * np.sin(turn)], axis=1))
