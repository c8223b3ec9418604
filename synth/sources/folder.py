"""People and occluders out of plain folders: a photo, a mask, optionally a parsing, by stem."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from synth import source_specs as specs
from synth.errors import InputError
from synth.images import SUFFIXES, checked_size, image_size, read_labels, read_mask, read_rgb
from synth.parsing import NUM_LABELS
from synth.sources.base import Cutout, PersonCrop, Rejection, Source
from synth.sources.coco import cut_out
from synth.sources.crop import crop_person

# A smaller mask is a slip of the pen, not a person or an object.
_MIN_AREA = 100


@dataclass(frozen=True)
class _Pair:
    photo: Path
    mask: Path
    parsing: Path | None = None


class FolderPeople(Source):
    """People by the stem of their files.

    Everything is read once here, since an empty mask or a truncated photo must be known before an
    id is given away.

    Raises:
        InputError: a folder is missing, holds no pair, or every pair is rejected.
    """

    def __init__(self, spec: specs.FolderPeople, data_root: Path) -> None:
        super().__init__()
        self.name = "folder"
        parsings = data_root / spec.parsings if spec.parsings else None
        images, masks = data_root / spec.images, data_root / spec.masks
        self._pairs, self.rejected = _pairs(images, masks, parsings)

    def ids(self) -> list[str]:
        return list(self._pairs)

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        pair = self._pairs[person_id]
        image, mask = _read(pair)
        parsing = read_labels(pair.parsing) if pair.parsing else None
        if parsing is not None and parsing.shape != mask.shape:
            raise InputError(f"{pair.parsing}: changed its size since it was checked; run it again")
        crop = crop_person(image, mask, parsing, size, rng)
        return replace(crop, meta=crop.meta | {"file": pair.photo.name})


class FolderOccluders(Source):
    """Cut-outs by the stem of their files; the category is "thing", for a folder names none."""

    def __init__(self, spec: specs.FolderOccluders, data_root: Path) -> None:
        super().__init__()
        self.name = "folder"
        self._pairs, self.rejected = _pairs(data_root / spec.images, data_root / spec.masks, None)

    def ids(self) -> list[str]:
        return list(self._pairs)

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        pair = self._pairs[occluder_id]
        image, mask = _read(pair)
        return Cutout(cut_out(image, mask, size), "thing", {"file": pair.photo.name})


def _read(pair: _Pair) -> tuple[np.ndarray, np.ndarray]:
    image, mask = read_rgb(pair.photo), read_mask(pair.mask)
    if image.shape[:2] != mask.shape or not mask.any():
        raise InputError(f"{pair.mask}: changed since it was checked; run the command again")
    return image, mask


def _pairs(
    photos: Path, masks: Path, parsings: Path | None
) -> tuple[dict[str, _Pair], list[Rejection]]:
    rejected: list[Rejection] = []
    by_stem = [_by_stem(folder, rejected) for folder in (photos, masks)]
    labels = _by_stem(parsings, rejected) if parsings else {}
    kept: dict[str, _Pair] = {}
    for stem in sorted(by_stem[0].keys() | by_stem[1].keys()):
        photo, mask = by_stem[0].get(stem), by_stem[1].get(stem)
        if photo is None or mask is None:
            lone = photo or mask
            other = masks if photo else photos
            rejected.append(Rejection(str(lone), f"no partner in {other}; add it or remove this"))
            continue
        pair = _Pair(photo, mask, labels.get(stem))
        fault = _fault(pair)
        if fault is None:
            kept[stem] = pair
        else:
            rejected.append(fault)
    if not kept:
        first = f"; first: {rejected[0].file}: {rejected[0].reason}" if rejected else ""
        raise InputError(f"{photos}: no photo has a usable mask of its name in {masks}{first}")
    return kept, rejected


def _by_stem(folder: Path, rejected: list[Rejection]) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check the path in the recipe and --data")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        if path.stem in found:
            twin = found[path.stem].name
            rejected.append(Rejection(str(path), f"same stem as {twin}; rename or remove one"))
        else:
            found[path.stem] = path
    return found


def _fault(pair: _Pair) -> Rejection | None:
    checks: list[tuple[Path | None, Callable[[_Pair], str | None]]] = [
        (pair.photo, _photo_fault),
        (pair.mask, _mask_fault),
        (pair.parsing, _parsing_fault),
    ]
    for path, check in checks:
        if path is None:
            continue
        try:
            reason = check(pair)
        except InputError as error:
            reason = error.message.removeprefix(f"{path}: ")
        if reason is not None:
            return Rejection(str(path), reason)
    return None


def _photo_fault(pair: _Pair) -> str | None:
    checked_size(pair.photo)
    return None


def _mask_fault(pair: _Pair) -> str | None:
    mask = read_mask(pair.mask)
    if mask.shape != image_size(pair.photo):
        return "mask is not of its photo's size; export it at the same size"
    if not mask.any():
        return "mask is empty; draw it or remove the pair"
    if mask.sum() < _MIN_AREA:
        return f"mask has fewer than {_MIN_AREA} pixels; draw it or remove the pair"
    return None


def _parsing_fault(pair: _Pair) -> str | None:
    assert pair.parsing is not None
    labels = read_labels(pair.parsing)
    if labels.shape != image_size(pair.photo):
        return "parsing is not of its photo's size; export it at the same size"
    if labels.max() >= NUM_LABELS:
        return f"parsing has labels above {NUM_LABELS - 1}; save LIP-20 labels"
    if not (labels[read_mask(pair.mask)] > 0).any():
        return "parsing labels nothing of the person; draw it or remove it"
    return None
