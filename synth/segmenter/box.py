"""From a picture into the box of a person, and back: exact sums of pixels in double precision.

Both ways are products with matrices of triangle weights, so that shrinking averages and growing
interpolates; outside the picture, and outside the box, all is zero.
"""

from dataclasses import dataclass

import numpy as np

SIDE = 64  # pixels of the square that a box is brought to
_CONTEXT = 0.1  # of the box's sides, added all around
_SHAKE = 0.03  # deviation of each edge, in sides


@dataclass(frozen=True)
class Box:
    """Edges in pixels of the picture: rows from top to bottom, columns from left to right."""

    top: float
    bottom: float
    left: float
    right: float


def shaken_box(modal: np.ndarray, rng: np.random.Generator) -> Box:
    """The box of a mask (H, W) bool, not empty, with context around it, as a detector gives it."""
    rows, columns = np.flatnonzero(modal.any(axis=1)), np.flatnonzero(modal.any(axis=0))
    edges = np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1], float)
    sides = np.repeat([edges[1] - edges[0], edges[3] - edges[2]], 2)
    # Bounded, so that no edge crosses the middle.
    moves = np.clip(rng.normal(0, _SHAKE, 4), -4 * _SHAKE, 4 * _SHAKE)
    edges += (np.array([-1, 1, -1, 1]) * _CONTEXT + moves) * sides
    return Box(*map(float, edges))


def cut(picture: np.ndarray, box: Box) -> np.ndarray:
    """What a box of a picture (H, W, C) shows, (SIDE, SIDE, C) float64."""
    height, width = picture.shape[:2]
    rows = _weights(box.top, (box.bottom - box.top) / SIDE, SIDE, height)
    columns = _weights(box.left, (box.right - box.left) / SIDE, SIDE, width)
    return np.einsum("ih,hwc,jw->ijc", rows, picture, columns, optimize=True)


def paste(square: np.ndarray, box: Box, height: int, width: int) -> np.ndarray:
    """A picture (height, width) float64 with what stands in the box; ``square`` (SIDE, SIDE)."""
    tall, wide = (box.bottom - box.top) / SIDE, (box.right - box.left) / SIDE
    rows = _weights(-box.top / tall, 1 / tall, height, SIDE)
    columns = _weights(-box.left / wide, 1 / wide, width, SIDE)
    return np.asarray(rows @ square @ columns.T)


def _weights(start: float, step: float, count: int, length: int) -> np.ndarray:
    """Weights (count, length) of ``length`` pixels in ``count`` samples of width ``step``.

    The first sample begins at the coordinate ``start``; pixel i lies between i and i + 1.
    """
    centres = start + (np.arange(count) + 0.5) * step - 0.5
    radius = max(1.0, step)
    distances = np.abs(np.arange(length)[None, :] - centres[:, None])
    # The whole kernel, also where it leaves the pixels, so that these fade out to zero there.
    reach = np.arange(-int(radius) - 1, int(radius) + 2)
    parts = np.abs(reach[None, :] - (centres - np.rint(centres))[:, None])
    whole = np.maximum(0, 1 - parts / radius).sum(axis=1, keepdims=True)
    return np.asarray(np.maximum(0, 1 - distances / radius) / whole)
