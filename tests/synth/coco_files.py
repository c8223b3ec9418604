"""Small COCO files for tests: one photo, some annotations, and the sources that read them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synth.source_specs import CocoOccluders, CocoPeople
from synth.sources import coco

WIDTH, HEIGHT = 120, 100
Box = tuple[float, float, float, float]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(number: int, box: Box, category: int = 1, **extra: Any) -> dict[str, Any]:
    left, top, right, bottom = box
    return {
        "id": number, "image_id": 1, "category_id": category, "iscrowd": 0,
        "bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top),
        "segmentation": rectangle(*box), **extra,
    }  # fmt: skip


def dataset(*annotations: dict[str, Any]) -> dict[str, Any]:
    return {
        "images": [{
            "id": 1, "file_name": "one.png", "width": WIDTH, "height": HEIGHT, "license": 4,
            "coco_url": "http://coco/1", "flickr_url": "http://flickr/1",
        }],
        "licenses": [{"id": 4, "name": "Attribution", "url": "http://cc/by"}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "cat"},
                       {"id": 3, "name": "dining table"}],
        "annotations": list(annotations),
    }  # fmt: skip


def write(root: Path, data: Any) -> None:
    (root / "images").mkdir(exist_ok=True)
    photo = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(photo).save(root / "images" / "one.png")
    (root / "a.json").write_text(data if isinstance(data, str) else json.dumps(data))


def people(root: Path, data: Any, min_area: float = 100) -> coco.CocoPeople:
    write(root, data)
    spec = CocoPeople(source="coco", annotations="a.json", images="images", min_area=min_area)
    return coco.CocoPeople(spec, root)


def occluders(root: Path, data: Any) -> coco.CocoOccluders:
    write(root, data)
    spec = CocoOccluders(source="coco", annotations="a.json", images="images", min_area=100)
    return coco.CocoOccluders(spec, root)


WHOLE = annotation(7, (40, 20, 70, 80))


def keypoints(head: int, ankle: int) -> dict[str, Any]:
    seen = [head] * 5 + [2] * 10 + [ankle] * 2
    return {"keypoints": [n for v in seen for n in (50, 30, v)], "num_keypoints": 17}
