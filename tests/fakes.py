"""Tiny synthetic samples for tests: people of ellipses and limbs behind a rectangle."""

from dataclasses import replace

import cv2
import numpy as np

from synth.parsing import NUM_LABELS, label
from synth.sample import Sample

_HIDDEN = (0.1, 0.6)


def make_samples(
    n: int,
    size: int,
    rng: np.random.Generator,
    *,
    split: str = "train",
    clean: bool = True,
    parsing: bool = True,
) -> list[Sample]:
    """``n`` sound samples of ``size`` x ``size`` pixels (16 or more), each with another person.

    Every sample hides 10 to 60 % of its person. ``clean`` and ``parsing`` say whether those are
    known or None. The same generator state gives the same samples.
    """
    samples = [make_sample(index, size, rng, split) for index in range(n)]
    return [
        replace(s, clean=s.clean if clean else None, parsing=s.parsing if parsing else None)
        for s in samples
    ]


def make_sample(index: int, size: int, rng: np.random.Generator, split: str = "train") -> Sample:
    """One sound sample; its initial mask is the true modal mask."""
    parsing = _person(size, rng)
    amodal = parsing > 0
    clean = _paint(parsing, rng)
    occluder = _rectangle(amodal, rng)
    image = clean.copy()
    image[occluder] = _texture(size, rng)[occluder]
    modal = amodal & ~occluder
    return Sample(
        sample_id=f"{index:06d}",
        split=split,
        image=image,
        clean=clean,
        amodal=amodal,
        modal=modal,
        occluder=occluder,
        parsing=parsing,
        initial=modal.astype(np.float32),
        person_id=f"fake:{split}-{index}",
        occluder_ids=(f"fake-box:{index}",),
    )


def _person(size: int, rng: np.random.Generator) -> np.ndarray:
    """LIP-20 labels (size, size) uint8 of a standing figure with random limbs."""
    canvas = np.zeros((size, size), np.uint8)
    x = 0.5 + rng.uniform(-0.06, 0.06)
    hips, shoulders = 0.55 + rng.uniform(-0.03, 0.03), 0.27 + rng.uniform(-0.02, 0.02)
    thick = rng.uniform(0.06, 0.09)
    for side, name in ((-1, "right"), (1, "left")):  # the person's right is on our left
        foot = (x + side * rng.uniform(0.04, 0.16), 0.9)
        _limb(canvas, (x + side * 0.05, hips), foot, thick * 1.2, label("pants"))
        _limb(canvas, foot, (foot[0] + side * 0.03, 0.92), thick, label(f"{name}-shoe"))
        hand = (x + side * rng.uniform(0.15, 0.32), rng.uniform(0.15, 0.6))
        _limb(canvas, (x + side * 0.1, shoulders), hand, thick, label(f"{name}-arm"))
    _ellipse(canvas, (x, (hips + shoulders) / 2), (0.13, 0.2), label("upper-clothes"))
    _ellipse(canvas, (x, 0.13), (0.075, 0.08), label("hair"))
    _ellipse(canvas, (x, 0.155), (0.055, 0.065), label("face"))
    return canvas


def _limb(
    canvas: np.ndarray,
    start: tuple[float, float],
    end: tuple[float, float],
    thickness: float,
    value: int,
) -> None:
    size = len(canvas)
    points = [(round(px * size), round(py * size)) for px, py in (start, end)]
    cv2.line(canvas, points[0], points[1], value, max(1, round(thickness * size)))


def _ellipse(
    canvas: np.ndarray, centre: tuple[float, float], axes: tuple[float, float], value: int
) -> None:
    size = len(canvas)
    middle = (round(centre[0] * size), round(centre[1] * size))
    radii = (max(1, round(axes[0] * size)), max(1, round(axes[1] * size)))
    cv2.ellipse(canvas, middle, radii, 0, 0, 360, value, -1)


def _paint(parsing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture (size, size, 3) uint8: one colour a label over a graded background, with noise."""
    size = len(parsing)
    colours = rng.uniform(40, 215, (NUM_LABELS, 3))
    ramp = np.linspace(0, 1, size)[:, None, None]
    background = (1 - ramp) * rng.uniform(60, 240, 3) + ramp * rng.uniform(20, 180, 3)
    person = (parsing > 0)[..., None]
    picture = np.where(person, colours[parsing], np.broadcast_to(background, (size, size, 3)))
    return (picture + rng.normal(0, 4, picture.shape)).round().clip(0, 255).astype(np.uint8)


def _texture(size: int, rng: np.random.Generator) -> np.ndarray:
    """Two-coloured stripes (size, size, 3) uint8."""
    stripe = (np.arange(size) // max(2, size // 16)) % 2
    pair = rng.integers(0, 256, (2, 3)).astype(np.uint8)
    return np.broadcast_to(pair[stripe][None], (size, size, 3))


def _rectangle(amodal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A rectangle (size, size) bool that hides a share of the person within ``_HIDDEN``."""
    size, rows_columns = len(amodal), np.argwhere(amodal)
    while True:
        row, column = rows_columns[rng.integers(len(rows_columns))]
        half = np.maximum(1, (rng.uniform(0.08, 0.28, 2) * size).round().astype(int))
        mask = np.zeros_like(amodal)
        mask[max(0, row - half[0]) : row + half[0], max(0, column - half[1]) : column + half[1]] = 1
        share = (amodal & mask).sum() / amodal.sum()
        if _HIDDEN[0] <= share <= _HIDDEN[1]:
            return mask
