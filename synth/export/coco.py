"""COCO's instances and keypoints: the person of each picture, whole, visible and hidden."""

import math
from typing import Any, ClassVar

from synth.codec import encode_mask
from synth.export.writer import JsonWriter, Row, box, credit, occluder_name
from synth.sample import Sample

KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder",
    "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip
# Pairs of keypoints, counted from 1, as COCO's own category lists them.
SKELETON = (
    (16, 14), (14, 12), (17, 15), (15, 13), (12, 13), (6, 12), (7, 13), (6, 7), (6, 8), (7, 9),
    (8, 10), (9, 11), (2, 3), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 7),
)  # fmt: skip
_UNKNOWN, _HIDDEN, _VISIBLE = 0, 1, 2


class CocoWriter(JsonWriter):
    """One annotation a picture; all masks are compressed run lengths."""

    about: ClassVar[str] = """
`annotations/instances_SPLIT.json` is a COCO annotation file of `images/SPLIT` (`clean/SPLIT` shows
the same without occluders). One person a picture: `segmentation`, `bbox` and `area` are of the
whole person, as in D2SA and COCOA-cls, so a detector trained on them learns amodal masks;
`visible_mask`, `visible_bbox` and `visible_area` are what is seen (put them in their place to train
on visible masks), `invisible_mask` what is hidden, `occluder_mask` what hides. All masks are run
lengths and equal the data set's to the pixel. `keypoints` are COCO's 17 where the source knows
them (else all 0): 2 visible, 1 hidden, and those under an occluder are hidden.

    from pycocotools.coco import COCO
    coco = COCO("annotations/instances_test.json")
    whole = coco.annToMask(coco.loadAnns(coco.getAnnIds())[0])
"""
    file_name: ClassVar[str] = "instances_{split}.json"
    fixed: ClassVar[Row] = {
        "categories": [
            {
                "id": 1,
                "name": "person",
                "supercategory": "person",
                "keypoints": list(KEYPOINTS),
                "skeleton": [list(pair) for pair in SKELETON],
            }
        ]
    }

    def rows(self, sample: Sample) -> list[Row]:
        points = keypoints(sample)
        return [
            {
                "id": int(sample.sample_id) + 1,  # COCO's evaluation takes 0 for "no match"
                "image_id": int(sample.sample_id),
                "category_id": 1,
                "iscrowd": 0,
                "segmentation": encode_mask(sample.amodal),
                "bbox": box(sample.amodal),
                "area": int(sample.amodal.sum()),
                "visible_mask": encode_mask(sample.modal),
                "visible_bbox": box(sample.modal),
                "visible_area": int(sample.modal.sum()),
                "invisible_mask": encode_mask(sample.invisible),
                "occluder_mask": encode_mask(sample.occluder),
                "occluder": occluder_name(sample),
                "occlude_rate": round(sample.hidden_share, 6),
                "keypoints": points,
                "num_keypoints": sum(flag > _UNKNOWN for flag in points[2::3]),
                "person_source": credit(sample.meta.get("person", {})),
            }
        ]


def keypoints(sample: Sample) -> list[float]:
    """COCO's 17 keypoints [x, y, v, ...] in pixels of the crop; all 0 where nobody knows them.

    Those under an occluder are 1 (hidden); those outside the crop are 0 (unknown).
    """
    known: Any = sample.meta.get("person", {}).get("keypoints")
    if (
        not isinstance(known, list)
        or len(known) != len(KEYPOINTS)
        or not all(map(_is_point, known))
    ):
        return [0.0] * (3 * len(KEYPOINTS))
    return [number for point in known for number in _point(point, sample)]


def _is_point(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(number) in (int, float) and math.isfinite(number) for number in value)
    )


def _point(point: list[float], sample: Sample) -> tuple[float, float, int]:
    x, y, flag = float(point[0]), float(point[1]), int(point[2])
    height, width = sample.amodal.shape
    if flag == _UNKNOWN or not (0 <= x < width and 0 <= y < height):
        return 0.0, 0.0, _UNKNOWN
    covered = bool(sample.occluder[int(y), int(x)])
    return x, y, _HIDDEN if covered or flag == _HIDDEN else _VISIBLE
