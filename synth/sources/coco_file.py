"""A COCO annotation file, checked on reading: what is in it, and the photos it speaks of."""

import json
import math
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from synth.errors import InputError
from synth.images import MAX_PIXELS, checked_size, decode_rle, read_rgb

Entry = dict[str, Any]
_KEYS = {
    "images": (("id", int), ("file_name", str), ("width", int), ("height", int)),
    "annotations": (("id", int), ("image_id", int), ("category_id", int)),
    "categories": (("id", int), ("name", str)),
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
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of photos; check `images` in the recipe")
        tables = {name: self._table(data, name) for name in _KEYS}
        self.images, self.annotations = tables["images"], tables["annotations"]
        self.categories = {key: str(c["name"]) for key, c in tables["categories"].items()}
        licences = data.get("licenses")
        entries = licences if isinstance(licences, list) else []
        self._licences = {_hashable(e.get("id")): e for e in entries if isinstance(e, dict)}
        self._photo_faults: dict[int, str | None] = {}
        self._by_image: dict[int, list[Entry]] = defaultdict(list)
        for annotation in self.annotations.values():
            self._by_image[annotation["image_id"]].append(annotation)

    def _table(self, data: Any, name: str) -> dict[int, Entry]:
        entries = data.get(name) if isinstance(data, dict) else None
        if not isinstance(entries, list) or not entries:
            raise InputError(f"{self.path}: has no list {name!r}; give a COCO annotation file")
        table: dict[int, Entry] = {}
        for place, entry in enumerate(entries):
            self._check_entry(entry, name, place)
            if entry["id"] in table:
                raise InputError(f"{self.path}: {name} has id {entry['id']} twice; make ids unique")
            table[entry["id"]] = entry
        return table

    def _check_entry(self, entry: Any, name: str, place: int) -> None:
        for key, kind in _KEYS[name]:
            if not isinstance(entry, dict) or type(entry.get(key)) is not kind:
                raise InputError(
                    f"{self.path}: {name}[{place}] has no {kind.__name__} {key!r}; "
                    "give a COCO annotation file"
                )

    def in_image(self, image_id: int) -> list[Entry]:
        """The annotations of an image, in the order of the file."""
        return self._by_image.get(image_id, [])

    def photo(self, annotation: Entry) -> Path:
        """Where the photo of an annotation lies."""
        return self.folder / self.images[annotation["image_id"]]["file_name"]

    def place(self, annotation: Entry) -> str:
        """The annotation in words, for messages: its photo and its id."""
        image = self.images.get(annotation["image_id"])
        name = image["file_name"] if image else f"{self.path.name} (no such image)"
        return f"{name} annotation {annotation['id']}"

    def photo_fault(self, annotation: Entry) -> str | None:
        """What is wrong with the photo of an annotation; each photo is decoded once."""
        image = self.images.get(annotation["image_id"])
        if image is None:
            return "its image is not in the annotation file; remove the annotation"
        if not _inside(image["file_name"]):
            return "file name leaves the folder of photos; rename it"
        if annotation["image_id"] not in self._photo_faults:
            self._photo_faults[annotation["image_id"]] = self._picture_fault(image)
        return self._photo_faults[annotation["image_id"]]

    def _picture_fault(self, image: Entry) -> str | None:
        path = self.folder / image["file_name"]
        if image["height"] * image["width"] > MAX_PIXELS:
            return f"photo is above the limit of {MAX_PIXELS} pixels; scale it down or remove it"
        if not path.is_file():
            return "photo is missing; download it or remove it from the annotation file"
        try:
            size = checked_size(path)
        except InputError:
            return "photo is unreadable; repair it or remove it from the annotation file"
        if size != (image["height"], image["width"]):
            return "photo is not of the size its annotations are for; restore the original"
        return None

    def mask(self, annotation: Entry) -> np.ndarray:
        """The mask of an annotation, (H, W) bool; InputError when it is malformed."""
        image = self.images[annotation["image_id"]]
        return decode_rle(annotation.get("segmentation"), image["height"], image["width"])

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
        if image.shape[:2] != mask.shape:
            raise InputError(
                f"{path}: is not of the size that {self.path.name} says; restore the original "
                "or remove it from the annotation file"
            )
        return image, mask

    def credit(self, annotation: Entry) -> dict[str, Any]:
        """File, source urls and licence of the photo, as far as the annotation file knows them."""
        image = self.images[annotation["image_id"]]
        licence = self._licences.get(_hashable(image.get("license")), {})
        found = {
            "file": image["file_name"],
            "coco_url": image.get("coco_url"),
            "flickr_url": image.get("flickr_url"),
            "licence": licence.get("name"),
            "licence_url": licence.get("url"),
        }
        return {key: value for key, value in found.items() if isinstance(value, str)}


def number(value: Any, default: float) -> float:
    """A finite number out of JSON, else ``default``."""
    if type(value) not in (int, float):
        return default
    try:
        return float(value) if math.isfinite(value) else default
    except OverflowError:
        return default


def box_of(annotation: Entry) -> tuple[float, float, float, float] | None:
    """Box (left, top, right, bottom) as the file gives it, None where it gives none."""
    box = annotation.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        return None
    left, top, width, height = (number(value, math.nan) for value in box)
    ends = (left, top, left + width, top + height)
    return None if any(math.isnan(end) for end in ends) else ends


def _hashable(value: Any) -> int | str | None:
    return value if isinstance(value, int | str) else None


def _inside(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    escapes = path.is_absolute() or ".." in path.parts or "\0" in name
    return bool(path.name) and not escapes


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such annotation file; check `annotations` in the recipe"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (ValueError, RecursionError) as error:
        text = str(error).splitlines()[0][:80]
        raise InputError(f"{path}: not valid JSON ({text}); download it again") from None
