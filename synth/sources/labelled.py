"""People out of photos with a label map each, and no mask: LIP, ATR and PASCAL-Person-Part.

The person is what is labelled, in one piece; what lies apart is left away. Nothing says where a
whole person ends, so a head and a foot must be labelled, and little may be hidden by a bag.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from synth import source_specs as specs
from synth.errors import ChangedError
from synth.images import checked_size, read_rgb
from synth.parsing import label
from synth.sources.base import PersonCrop, Source
from synth.sources.ccp_labels import CARRIED
from synth.sources.crop import crop_person, mask_edges
from synth.sources.files import size_fault
from synth.sources.label_sets import LABEL_SETS, LabelSet, code_of
from synth.sources.neck import fill_neck
from synth.sources.pairs import Trio, keep, match
from synth.sources.select import area_fault, edge_fault, hidden_between, piece_fault
from synth.sources.shapes import grown, main_piece

Spec = specs.LipPeople | specs.AtrPeople | specs.PascalPartPeople

_HEAD = [label(name) for name in ("hat", "hair", "sunglasses", "face")]
_LEAST_HEAD, _LEAST_FOOT = 0.01, 0.002
_MOST_CARRIED = 0.10
# Labels drawn by hand leave gaps; pieces this near, as a share of the height, are one.
_GAP = 0.02
# A second head of this share of the first is another person's, not a lock of hair.
_OTHER_HEAD = 0.25


@dataclass(frozen=True)
class _Release:
    """What sets one publisher's photos apart."""

    licence: str
    alone: bool  # whether only one person of a photo is labelled
    neck: bool = False  # whether the neck is left unlabelled


_RELEASES = {
    "lip": _Release("Look Into Person, research use; see its terms", alone=True, neck=True),
    "atr": _Release("ATR human parsing, research use; see its terms", alone=True),
    "pascal-parts": _Release("PASCAL VOC photos; see the terms of VOC and Flickr", alone=False),
}


class LabelledPeople(Source):
    """People by the stem of their files; see the module.

    Raises:
        InputError: a folder is missing, or nobody is usable.
    """

    def __init__(self, spec: Spec, data_root: Path) -> None:
        super().__init__()
        self.name = self._kind = spec.source
        self._carry = isinstance(spec, specs.AtrPeople) and spec.include_accessories
        stems = data_root / spec.stems if spec.stems else None
        matched = match(data_root / spec.images, data_root / spec.parsings, stems=stems)
        rules = spec.model_dump(exclude={"weight", *specs.PATH_KEYS}) | matched.roles()
        judge = partial(_fault, kind=spec.source, spec=spec, carried=self._carry)
        found = keep(f"{spec.source}-people-2", rules, matched, judge)
        self._files = {stem: matched.found[stem] for stem in found.kept}
        self.photos = found.photos
        self.rejected, self.digest = list(found.rejected), found.digest

    def ids(self) -> list[str]:
        return list(self._files)

    def group(self, identifier: str, /) -> str:
        """The photo: LIP names a crop by its photo and its person, both numbers of COCO.

        The photo of that number in a COCO file is another file, and is not known to be the same.
        """
        photo, _, person = identifier.partition("_")
        both = photo.isdecimal() and person.isdecimal()
        return f"lip {photo}" if self._kind == "lip" and both else self.photo(identifier)

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        files = self._files[person_id]
        image, codes = read_rgb(files.photo), _read(files.partner, self._kind)
        body = _person(codes, _joined(codes, self._kind), self._carry)
        if image.shape[:2] != codes.shape or not body.any():
            raise ChangedError(
                f"{files.partner}: changed since it was checked; run the command again"
            )
        codes[~body] = 0
        crop = crop_person(image, body, LABEL_SETS[self._kind].to_lip(codes), size, rng)
        licence = _RELEASES[self._kind].licence
        meta = {"file": files.photo.name, "photo": self.photo(person_id)}
        meta |= {"labels": self._kind, "licence": licence}
        return replace(crop, meta=crop.meta | meta)


def _read(path: Path, kind: str) -> np.ndarray:
    codes = LABEL_SETS[kind].read(path)
    return fill_neck(codes) if _RELEASES[kind].neck else codes


def _joined(codes: np.ndarray, kind: str) -> np.ndarray:
    """What is labelled (H, W) bool, with small gaps closed where one person is labelled."""
    labelled = codes > 0
    if not _RELEASES[kind].alone or not labelled.any():
        return labelled
    _, top, _, bottom = mask_edges(labelled)
    return grown(labelled, max(1, round(_GAP * (bottom - top) / 2)))


def _person(codes: np.ndarray, joined: np.ndarray, carried: bool) -> np.ndarray:
    """The person (H, W) bool: the largest piece of what is labelled, carried things on request."""
    piece = main_piece(codes > 0, joined)
    return piece if carried else piece & (codes != CARRIED)


def _fault(files: Trio, kind: str, spec: Spec, carried: bool) -> tuple[Path, str] | None:
    size = checked_size(files.photo)
    codes = _read(files.partner, kind)
    height, width = codes.shape
    if (height, width) != size:
        fault, remedy = "parsing is not of its photo's size", "export it at the same size"
        return files.partner, size_fault(fault, remedy, files.photo, size, (height, width))
    if not codes.any():
        return files.partner, "nothing is labelled; label it or remove the pair"
    joined = _joined(codes, kind)
    person = _person(codes, joined, carried)
    reason = (
        piece_fault(codes > 0, spec.min_piece, joined)
        or area_fault(float(person.sum()), spec.min_area)
        or edge_fault(person, spec.max_border_contact)
        or parts_fault(codes * person, LABEL_SETS[kind])
        or (None if _RELEASES[kind].alone else company_fault(codes * person))
        or (None if carried else carried_fault(codes, person))
    )
    return None if reason is None else (files.partner, reason)


def parts_fault(codes: np.ndarray, labels: LabelSet) -> str | None:
    """Which end of the person is missing among the codes (H, W), 0 outside the person."""
    area = int((codes > 0).sum())
    if np.isin(codes, _HEAD).sum() < _LEAST_HEAD * area:
        return "no head is labelled"
    if np.isin(codes, [code_of(target) for target in labels.foot]).sum() < _LEAST_FOOT * area:
        return "neither foot nor leg is labelled"
    return None


def company_fault(codes: np.ndarray) -> str | None:
    """Whether a piece of labels (H, W) holds the heads of several people."""
    heads = np.isin(codes, _HEAD).astype(np.uint8)
    areas = cv2.connectedComponentsWithStats(heads, connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    return "several people together" if (areas >= _OTHER_HEAD * areas.max()).sum() > 1 else None


def carried_fault(codes: np.ndarray, person: np.ndarray) -> str | None:
    """Whether a carried thing leaves a large hole in the person (H, W) bool."""
    too_much = hidden_between(codes == CARRIED, person) > _MOST_CARRIED * person.sum()
    return "a carried thing hides much of the body" if too_much else None
