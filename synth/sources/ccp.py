"""Clothing Co-Parsing: street photos of one standing person, with 59 clothing labels."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from synth import source_specs as specs
from synth.errors import ChangedError, InputError
from synth.images import checked_size, read_rgb
from synth.parsing import label
from synth.sources.base import PersonCrop, Rejection, Source
from synth.sources.ccp_labels import (
    CARRIED,
    CCP_TO_LIP,
    SHOE,
    SKIN,
    SUIT,
    code_table,
    to_lip,
)
from synth.sources.content import watched
from synth.sources.crop import crop_person, mask_edges
from synth.sources.files import file_fault, size_fault
from synth.sources.mat import read_mat
from synth.sources.names import name_fault, reason_of, shown
from synth.sources.scan import Scan, scan
from synth.sources.select import hidden_between
from synth.sources.shapes import border_contact, main_piece

_LABELS = Path("annotations") / "pixel-level"
_LICENCE = "Clothing Co-Parsing, research use"
_HEAD_CODES = [label("hat"), label("hair"), label("sunglasses"), SKIN]
# What reaches the ground: feet, what covers them, or a hem long enough to hide them.
_FOOT_CODES = [SKIN, SHOE, SUIT] + [
    label(name) for name in ("dress", "socks", "pants", "jumpsuits", "skirt")
]
_LEAST_SHARE = 0.02
_COARSE = 180
# A hood or a veil leaves little of the head, a cut-off head nearly nothing above the shoulders.
_LEAST_HEAD = 0.1
_MOST_STRAY = 0.05
_MOST_CARRIED = 0.10
_MOST_BORDER = 0.05


class CcpPeople(Source):
    """The people of CCP by the number of their photo, e.g. "0001".

    A bag leaves a hole in the person: what it hides nobody labelled. So photos in which carried
    things hide a tenth of the body or more are rejected, unless carried things are the person.

    Raises:
        InputError: folder or label list missing or malformed, or every photo is rejected.
    """

    def __init__(self, spec: specs.CcpPeople, data_root: Path) -> None:
        root = data_root / spec.path
        super().__init__()
        self.name = "ccp"
        self._root = root
        self._carry = spec.include_accessories
        for folder in (root / "photos", root / _LABELS):
            if not folder.is_dir():
                raise InputError(f"{folder}: no such folder; give the folder of CCP in the recipe")
        self._table = _label_table(root / "label_list.mat")
        self._codes_of_bytes = np.pad(self._table, (0, 256))[:256]
        found = self._scan()
        self._kept, self.photos = found.kept, found.photos
        self.rejected, self.digest = list(found.rejected), found.digest

    def _scan(self) -> Scan:
        root = self._root
        files = [*(root / "photos").glob("*.jpg"), *(root / _LABELS).glob("*.mat")]
        stems = sorted({path.stem for path in files})
        rules = {"include_accessories": self._carry}
        everything = [root / "label_list.mat", *files]
        found = scan("ccp-2", rules, root, everything, lambda: self._examine(stems), self._photo)
        if not found.kept:
            bad = found.rejected
            first = f"first: {bad[0].file}: {bad[0].reason}" if bad else "no photos"
            raise InputError(f"{root}: nobody is usable ({first}); check the folder of CCP")
        return found

    def _examine(self, stems: list[str]) -> tuple[list[str], list[Rejection]]:
        kept, rejected = [], []
        for stem in watched(stems, "looking through ccp"):
            fault = self._fault(stem)
            if fault is None:
                kept.append(stem)
            else:
                name = fault[0].relative_to(self._root).as_posix()
                rejected.append(Rejection(shown(name), fault[1]))
        return kept, rejected

    def _photo(self, stem: str) -> Path:
        return self._root / "photos" / f"{stem}.jpg"

    def _labels(self, stem: str) -> Path:
        return self._root / _LABELS / f"{stem}.mat"

    def _codes(self, stem: str) -> np.ndarray:
        path = self._labels(stem)
        labels = read_mat(path, "groundtruth")
        if labels.ndim != 2 or labels.dtype.kind not in "ui" or labels.size == 0:
            raise InputError(f"{path}: groundtruth is no label map; download it again")
        if labels.min() < 0 or labels.max() >= len(self._table):
            raise InputError(f"{path}: has labels that label_list.mat does not name; download both")
        if labels.dtype != np.uint8:
            return self._table[labels]
        # MATLAB stores columns: the transpose of what lies there is a plain picture.
        return cv2.LUT(cv2.transpose(labels.T), self._codes_of_bytes)

    def _fault(self, stem: str) -> tuple[Path, str] | None:
        """The file at fault and what is the matter with it, or None."""
        photo, labels = self._photo(stem), self._labels(stem)
        reason = name_fault(stem)
        if reason is not None:
            return photo, reason
        for path, other in ((photo, "its labels"), (labels, "its photo")):
            reason = file_fault(path)
            if reason is not None:
                return path, f"{reason}; download it or remove {other}"
        path = photo
        try:
            size = checked_size(photo)
            path = labels
            codes = self._codes(stem)
        except InputError as error:
            return path, reason_of(error, path)
        height, width = codes.shape
        if (height, width) != size:
            fault = "labels are not of the photo's size"
            return labels, size_fault(fault, "download both again", photo, size, (height, width))
        # Coarse is enough to judge by, and nine times faster over a thousand photos.
        step = max(1, min(codes.shape) // _COARSE)
        reason = label_fault(codes[::step, ::step], self._carry)
        return None if reason is None else (photo, reason)

    def ids(self) -> list[str]:
        return list(self._kept)

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        image, codes = read_rgb(self._photo(person_id)), self._codes(person_id)
        if image.shape[:2] != codes.shape:
            path = self._photo(person_id)
            raise ChangedError(f"{path}: changed since it was checked; run the command again")
        body = person_mask(codes, self._carry)
        crop = crop_person(image, body, to_lip(codes, body), size, rng)
        file, photo = f"photos/{person_id}.jpg", self.photo(person_id)
        meta = {"file": file, "photo": photo, "licence": _LICENCE}
        return replace(crop, meta=crop.meta | meta)


def person_mask(codes: np.ndarray, carried: bool) -> np.ndarray:
    """The person (H, W) bool out of the codes of `synth.sources.ccp_labels`.

    Stray blobs that touch neither the person nor what they carry are dropped; holes stay.
    """
    whole = codes > 0
    if not whole.any():
        return whole
    left, top, right, bottom = mask_edges(whole)
    box = whole[top:bottom, left:right]
    box[:] = main_piece(box)
    return whole if carried else whole & (codes != CARRIED)


def label_fault(codes: np.ndarray, carried: bool) -> str | None:
    """Why a label map (H, W) of codes shows no whole person, or None."""
    labelled = (codes > 0) & (carried | (codes != CARRIED))
    body = person_mask(codes, carried)
    area = int(body.sum())
    if area < _LEAST_SHARE * body.size:
        return "nearly nothing is labelled"
    if labelled.sum() - area > _MOST_STRAY * area:
        return "labels lie in several places"
    if border_contact(body, reach=1) > _MOST_BORDER:
        return "cut off by the edge of the photo"
    _, top, _, bottom = mask_edges(body)
    tall = bottom - top
    high = slice(top, top + max(1, round(0.12 * tall)))
    if _count(codes[high] * body[high], _HEAD_CODES) < _LEAST_HEAD * int(body[high].sum()):
        return "no head is labelled"
    low = slice(bottom - max(1, round(0.12 * tall)), bottom)
    if not _count(codes[low] * body[low], _FOOT_CODES):
        return "neither feet nor legs are labelled"
    if not carried and hidden_between(codes == CARRIED, body) > _MOST_CARRIED * area:
        return "a carried thing hides much of the body"
    return None


def _count(codes: np.ndarray, wanted: list[int]) -> int:
    return int(np.isin(codes, wanted).sum())


def _label_table(path: Path) -> np.ndarray:
    entries = [np.ravel(entry) for entry in np.ravel(read_mat(path, "label_list"))]
    names = [str(entry[0]).strip() if entry.size else "" for entry in entries]
    try:
        table = code_table(names)
    except KeyError as error:
        raise InputError(f"{path}: {error} is no label of CCP; download the list again") from None
    if len(set(names)) < len(CCP_TO_LIP):
        raise InputError(
            f"{path}: names {len(set(names))} of the {len(CCP_TO_LIP)} labels of CCP; "
            "download the list again"
        )
    return table
