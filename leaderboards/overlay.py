"""What a reader sees of a prediction: masks as colours over the photo, holes as outlines."""

import cv2
import numpy as np
from numpy.typing import NDArray

from leaderboards.pictures import Picture
from metrics.protocol import binarise, paste
from synth.sample import Sample

# Told apart by colour-blind readers as well (after Okabe and Ito), and by their lightness.
CORRECT = (0, 178, 120)
MISSED = (222, 64, 30)
TOO_MUCH = (40, 118, 255)
OUTLINE = (255, 255, 255)
STRENGTH = 0.72
DIMMED = 0.38

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


def true_mask_picture(sample: Sample, side: int) -> Picture:
    """The true mask in the same colours, as if it had been predicted."""
    return mask_picture(sample, sample.amodal.astype(np.uint8) * np.uint8(255), side)


def initial_picture(sample: Sample, side: int) -> Picture:
    """The input of the mask track: the photo with the outline of the initial mask."""
    return _outlined(enlarged(sample.image, side), _enlarged_mask(binarise(sample.initial), side))


def hole_picture(sample: Sample, side: int) -> Picture:
    """The input of the content track: the photo with the outline of the hidden part."""
    return _outlined(enlarged(sample.image, side), _enlarged_mask(sample.invisible, side))


def reference(sample: Sample) -> Picture:
    """What the content tracks are scored against: the truth in the hole, the input elsewhere."""
    assert sample.clean is not None, "without the photo behind the occluder there is no reference"
    return paste(sample.clean, sample.image, sample.invisible)


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
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    width = max(1, photo.shape[0] // 256)
    cv2.drawContours(canvas, contours, -1, (0, 0, 0), width + 2, cv2.LINE_AA)
    canvas = np.asarray(cv2.addWeighted(canvas, 0.55, photo, 0.45, 0), np.uint8)
    cv2.drawContours(canvas, contours, -1, OUTLINE, width, cv2.LINE_AA)
    return canvas


def _rounded(canvas: NDArray[np.float32]) -> Picture:
    return np.rint(canvas.clip(0, 255)).astype(np.uint8)
