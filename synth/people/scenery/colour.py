"""Colours as RGB triples in 0..255, and pictures made from one colour."""

import colorsys

import cv2
import numpy as np

Colour = tuple[float, float, float]


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """RGB in 0..255 of a colour given in [0, 1]; the hue wraps around."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(saturation, 1.0), min(value, 1.0))
    return 255 * red, 255 * green, 255 * blue


def paint(rng: np.random.Generator, vivid: float = 0.5) -> Colour:
    """A colour people paint and weave things in, RGB in 0..255; `vivid` in [0, 1].

    Reds, browns, blues and greens are common, violet and lime rare, and much is nearly grey.
    """
    if rng.random() < 0.5 - 0.3 * vivid:
        return hsv(rng.uniform(0.05, 0.65), rng.uniform(0, 0.12), rng.uniform(0.12, 0.9))
    common = (0.0, 0.03, 0.08, 0.12, 0.3, 0.42, 0.55, 0.59, 0.63, 0.97)
    hue = rng.normal(common[int(rng.integers(len(common)))], 0.02)
    if rng.random() < 0.08:
        hue = rng.random()
    saturation = 0.85 * rng.beta(2, 2.6 - 1.2 * vivid)
    return hsv(hue, saturation, rng.uniform(0.25, 0.9 - 0.25 * saturation))


def scale(colour: Colour, factor: float) -> Colour:
    """The colour times `factor`, clipped to 0..255."""
    red, green, blue = (min(255.0, max(0.0, c * factor)) for c in colour)
    return red, green, blue


def tint(grey: np.ndarray, colour: Colour, hue_noise: np.ndarray | None = None) -> np.ndarray:
    """Colour a (h, w) relative brightness (1 is neutral) into (h, w, 3) uint8."""
    warm, cool = grey, grey
    if hue_noise is not None:
        warm, cool = grey * (1 + hue_noise), grey * (1 - hue_noise)
    planes = zip((warm, grey, cool), colour, strict=True)
    # convertScaleAbs saturates at 255; negative brightness must not come back as its absolute.
    return cv2.merge([cv2.convertScaleAbs(np.maximum(g, 0), alpha=float(c)) for g, c in planes])


def mean_colour(rgb: np.ndarray) -> np.ndarray:
    """Mean of a (h, w, 3) picture over its pixels, (3,) float32."""
    return np.asarray(cv2.mean(rgb)[:3], np.float32)
