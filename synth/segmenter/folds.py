"""Which network may give a mask of whom, and what the folds of a recipe depend on."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synth.codec import canonical
from synth.plan import Plan
from synth.sources.base import OccluderSource, PersonSource
from synth.splits import Pool


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


def make_folds(plan: Plan, trained: Iterable[str], count: int) -> Folds:
    """The folds of everyone who shares a photo with the people ``trained`` on ("source:id")."""
    used = {_photo(plan, one) for one in set(trained)}
    everyone = (f"{source.name}:{one}" for source in plan.person_sources for one in source.ids())
    photos = ((one, _photo(plan, one)) for one in everyone)
    return Folds(count, {one: hashed_fold(photo, count) for one, photo in photos if photo in used})


def _photo(plan: Plan, person_id: str) -> str:
    """What joins a person to others, in every source; everybody of it is in one fold."""
    name, _, identifier = person_id.partition(":")
    source = next(source for source in plan.person_sources if source.name == name)
    return source.group(identifier)


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
