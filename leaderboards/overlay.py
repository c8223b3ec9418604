"""What a reader sees of a prediction: masks as colours over the photo, holes as outlines."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from leaderboards.pictures import Picture
from metrics.protocol import binarise
from synth.sample import Sample

# Told apart by colour-blind readers as well (after Okabe and Ito), and by their lightness.
CORRECT = (0, 178, 120)
MISSED = (222, 64, 30)
TOO_MUCH = (40, 118, 255)
OUTLINE = (255, 255, 255)
STRENGTH = 0.72
DIMMED = 0.38

# Layers for the page: what each index of `mask_layer` and `outline_layer` shows, as RGBA.
_OPAQUE = round(255 * STRENGTH)
PALETTE = (
    (0, 0, 0, 0),
    (*CORRECT, _OPAQUE),
    (*MISSED, _OPAQUE),
    (*TOO_MUCH, _OPAQUE),
    (14, 16, 20, 160),
    (*OUTLINE, 255),
    (0, 0, 0, 150),
)
CLEAR, FOUND, LOST, SPILLED, DARK, LINE, EDGE = range(len(PALETTE))

Mask = NDArray[np.bool_]


def enlarged(photo: Picture, side: int) -> Picture:
    """A square photo with sides of ``side`` pixels."""
    if photo.shape[0] == side:
        return photo
    way = cv2.INTER_AREA if photo.shape[0] > side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(photo, (side, side), interpolation=way), np.uint8)


def _enlarged_mask(mask: Mask, side: int) -> Mask:
    grey = cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grey >= 0.5, np.bool_)


def mask_picture(sample: Sample, predicted: Picture, side: int) -> Picture:
    """A predicted mask over the dimmed photo.

    Green: hidden pixels that were found; red: pixels of the person that were missed; blue: pixels
    that do not belong to the person. The visible person keeps the photo's colours.
    """
    found = _enlarged_mask(binarise(predicted), side)
    amodal = _enlarged_mask(sample.amodal, side)
    hidden = amodal & ~_enlarged_mask(sample.modal, side)
    canvas = _dimmed(enlarged(sample.image, side), amodal & found)
    _tint(canvas, hidden & found, CORRECT)
    _tint(canvas, amodal & ~found, MISSED)
    _tint(canvas, found & ~amodal, TOO_MUCH)
    return _rounded(canvas)


def mask_layer(sample: Sample, predicted: Picture, side: int) -> Picture:
    """The colours of :func:`mask_picture` alone, as (side, side) indices of `PALETTE`."""
    found = _enlarged_mask(binarise(predicted), side)
    amodal = _enlarged_mask(sample.amodal, side)
    modal = _enlarged_mask(sample.modal, side)
    layer = np.full((side, side), DARK, np.uint8)
    layer[amodal & found] = CLEAR
    layer[amodal & found & ~modal] = FOUND
    layer[amodal & ~found] = LOST
    layer[found & ~amodal] = SPILLED
    return layer


def outline_layer(mask: Mask, side: int) -> Picture:
    """A light line with shaded edges around a mask, as (side, side) indices of `PALETTE`."""
    layer = np.full((side, side), CLEAR, np.uint8)
    contours = _contours(_enlarged_mask(mask, side))
    width = _line_width(side)
    cv2.drawContours(layer, contours, -1, EDGE, width + 2)
    cv2.drawContours(layer, contours, -1, LINE, width)
    return layer


def true_mask_picture(sample: Sample, side: int) -> Picture:
    """The true mask in the same colours, as if it had been predicted."""
    return mask_picture(sample, sample.amodal.astype(np.uint8) * np.uint8(255), side)


def initial_picture(sample: Sample, side: int) -> Picture:
    """The input of the mask track: the photo with the outline of the initial mask."""
    return _outlined(enlarged(sample.image, side), _enlarged_mask(binarise(sample.initial), side))


def hole_picture(sample: Sample, side: int) -> Picture:
    """The input of the content track: the photo with the outline of the hidden part."""
    return _outlined(enlarged(sample.image, side), _enlarged_mask(sample.invisible, side))


def _dimmed(photo: Picture, kept: Mask) -> NDArray[np.float32]:
    """The photo, dark and grey except where ``kept``."""
    canvas = photo.astype(np.float32)
    grey = canvas.mean(axis=2, keepdims=True) * DIMMED + 18
    return np.where(kept[..., None], canvas, grey).astype(np.float32)


def _tint(canvas: NDArray[np.float32], mask: Mask, colour: tuple[int, int, int]) -> None:
    canvas[mask] = (1 - STRENGTH) * canvas[mask] + STRENGTH * np.array(colour, np.float32)


def _outlined(photo: Picture, mask: Mask) -> Picture:
    """The photo with a light line, shaded on both sides, around a mask."""
    canvas = photo.copy()
    contours, width = _contours(mask), _line_width(photo.shape[0])
    cv2.drawContours(canvas, contours, -1, (0, 0, 0), width + 2, cv2.LINE_AA)
    canvas = np.asarray(cv2.addWeighted(canvas, 0.55, photo, 0.45, 0), np.uint8)
    cv2.drawContours(canvas, contours, -1, OUTLINE, width, cv2.LINE_AA)
    return canvas


def _contours(mask: Mask) -> Sequence[Any]:
    found = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return found[0]


def _line_width(side: int) -> int:
    return max(1, side // 256)


def _rounded(canvas: NDArray[np.float32]) -> Picture:
    return np.rint(canvas.clip(0, 255)).astype(np.uint8)
