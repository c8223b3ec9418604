"""A COCO annotation file, checked on reading: what is in it, and the photos it speaks of.

Files converted from other data sets differ from COCO's own: ids are strings or whole floats, the
area is missing or 0, a person has a box and no mask, file names have folders or backslashes, flags
say that somebody is occluded. What can be read is read; what cannot be used has a reason.
"""

import json
import os
from array import array
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from synth.errors import InputError
from synth.images import MAX_PIXELS, checked_size, read_rgb
from synth.segmentation import decode_rle
from synth.sources.coco_values import Entry, Id, identity, whole
from synth.sources.files import file_fault, listed_fault, size_fault
from synth.sources.names import reason_of, shown

# The parsed file takes about twice its size in memory.
_MAX_BYTES = 2 << 30
_TABLES = {
    "images": {"id": "id", "file_name": "text", "width": "whole number", "height": "whole number"},
    "annotations": {"id": "id", "image_id": "id", "category_id": "id"},
    "categories": {"id": "id", "name": "text"},
}


class CocoFile:
    """Images, annotations and categories by id.

    Raises:
        InputError: no such file or folder, broken JSON, or a structure that is not COCO's.
    """

    def __init__(self, annotations: Path, folder: Path) -> None:
        self.path = annotations
        self.folder = folder
        data = _read_json(annotations)
        if not os.path.isdir(folder):
            raise InputError(f"{folder}: no such folder of photos; check `images` in the recipe")
        tables = {name: self._table(data, name) for name in _TABLES}
        self.images, self.annotations = tables["images"], tables["annotations"]
        self.categories = {key: str(c["name"]) for key, c in tables["categories"].items()}
        licences = data.get("licenses")
        entries = licences if isinstance(licences, list) else []
        known = {identity(e.get("id")): e for e in entries if isinstance(e, dict)}
        self._licences = {key: entry for key, entry in known.items() if key is not None}
        self._photo_faults: dict[Id, str | None] = {}
        self._by_image: dict[Id, list[Entry]] = defaultdict(list)
        for annotation in self.annotations.values():
            self._by_image[annotation["image_id"]].append(annotation)

    def _table(self, data: Any, name: str) -> dict[Id, Entry]:
        entries = data.get(name) if isinstance(data, dict) else None
        if not isinstance(entries, list) or not entries:
            raise InputError(f"{self.path}: has no list {name!r}; give a COCO annotation file")
        table: dict[Id, Entry] = {}
        for place, entry in enumerate(entries):
            self._check_entry(entry, name, place)
            if entry["id"] in table:
                raise InputError(f"{self.path}: {name} has id {entry['id']} twice; make ids unique")
            table[entry["id"]] = entry
        return table

    def _check_entry(self, entry: Any, name: str, place: int) -> None:
        """Bring the ids and numbers of an entry to one form."""
        for key, kind in _TABLES[name].items():
            value = _value(entry, key, kind) if isinstance(entry, dict) else None
            if value is None:
                raise InputError(
                    f"{self.path}: {name}[{place}] has no {kind} {key!r}; "
                    "give a COCO annotation file"
                )
            entry[key] = value

    def named(self, name: str) -> set[Id]:
        """The categories of a name: spelt exactly so, else in capitals and small letters alike."""
        exact = {key for key, own in self.categories.items() if own == name}
        alike = {key for key, own in self.categories.items() if own.casefold() == name.casefold()}
        return exact or alike

    def in_image(self, image_id: Id) -> list[Entry]:
        """The annotations of an image, in the order of the file."""
        return self._by_image.get(image_id, [])

    def keep(self, kept: Iterable[Entry]) -> None:
        """Forget all but some annotations and their images: what is sent to workers is small."""
        self.annotations = {annotation["id"]: annotation for annotation in kept}
        used = {annotation["image_id"] for annotation in self.annotations.values()}
        self.images = {key: image for key, image in self.images.items() if key in used}
        self._by_image, self._photo_faults = {}, {}

    def photo(self, annotation: Entry) -> Path:
        """Where the photo of an annotation lies: its name in the folder, else its last part."""
        name = PurePosixPath(self.images[annotation["image_id"]]["file_name"].replace("\\", "/"))
        path = self.folder / name
        return path if len(name.parts) == 1 or os.path.isfile(path) else self.folder / name.name

    def place(self, annotation: Entry) -> str:
        """The annotation in words, for messages: its photo and its id."""
        image = self.images.get(annotation["image_id"])
        name = shown(image["file_name"]) if image else f"{self.path.name} (no such image)"
        return f"{name} annotation {annotation['id']}"

    def name_fault(self, annotation: Entry) -> str | None:
        """What keeps the photo of an annotation from being looked for."""
        image = self.images.get(annotation["image_id"])
        if image is None:
            return "its image is not in the annotation file; remove the annotation"
        if not _inside(image["file_name"]):
            return "file name leaves the folder of photos; rename it"
        return None

    def photo_fault(self, annotation: Entry) -> str | None:
        """What is wrong with the photo of an annotation; each photo is decoded once."""
        key = annotation["image_id"]
        if key not in self._photo_faults:
            self._photo_faults[key] = self._picture_fault(self.images[key], self.photo(annotation))
        return self._photo_faults[key]

    def _picture_fault(self, image: Entry, path: Path) -> str | None:
        if image["height"] * image["width"] > MAX_PIXELS:
            return f"photo is above the limit of {MAX_PIXELS} pixels; scale it down or remove it"
        fault = file_fault(path)
        if fault is not None:
            return f"photo {fault}; download it or remove it from the annotation file"
        try:
            size = checked_size(path)
        except InputError as error:
            return f"photo {reason_of(error, path)}"
        wanted = (image["height"], image["width"])
        if size != wanted:
            fault = "photo is not of the size its annotations are for"
            return size_fault(fault, "restore the original", path, size, wanted)
        return None

    def mask(self, annotation: Entry) -> np.ndarray:
        """The mask of an annotation, (H, W) bool; InputError when it is malformed."""
        image = self.images[annotation["image_id"]]
        outline = annotation.get("segmentation")
        if isinstance(outline, list):
            outline = [list(part) if isinstance(part, array) else part for part in outline]
            # Some tools write the one polygon of a thing without the list around it.
            outline = [outline] if all(type(part) in (int, float) for part in outline) else outline
        return decode_rle(outline, image["height"], image["width"])

    def load(self, annotation: Entry) -> tuple[np.ndarray, np.ndarray]:
        """Photo (H, W, 3) uint8 and mask (H, W) bool.

        Raises:
            InputError: the photo does not decode, or is not of the size of the mask.
        """
        path, mask = self.photo(annotation), self.mask(annotation)
        try:
            image = read_rgb(path)
        except InputError as error:
            raise InputError(f"{error.message}, or drop it from {self.path.name}") from None
        height, width = mask.shape
        if image.shape[:2] != (height, width):
            fault = f"is not of the size that {self.path.name} says"
            remedy = "restore the original or remove it from the annotation file"
            told = size_fault(fault, remedy, path, image.shape[:2], (height, width))
            raise InputError(f"{path}: {told}")
        return image, mask

    def credit(self, annotation: Entry) -> dict[str, Any]:
        """File, source urls and licence of the photo, as far as the annotation file knows them."""
        image = self.images[annotation["image_id"]]
        key = identity(image.get("license"))
        licence = {} if key is None else self._licences.get(key, {})
        found = {
            "file": image["file_name"],
            "coco_url": image.get("coco_url"),
            "flickr_url": image.get("flickr_url") or image.get("original_url"),
            "licence": licence.get("name"),
            "licence_url": licence.get("url"),
        }
        return {key: value for key, value in found.items() if isinstance(value, str)}


