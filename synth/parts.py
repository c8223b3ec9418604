"""Where a named part of the body is: by labels, by keypoints, or as a fraction of the box.

Parts are those of ``synth.occlusion_spec.BODY_PARTS``; left and right are the person's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from synth.parsing import LIP_LABELS, label
from synth.place import mask_box
from synth.sources.base import PersonCrop

# Labels of each part. What spans torso and legs is divided at the hip line.
LABELS: dict[str, tuple[str, ...]] = {
    "head": ("hat", "hair", "sunglasses", "face"),
    "torso": ("upper-clothes", "scarf"),
    "arms": ("left-arm", "right-arm", "glove"),
    "legs": ("pants", "skirt", "left-leg", "right-leg", "socks"),
    "feet": ("left-shoe", "right-shoe"),
}
SPANNING = ("dress", "coat", "jumpsuits")
_HIPS = 0.52  # of the height of the box, from its top
# Labels that say where the person's own left and right are, by whole part.
_SIDED = {"arms": ("arm",), "legs": ("leg", "shoe")}

# Keypoints in COCO's order: limbs are drawn as thick lines, in units of the person's height.
_HEAD, _SHOULDERS, _HIP_POINTS, _ANKLES = (0, 1, 2, 3, 4), (5, 6), (11, 12), (15, 16)
_LINES = {
    "left-arm": (5, 7, 9), "right-arm": (6, 8, 10),
    "left-leg": (11, 13, 15), "right-leg": (12, 14, 16),
}  # fmt: skip
_LIMB, _HEAD_RADIUS, _FOOT_RADIUS = 0.085, 0.085, 0.06

# Fractions (left, top, right, bottom) of the box of somebody upright who faces the camera.
_BOXES = {
    "head": (0.0, 0.0, 1.0, 0.15),
    "torso": (0.2, 0.17, 0.8, 0.5),
    "left-arm": (0.72, 0.17, 1.0, 0.55), "right-arm": (0.0, 0.17, 0.28, 0.55),
    "left-leg": (0.5, 0.5, 1.0, 1.0), "right-leg": (0.0, 0.5, 0.5, 1.0),
    "legs": (0.0, 0.5, 1.0, 1.0),
    "feet": (0.0, 0.92, 1.0, 1.0),
}  # fmt: skip
# A part seen with less than this share of the person is too little to place anything before.
_LEAST = 0.002


@dataclass(frozen=True, eq=False)
class Region:
    """A part of one person: (S, S) bool within the amodal mask, and how it was found.

    ``known_from`` is "parsing", "keypoints" or "box".
    """

    mask: np.ndarray
    known_from: str


def part_region(person: PersonCrop, part: str) -> Region:
    """The region of a part, never empty: the first of the three ways that finds enough of it."""
    least = max(1, int(_LEAST * person.amodal.sum()))
    for name, find in (("parsing", _by_labels), ("keypoints", _by_keypoints)):
        found = find(person, part)
        if found is not None and int((found & person.amodal).sum()) >= least:
            return Region(found & person.amodal, name)
    found = _by_box(person.amodal, part) & person.amodal
    return Region(found if found.any() else person.amodal, "box")


def _by_labels(person: PersonCrop, part: str) -> np.ndarray | None:
    parsing = person.parsing
    if parsing is None:
        return None
    side, _, limb = part.rpartition("-")
    whole = f"{limb}s" if side else part
    mask = np.isin(parsing, [label(name) for name in LABELS[whole]])
    if whole in ("torso", "legs"):
        below = np.arange(parsing.shape[0])[:, None] >= _hip_row(person.amodal)
        spanning = np.isin(parsing, [label(name) for name in SPANNING])
        mask |= spanning & (below if whole == "legs" else ~below)
    return mask if not side else _on_side(parsing, mask, whole, side)


def _on_side(parsing: np.ndarray, mask: np.ndarray, whole: str, side: str) -> np.ndarray | None:
    """The person's left or right of a limb: by its own labels, the rest by what is nearer."""
    own, other = (_columns(parsing, whole, name) for name in (side, _opposite(side)))
    if own is None or other is None:
        return _with_label(parsing, whole, side)
    columns = np.arange(parsing.shape[1])
    unsided = mask & ~_with_label(parsing, whole, "left") & ~_with_label(parsing, whole, "right")
    nearer = np.abs(columns - own) < np.abs(columns - other)
    return _with_label(parsing, whole, side) | (unsided & nearer)


