"""``annotations.json``: the masks, ids and licences of a data set in the style of COCO."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from synth.codec import canonical
from synth.shards import Job, Marker, read_members

Labels = dict[str, Any]


def annotation_chunks(
    folder: Path, shards: list[tuple[Job, Marker]], title: str
) -> Iterator[bytes]:
    """The file piece by piece, so that memory does not grow with the data set.

    ``segmentation``, ``bbox`` and ``area`` describe the visible part, as COCO's tools expect;
    ``amodal_segmentation`` and so on the whole person, ``occluder_segmentation`` what is pasted.

    Raises:
        OSError, ValueError: a shard cannot be read.
    """
    licences: dict[str, int] = {}
    yield b'{"info":' + canonical({"description": title, "version": "1"})
    yield b',\n"categories":[{"id":1,"name":"person"}],\n"images":['
    images = (_image(job, labels, licences) for job, labels in _all_labels(folder, shards))
    yield from _rows(images)
    yield b'],\n"annotations":['
    yield from _rows(_annotation(labels) for _, labels in _all_labels(folder, shards))
    yield b'],\n"licenses":' + canonical([{"id": i, "name": n} for n, i in licences.items()])
    yield b"}\n"


def _rows(values: Iterable[Labels]) -> Iterator[bytes]:
    for number, value in enumerate(values):
        yield (b",\n" if number else b"\n") + canonical(value)


def _all_labels(folder: Path, shards: list[tuple[Job, Marker]]) -> Iterator[tuple[Job, Labels]]:
    for job, marker in shards:
        for entry in marker.samples:
            only = replace(entry, members={"json": entry.members["json"]})
            yield job, json.loads(read_members(folder / job.name, only)["json"])


def _image(job: Job, labels: Labels, licences: dict[str, int]) -> Labels:
    name = labels["meta"].get("person", {}).get("licence")
    image: Labels = {
        "id": int(labels["id"]),
        "file_name": f"{labels['id']}.image.png",
        "shard": job.name,
        "height": labels["size"][0],
        "width": labels["size"][1],
        "split": labels["split"],
    }
    if isinstance(name, str):
        image["license"] = licences.setdefault(name, len(licences) + 1)
    return image


def _annotation(labels: Labels) -> Labels:
    visible, whole = labels["modal"], labels["amodal"]
    meta = labels["meta"]
    return {
        "id": int(labels["id"]) + 1,  # COCO's evaluation takes an id of 0 for "no match"
        "image_id": int(labels["id"]),
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": visible,
        "bbox": _box(visible),
        "area": int(coco_mask.area(visible)),
        "amodal_segmentation": whole,
        "amodal_bbox": _box(whole),
        "amodal_area": int(coco_mask.area(whole)),
        "occluder_segmentation": labels["occluder"],
        "hidden_share": labels["hidden_share"],
        "person_id": labels["person_id"],
        "person_source": _credit(meta.get("person", {})),
        "occluder_ids": labels["occluder_ids"],
        "occluder_sources": [_credit(one) for one in meta.get("occluders", [])],
    }


def _box(code: Labels) -> list[float]:
    return [float(number) for number in coco_mask.toBbox(code)]


def _credit(meta: Labels) -> Labels:
    """What names the origin of a picture: texts only, so no keypoints or crops."""
    return {key: value for key, value in meta.items() if isinstance(value, str)}
