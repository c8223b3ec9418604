"""People and occluders out of a COCO annotation file, as far as they are whole."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from synth import source_specs as specs
from synth.errors import InputError
from synth.sources.base import Cutout, PersonCrop, Rejection, Source
from synth.sources.coco_file import CocoFile, Entry, box_of, number
from synth.sources.crop import crop_person, mask_box
from synth.sources.shapes import border_contact, dominance, intrusion

# A person in one piece may lose a hand behind a racket; an occluder should be one piece.
_PERSON_PIECE = 0.9
_OCCLUDER_PIECE = 0.95
# How much of other objects may lie in the hull: a person's hull has room between the limbs.
_PERSON_INTRUSION = 0.15
_OCCLUDER_INTRUSION = 0.10
_HEAD, _ANKLES = range(5), (15, 16)
_VISIBLE = 2


class CocoPeople(Source):
    """Whole people: large, inside the frame, in one piece, head and foot seen, nobody in front.

    A person id is the id of the annotation. Rejected are those that fail; other classes are not
    people and are passed over.

    Raises:
        InputError: annotation file or photos missing or malformed, or nobody is left.
    """

    def __init__(self, spec: specs.CocoPeople, data_root: Path) -> None:
        super().__init__()
        self.name = "coco"
        self._file = CocoFile(data_root / spec.annotations, data_root / spec.images)
        person = {key for key, name in self._file.categories.items() if name == "person"}
        if not person:
            raise InputError(f"{self._file.path}: has no category 'person'; give another file")
        people = [a for a in self._file.annotations.values() if a["category_id"] in person]

        def fault(annotation: Entry, others: "_Neighbours") -> str | None:
            return (
                _cheap_fault(annotation, spec.min_area)
                or _keypoint_fault(annotation)
                or self._file.photo_fault(annotation)
                or _mask_fault(others, annotation, spec, _PERSON_PIECE, _PERSON_INTRUSION)
            )

        self._kept, self.rejected = _select(self._file, people, fault)

    def ids(self) -> list[str]:
        return list(self._kept)

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        annotation = self._kept[person_id]
        image, mask = self._file.load(annotation)
        crop = crop_person(image, mask, None, size, rng)
        extra: dict[str, Any] = self._file.credit(annotation)
        points = _keypoints(annotation)
        if points is not None:
            extra["keypoints"] = _in_crop(points, crop.meta["crop"], size)
        return replace(crop, meta=crop.meta | extra)


class CocoOccluders(Source):
    """Cut-outs of objects that are large, of an allowed class, whole and in one piece.

    Holes stay holes. The alpha is the mask; its coarse outline is for the blending to mend.
    """

    def __init__(self, spec: specs.CocoOccluders, data_root: Path) -> None:
        super().__init__()
        self.name = "coco"
        self._file = CocoFile(data_root / spec.annotations, data_root / spec.images)
        names = self._file.categories

        def fault(annotation: Entry, others: "_Neighbours") -> str | None:
            if names.get(annotation["category_id"]) in spec.exclude:
                return "class is excluded by the recipe"
            return (
                _cheap_fault(annotation, spec.min_area)
                or self._file.photo_fault(annotation)
                or _mask_fault(others, annotation, spec, _OCCLUDER_PIECE, _OCCLUDER_INTRUSION)
            )

        everything = list(self._file.annotations.values())
        self._kept, self.rejected = _select(self._file, everything, fault)

    def ids(self) -> list[str]:
        return list(self._kept)

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        annotation = self._kept[occluder_id]
        image, mask = self._file.load(annotation)
        category = self._file.categories.get(annotation["category_id"], "unknown")
        return Cutout(cut_out(image, mask, size), category, self._file.credit(annotation))


def cut_out(image: np.ndarray, mask: np.ndarray, size: int) -> np.ndarray:
    """A masked thing as (h, w, 4) uint8 with straight alpha, in its tight box.

    It is shrunk by area where its longest side is above ``size``, and never enlarged.
    """
    left, top, right, bottom = mask_box(mask)
    box = (slice(top, bottom), slice(left, right))
    rgba = np.dstack([image[box], mask[box].astype(np.uint8) * 255])
    height, width = rgba.shape[:2]
    scale = size / max(height, width)
    if scale >= 1:
        return rgba
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(rgba, shape, interpolation=cv2.INTER_AREA)


class _Neighbours:
    """The masks of one photo, each decoded once."""

    def __init__(self, file: CocoFile, image_id: int) -> None:
        self._file = file
        self._all = file.in_image(image_id)
        self._masks: dict[int, np.ndarray | None] = {}

    def mask(self, annotation: Entry) -> np.ndarray | None:
        """The mask of an annotation; None where it is malformed."""
        key = annotation["id"]
        if key not in self._masks:
            try:
                self._masks[key] = self._file.mask(annotation)
            except InputError:
                self._masks[key] = None
        return self._masks[key]

    def others(self, annotation: Entry) -> np.ndarray | None:
        """Union (H, W) bool of what may lie in front of an annotation; None where nothing may.

        That is every other mask whose box meets its box, but not what it lies on: a table's
        outline often goes round the plates too.
        """
        own = self.mask(annotation)
        union: np.ndarray | None = None
        for other in self._all:
            if other["id"] == annotation["id"] or not _boxes_meet(annotation, other):
                continue
            mask = self.mask(other)
            if mask is not None and own is not None and not _lies_on(own, mask):
                union = mask if union is None else union | mask
        return union


def _lies_on(own: np.ndarray, other: np.ndarray) -> bool:
    area = own.sum()
    return bool(other.sum() > area and (own & other).sum() > 0.5 * area)


def _boxes_meet(one: Entry, two: Entry) -> bool:
    a, b = box_of(one), box_of(two)
    if a is None or b is None:
        return True
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _select(
    file: CocoFile,
    candidates: list[Entry],
    fault: Callable[[Entry, _Neighbours], str | None],
) -> tuple[dict[str, Entry], list[Rejection]]:
    """Those without a fault by id, sorted, and the rest with their faults.

    Raises:
        InputError: every candidate is rejected.
    """
    kept: dict[str, Entry] = {}
    rejected: list[Rejection] = []
    neighbours: _Neighbours | None = None
    image_id: int | None = None
    for annotation in sorted(candidates, key=lambda a: (a["image_id"], a["id"])):
        if neighbours is None or annotation["image_id"] != image_id:
            image_id = annotation["image_id"]
            neighbours = _Neighbours(file, annotation["image_id"])
        reason = fault(annotation, neighbours)
        if reason is None:
            kept[str(annotation["id"])] = annotation
        else:
            rejected.append(Rejection(file.place(annotation), reason))
    if not kept:
        first = f"first: {rejected[0].file}: {rejected[0].reason}" if rejected else "it has none"
        raise InputError(f"{file.path}: no annotation is usable ({first}); loosen the recipe")
    return dict(sorted(kept.items())), rejected


def _cheap_fault(annotation: Entry, min_area: float) -> str | None:
    if annotation.get("iscrowd"):
        return "crowd region"
    if number(annotation.get("area"), min_area) < min_area:
        return f"smaller than {min_area:g} px"
    return None


def _keypoints(annotation: Entry) -> np.ndarray | None:
    """Keypoints (17, 3) of x, y, visibility; None where the person has none labelled."""
    points = annotation.get("keypoints")
    if not isinstance(points, list) or len(points) != 51 or not annotation.get("num_keypoints"):
        return None
    return np.array([number(value, 0.0) for value in points]).reshape(17, 3)


def _keypoint_fault(annotation: Entry) -> str | None:
    points = _keypoints(annotation)
    if points is None:
        return None
    seen = points[:, 2] >= _VISIBLE
    if not seen[list(_HEAD)].any():
        return "head not visible"
    if not seen[list(_ANKLES)].any():
        return "no ankle visible"
    return None


def _in_crop(points: np.ndarray, square: list[int], size: int) -> list[list[float]]:
    left, top, side = square
    moved = points.copy()
    moved[:, :2] = (points[:, :2] - (left, top)) * (size / side)
    return [[round(float(value), 2) for value in point] for point in moved]


def _mask_fault(
    neighbours: _Neighbours,
    annotation: Entry,
    spec: specs.CocoPeople | specs.CocoOccluders,
    piece: float,
    room: float,
) -> str | None:
    mask = neighbours.mask(annotation)
    if mask is None:
        return "malformed segmentation; repair or remove the annotation"
    if mask.sum() < max(spec.min_area, 1):
        return f"smaller than {spec.min_area:g} px"
    if border_contact(mask) > spec.max_border_contact:
        return "cut off by the edge of the photo"
    if dominance(mask) < piece:
        return "in several pieces"
    others = neighbours.others(annotation)
    if others is not None and intrusion(mask, others) > room:
        return "another object in front or in between"
    return None
