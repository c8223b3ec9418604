"""Believable colours of skin, hair and cloth, in linear RGB."""

import cv2
import numpy as np

from synth.people.geometry import Array

# sRGB swatches. Skin runs from very pale to very dark; pale skin is pink or sand, never grey.
SKIN = np.array(
    [
        [240, 205, 187],
        [232, 190, 167],
        [226, 178, 148],
        [213, 160, 126],
        [195, 140, 104],
        [172, 117, 83],
        [146, 95, 66],
        [116, 74, 51],
        [88, 56, 40],
        [62, 40, 30],
    ]
)
HAIR = {
    "black": (22, 18, 17),
    "soft-black": (38, 29, 25),
    "dark-brown": (62, 42, 30),
    "brown": (90, 60, 40),
    "light-brown": (126, 88, 56),
    "dark-blond": (164, 124, 80),
    "blond": (206, 172, 118),
    "red": (142, 68, 36),
    "grey": (142, 140, 138),
    "white": (214, 210, 204),
}
NEUTRALS = (
    (238, 236, 230),
    (222, 216, 204),
    (190, 188, 184),
    (140, 140, 142),
    (92, 94, 98),
    (58, 60, 66),
    (34, 35, 38),
    (24, 24, 26),
    (28, 34, 52),
    (38, 48, 74),
)
MUTED = (
    (202, 180, 148),
    (170, 144, 108),
    (132, 108, 80),
    (96, 78, 60),
    (88, 94, 66),
    (112, 120, 86),
    (110, 132, 150),
    (72, 96, 128),
    (122, 60, 58),
    (150, 110, 116),
    (196, 158, 150),
    (70, 92, 88),
    (148, 160, 170),
)
STRONG = (
    (186, 44, 44),
    (30, 84, 160),
    (226, 176, 48),
    (36, 120, 80),
    (210, 96, 40),
    (206, 90, 130),
    (98, 60, 130),
    (56, 150, 166),
    (128, 26, 46),
    (126, 172, 214),
    (232, 178, 190),
    (164, 194, 128),
)


def to_linear(colour: Array) -> Array:
    """sRGB in [0, 1] to linear light, float32."""
    c = np.asarray(colour, np.float32)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def from_bytes(colour: tuple[int, int, int] | Array) -> Array:
    """sRGB in 0..255 to linear light."""
    return to_linear(np.asarray(colour, np.float32) / 255)


def jitter(rng: np.random.Generator, colour: Array, amount: float) -> Array:
    """A linear colour with brightness and, a little, hue changed."""
    factor = np.exp(rng.normal(0, amount) + rng.normal(0, amount * 0.35, 3))
    return np.clip(np.asarray(colour) * factor, 0.004, 0.92).astype(np.float32)


def skin_colour(rng: np.random.Generator, tone: float) -> Array:
    """Skin of a tone from 0 (palest) to 9 (darkest)."""
    index = np.arange(len(SKIN))
    swatch = np.array([np.interp(tone, index, SKIN[:, k]) for k in range(3)])
    return jitter(rng, from_bytes(swatch), 0.06)


def cloth_colour(rng: np.random.Generator) -> Array:
    """A colour that clothes are sold in: mostly neutral or muted, sometimes strong."""
    palette = (NEUTRALS, MUTED, STRONG)[rng.choice(3, p=[0.42, 0.33, 0.25])]
    return jitter(rng, from_bytes(palette[rng.integers(len(palette))]), 0.16)


def denim_colour(rng: np.random.Generator) -> Array:
    """Indigo from raw to stone-washed."""
    wash = rng.beta(1.4, 1.6)
    hue = np.array([[[216 + rng.normal(0, 5), 0.5 - 0.24 * wash, 0.2 + 0.5 * wash]]], np.float32)
    return to_linear(cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0])


def leather_colour(rng: np.random.Generator) -> Array:
    """Black, brown, tan or white leather."""
    swatches = ((22, 21, 22), (58, 38, 28), (98, 62, 38), (150, 104, 66), (232, 230, 226))
    return jitter(rng, from_bytes(swatches[rng.choice(5, p=[0.4, 0.2, 0.15, 0.1, 0.15])]), 0.1)
