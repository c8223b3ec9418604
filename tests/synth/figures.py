"""A small labelled person, drawn in the label set of any publisher, and files of it."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from synth.sources.label_sets import Table

HEIGHT, WIDTH = 120, 80
# Row and column ranges of the parts of a person who faces the camera, 90 by 32 pixels. The right
# of the picture is the person's left.
PARTS = {
    "hair": (10, 16, 34, 46),
    "face": (16, 25, 34, 46),
    "upper-clothes": (25, 55, 32, 48),
    "right-arm": (27, 60, 24, 32),
    "left-arm": (27, 60, 48, 56),
    "pants": (55, 80, 32, 48),
    "right-leg": (80, 94, 32, 39),
    "left-leg": (80, 94, 41, 48),
    "right-shoe": (94, 100, 30, 39),
    "left-shoe": (94, 100, 41, 50),
}
PASCAL = {
    "head": (10, 25, 34, 46),
    "torso": (25, 55, 32, 48),
    "upper-legs": (55, 80, 32, 48),
    "lower-legs": (80, 100, 32, 39),
    "lower-legs again": (80, 100, 41, 48),
    "upper-arms": (27, 44, 24, 32),
    "upper-arms again": (27, 44, 48, 56),
    "lower-arms": (44, 60, 24, 32),
    "lower-arms again": (44, 60, 48, 56),
}


def drawn(table: Table, parts: Mapping[str, tuple[int, int, int, int]]) -> np.ndarray:
    """A label map (120, 80) uint8 in the publisher's numbers; later parts lie over earlier."""
    numbers = {name: number for number, (name, _) in enumerate(table)}
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    for name, (top, bottom, left, right) in parts.items():
        labels[top:bottom, left:right] = numbers[name.removesuffix(" again")]
    return labels


def photo(seed: int = 0) -> np.ndarray:
    """A photo (120, 80, 3) uint8 of noise."""
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def save(path: Path, array: np.ndarray, palette: bool = False) -> None:
    """Write a picture; as a palette picture whose colours say nothing of the labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette:
        image = image.convert("P")
        image.putdata(array.ravel().tolist())
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    image.save(path)
