"""Which network may give a mask of whom, and what the folds of a recipe depend on."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from synth.codec import canonical
from synth.plan import Plan
from synth.segmenter.composites import Composites
from synth.sources.base import OccluderSource, PersonSource
from synth.splits import Pool, photo_names


@dataclass(frozen=True)
class Folds:
    """The fold of every person; network k was trained on nobody of fold k.

    Attributes:
        count: how many folds there are.
        known: fold by "source:id" of everyone whose photo any network was trained on.
    """

    count: int
    known: Mapping[str, int]

    def of(self, person_id: str) -> int:
        """The fold of a person; whom no network saw has one as well, by the id alone."""
        found = self.known.get(person_id)
        return hashed_fold(person_id, self.count) if found is None else found


def hashed_fold(name: str, count: int) -> int:
    """A number below ``count`` that only ``name`` decides."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % count


def make_folds(plan: Plan, trained: Iterable[str], count: int, hiding: Iterable[str] = ()) -> Folds:
    """The folds of everyone who shares a photo with the people ``trained`` on ("source:id").

    ``hiding``: the people who hide those, ids of occluders; the networks see them as well.
    """
    photo, hider_photo = _photos(plan, plan.person_sources), _photos(plan, plan.occluder_sources)
    used = {photo(one) for one in set(trained)} | {hider_photo(one) for one in set(hiding)}
    everyone = (f"{source.name}:{one}" for source in plan.person_sources for one in source.ids())
    photos = ((one, photo(one)) for one in everyone)
    return Folds(count, {one: hashed_fold(name, count) for one, name in photos if name in used})


def folds_shown(plan: Plan, composites: Composites, folds: Folds) -> list[set[int]]:
    """Of each composite the folds of whoever is seen in it, be it as the one who hides another."""
    photo = _photos(plan, plan.occluder_sources)
    return [
        {folds.of(person)} | {hashed_fold(photo(one), folds.count) for one in hiding}
        for person, hiding in zip(composites.people, composites.hiding, strict=True)
    ]


def _photos(
    plan: Plan, sources: Sequence[PersonSource] | Sequence[OccluderSource]
) -> Callable[[str], str]:
    """By "source:id" what joins people to others, in every source: all of it is in one fold."""
    names = photo_names([*plan.person_sources, *plan.occluder_sources])
    photo_of = {source.name: names(source) for source in sources}

    def photo(full_id: str) -> str:
        name, _, identifier = full_id.partition(":")
        return photo_of[name](identifier)

    return photo


def identity(plan: Plan) -> str:
    """SHA-256 (hex) of who is in which split: people and files they come from, and occluders.

    Two plans of one identity have the same people under the same ids, divided alike; how they are
    occluded, and how often, may differ.
    """
    people = _divided(plan.person_sources, plan.people)
    occluders = _divided(plan.occluder_sources, plan.occluders)
    return hashlib.sha256(canonical({"people": people, "occluders": occluders})).hexdigest()


def _divided(
    sources: Sequence[PersonSource] | Sequence[OccluderSource], pools: Mapping[str, Pool]
) -> list[list[object]]:
    """Name and digest of each source, and its ids by split."""
    names = [(source.name, source.digest) for source in sources]
    ids = [{split: pool.ids[i] for split, pool in pools.items()} for i in range(len(names))]
    return [[*name, divided] for name, divided in zip(names, ids, strict=True)]
