"""A person's mask out of a box alone: GrabCut (Rother et al., SIGGRAPH 2004), as OpenCV has it."""

import cv2
import numpy as np

from hdeocc.crops import Box

# Longest side of what GrabCut looks at; it takes seconds on more, and the mask is no better.
_LONGEST = 320
_AROUND = 0.35  # of the box's sides, what it may learn the background from
_ROUNDS = 6
_LEAST_PIECE = 0.05  # of the largest; a person behind a pole is in two large pieces


class NothingFound(ValueError):
    """GrabCut found nothing, or nothing to learn from; the message says which."""


def grab(photo: np.ndarray, box: Box) -> np.ndarray:
    """What stands out from its surroundings in a box of a photo.

    Args:
        photo: (H, W, 3) uint8 RGB.
        box: left, top, width, height, inside the photo.

    Returns:
        (H, W) bool, inside the box, not empty; the same for the same input.

    Raises:
        NothingFound: the box is too small, fills the photo, or shows only what is around it.
    """
    part, inner = _surroundings(box, photo.shape)
    small = photo[part]
    scale = min(1.0, _LONGEST / max(small.shape[:2]))
    if scale < 1:
        small = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = _cut(small, _scaled(inner, scale, small.shape))
    height, width = photo[part].shape[:2]
    soft = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    mask = np.zeros(photo.shape[:2], bool)
    left, top, wide, high = box
    here = slice(top, top + high), slice(left, left + wide)
    mask[part] = soft >= 0.5
    inside = np.zeros_like(mask)
    inside[here] = mask[here]
    if not inside.any():
        raise NothingFound("shows nothing that stands out from what is around it")
    return inside


def _surroundings(box: Box, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], Box]:
    """The part of a photo around a box, and the box in it."""
    left, top, width, height = box
    x, y = round(_AROUND * width) + 2, round(_AROUND * height) + 2
    rows = slice(max(top - y, 0), min(top + height + y, shape[0]))
    columns = slice(max(left - x, 0), min(left + width + x, shape[1]))
    return (rows, columns), (left - columns.start, top - rows.start, width, height)


def _scaled(box: Box, scale: float, shape: tuple[int, ...]) -> Box:
    left, top = int(box[0] * scale), int(box[1] * scale)
    right = min(round((box[0] + box[2]) * scale), shape[1])
    bottom = min(round((box[1] + box[3]) * scale), shape[0])
    return left, top, right - left, bottom - top


def _cut(photo: np.ndarray, box: Box) -> np.ndarray:
    left, top, width, height = box
    if width < 3 or height < 3:
        raise NothingFound("is too small for a guess")
    if width * height == photo.shape[0] * photo.shape[1]:
        raise NothingFound("fills the whole photo, so that nothing around it is known")
    labels = np.zeros(photo.shape[:2], np.uint8)
    cv2.setRNGSeed(0)  # it draws the starts of its clusters
    models = np.zeros((2, 1, 65), np.float64)
    try:
        cv2.grabCut(photo, labels, box, models[0], models[1], _ROUNDS, cv2.GC_INIT_WITH_RECT)
    except cv2.error:
        raise NothingFound("shows too little for a guess") from None
    return _large_pieces(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)))


def _large_pieces(mask: np.ndarray) -> np.ndarray:
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    areas = np.bincount(pieces.ravel(), minlength=count)
    areas[0] = 0
    return np.asarray((areas >= _LEAST_PIECE * areas.max())[pieces] & mask)
