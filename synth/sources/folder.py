"""People and occluders out of plain folders: a photo, a mask, optionally a parsing, by stem.

The AHP release has the same form (photos and integrated masks), and the same reader.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from synth import source_specs as specs
from synth.errors import ChangedError
from synth.images import checked_size, read_mask, read_rgb, read_rgba
from synth.sources.base import Cutout, PersonCrop, Source
from synth.sources.crop import crop_person
from synth.sources.cutouts import Kept, cut_out
from synth.sources.files import size_fault
from synth.sources.label_sets import LABEL_SETS, LabelSet
from synth.sources.pairs import Trio, keep, match
from synth.sources.select import AreaLimit, Limits, shape_fault

# A smaller mask is a slip of the pen, not an object.
_OCCLUDER = AreaLimit(100)
_WITH_ALPHA = ("RGBA", "PA")
_COLOURED = ("RGB", "CMYK", "YCbCr", *_WITH_ALPHA)
# Lossy formats may tint a grey by a few levels.
_TINT = 8
_AHP_LICENCE = "Amodal Human Perception: annotations CC BY 4.0, non-commercial research only"


class FolderPeople(Source):
    """People by the stem of their files: whole as far as the recipe asks for it.

    Everything is looked at once here, since an empty mask or a truncated photo must be known
    before an id is given away.

    Raises:
        InputError: a folder is missing, holds no pair, or every pair is rejected.
    """

    def __init__(self, spec: specs.FolderPeople | specs.AhpPeople, data_root: Path) -> None:
        super().__init__()
        self.name = spec.source
        folder = spec if isinstance(spec, specs.FolderPeople) else None
        parsings = folder.parsings if folder else None
        self._labels = LABEL_SETS[folder.labels if folder else "lip"]
        self._meta = _meta(folder)
        matched = match(
            data_root / spec.images,
            data_root / spec.masks,
            data_root / parsings if parsings else None,
            data_root / spec.stems if spec.stems else None,
        )
        rules = spec.model_dump(exclude={"weight", *specs.PATH_KEYS}) | matched.roles()
        found = keep("folder-people-2", rules, matched, lambda f: _fault(f, spec, self._labels))
        self._files = {stem: matched.found[stem] for stem in found.kept}
        self.photos = found.photos
        self.rejected, self.digest = list(found.rejected), found.digest

    def ids(self) -> list[str]:
        return list(self._files)

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        files = self._files[person_id]
        image, mask = _read(files)
        parsing = None
        if files.extra:
            codes = self._labels.read(files.extra)
            if codes.shape != mask.shape:
                raise ChangedError(
                    f"{files.extra}: changed since it was checked; run the command again"
                )
            parsing = self._labels.to_lip(np.where(mask, codes, 0).astype(np.uint8))
        crop = crop_person(image, mask, parsing, size, rng)
        origin = {"file": files.photo.name, "photo": self.photo(person_id)} | self._meta
        if parsing is None:
            origin.pop("labels", None)
        return replace(crop, meta=crop.meta | origin)


class FolderOccluders(Source):
    """Cut-outs by the stem of their files, all of one category."""

    def __init__(self, spec: specs.FolderOccluders, data_root: Path) -> None:
        super().__init__()
        self.name = "folder"
        self._category = spec.category
        self._cutouts = Kept()
        matched = match(data_root / spec.images, data_root / spec.masks)
        rules = matched.roles()
        found = keep("folder-occluders-2", rules, matched, lambda f: _fault(f, _OCCLUDER, None))
        self._files = {stem: matched.found[stem] for stem in found.kept}
        self.photos = found.photos
        self.rejected, self.digest = list(found.rejected), found.digest

    def ids(self) -> list[str]:
        return list(self._files)

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        return self._cutouts.get(occluder_id, size, self._cut)

    def _cut(self, occluder_id: str, size: int) -> Cutout:
        files = self._files[occluder_id]
        image, mask = _read(files)
        origin = {"file": files.photo.name, "photo": self.photo(occluder_id)}
        return Cutout(cut_out(image, mask, size), self._category, origin)


def _meta(folder: specs.FolderPeople | None) -> dict[str, Any]:
    if folder is None:
        return {"licence": _AHP_LICENCE}
    return {} if folder.labels == "lip" else {"labels": folder.labels}


def _read(files: Trio) -> tuple[np.ndarray, np.ndarray]:
    image, mask = read_rgb(files.photo), read_mask(files.partner)
    if image.shape[:2] != mask.shape or not mask.any():
        raise ChangedError(f"{files.partner}: changed since it was checked; run the command again")
    return image, mask


def _fault(files: Trio, limits: Limits, labels: LabelSet | None) -> tuple[Path, str] | None:
    size = checked_size(files.photo)
    mask = read_mask(files.partner)
    height, width = mask.shape
    if (height, width) != size:
        fault, remedy = "mask is not of its photo's size", "export it at the same size"
        return files.partner, size_fault(fault, remedy, files.photo, size, (height, width))
    if not mask.any():
        return files.partner, "mask is empty; draw it or remove the pair"
    if _in_colour(files.partner):
        return files.partner, "is a colour picture; save the mask as a grey or palette picture"
    if mask.all():
        return files.partner, "mask covers the whole photo; draw what is around as 0, or remove it"
    reason = shape_fault(mask, limits)
    if reason is not None:
        return files.partner, reason
    if files.extra is None or labels is None:
        return None
    reason = _parsing_fault(labels.read(files.extra), mask)
    return None if reason is None else (files.extra, reason)


def _in_colour(path: Path) -> bool:
    """Whether a picture that `read_mask` reads by its channels is no grey one, but a photo, say."""
    with Image.open(path) as image:
        mode = image.mode
    if mode not in _COLOURED:
        return False
    if mode in _WITH_ALPHA:
        alpha = read_rgba(path)[:, :, 3]
        if alpha.min() != alpha.max():
            return False  # then the alpha is the mask
    channels = read_rgb(path)
    return bool((np.ptp(channels, axis=2) > _TINT).any())


def _parsing_fault(codes: np.ndarray, mask: np.ndarray) -> str | None:
    if codes.shape != mask.shape:
        return "parsing is not of its photo's size; export it at the same size"
    if not (codes[mask] > 0).any():
        return "parsing labels nothing of the person; draw it or remove it"
    return None
