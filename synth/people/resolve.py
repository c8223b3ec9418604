"""From samples to pixels: coverage, straight colour and the majority label."""

import cv2
import numpy as np

from synth.parsing import NUM_LABELS
from synth.people.geometry import Array

SPECK = 0.01  # share of the person below which a detached piece is taken away


def drop_specks(rgb: Array, alpha: Array, parsing: Array) -> None:
    """Clear, in place, detached pieces that are tiny: locks and hems that show through a gap.

    A piece may hang on to the person by a thread of faint pixels; then it is thinned until it is
    no part of the mask, which holds where alpha is at least 128.
    """
    for level in (1, 128):
        count, piece, stats, _ = cv2.connectedComponentsWithStats((alpha >= level).astype(np.uint8))
        area = stats[:, cv2.CC_STAT_AREA]
        tiny = area < SPECK * area[1:].sum()
        tiny[0] = False
        if count > 2 and tiny.any():
            gone = tiny[piece]
            alpha[gone] = np.minimum(alpha[gone], level - 1)
            parsing[gone] = 0
    rgb[alpha == 0] = 0


def shading_samples(covered: Array, factor: int) -> Array:
    """Which covered samples (H, W) bool are shaded.

    Coverage and labels use every sample of a pixel, colour only one in each row and column of the
    pixel's grid (a Latin square), except in pixels where no such sample is covered.
    """
    if factor == 1:
        return covered
    rows, columns = np.indices((factor, factor))
    latin = (rows * 2 + columns + 1) % factor == 0 if factor % 2 else (rows + columns) % 2 == 0
    rows, columns = (side // factor for side in covered.shape)
    chosen = covered & np.tile(latin, (rows, columns))
    blocks = chosen.reshape(rows, factor, columns, factor).any((1, 3))
    missing = np.repeat(np.repeat(~blocks, factor, 0), factor, 1)
    return chosen | (covered & missing)


def resolve(
    covered: Array, labels: Array, chosen: Array, colour: Array, factor: int
) -> tuple[Array, Array, Array]:
    """Picture (h, w, 3) uint8, alpha (h, w) uint8 and labels (h, w) uint8.

    `covered`, `labels` and `chosen` are samples (h * factor, w * factor); `colour` (N, 3) in
    [0, 1] belongs to the chosen ones in row-major order. A pixel has a label exactly where its
    alpha is at least 128: the most frequent one of its samples.
    """
    shape = height, width = tuple(side // factor for side in covered.shape)
    size = height * width
    row, column = (np.arange(side, dtype=np.int64) // factor for side in covered.shape)
    pixel = row[:, None] * width + column[None, :]
    coverage = np.bincount(pixel[covered], minlength=size) / factor**2
    alpha = np.rint(255 * coverage).astype(np.uint8)
    where = pixel[chosen]
    count = np.maximum(np.bincount(where, minlength=size), 1)
    channels = [np.bincount(where, colour[:, k], size) / count for k in range(3)]
    rgb = np.rint(255 * np.clip(np.stack(channels, 1), 0, 1)).astype(np.uint8)
    votes = np.bincount(pixel[covered] * NUM_LABELS + labels[covered], minlength=size * NUM_LABELS)
    winner = votes.reshape(-1, NUM_LABELS).argmax(1)
    parsing = np.where(alpha >= 128, winner, 0).astype(np.uint8)
    return rgb.reshape(*shape, 3), alpha.reshape(shape), parsing.reshape(shape)
