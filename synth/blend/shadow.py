"""The contact shadow: a soft dark rim where an occluder touches the person and the ground.

It belongs to the scene's light: it is laid on the picture with the occluders and on the one
without them alike, and runs on evenly under the occluder, so that what is recovered there goes
on from what is seen around it.
"""

import cv2
import numpy as np

from synth.blend.layer import Frame, Layer

_DARKEST = 0.6  # share of the light that a shadow of full strength takes
_WEAKEST = 0.6  # of the asked strength
_WIDTH = (0.012, 0.03)  # of the crop: how far the shadow reaches
_FALL = (0.3, 1.0)  # of that width: how far the light from above moves it down
_ASIDE = 0.6  # of that width: the furthest that it moves sideways
_ON_THE_REST = 0.35  # what is not the person is further behind and gets less
_FOOT = 0.08  # the lowest part of the occluder, which touches the ground
_ON_THE_GROUND = 0.7
_FLAT = 2.0  # the ground shadow is this much wider than high


def contact_shadow(
    layer: Layer, amodal: np.ndarray, frame: Frame, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """What is left of the light, (S, S) float32 in (0, 1]; 1 outside the frame.

    Args:
        layer: the occluder in its place.
        amodal: (S, S) bool, the whole person, who gets the full shadow.
        frame: (left, top, width, height) of the photo.
        strength: in [0, 1].
        rng: draws strength, width and offset.
    """
    size = amodal.shape[0]
    share = strength * _DARKEST * rng.uniform(_WEAKEST, 1)
    width = size * rng.uniform(*_WIDTH)
    aside, down = width * rng.uniform(-_ASIDE, _ASIDE), width * rng.uniform(*_FALL)
    left, top, w, h = frame
    inside = slice(top, top + h), slice(left, left + w)
    cover = np.zeros((size, size), np.float32)
    cover[layer.window] = layer.alpha.astype(np.float32) / 255
    cover = cover[inside]
    light = np.ones((size, size), np.float32)
    if not cover.any():
        return light
    person = cv2.GaussianBlur(amodal[inside].astype(np.float32), (0, 0), 0.7)
    rim = _rim(_moved(cover, aside, down), width, width)
    rim *= _ON_THE_REST + (1 - _ON_THE_REST) * person
    ground = _ON_THE_GROUND * _rim(_moved(_foot(cover), aside, 0.5 * down), _FLAT * width, width)
    light[inside] = 1 - np.float32(share) * (1 - (1 - rim) * (1 - ground))
    return light


def darken(image: np.ndarray, light: np.ndarray) -> np.ndarray:
    """A (S, S, 3) uint8 image times light (S, S) in [0, 1]; what is not black stays above 0.

    Black is what lies outside a photo, and a shadow must not move the photo's edge.
    """
    shaded = np.rint(image.astype(np.float32) * light[..., None]).astype(np.uint8)
    return np.maximum(shaded, np.minimum(image, 1))


def _rim(cover: np.ndarray, wide: float, high: float) -> np.ndarray:
    """1 under the cover, falling smoothly to 0 over the given widths in pixels."""
    soft = cv2.GaussianBlur(cover, (0, 0), sigmaX=wide, sigmaY=high, borderType=cv2.BORDER_REFLECT)
    # A straight outline lies at one half: from there inwards the shadow gets no deeper.
    return np.where(soft < 0.5, 4 * soft * (1 - soft), np.float32(1))


def _moved(cover: np.ndarray, aside: float, down: float) -> np.ndarray:
    """The cover shifted right and down by fractions of pixels; edges are continued."""
    matrix = np.array([[1, 0, aside], [0, 1, down]], np.float32)
    shape = cover.shape[1], cover.shape[0]
    return np.asarray(cv2.warpAffine(cover, matrix, shape, borderMode=cv2.BORDER_REPLICATE))


def _foot(cover: np.ndarray) -> np.ndarray:
    """The lowest part of the cover, column by column, as far as it is near the ground."""
    rows = np.flatnonzero((cover >= 0.5).any(axis=1))
    if not len(rows):
        return np.zeros_like(cover)
    lowest = rows[-1]
    band = max(1, round(_FOOT * (lowest + 1 - rows[0])))
    foot = np.zeros_like(cover)
    foot[lowest + 1 - band : lowest + 1] = cover[lowest + 1 - band : lowest + 1]
    return foot
