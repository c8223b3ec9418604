"""``annotations.json``: masks, ids and licences of a data set as COCO's amodal tools read them.

The keys are those of COCO-amodal (Zhu et al., Semantic Amodal Segmentation, CVPR 2017) in the flat
form of D2SA and COCOA-cls: ``segmentation``, ``bbox`` and ``area`` are of the whole person,
``visible_mask`` and ``invisible_mask`` its two parts, ``occlude_rate`` is the hidden share, and
``order`` the place in depth, 1 in front of everything.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pycocotools import mask as coco_mask

from synth.codec import canonical, encode_mask
from synth.recipe import Recipe
from synth.segmentation import decode_rle
from synth.shards import Job, jobs, read_members, whole_markers

Labels = dict[str, Any]
URLS = ("coco_url", "flickr_url", "url")


def annotation_chunks(folder: Path, recipe: Recipe, backgrounds: bool = True) -> Iterator[bytes]:
    """The file piece by piece, so that memory does not grow with the data set.

    Earlier versions wrote it without the origin of ``backgrounds``.

    Raises:
        InputError: the marker of a shard is missing or damaged.
        OSError, ValueError: a shard cannot be read.
    """
    licences: dict[tuple[str, str], int] = {}
    title = recipe.title or recipe.name
    yield b'{"info":' + canonical({"description": title, "version": "1"})
    yield b',\n"categories":[{"id":1,"name":"person","supercategory":"person"}],\n"images":['
    yield from _rows(folder, recipe, lambda job, labels: _image(job, labels, licences))
    yield b'],\n"annotations":['
    yield from _rows(folder, recipe, lambda _, labels: _annotation(labels, backgrounds))
    listed = [{"id": i, "name": name, "url": url} for (name, url), i in licences.items()]
    yield b'],\n"licenses":' + canonical(listed) + b"}\n"


def _rows(folder: Path, recipe: Recipe, row: Callable[[Job, Labels], Labels]) -> Iterator[bytes]:
    separator = b"\n"
    for job, marker in whole_markers(folder, jobs(recipe)):
        for entry in marker.samples:
            only = replace(entry, members={"json": entry.members["json"]})
            labels = json.loads(read_members(folder / job.name, only)["json"])
            yield separator + canonical(row(job, labels))
            separator = b",\n"


def _image(job: Job, labels: Labels, licences: dict[tuple[str, str], int]) -> Labels:
    person = credit(labels["meta"].get("person", {}))
    image: Labels = {
        "id": int(labels["id"]),
        "file_name": f"{labels['id']}.image.png",
        "shard": job.name,
        "height": labels["size"][0],
        "width": labels["size"][1],
        "split": labels["split"],
    }
    image |= {key: person[key] for key in URLS if key in person}
    if "licence" in person:
        licence = person["licence"], person.get("licence_url", "")
        image["license"] = licences.setdefault(licence, len(licences) + 1)
    return image


def _annotation(labels: Labels, backgrounds: bool) -> Labels:
    whole, visible = labels["amodal"], labels["modal"]
    height, width = labels["size"]
    hidden = decode_rle(whole, height, width) & ~decode_rle(visible, height, width)
    meta = labels["meta"]
    return {
        "id": int(labels["id"]) + 1,  # COCO's evaluation takes an id of 0 for "no match"
        "image_id": int(labels["id"]),
        "category_id": 1,
        "iscrowd": 0,
        "segmentation": whole,
        "bbox": _box(whole),
        "area": int(coco_mask.area(whole)),
        "visible_mask": visible,
        "visible_bbox": _box(visible),
        "visible_area": int(coco_mask.area(visible)),
        "invisible_mask": encode_mask(hidden),
        "occlude_rate": labels["hidden_share"],
        "order": len(labels["occluder_ids"]) + 1,
        "occluder_mask": labels["occluder"],
        "occluder_ids": labels["occluder_ids"],
        "occluder_sources": [credit(one) for one in meta.get("occluders", [])],
        "person_id": labels["person_id"],
        "person_source": credit(meta.get("person", {}), backgrounds),
    }


def _box(code: Labels) -> list[float]:
    return [float(number) for number in coco_mask.toBbox(code)]


def credit(meta: Labels, backgrounds: bool = True) -> Labels:
    """What names the origin of a picture: texts only, so no keypoints or crops.

    Of a drawn background these are ``background_licence`` and, where photographs went into it,
    ``background_photos``; not without ``backgrounds``.
    """
    texts = {key: value for key, value in meta.items() if isinstance(value, str)}
    background = meta.get("background")
    if not backgrounds or not isinstance(background, dict):
        return texts
    listed = background.get("photos")
    photos = [_named(one) for one in (listed if isinstance(listed, list) else [])]
    found = {
        "background_licence": background.get("licence"),
        "background_photos": "; ".join(filter(None, photos)),
    }
    return texts | {key: value for key, value in found.items() if value and isinstance(value, str)}


def _named(photo: Any) -> str:
    """A photograph in words, such as "brick.png (CC0Textures, Bricks25; CC0-1.0)"."""
    about = photo if isinstance(photo, dict) else {}
    told = [one for key in ("origin", "licence") if isinstance(one := about.get(key), str)]
    return f"{about.get('file')} ({'; '.join(told)})" if told else ""
