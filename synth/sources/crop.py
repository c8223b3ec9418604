"""The square crop of one person, jittered so that its frame does not give the whole person away."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from synth.sources.area import shrink
from synth.sources.base import PersonCrop

_SHIFT = 0.12
_GROWTH = 1.2
_MARGIN = 0.02
# A larger square is shrunk first: padding a huge photo would cost gigabytes.
_MAX_SIDE = 4096
_VOTES = 3
_REACH = 8


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
    left, top, right, bottom = mask_edges(amodal)
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


def mask_edges(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Edges (left, top, right, bottom) of a mask (H, W) bool, not empty; the last two excluded."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if not width:
        raise ValueError("the mask is empty")
    return left, top, left + width, top + height


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
    left, top, right, bottom = mask_edges(amodal)
    box = slice(top, bottom), slice(left, right)
    about = Square(square.left - left, square.top - top, square.side)
    mask = _at_least_one(_resized(amodal[box].astype(np.float32), about, size, cv2.INTER_LINEAR))
    labels = None
    if parsing is not None:
        within = cut(parsing[box] * amodal[box], about)
        labels = fill_labels(resize_labels(within, size), mask)
    return PersonCrop(_resized(image, square, size, cv2.INTER_CUBIC), mask, labels, meta)


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


def _resized(array: np.ndarray, square: Square, size: int, growing: int) -> np.ndarray:
    """The square out of an array at ``size`` pixels: by area when shrinking, else as told."""
    if size < square.side and square.side % size:
        return shrink(array, square.left, square.top, square.side, size)
    way = cv2.INTER_AREA if size < square.side else growing
    return cv2.resize(cut(array, square), (size, size), interpolation=way)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """A square mask at ``size`` pixels: those covered by half; empty only if it was."""
    whole = Square(0, 0, mask.shape[0])
    return _at_least_one(_resized(mask.astype(np.float32), whole, size, cv2.INTER_LINEAR))


def _at_least_one(soft: np.ndarray) -> np.ndarray:
    half = soft >= 0.5
    return half if half.any() else soft > 0


def resize_labels(labels: np.ndarray, size: int) -> np.ndarray:
    """A square label map at ``size`` pixels: the largest label wins; 0 never outvotes one.

    Each pixel counts nine labels in a grid, a tenth of the work of nine areas; equal votes go to
    the lower number.
    """
    left, top, width, height = cv2.boundingRect(labels)
    nearest = _nearest(labels.shape[0], size)
    rows, columns = _touched(nearest, top, height), _touched(nearest, left, width)
    out = np.zeros((size, size), np.uint8)
    down, across = nearest[rows].ravel(), nearest[columns].ravel()
    if down.size and across.size:
        # Whole rows are picked many times faster than single columns.
        columns_first = cv2.transpose(labels[:, across[0] : across[-1] + 1])[across - across[0]]
        out[rows, columns] = _voted(cv2.transpose(columns_first)[down])
    return out


def _nearest(side: int, size: int) -> np.ndarray:
    """The pixels (size, _VOTES) of a side that vote for each pixel of the shrunk side."""
    ramp = np.arange(side, dtype=np.int32)[None]
    way = cv2.INTER_NEAREST_EXACT
    return cv2.resize(ramp, (_VOTES * size, 1), interpolation=way).reshape(size, _VOTES)


def _touched(nearest: np.ndarray, start: int, length: int) -> slice:
    """The pixels that have a vote from start ... start + length."""
    first, last = nearest[:, -1].searchsorted(start), nearest[:, 0].searchsorted(start + length)
    return slice(int(first), int(last))


def _voted(votes: np.ndarray) -> np.ndarray:
    """The winner of each square of votes; most squares agree and need no count."""
    square = np.ones((_VOTES, _VOTES), np.uint8)
    middles = np.s_[_VOTES // 2 :: _VOTES, _VOTES // 2 :: _VOTES]
    winner = np.ascontiguousarray(cv2.erode(votes, square)[middles])
    y, x = np.nonzero(winner != cv2.dilate(votes, square)[middles])
    if len(y):
        rows, columns = (_VOTES * at[:, None] + np.arange(_VOTES) for at in (y, x))
        winner[y, x] = _most_voted(votes[rows[:, :, None], columns[:, None, :]].reshape(len(y), -1))
    return winner


def _most_voted(votes: np.ndarray) -> np.ndarray:
    """The label but 0 that is most frequent in each row (n, k) uint8, the lowest of several."""
    count = int(votes.max()) + 1
    places = votes + count * np.arange(len(votes))[:, None]
    ballots = np.bincount(places.ravel(), minlength=count * len(votes)).reshape(-1, count)
    return ballots[:, 1:].argmax(axis=1) + 1


def fill_labels(labels: np.ndarray, amodal: np.ndarray) -> np.ndarray:
    """Labels 0 outside ``amodal``; inside, a pixel without one gets that of the nearest pixel."""
    inside = labels * amodal.view(np.uint8)
    bare = amodal & (inside == 0)
    if not bare.any() or not labels.any():
        return inside
    left, top, right, bottom = mask_edges(bare)
    reach = _REACH
    while True:
        # Within the reach of a box about the bare pixels nothing outside the box is nearer.
        box = (
            slice(max(top - reach, 0), bottom + reach),
            slice(max(left - reach, 0), right + reach),
        )
        found = labels[box]
        if found.any():
            away, nearest = distance_transform_edt(found == 0, return_indices=True)
            if found.size == labels.size or away[bare[box]].max() <= reach:
                break
        reach *= 4
    inside[bare] = found[nearest[0][bare[box]], nearest[1][bare[box]]]
    return inside