def _with_label(parsing: np.ndarray, whole: str, side: str) -> np.ndarray:
    names = [f"{side}-{limb}" for limb in _SIDED[whole]]
    known = [label(name) for name in names if name in LIP_LABELS and not name.endswith("shoe")]
    return np.isin(parsing, known)


def _columns(parsing: np.ndarray, whole: str, side: str) -> float | None:
    """Mean column of what is labelled as of one side."""
    sided = np.isin(parsing, [label(f"{side}-{limb}") for limb in _SIDED[whole]])
    return float(np.flatnonzero(sided.any(axis=0)).mean()) if sided.any() else None


def _opposite(side: str) -> str:
    return "right" if side == "left" else "left"


def _hip_row(amodal: np.ndarray) -> float:
    _, top, _, height = mask_box(amodal)
    return top + _HIPS * height


def _by_keypoints(person: PersonCrop, part: str) -> np.ndarray | None:
    given = person.meta.get("keypoints")
    if given is None:
        return None
    points = np.asarray(given, dtype=np.float64).reshape(-1, 3)
    height = mask_box(person.amodal)[3]
    canvas = np.zeros(person.amodal.shape, np.uint8)
    if part in ("arms", "legs"):
        limbs = [f"left-{part[:-1]}", f"right-{part[:-1]}"]
        drawn = [_draw_limb(canvas, points, _LINES[limb], height) for limb in limbs]
    elif part in _LINES:
        drawn = [_draw_limb(canvas, points, _LINES[part], height)]
    elif part == "torso":
        drawn = [_draw_torso(canvas, points)]
    else:
        drawn = [_draw_discs(canvas, points, part, height)]
    return canvas > 0 if any(drawn) else None


def _seen(points: np.ndarray, which: Sequence[int]) -> np.ndarray:
    chosen = points[list(which)]
    return np.rint(chosen[chosen[:, 2] > 0, :2]).astype(np.int32)


def _draw_limb(canvas: np.ndarray, points: np.ndarray, which: Sequence[int], height: int) -> bool:
    seen = _seen(points, which)
    cv2.polylines(canvas, [seen.reshape(-1, 1, 2)], False, 1, max(1, round(_LIMB * height)))
    return len(seen) >= 2


def _draw_torso(canvas: np.ndarray, points: np.ndarray) -> bool:
    shoulders, hips = _seen(points, _SHOULDERS), _seen(points, _HIP_POINTS)
    if len(shoulders) < 2 or not len(hips):
        return False
    cv2.fillConvexPoly(canvas, cv2.convexHull(np.vstack([shoulders, hips])), 1)
    return True


def _draw_discs(canvas: np.ndarray, points: np.ndarray, part: str, height: int) -> bool:
    """The head about the mean of its points, or a foot a little below each ankle."""
    if part == "head":
        seen = _seen(points, _HEAD)
        centres = [seen.mean(axis=0)] if len(seen) else []
        radius, lift = _HEAD_RADIUS, -0.02
    else:
        centres, radius, lift = list(_seen(points, _ANKLES)), _FOOT_RADIUS, 0.03
    for x, y in centres:
        centre = round(float(x)), round(float(y) + lift * height)
        cv2.circle(canvas, centre, max(1, round(radius * height)), 1, -1)
    return bool(centres)


def _by_box(amodal: np.ndarray, part: str) -> np.ndarray:
    """A fraction of the box; of a part with two sides, both."""
    left, top, width, height = mask_box(amodal)
    mask = np.zeros_like(amodal)
    sides = (part,) if part in _BOXES else (f"left-{part[:-1]}", f"right-{part[:-1]}")
    for x0, y0, x1, y1 in (_BOXES[side] for side in sides):
        rows = slice(top + int(y0 * height), top + int(np.ceil(y1 * height)))
        mask[rows, left + int(x0 * width) : left + int(np.ceil(x1 * width))] = True
    return mask
