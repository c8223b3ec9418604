"""Masks of COCO files that a stranger made: checked first, decoded second.

pycocotools decodes a short run-length code into uninitialised memory, so sizes and sums are
checked here before anything is allocated.
"""

from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from synth.errors import InputError
from synth.images import MAX_PIXELS

# pycocotools walks outlines at five points a pixel; a longer outline is no person's.
_MAX_OUTLINE = 1_000_000


def decode_rle(segmentation: Any, height: int, width: int) -> np.ndarray:
    """A COCO segmentation as a mask of (height, width) bool.

    Args:
        segmentation: polygons [[x, y, x, y, ...], ...] in pixels, or a run-length code
            {"size": [h, w], "counts": ...} with a list of runs or COCO's compressed string.

    Raises:
        InputError: anything malformed; the message names no file, which only the caller knows.
    """
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise InputError(f"image size {width}x{height} is not between 1 and {MAX_PIXELS} pixels")
    if isinstance(segmentation, dict):
        return _decode_runs(segmentation, height, width)
    if isinstance(segmentation, list):
        return _decode_polygons(segmentation, height, width)
    raise InputError("segmentation is neither a list of polygons nor a run-length code")


def _decode_runs(code: dict[str, Any], height: int, width: int) -> np.ndarray:
    if code.get("size") != [height, width] and code.get("size") != (height, width):
        raise InputError(f"RLE size {str(code.get('size'))[:40]} is not [{height}, {width}]")
    counts = code.get("counts")
    if isinstance(counts, str | bytes):
        counts = _uncompress(counts, height * width)
    elif not isinstance(counts, list) or not all(type(c) is int and c >= 0 for c in counts):
        raise InputError("RLE counts are neither a list of whole numbers nor a string")
    if sum(counts) != height * width:
        raise InputError(f"RLE counts sum to {sum(counts)}, not to {height} x {width}")
    runs = np.asarray(counts, dtype=np.int64)
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return cv2.transpose(flat.view(np.uint8).reshape(width, height)).view(bool)


def _uncompress(text: str | bytes, total: int) -> list[int]:
    """Runs of a compressed COCO code: little-endian groups of 5 bits with sign, from chr(48).

    From the fourth run on each is stored as the difference to the run two before.
    """
    data = text if isinstance(text, bytes) else text.encode("utf-8")
    counts: list[int] = []
    value = shift = done = 0
    for byte in data:
        group = byte - 48
        if not 0 <= group < 64 or shift > 35:
            raise InputError("RLE counts string holds characters that COCO never writes")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        if len(counts) > 2:
            value += counts[-2]
        done += value
        if value < 0 or done > total:
            raise InputError("RLE counts string does not describe a mask of this size")
        counts.append(value)
        value = shift = 0
    if shift:
        raise InputError("RLE counts string is cut off")
    return counts


def _decode_polygons(polygons: list[Any], height: int, width: int) -> np.ndarray:
    if not polygons:
        raise InputError("segmentation has no polygon")
    checked = [_checked_polygon(polygon, height, width) for polygon in polygons]
    if sum(_outline_length(polygon) for polygon in checked) > _MAX_OUTLINE:
        raise InputError(f"outlines are longer than {_MAX_OUTLINE} pixels")
    codes = coco_mask.frPyObjects([polygon.tolist() for polygon in checked], height, width)
    columns = coco_mask.decode(coco_mask.merge(codes))
    return cv2.transpose(columns.T).view(bool)  # row by row, as all that follows goes through it


def _checked_polygon(polygon: Any, height: int, width: int) -> np.ndarray:
    """A polygon as flat float64, refused unless it lies near the image."""
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        raise InputError("a polygon needs at least 3 points, x and y for each")
    if not all(type(number) in (int, float) for number in polygon):
        raise InputError("a polygon holds something that is no number")
    try:
        flat = np.asarray(polygon, dtype=np.float64)
    except OverflowError:
        raise InputError("a polygon holds a number that is not finite") from None
    if not np.isfinite(flat).all():
        raise InputError("a polygon holds a number that is not finite")
    if (np.abs(flat[0::2] - width / 2) > width).any() or (
        np.abs(flat[1::2] - height / 2) > height
    ).any():
        raise InputError("a polygon lies far outside the image")
    return flat


def _outline_length(flat: np.ndarray) -> float:
    points = flat.reshape(-1, 2)
    return float(np.abs(np.roll(points, -1, axis=0) - points).max(axis=1).sum())
