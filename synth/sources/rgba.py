"""Cut-outs: pictures with an alpha channel, of people and of things.

Alpha is straight, as PNG and WebP define it. What lies in a folder is read, and what lies in the
folders directly within it; the name of such a folder is the class of its things.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from synth import source_specs as specs
from synth.errors import ChangedError, InputError
from synth.images import read_rgba
from synth.sources.base import Cutout, PersonCrop, Rejection, Source
from synth.sources.crop import cut, mask_edges, person_square, resize_mask
from synth.sources.cutouts import Kept, shrunk
from synth.sources.names import name_fault, reason_of, shown
from synth.sources.pairs import Stems, pictures
from synth.sources.scan import scan
from synth.sources.select import AreaLimit, Limits, area_fault, edge_fault, piece_fault

_SOLID = 128
_JUDGED = 512
# People are shrunk to this longest side or the crop's before the crop: padding costs memory.
_LARGE = 1024


class _Cutouts(Source):
    """RGBA pictures by their path within the folder, without its suffix.

    Raises:
        InputError: no such folder, or no picture in it is usable.
    """

    def __init__(self, kind: str, folder: Path, limits: Limits) -> None:
        super().__init__()
        self.name = "rgba"
        self._root = Path(os.path.abspath(folder))
        listed, unread = _listed(self._root)
        paths = [path for twins in listed.values() for path in twins]
        rules = [limits.min_area, limits.max_border_contact, limits.min_piece]
        found = scan(
            kind,
            {"limits": rules},
            self._root,
            paths,
            partial(_examine, self._root, listed, limits),
            lambda identity: listed[identity][0],
        )
        self.rejected = [*unread, *found.rejected]
        if not found.kept:
            first = next(iter(self.rejected), None)
            why = f"first: {first.file}: {first.reason}" if first else "it holds no picture"
            raise InputError(
                f"{self._root}: holds no usable picture with transparency ({why}); "
                "give cut-outs as PNG or WebP with alpha"
            )
        self._files = {identity: listed[identity][0] for identity in found.kept}
        self.photos, self.digest = found.photos, found.digest

    def ids(self) -> list[str]:
        return list(self._files)

    def _cut_out(self, identity: str, size: int) -> np.ndarray:
        rgba = read_rgba(self._files[identity])
        if not (rgba[:, :, 3] >= _SOLID).any():
            path = self._files[identity]
            raise ChangedError(f"{path}: changed since it was checked; run the command again")
        return shrunk(rgba, size)

    def _origin(self, identity: str) -> dict[str, Any]:
        name = self._files[identity].relative_to(self._root).as_posix()
        return {"file": name, "photo": self.photo(identity)}


class RgbaPeople(_Cutouts):
    """People by the path of their cut-out; the rng also draws the background."""

    def __init__(self, spec: specs.RgbaPeople, data_root: Path) -> None:
        super().__init__("rgba-people-3", data_root / spec.path, spec)

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        from synth.people.backgrounds import draw_scene

        person = self._cut_out(person_id, max(size, _LARGE))
        # Threads of hair or lace may get thinner than a pixel.
        solid = person[:, :, 3] >= min(_SOLID, int(person[:, :, 3].max()))
        square = person_square(solid, rng)
        way = cv2.INTER_AREA if size < square.side else cv2.INTER_CUBIC
        alpha = cut(person[:, :, 3:], square) / np.float32(255)
        full = np.dstack([cut(person[:, :, :3], square) * alpha, alpha])
        layers = np.asarray(cv2.resize(full, (size, size), interpolation=way))
        veil = 1 - np.clip(layers[:, :, 3:], 0, 1)
        background = draw_scene(rng, size)
        mixed = layers[:, :, :3] + veil * background.rgb
        image = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
        meta: dict[str, Any] = {"crop": [square.left, square.top, square.side]}
        meta |= self._origin(person_id)
        meta["background"] = background.provenance
        return PersonCrop(image, resize_mask(cut(solid, square), size), None, meta)


class RgbaOccluders(_Cutouts):
    """Things by the path of their cut-out; what lies in no folder is of the recipe's category."""

    def __init__(self, spec: specs.RgbaOccluders, data_root: Path) -> None:
        super().__init__("rgba-occluders-2", data_root / spec.path, AreaLimit(spec.min_area))
        self._category = spec.category
        self._cutouts = Kept()

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        return self._cutouts.get(occluder_id, size, self._made)

    def _made(self, occluder_id: str, size: int) -> Cutout:
        rgba = self._cut_out(occluder_id, size)
        folder, slash, _ = occluder_id.rpartition("/")
        category = folder.lower() if slash else self._category
        return Cutout(_bled(rgba), category, self._origin(occluder_id))


def _listed(root: Path) -> tuple[Stems, list[Rejection]]:
    """The pictures by id, sorted, and what is not read; a link that leads back is passed over."""
    folders = {"": pictures(root)}
    real = Path(os.path.realpath(root))
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        own = Path(os.path.realpath(folder))
        if not folder.name.startswith(".") and own not in (real, *real.parents):
            folders[f"{folder.name}/"] = pictures(folder)
    found = {f"{at}{stem}": p for at, one in folders.items() for stem, p in one.found.items()}
    unread = [
        Rejection(shown(path.relative_to(root).as_posix()), reason)
        for one in folders.values()
        for some in one.unread.values()
        for path, reason in some
    ]
    return dict(sorted(found.items())), unread


def _examine(root: Path, listed: Stems, limits: Limits) -> tuple[list[str], list[Rejection]]:
    kept, rejected = [], []
    for identity, (path, *twins) in listed.items():
        reason = name_fault(identity) or _fault(path, limits)
        if reason is None:
            kept.append(identity)
        else:
            rejected.append(Rejection(shown(path.relative_to(root).as_posix()), reason))
        for twin in twins:
            reason = f"same stem as {shown(path.name)}; rename or remove one"
            rejected.append(Rejection(shown(twin.relative_to(root).as_posix()), reason))
    return kept, rejected


def _fault(path: Path, limits: Limits) -> str | None:
    try:
        alpha = read_rgba(path)[:, :, 3]
    except InputError as error:
        return reason_of(error, path)
    solid = alpha >= _SOLID
    if not solid.any():
        return "is transparent everywhere; export it again"
    if alpha.min() == 255:
        return "is opaque everywhere; cut the thing out"
    return area_fault(float(solid.sum()), limits.min_area) or _cut_fault(solid, limits)


def _cut_fault(solid: np.ndarray, limits: Limits) -> str | None:
    """What the tight box says of a cut-out (H, W) bool, at one size: contact depends on it."""
    left, top, right, bottom = mask_edges(solid)
    scale = _JUDGED / max(bottom - top, right - left)
    shape = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    soft = cv2.resize(solid[top:bottom, left:right].astype(np.float32), shape, interpolation=way)
    judged = np.asarray(soft) >= 0.5
    return edge_fault(judged, limits.max_border_contact) or piece_fault(judged, limits.min_piece)


def _bled(rgba: np.ndarray) -> np.ndarray:
    """The same cut-out with the colour of the nearest seen pixel under every unseen one."""
    unseen = rgba[:, :, 3] == 0
    if not unseen.any() or unseen.all():
        return rgba
    nearest = distance_transform_edt(unseen, return_distances=False, return_indices=True)
    out = rgba.copy()
    out[unseen, :3] = rgba[nearest[0][unseen], nearest[1][unseen], :3]
    return out
