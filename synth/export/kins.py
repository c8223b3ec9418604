"""KINS: the amodal and the inmodal (visible) mask of every instance, and who is in front.

Format: Qi et al., "Amodal Instance Segmentation with KINS Dataset", CVPR 2019. The files of 2019
have ``segmentation`` and ``inmodal_seg``, those of 2020 ``a_*`` and ``i_*`` with ``oco_id`` (the
cluster of instances that touch) and ``ico_id`` (place in the cluster from 1 in front; 0 where an
instance overlaps nobody). Both are written.
"""

from typing import ClassVar

import numpy as np

from synth.codec import encode_mask
from synth.export.outline import outline
from synth.export.writer import JsonWriter, Row, box, occluder_name
from synth.sample import Sample

PERSON, OCCLUDER = 1, 2


class KinsWriter(JsonWriter):
    """Two instances a picture: what was pasted, and the person."""

    about: ClassVar[str] = """
`annotations/instances_SPLIT.json` is a KINS file of `images/SPLIT` (`clean/SPLIT` shows the same
without occluders), with the keys of 2019 and of 2020. Each picture has two instances: what was
pasted, all occluders together, and the person. `segmentation` (whole) and `inmodal_seg` (visible)
are run lengths and equal the data set's masks to the pixel. `a_segm` and `i_segm` are polygons, as
the files of 2020 have them; they follow the edges of the pixels, so that pycocotools gives back the
very mask; programs that also draw the outline (`cv2.fillPoly`) gain a pixel on the right and
lower side and thin lines between pieces. `oco_id` is 1 and `ico_id` 1 (front) or 2 (behind) where
something is hidden, else both are 0.
"""
    file_name: ClassVar[str] = "instances_{split}.json"
    fixed: ClassVar[Row] = {
        "categories": [
            {"id": PERSON, "name": "person", "supercategory": "Living Things"},
            {"id": OCCLUDER, "name": "occluder", "supercategory": "Things"},
        ]
    }

    def rows(self, sample: Sample) -> list[Row]:
        hides = bool(sample.invisible.any())
        front = _instance(sample, sample.occluder, sample.occluder, OCCLUDER, int(hides))
        person = _instance(sample, sample.amodal, sample.modal, PERSON, 2 * int(hides))
        return [front | {"name": occluder_name(sample)}, person | {"name": "person"}]


def _instance(
    sample: Sample, whole: np.ndarray, visible: np.ndarray, category: int, order: int
) -> Row:
    number = 2 * int(sample.sample_id) + 1
    whole_box, visible_box = box(whole), box(visible)
    area, visible_area = int(whole.sum()), int(visible.sum())
    return {
        "id": number if category == PERSON else number + 1,
        "image_id": int(sample.sample_id),
        "category_id": category,
        "iscrowd": 0,
        "segmentation": encode_mask(whole),
        "inmodal_seg": encode_mask(visible),
        "bbox": whole_box,
        "inmodal_bbox": visible_box,
        "area": area,
        "a_segm": [outline(whole)] if area else [],
        "i_segm": [outline(visible)] if visible_area else [],
        "a_bbox": whole_box,
        "i_bbox": visible_box,
        "a_area": area,
        "i_area": visible_area,
        "oco_id": min(order, 1),
        "ico_id": order,
    }