def _value(entry: Entry, key: str, kind: str) -> Any:
    value = entry.get(key)
    if kind == "id":
        return identity(value)
    if kind == "whole number":
        return whole(value)
    if key == "file_name" and value is None and isinstance(entry.get("coco_url"), str):
        # LVIS names its photos, which are COCO's, by their address alone.
        return PurePosixPath(entry["coco_url"]).name or None
    return value if isinstance(value, str) else None


def _inside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    escapes = path.is_absolute() or ".." in path.parts or "\0" in name
    return bool(path.name) and not escapes


def _read_json(path: Path) -> Any:
    fault = listed_fault(path, "annotation file", "annotations")
    if fault is not None:
        raise InputError(f"{path}: {fault}")
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(
                f"{path}: is larger than {_MAX_BYTES >> 30} GB; keep the annotations that have "
                "masks of the classes you use, or split it"
            )
        text = path.read_text(encoding="utf-8-sig")
        # Half a surrogate pair is valid JSON, but no text that could be written again.
        halves = "\\ud" in text or "\\uD" in text
        return json.loads(text, object_hook=_without_halves if halves else _packed)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError) as error:
        text = str(error).splitlines()[0][:80]
        raise InputError(f"{path}: not valid JSON ({text}); download it again") from None


def _packed(entry: Entry) -> Entry:
    """An object with its polygons as arrays of doubles, a quarter of the memory of lists."""
    outline = entry.get("segmentation")
    if isinstance(outline, list):
        entry["segmentation"] = [_doubles(part) for part in outline]
    return entry


def _without_halves(entry: Entry) -> Entry:
    texts = {key: value for key, value in entry.items() if isinstance(value, str)}
    return _packed(entry | {k: v.encode(errors="replace").decode() for k, v in texts.items()})


def _doubles(part: Any) -> Any:
    try:
        return array("d", part) if isinstance(part, list) else part
    except (TypeError, OverflowError):
        return part
