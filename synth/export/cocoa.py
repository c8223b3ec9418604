"""COCO-Amodal (COCOA): all regions of a picture in their order of depth.

Format: Zhu, Tian, Metaxas, Dollár, "Semantic Amodal Segmentation", CVPR 2017, as read by its
amodalAPI: one annotation a picture with ``regions``; region k is the k-th from the front;
``depth_constraint`` lists pairs "front-back" by that number.
"""

from typing import ClassVar

from synth.codec import encode_mask
from synth.export.outline import outline
from synth.export.writer import JsonWriter, Row, occluder_name
from synth.sample import Sample


class CocoaWriter(JsonWriter):
    """Two regions a picture: what was pasted, and behind it the person."""

    about: ClassVar[str] = """
`annotations/COCO_amodal_SPLIT.json` is a COCOA file of `images/SPLIT` (`clean/SPLIT` shows the same
without occluders). Each picture has two regions: 1 is what was pasted, all occluders together, 2 is
the person; `depth_constraint` "1-2" says that 1 hides a part of 2. `segmentation` is the whole
region as a polygon, as the format demands; it follows the edges of the pixels, so that pycocotools
gives back the very mask. Programs that also draw the outline (`cv2.fillPoly`) gain a pixel on the
right and lower side and thin lines between pieces; `amodal_mask` holds the same region as run
lengths. `visible_mask` and `invisible_mask`, run lengths too, stand where something is hidden.
"""
    file_name: ClassVar[str] = "COCO_amodal_{split}.json"

    def rows(self, sample: Sample) -> list[Row]:
        hides = bool(sample.invisible.any())
        front: Row = {
            "name": occluder_name(sample),
            "order": 1,
            "isStuff": 0,
            "occlude_rate": 0.0,
            "area": int(sample.occluder.sum()),
            "segmentation": outline(sample.occluder),
            "amodal_mask": encode_mask(sample.occluder),
        }
        return [
            {
                "id": int(sample.sample_id) + 1,
                "image_id": int(sample.sample_id),
                "author": "hdeocc",
                "url": f"{sample.sample_id}.png",
                "size": 2,
                "depth_constraint": "1-2" if hides else "",
                "regions": [front, _person(sample, hides)],
            }
        ]


def _person(sample: Sample, hides: bool) -> Row:
    region: Row = {
        "name": "person",
        "order": 2,
        "isStuff": 0,
        "occlude_rate": round(sample.hidden_share, 6),
        "area": int(sample.amodal.sum()),
        "segmentation": outline(sample.amodal),
        "amodal_mask": encode_mask(sample.amodal),
    }
    if hides:
        region["visible_mask"] = encode_mask(sample.modal)
        region["invisible_mask"] = encode_mask(sample.invisible)
    return region
