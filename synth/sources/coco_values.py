"""Single values of COCO annotation files, in the forms that different tools write them."""

import math
from typing import Any

import numpy as np

Entry = dict[str, Any]
Id = int | str

_LONGEST_ID = 100


def identity(value: Any) -> Id | None:
    """An id in one form: 7, 7.0 and "7" are one, other text stays text; None for what is none."""
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdecimal() and len(text) <= 18:
            return int(text)
        return text if text.isprintable() and 0 < len(text) <= _LONGEST_ID else None
    return whole(value)


def whole(value: Any) -> int | None:
    """A whole number out of JSON, also when written as a float; None for anything else."""
    if type(value) is int:
        return value
    return int(value) if type(value) is float and value.is_integer() else None


def number(value: Any, default: float) -> float:
    """A finite number out of JSON, else ``default``."""
    if type(value) not in (int, float):
        return default
    try:
        return float(value) if math.isfinite(value) else default
    except OverflowError:
        return default


def flag(value: Any) -> bool:
    """Whether a flag is set: 1, 1.0, true or "1"; unknown ones, written -1, are not."""
    return type(value) in (bool, int, float, str) and value in (1, "1")


def box_of(annotation: Entry) -> tuple[float, float, float, float] | None:
    """Box (left, top, right, bottom) as the file gives it, None where it gives none."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return None
    left, top, width, height = (number(value, math.nan) for value in box)
    ends = (left, top, left + width, top + height)
    return None if any(math.isnan(end) for end in ends) else ends


def keypoints_of(annotation: Entry) -> np.ndarray | None:
    """Keypoints (17, 3) of x, y, visibility; None where the person has none labelled."""
    points = annotation.get("keypoints")
    if not isinstance(points, list) or len(points) != 51:
        return None
    labelled = np.array([number(value, 0.0) for value in points]).reshape(17, 3)
    return labelled if (labelled[:, 2] > 0).any() else None
