"""The square crop of one person, jittered so that its frame does not give the whole person away."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from synth.sources.base import PersonCrop

_SHIFT = 0.12
_GROWTH = 1.2
_MARGIN = 0.02
# A larger square is shrunk first: padding a huge photo would cost gigabytes.
_MAX_SIDE = 4096
_VOTES = 3


@dataclass(frozen=True)
class Square:
    """A square in pixels of the photo; it may reach beyond the photo's edges."""

    left: int
    top: int
    side: int


def person_square(amodal: np.ndarray, rng: np.random.Generator) -> Square:
    """The square around a mask (H, W) bool, not empty, that a person is cropped to.

    Its side is max(sqrt(3wh), 1.1w, 1.1h) of the mask's box (the rule of PCNet) times 1 to 1.2,
    its centre off by up to 0.12 sides; the mask stays inside with a margin of 2 % or more.
    """
    left, top, right, bottom = mask_box(amodal)
    width, height = right - left, bottom - top
    least = max(np.sqrt(3 * width * height), 1.1 * width, 1.1 * height)
    growth, shift_x, shift_y = rng.uniform([1, -_SHIFT, -_SHIFT], [_GROWTH, _SHIFT, _SHIFT])
    # Two pixels more than the mask: small squares too have a margin on both sides.
    side = max(int(np.ceil(least * growth)), max(width, height) + 2, 8)
    return Square(
        _placed((left + right) / 2 + shift_x * side, left, right, side),
        _placed((top + bottom) / 2 + shift_y * side, top, bottom, side),
        side,
    )


def _placed(centre: float, low: int, high: int, side: int) -> int:
    """Start of a side around ``centre``, moved so that [low, high) lies inside with the margin."""
    margin = min(int(np.ceil(_MARGIN * side)), (side - (high - low)) // 2)
    return int(np.clip(round(centre - side / 2), high + margin - side, low - margin))


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Tight box (left, top, right, bottom) of a mask (H, W) bool, not empty; the ends excluded."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def crop_person(
    image: np.ndarray,
    amodal: np.ndarray,
    parsing: np.ndarray | None,
    size: int,
    rng: np.random.Generator,
) -> PersonCrop:
    """Crop one person out of a photo.

    Args:
        image: (H, W, 3) uint8 RGB.
        amodal: (H, W) bool, not empty.
        parsing: (H, W) uint8 LIP-20, or None. Labels outside ``amodal`` are dropped, and pixels
            of ``amodal`` without a label get the nearest one.
        size: side of the crop in pixels.
        rng: draws the jitter; three numbers whatever the input.

    Returns:
        The crop; its meta holds "crop": left, top and side of the square in pixels of the photo.
    """
    square = person_square(amodal, rng)
    meta = {"crop": [square.left, square.top, square.side]}
    if square.side > _MAX_SIDE:
        image, amodal, parsing, square = _shrunk(image, amodal, parsing, square)
    whole = cut(amodal, square)
    mask = resize_mask(whole, size)
    labels = None
    if parsing is not None:
        labels = fill_labels(resize_labels(cut(parsing, square) * whole, size), mask)
    return PersonCrop(resize_rgb(cut(image, square), size), mask, labels, meta)


def _shrunk(
    image: np.ndarray, amodal: np.ndarray, parsing: np.ndarray | None, square: Square
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, Square]:
    scale = _MAX_SIDE / square.side
    shape = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    image = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
    soft = cv2.resize(amodal.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    if parsing is not None:
        parsing = cv2.resize(parsing, shape, interpolation=cv2.INTER_NEAREST)
    small = Square(round(square.left * scale), round(square.top * scale), _MAX_SIDE)
    return image, _at_least_one(soft), parsing, small


def cut(array: np.ndarray, square: Square) -> np.ndarray:
    """The square out of an array (H, W, ...), 0 where it leaves the array."""
    height, width = array.shape[:2]
    out = np.zeros((square.side, square.side, *array.shape[2:]), array.dtype)
    top, left = max(square.top, 0), max(square.left, 0)
    bottom, right = min(square.top + square.side, height), min(square.left + square.side, width)
    out[top - square.top : bottom - square.top, left - square.left : right - square.left] = array[
        top:bottom, left:right
    ]
    return out


def resize_rgb(image: np.ndarray, size: int) -> np.ndarray:
    """A square picture at ``size`` pixels: by area when shrinking, cubic when growing."""
    way = cv2.INTER_AREA if size < image.shape[0] else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=way)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A square mask at ``size`` pixels: those covered by half; empty only if it was."""
    return _at_least_one(_share(mask, size))


def _share(mask: np.ndarray, size: int) -> np.ndarray:
    way = cv2.INTER_AREA if size < mask.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(mask.astype(np.float32), (size, size), interpolation=way)


def _at_least_one(soft: np.ndarray) -> np.ndarray:
    half = soft >= 0.5
    return half if half.any() else soft > 0


def resize_labels(labels: np.ndarray, size: int) -> np.ndarray:
    """A square label map at ``size`` pixels: the largest label wins; 0 never outvotes one.

    Each pixel counts nine labels in a grid, a tenth of the work of nine areas.
    """
    grid = (_VOTES * size, _VOTES * size)
    fine = cv2.resize(labels, grid, interpolation=cv2.INTER_NEAREST_EXACT)
    best = np.zeros((size, size), np.uint8)
    out = np.zeros((size, size), np.uint8)
    for label in np.flatnonzero(np.bincount(fine.ravel(), minlength=1)[1:]) + 1:
        votes = (fine == label).view(np.uint8) * np.uint8(255)
        share = cv2.resize(votes, (size, size), interpolation=cv2.INTER_AREA)
        better = share > best
        out[better], best[better] = label, share[better]
    return out


def fill_labels(labels: np.ndarray, amodal: np.ndarray) -> np.ndarray:
    """Labels 0 outside ``amodal``; inside, a pixel without one gets that of the nearest pixel."""
    inside = np.where(amodal, labels, 0).astype(np.uint8)
    bare = amodal & (inside == 0)
    if not bare.any() or not labels.any():
        return inside
    nearest = distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    inside[bare] = labels[nearest[0][bare], nearest[1][bare]]
    return inside
