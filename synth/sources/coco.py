"""People and occluders out of a COCO annotation file, as far as they are whole."""

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from synth import source_specs as specs
from synth.errors import InputError
from synth.settings import hint
from synth.sources.base import Cutout, PersonCrop, Rejection, Source
from synth.sources.coco_file import CocoFile
from synth.sources.coco_values import Entry, Id, keypoints_of
from synth.sources.coco_whole import Neighbours, Spec, keypoint_fault, mask_fault, value_fault
from synth.sources.crop import crop_person
from synth.sources.cutouts import Kept, cut_out
from synth.sources.names import shown
from synth.sources.scan import scan


class _Annotations(Source):
    """Annotations by their id, those that are not whole left out."""

    def __init__(self, spec: Spec, data_root: Path) -> None:
        super().__init__()
        self.name = "coco"
        self._file = CocoFile(data_root / spec.annotations, data_root / spec.images)

    def _select(self, kind: str, spec: Spec, early: Callable[[Entry], str | None]) -> None:
        """Keep the annotations without a fault; ``early`` says what needs no look at a photo.

        Raises:
            InputError: every candidate is rejected.
        """
        file = self._file
        ordered = sorted(self._candidates(), key=lambda a: (_rank(a["image_id"]), _rank(a["id"])))
        faults = {a["id"]: file.name_fault(a) or early(a) for a in ordered}
        rest = [a for a in ordered if faults[a["id"]] is None]
        root, files, places = _input(file, rest)
        rules = spec.model_dump(exclude={"weight", *specs.PATH_KEYS}) | places
        by_name = {str(a["id"]): a for a in ordered}

        def photo(key: str) -> Path:
            return file.photo(by_name[key])

        found = scan(kind, rules, root, files, lambda: _judge(file, ordered, faults, spec), photo)
        if not found.kept:
            first = next(iter(found.rejected), None)
            why = f"first: {first.file}: {first.reason}" if first else "it has none"
            raise InputError(
                f"{file.path}: no annotation is usable ({why}); "
                "mend that, or allow more in the recipe"
            )
        self._kept, self.photos = {key: by_name[key] for key in found.kept}, found.photos
        self.rejected, self.digest = list(found.rejected), found.digest
        file.keep(self._kept.values())

    def _candidates(self) -> Iterable[Entry]:
        return self._file.annotations.values()

    def ids(self) -> list[str]:
        return list(self._kept)

    def _origin(self, identity: str) -> dict[str, Any]:
        return self._file.credit(self._kept[identity]) | {"photo": self.photo(identity)}


class CocoPeople(_Annotations):
    """Whole people: large, inside the frame, in one piece, head and foot seen, nobody in front.

    A person id is the id of the annotation. Rejected are those that fail; other classes are not
    people and are passed over.

    Raises:
        InputError: annotation file or photos missing or malformed, or nobody is left.
    """

    def __init__(self, spec: specs.CocoPeople, data_root: Path) -> None:
        super().__init__(spec, data_root)
        self._classes = self._file.named(spec.category)
        if not self._classes:
            raise InputError(_no_category(self._file, spec.category))

        def early(annotation: Entry) -> str | None:
            return value_fault(annotation, spec) or keypoint_fault(annotation, spec.keypoints)

        self._select("coco-people-2", spec, early)

    def _candidates(self) -> Iterable[Entry]:
        return (a for a in super()._candidates() if a["category_id"] in self._classes)

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        annotation = self._kept[person_id]
        image, mask = self._file.load(annotation)
        crop = crop_person(image, mask, None, size, rng)
        extra = self._origin(person_id)
        points = keypoints_of(annotation)
        if points is not None:
            extra["keypoints"] = _in_crop(points, crop.meta["crop"], size)
        return replace(crop, meta=crop.meta | extra)


class CocoOccluders(_Annotations):
    """Cut-outs of objects that are large, of an allowed class, whole and in one piece.

    Holes stay holes. The alpha is the mask; its coarse outline is for the blending to mend.

    Raises:
        InputError: as `CocoPeople`, or ``include`` names a class that the file does not have.
    """

    def __init__(self, spec: specs.CocoOccluders, data_root: Path) -> None:
        super().__init__(spec, data_root)
        for name in spec.include:
            if not self._file.named(name):
                raise InputError(_no_category(self._file, name))
        excluded = _all_named(self._file, spec.exclude)
        included = _all_named(self._file, spec.include)

        def early(annotation: Entry) -> str | None:
            if annotation["category_id"] in excluded:
                return "class is excluded by the recipe"
            if spec.include and annotation["category_id"] not in included:
                return "class is not included by the recipe"
            return value_fault(annotation, spec)

        self._select("coco-occluders-2", spec, early)
        self._cutouts = Kept()

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        return self._cutouts.get(occluder_id, size, self._cut)

    def _cut(self, occluder_id: str, size: int) -> Cutout:
        annotation = self._kept[occluder_id]
        image, mask = self._file.load(annotation)
        category = self._file.categories.get(annotation["category_id"], "unknown")
        return Cutout(cut_out(image, mask, size), category, self._origin(occluder_id))


def _input(file: CocoFile, used: Iterable[Entry]) -> tuple[Path, list[Path], dict[str, str]]:
    """What a scan reads: the common folder, the annotation file and the photos, and their places.

    The photos are those of ``used`` annotations, as far as they exist.
    """
    photos = {file.photo(annotation) for annotation in used}
    names = [Path(os.path.abspath(path)) for path in sorted(photos) if os.path.isfile(path)]
    table, folder = (Path(os.path.abspath(path)) for path in (file.path, file.folder))
    root = Path(os.path.commonpath([table.parent, folder]))
    places = {"annotations": table, "images": folder}
    return root, [table, *names], {k: p.relative_to(root).as_posix() for k, p in places.items()}


def _judge(
    file: CocoFile, ordered: list[Entry], faults: dict[Id, str | None], spec: Spec
) -> tuple[list[str], list[Rejection]]:
    """Ids without a fault, sorted, and the rest with theirs; ``ordered`` has photos together."""
    kept, rejected = [], []
    neighbours: Neighbours | None = None
    image_id: Id | None = None
    for annotation in ordered:
        if neighbours is None or annotation["image_id"] != image_id:
            image_id = annotation["image_id"]
            neighbours = Neighbours(file, annotation["image_id"])
        reason = (
            faults[annotation["id"]]
            or file.photo_fault(annotation)
            or mask_fault(neighbours, annotation, spec)
        )
        if reason is None:
            kept.append(str(annotation["id"]))
        else:
            rejected.append(Rejection(file.place(annotation), reason))
    return sorted(kept), rejected


def _rank(identifier: Id) -> tuple[bool, Id]:
    """Numbers before texts, each in their own order."""
    return isinstance(identifier, str), identifier


def _all_named(file: CocoFile, names: Iterable[str]) -> set[Id]:
    return {key for name in names for key in file.named(name)}


def _no_category(file: CocoFile, name: str) -> str:
    known = shown(hint(name, file.categories.values()))
    return f"{file.path}: has no category {name!r}; {known} (name it in the recipe)"


def _in_crop(points: np.ndarray, square: list[int], size: int) -> list[list[float]]:
    left, top, side = square
    moved = points.copy()
    moved[:, :2] = (points[:, :2] - (left, top)) * (size / side)
    return [[round(float(value), 2) for value in point] for point in moved]
