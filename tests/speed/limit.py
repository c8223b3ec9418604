"""The limit that no engine can pass: decoding what the samples read, encoding what they store.

It uses the bare libraries, without a check and without keeping anything: JPEGs by OpenCV, CCP's
label maps by inflating them, COCO's outlines by pycocotools, and the project's own encoder.
Every input is decoded each time it is used; the engine keeps the cut-outs it used last
(`synth.sources.cutouts.Kept`), so with few occluders it decodes less than the limit does.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from synth import source_specs as specs
from synth.codec import encode
from synth.plan import Plan
from synth.sample import Sample

# A MATLAB file: a header of 128 bytes, then the tag of one compressed element.
_MAT_START = 136


@dataclass(frozen=True)
class Input:
    """A photo, and what says where the thing in it is."""

    photo: Path
    labels: Path | None = None
    outline: Any = None  # polygons, or a run-length code
    shape: tuple[int, int] = (0, 0)

    def decode(self) -> None:
        cv2.imdecode(np.fromfile(self.photo, np.uint8), cv2.IMREAD_COLOR)
        if self.labels is not None:
            zlib.decompress(self.labels.read_bytes()[_MAT_START:])
        if self.outline is not None:
            codes = coco_mask.frPyObjects(self.outline, *self.shape)
            coco_mask.decode(coco_mask.merge(codes) if isinstance(codes, list) else codes)


def limit(inputs: list[Input], samples: list[Sample]) -> None:
    """Decode the inputs and encode the samples."""
    for one in inputs:
        one.decode()
    for sample in samples:
        encode(sample)


@contextmanager
def noted_inputs(plan: Plan, data_root: Path) -> Iterator[list[Input]]:
    """The inputs that the plan's sources read meanwhile, redrawn occluders included."""
    read: list[Input] = []
    noted: list[tuple[Any, Any]] = [
        (source, spec)
        for sources, entries in (
            (plan.person_sources, plan.recipe.people),
            (plan.occluder_sources, plan.recipe.occluders),
        )
        for source, spec in zip(sources, entries, strict=True)
    ]
    for source, spec in noted:
        _note(source, _Finder(spec, data_root), read)
    try:
        yield read
    finally:
        for source, _ in noted:
            del source.load


def _note(source: Any, find: "_Finder", read: list[Input]) -> None:
    load = source.load

    def noting(identifier: str, size: int, rng: np.random.Generator) -> Any:
        read.append(find(identifier))
        return load(identifier, size, rng)

    source.load = noting


class _Finder:
    """The input of an id of CCP or of a COCO file."""

    def __init__(self, spec: Any, data_root: Path) -> None:
        self._ccp: Path | None = None
        if isinstance(spec, specs.CcpPeople):
            self._ccp = data_root / spec.path
            return
        assert isinstance(spec, specs.CocoPeople | specs.CocoOccluders)
        self._photos = data_root / spec.images
        content = json.loads((data_root / spec.annotations).read_bytes())
        self._images = {image["id"]: image for image in content["images"]}
        self._entries = {str(entry["id"]): entry for entry in content["annotations"]}

    def __call__(self, identifier: str) -> Input:
        if self._ccp is not None:
            labels = self._ccp / "annotations" / "pixel-level" / f"{identifier}.mat"
            return Input(self._ccp / "photos" / f"{identifier}.jpg", labels)
        entry = self._entries[identifier]
        image = self._images[entry["image_id"]]
        photo = self._photos / image["file_name"]
        shape = image["height"], image["width"]
        return Input(photo, outline=entry["segmentation"], shape=shape)
