"""Which annotations of a COCO file show something whole: what its values say, then its masks."""

import numpy as np

from synth import source_specs as specs
from synth.errors import InputError
from synth.sources.coco_file import CocoFile
from synth.sources.coco_values import Entry, Id, box_of, flag, keypoints_of, number
from synth.sources.select import area_fault, shape_fault
from synth.sources.shapes import intrusion

Spec = specs.CocoPeople | specs.CocoOccluders

_HEAD, _ANKLES = range(5), (15, 16)
_VISIBLE = 2
# Flags of Open Images, Objects365 and VOC once converted, and what a set one means.
_FLAGS = {
    "iscrowd": "crowd region",
    "isgroupof": "crowd region",
    "isoccluded": "marked as occluded",
    "occluded": "marked as occluded",
    "istruncated": "marked as cut off",
    "truncated": "marked as cut off",
    "isinside": "marked as seen from inside",
    "isdepiction": "marked as a picture of one",
    "isfake": "marked as a picture of one",
    "isreflected": "marked as a reflection",
}


class Neighbours:
    """The masks of one photo, each decoded once."""

    def __init__(self, file: CocoFile, image_id: Id) -> None:
        self._file = file
        self._all = file.in_image(image_id)
        self._masks: dict[Id, np.ndarray | None] = {}

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


def value_fault(annotation: Entry, spec: Spec) -> str | None:
    """What the values of an annotation say against it, without a look at photo or mask."""
    for name, meaning in _FLAGS.items():
        if flag(annotation.get(name)):
            return meaning
    if annotation.get("segmentation") in (None, [], ""):
        return "has a box and no mask; use annotations with masks"
    # Converters that know no area write 0.
    area = number(annotation.get("area"), 0)
    return area_fault(area, spec.min_area) if area > 0 else None


def keypoint_fault(annotation: Entry, rule: str) -> str | None:
    """Whether a head and an ankle are seen; ``rule`` is ``CocoPeople.keypoints``."""
    points = None if rule == "ignored" else keypoints_of(annotation)
    if points is None:
        return "no keypoints are labelled" if rule == "required" else None
    seen = points[:, 2] >= _VISIBLE
    if not seen[list(_HEAD)].any():
        return "head not visible"
    if not seen[list(_ANKLES)].any():
        return "no ankle visible"
    return None


def mask_fault(neighbours: Neighbours, annotation: Entry, spec: Spec) -> str | None:
    """What the masks of a photo say against an annotation."""
    mask = neighbours.mask(annotation)
    if mask is None:
        return "malformed segmentation; repair or remove the annotation"
    reason = shape_fault(mask, spec)
    if reason is not None:
        return reason
    others = neighbours.others(annotation)
    if others is not None and intrusion(mask, others) > spec.max_intrusion:
        return "another object in front or in between"
    return None
