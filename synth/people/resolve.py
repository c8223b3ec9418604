"""From samples to pixels: coverage, straight colour and the majority label."""

import numpy as np

from synth.parsing import NUM_LABELS
from synth.people.geometry import Array


def shading_samples(covered: Array, factor: int) -> Array:
    """Which covered samples (H, W) bool are shaded.

    Coverage and labels use every sample of a pixel, colour only one in each row and column of the
    pixel's grid (a Latin square), except in pixels where no such sample is covered.
    """
    if factor == 1:
        return covered
    rows, columns = np.indices((factor, factor))
    latin = (rows * 2 + columns + 1) % factor == 0 if factor % 2 else (rows + columns) % 2 == 0
    size = len(covered) // factor
    chosen = covered & np.tile(latin, (size, size))
    blocks = chosen.reshape(size, factor, size, factor).any((1, 3))
    missing = np.repeat(np.repeat(~blocks, factor, 0), factor, 1)
    return chosen | (covered & missing)


def resolve(
    covered: Array, labels: Array, chosen: Array, colour: Array, factor: int
) -> tuple[Array, Array, Array]:
    """Picture (S, S, 3) uint8, alpha (S, S) uint8 and labels (S, S) uint8.

    `colour` (N, 3) in [0, 1] belongs to the chosen samples in row-major order. A pixel has a label
    exactly where its alpha is at least 128: the most frequent one of its samples.
    """
    size = len(covered) // factor
    pixel_row = np.arange(len(covered), dtype=np.int64) // factor
    pixel = pixel_row[:, None] * size + pixel_row[None, :]
    coverage = np.bincount(pixel[covered], minlength=size * size) / factor**2
    alpha = np.rint(255 * coverage).astype(np.uint8)
    where = pixel[chosen]
    count = np.maximum(np.bincount(where, minlength=size * size), 1)
    channels = [np.bincount(where, colour[:, k], size * size) / count for k in range(3)]
    rgb = np.rint(255 * np.clip(np.stack(channels, 1), 0, 1)).astype(np.uint8)
    votes = np.bincount(
        pixel[covered] * NUM_LABELS + labels[covered], minlength=size * size * NUM_LABELS
    )
    winner = votes.reshape(-1, NUM_LABELS).argmax(1)
    parsing = np.where(alpha >= 128, winner, 0).astype(np.uint8)
    shape = (size, size)
    return rgb.reshape(*shape, 3), alpha.reshape(shape), parsing.reshape(shape)
