"""Square patches of material that things are covered with, and the print on them."""

import cv2
import numpy as np

from synth.people.scenery.colour import Colour, hsv, paint
from synth.people.scenery.textures import choose, texture

PATCH = 128  # pixels a side


def swatch(rng: np.random.Generator, kinds: str, colour: Colour | None = None) -> np.ndarray:
    """A patch of one of the materials in a space-separated list, (128, 128, 3) uint8."""
    return texture(rng, choose(rng, kinds), PATCH, PATCH, colour)


def print_on(rng: np.random.Generator, patch: np.ndarray, colour: Colour, words: int = 3) -> None:
    """Write lines of random capitals onto a patch, in place."""
    height, width = patch.shape[:2]
    for row in range(words):
        letters = "".join(chr(65 + int(k)) for k in rng.integers(0, 26, int(rng.integers(3, 9))))
        at = (round(width * 0.12), round(height * (0.3 + 0.6 * row / words)))
        size = width / 260 * rng.uniform(0.7, 1.3)
        weight = max(1, round(3 * size))
        cv2.putText(patch, letters, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, weight, cv2.LINE_AA)


def stick_label(rng: np.random.Generator, patch: np.ndarray) -> None:
    """Stick a printed label onto a patch, in place."""
    height, width = patch.shape[:2]
    tall, wide = int(height * rng.uniform(0.2, 0.45)), int(width * rng.uniform(0.25, 0.5))
    top, left = int(rng.integers(0, height - tall)), int(rng.integers(0, width - wide))
    paper = np.full((tall, wide, 3), int(rng.integers(190, 245)), np.uint8)
    if rng.random() < 0.3:
        paper[:] = np.array(paint(rng, 0.9), np.uint8)
    print_on(rng, paper, hsv(rng.random(), 0.3, 0.2))
    patch[top : top + tall, left : left + wide] = paper
