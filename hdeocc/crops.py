"""From a photo into the square that a network sees, and back to the pixels of the photo.

Into the square as ``synth.sources.crop`` does it for training, to the bit. Back by Pillow's
resampling, which weighs pixel centres right at any scale, and only where the photo is: a square
reaches beyond it.
"""

import cv2
import numpy as np
from PIL import Image

from synth.parsing import NUM_LABELS
from synth.sources.area import shrink
from synth.sources.crop import Square, cut, fill_labels, mask_edges, resize_mask

__all__ = ["Square", "box_in_photo", "enlarge_colours", "enlarge_labels", "enlarge_soft",
           "in_square", "joined", "main_pieces", "mask_in_square", "person_box", "square_about",
           "window_of"]  # fmt: skip

Box = tuple[int, int, int, int]
Window = tuple[slice, slice]

# A larger square is never laid out whole: padding a huge photo would cost gigabytes.
_MAX_SIDE = 4096
# Training crops have 1 to 1.2 times the side of the rule, and are then zoomed by 0.85 to 1.1.
USUAL_ROOM = 1.12
_SPECK = 1 / 200


def person_box(mask: np.ndarray) -> Box:
    """Tight box (left, top, width, height) of a mask (H, W) bool; ValueError when it is empty."""
    left, top, right, bottom = mask_edges(mask)
    return left, top, right - left, bottom - top


def main_pieces(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) bool without specks: pieces of less than a two-hundredth of its area.

    One stray pixel in a corner of the photo would widen the box, and so shrink the person. The
    mask itself where all of it is specks.
    """
    count, pieces, stats, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask).view(np.uint8), connectivity=8
    )
    large = stats[:, cv2.CC_STAT_AREA] >= _SPECK * mask.sum()
    large[0] = False
    return np.asarray(large[pieces]) if count > 1 and large.any() else mask


def joined(one: Box, other: Box | None) -> Box:
    """The box around two boxes."""
    if other is None:
        return one
    left, top = min(one[0], other[0]), min(one[1], other[1])
    right = max(one[0] + one[2], other[0] + other[2])
    bottom = max(one[1] + one[3], other[1] + other[3])
    return left, top, right - left, bottom - top


def box_in_photo(found: np.ndarray, square: Square) -> Box | None:
    """The box of a mask (S, S) of a square, in the photo's pixels; None when it is empty."""
    if not found.any():
        return None
    left, top, width, height = person_box(found)
    scale = square.side / found.shape[0]
    x, y = square.left + left * scale, square.top + top * scale
    return round(x), round(y), max(round(width * scale), 1), max(round(height * scale), 1)


def square_about(box: Box, room: float = USUAL_ROOM) -> Square:
    """The square around a box: the rule of the training data, max(sqrt(3wh), 1.1w, 1.1h), times
    ``room``, with the box in its middle. It may reach beyond the photo."""
    left, top, width, height = box
    rule = max((3 * width * height) ** 0.5, 1.1 * width, 1.1 * height)
    side = max(round(room * rule), max(width, height) + 2, 8)
    return Square(left + (width - side) // 2, top + (height - side) // 2, side)


def window_of(square: Square, shape: tuple[int, ...]) -> Window:
    """The part of a photo (H, W, ...) that lies in a square, which must touch it, as slices."""
    rows, columns = (
        slice(max(start, 0), min(start + square.side, length))
        for start, length in zip((square.top, square.left), shape, strict=False)
    )
    return rows, columns


def in_square(photo: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The square out of a photo (H, W, 3) uint8 at ``size`` pixels, black beyond the photo.

    The filters of the training data: by area when it shrinks, cubic when it grows.
    """
    window = window_of(square, photo.shape)
    part, about = photo[window], _moved(square, window)
    if size < square.side and (square.side % size or square.side > _MAX_SIDE):
        return shrink(part, about.left, about.top, square.side, size)
    way = cv2.INTER_AREA if size < square.side else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(cut(part, about), (size, size), interpolation=way))


def mask_in_square(mask: np.ndarray, square: Square, size: int) -> np.ndarray:
    """The square out of a mask (H, W) bool at ``size`` pixels: those covered by half.

    Empty only where the mask has nothing in the square.
    """
    window = window_of(square, mask.shape)
    part, about = mask[window], _moved(square, window)
    if square.side <= _MAX_SIDE:
        return resize_mask(cut(part, about), size)
    soft = shrink(part.astype(np.float32), about.left, about.top, square.side, size)
    half = soft >= 0.5
    return np.asarray(half if half.any() else soft > 0)


def enlarge_soft(small: np.ndarray, square: Square, window: Window) -> np.ndarray:
    """Values (S, S) float32 in [0, 1] of a square, at the photo's pixels in ``window``."""
    picture = Image.fromarray(np.ascontiguousarray(small, np.float32))
    return np.asarray(_resampled(picture, square, window, Image.Resampling.BICUBIC)).clip(0, 1)


def enlarge_colours(
    small: np.ndarray, known: np.ndarray, square: Square, window: Window
) -> np.ndarray:
    """Colours (S, S, 3) uint8 of a square, at the photo's pixels in ``window``.

    Only those that are ``known`` (S, S) bool count: what lies beside them, an occluder, would
    bleed into the border otherwise. So they are continued outwards first.
    """
    picture = Image.fromarray(_continued(small, known))
    return np.asarray(_resampled(picture, square, window, Image.Resampling.BICUBIC))


def enlarge_labels(labels: np.ndarray, square: Square, window: Window) -> np.ndarray:
    """Labels (S, S) uint8, 0 where there is none, at the photo's pixels in ``window``.

    Every pixel gets one, the nearest or, between several, that which weighs most; borders are
    smooth, not of the squares that the small pixels would make. All 0 where no pixel has a label.
    """
    whole = fill_labels(labels, np.ones(labels.shape, bool))
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    best, winner = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    for value in np.flatnonzero(np.bincount(whole.ravel(), minlength=NUM_LABELS)):
        here = Image.fromarray((whole == value).astype(np.float32))
        weight = np.asarray(_resampled(here, square, window, Image.Resampling.BILINEAR))
        ahead = weight > best
        best[ahead], winner[ahead] = weight[ahead], value
    return winner


def _resampled(
    picture: Image.Image, square: Square, window: Window, way: Image.Resampling
) -> Image.Image:
    rows, columns = window
    scale = picture.width / square.side
    edges = (columns.start - square.left, rows.start - square.top,
             columns.stop - square.left, rows.stop - square.top)  # fmt: skip
    inside = tuple(min(edge * scale, picture.width) for edge in edges)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    return picture.resize(size, way, box=inside)


def _continued(colours: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Colours (S, S, 3), those of the nearest known pixel where none is known."""
    from scipy.ndimage import distance_transform_edt

    if not known.any():
        return np.ascontiguousarray(colours)
    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return np.ascontiguousarray(colours[rows, columns])


def _moved(square: Square, window: Window) -> Square:
    rows, columns = window
    return Square(square.left - columns.start, square.top - rows.start, square.side)
