"""The built-in people and cut-outs: number i is drawn from (seed, i), nothing is read from disk.

The renderer is imported on the first load, so that a recipe of photos never pays for it.
"""

from typing import Any

import numpy as np

from synth import source_specs as specs
from synth.errors import InputError
from synth.sources.base import Cutout, PersonCrop, Source
from synth.sources.crop import fill_labels, mask_edges
from synth.sources.cutouts import Kept

_PEOPLE, _OCCLUDERS = 1, 2
_DIGITS = 6


class BuiltinPeople(Source):
    """Rendered people; the rng handed to ``load`` draws the background, the id all the rest."""

    def __init__(self, spec: specs.BuiltinPeople) -> None:
        super().__init__()
        self.name = "builtin"
        self._spec = spec

    def ids(self) -> list[str]:
        return _ids(self._spec.pool)

    def photo(self, identifier: str, /) -> str:
        return f"built-in person {self._spec.seed}:{identifier}"

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        from synth.people import render
        from synth.people.backgrounds import draw_scene

        own = _generator(self._spec.seed, _PEOPLE, person_id, self._spec.pool)
        person = render.render_person(own, size, framing="full")
        amodal = person.alpha >= 128
        background = draw_scene(rng, size)
        image = render.composite(person, background.rgb)
        points = np.round(person.keypoints.astype(np.float64), 2)
        own_facts = {**person.meta, "keypoints": points, "licence": "generated"}
        meta = plain({**own_facts, "background": background.provenance})
        return PersonCrop(image, amodal, fill_labels(person.parsing, amodal), meta)


class BuiltinOccluders(Source):
    """Drawn cut-outs; a share of them, decided by the id, are rendered people."""

    def __init__(self, spec: specs.BuiltinOccluders) -> None:
        super().__init__()
        self.name = "builtin"
        self._spec = spec
        self._cutouts = Kept()

    def ids(self) -> list[str]:
        return _ids(self._spec.pool)

    def photo(self, identifier: str, /) -> str:
        return f"built-in occluder {self._spec.seed}:{identifier}"

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        return self._cutouts.get(occluder_id, size, self._made)

    def _made(self, occluder_id: str, size: int) -> Cutout:
        from synth.people import render
        from synth.people.occluders import draw_occluder

        own = _generator(self._spec.seed, _OCCLUDERS, occluder_id, self._spec.pool)
        meta = {"licence": "generated"}
        if own.random() < self._spec.people_share:
            person = render.render_cutout(own, size)
            return Cutout(_tight(np.dstack([person.rgb, person.alpha])), "person", meta)
        thing = draw_occluder(own, size)
        return Cutout(_tight(thing.rgba), thing.category, meta)


def _ids(pool: int) -> list[str]:
    # A fixed width: enlarging the pool keeps the people it had, under the same ids.
    return [str(number).zfill(_DIGITS) for number in range(pool)]


def _generator(seed: int, kind: int, identity: str, pool: int) -> np.random.Generator:
    if not identity.isdecimal() or int(identity) >= pool:
        raise InputError(f"builtin:{identity}: no such id; ids go up to {pool - 1:0{_DIGITS}}")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(kind, int(identity))))


def _tight(rgba: np.ndarray) -> np.ndarray:
    if not rgba[:, :, 3].any():
        return rgba
    left, top, right, bottom = mask_edges(rgba[:, :, 3] > 0)
    return np.ascontiguousarray(rgba[top:bottom, left:right])


def plain(value: Any) -> Any:
    """A value as JSON can write it: arrays become lists, numbers of numpy plain numbers."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
