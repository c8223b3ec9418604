"""Who is in which split, and what sample i is: a pure function of (recipe, seed, index)."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np

from synth.compose import set_stage
from synth.errors import ChangedError, InputError, MissingError
from synth.histogram import draw_aim, even_position
from synth.initial import FromModal, Starter, open_initial
from synth.occlude import Occluders, describe, occlude
from synth.recipe import SPLITS, Recipe
from synth.sample import Sample
from synth.sources.base import Cutout, OccluderSource, PersonCrop, PersonSource, Rejection
from synth.splits import Key, Pool, held_out_order, make_pools, train_person, turn_of
from synth.truncate import FRAME, draw_cut

_REPLACEMENTS = 50
# Keeps the streams of frozen samples apart from those that go by index: no data set is as large.
_FROZEN = 2**32 - 2

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(eq=False)
class Plan:
    """A recipe with its sources open.

    Attributes:
        people, occluders: the pool of each split, by the split's name.
        starter: gives the mask that a method starts from.
        skipped: inputs that could not be read when they were needed, by "person source:id" or
            "occluder source:id" (a source of people and one of occluders may share a name).
    """

    recipe: Recipe
    person_sources: Sequence[PersonSource]
    occluder_sources: Sequence[OccluderSource]
    people: dict[str, Pool]
    occluders: dict[str, Pool]
    starter: Starter
    skipped: dict[str, str] = field(default_factory=dict)
    _orders: dict[str, list[Key]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(self.counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """Samples of each split, in index order."""
        return {name: int(getattr(self.recipe.counts, name)) for name in SPLITS}

    def place_of(self, index: int) -> tuple[str, int]:
        """The split of a sample, and its number within the split; IndexError beyond the end."""
        start = 0
        for name, count in self.counts.items():
            if start <= index < start + count:
                return name, index - start
            start += count
        raise IndexError(f"sample {index} of {len(self)}")

    def rejected(self) -> list[Rejection]:
        """What the sources left out when they were opened, each once."""
        people = [one for source in self.person_sources for one in source.rejected]
        occluders = [one for source in self.occluder_sources for one in source.rejected]
        return list(dict.fromkeys(people + occluders))


def open_plan(recipe: Recipe, data_root: str | os.PathLike[str] | None = None) -> Plan:
    """The plan of a recipe; its relative file paths are found as ``synth.sources.open`` says.

    Raises:
        InputError: a source cannot be read, or holds too few people or occluders for the splits;
            or the networks of the initial masks are missing, or were trained on other splits.
    """
    from synth.sources.open import open_all_occluders, open_all_people

    people = open_all_people(recipe.people, data_root)
    occluders = open_all_occluders(recipe.occluders, data_root)
    plan = make_plan(recipe, people, occluders)
    plan.starter = open_initial(recipe.initial, data_root, plan)
    return plan


def make_plan(
    recipe: Recipe,
    people: Sequence[PersonSource],
    occluders: Sequence[OccluderSource],
    starter: Starter | None = None,
) -> Plan:
    """The plan of a recipe with sources that are open already, in the recipe's order.

    Raises:
        InputError: a source holds too few people or occluders for the splits.
    """
    pools = make_pools(recipe, people, occluders)
    return Plan(recipe, people, occluders, *pools, starter or FromModal(recipe.initial))


def person_of(plan: Plan, split: str, number: int) -> tuple[Key, int]:
    """The person of a split's sample ``number``, and the first sample that shares the crop."""
    pool, seed = plan.people[split], plan.recipe.seed
    if split == "train":
        return train_person(pool, seed, number), number
    group = number // plan.recipe.splits.per_person
    if split not in plan._orders:
        plan._orders[split] = held_out_order(pool, seed, split)
    order = plan._orders[split]
    return order[group % len(order)], group * plan.recipe.splits.per_person


def make_sample(plan: Plan, index: int) -> Sample:
    """Sample ``index`` of a data set: always the same, whoever asks and in whatever order.

    A person or occluder that cannot be read is replaced by the next one and noted in
    ``plan.skipped``.

    Raises:
        IndexError: beyond the recipe's counts.
        InputError: nothing in the sources can be read, or nothing hides anyone.
    """
    split, number = plan.place_of(index)
    occlusion = plan.recipe.occlusion
    _, occluder_rng, compose_rng, initial_rng, cut_rng = _streams(plan, split, number, index)
    person_id, person = _person(plan, split, number, index)
    position = even_position(plan.recipe.seed, SPLITS.index(split), number)
    aim = draw_aim(occlusion, compose_rng, position)
    stage = set_stage(person, occlusion, draw_cut(person, occlusion, aim, cut_rng))
    draw = partial(_draw_occluders, plan, split, number, occluder_rng)
    made, occluders = occlude(stage, occlusion, aim, draw, compose_rng)
    if made.got == 0:
        raise InputError(
            f"{plan.recipe.name}: sample {index}: nothing drawn hides a pixel of a person of whom "
            f"{aim.low:.2%} to {aim.high:.2%} are to be hidden; raise occlusion.hidden or size, "
            "or look at the occluders"
        )
    return Sample(
        sample_id=f"{index:06d}",
        split=split,
        image=made.image,
        clean=made.clean,
        amodal=made.amodal,
        modal=made.modal,
        occluder=made.occluder,
        parsing=person.parsing,
        initial=plan.starter(made.image, made.modal, person_id, initial_rng),
        person_id=person_id,
        occluder_ids=occluders.ids if stage.cut is None else (FRAME, *occluders.ids),
        meta=_plain(describe(stage, made, occluders)),
    )


def _streams(plan: Plan, split: str, number: int, index: int) -> list[np.random.Generator]:
    """Independent generators of one sample: crop, choice of occluders, composition, initial, cut.

    They go by the index, or by the split and the number in it where the recipe freezes these.
    """
    key: tuple[int, ...] = (index,)
    if plan.recipe.occlusion.frozen and split != "train":
        key = (_FROZEN, SPLITS.index(split), number)
    return np.random.default_rng(np.random.SeedSequence(plan.recipe.seed, spawn_key=key)).spawn(5)


def _full_id(sources: Sequence[PersonSource] | Sequence[OccluderSource], key: Key) -> str:
    return f"{sources[key[0]].name}:{key[1]}"


def _person(plan: Plan, split: str, number: int, index: int) -> tuple[str, PersonCrop]:
    """The person of a sample; one that cannot be read gives way to the next of the split."""
    first = person_of(plan, split, number)[1]
    stride = 1 if split == "train" else plan.recipe.splits.per_person
    for step in range(_REPLACEMENTS):
        key, _ = person_of(plan, split, number + step * stride)
        crop_rng = _streams(plan, split, first, index - number + first)[0]
        person = _load(plan, "person", plan.person_sources[key[0]], key[1], crop_rng)
        if person is not None:
            return _full_id(plan.person_sources, key), person
    raise InputError(
        f"{plan.recipe.name}: {_REPLACEMENTS} people in a row cannot be read; {_last(plan)}"
    )


class _Source(Protocol[T_co]):
    @property
    def name(self) -> str: ...

    def load(self, identifier: str, size: int, rng: np.random.Generator, /) -> T_co: ...


def _load(
    plan: Plan, what: str, source: _Source[T], identifier: str, rng: np.random.Generator
) -> T | None:
    """What the source gives, or None, noted, where the input is bad.

    Raises:
        ChangedError: a picture is gone that was there when the source was opened.
    """
    full_id = f"{what} {source.name}:{identifier}"
    if full_id in plan.skipped:
        return None
    try:
        return source.load(identifier, plan.recipe.size, rng)
    except MissingError as error:
        raise ChangedError(f"{error.message}; it was there when the run began") from None
    except InputError as error:
        plan.skipped[full_id] = error.message
        return None


def _last(plan: Plan) -> str:
    return next(reversed(plan.skipped.values()), "no reason is known")


def _draw_occluders(plan: Plan, split: str, number: int, rng: np.random.Generator) -> Occluders:
    """Occluders of one composite: sources by weight, each of a source's ids as likely."""
    pool, occlusion, sources = plan.occluders[split], plan.recipe.occlusion, plan.occluder_sources
    positions = [range(len(ids)) for ids in pool.ids]
    frozen = occlusion.frozen and split != "train"
    if frozen:
        positions = turn_of(pool, number, plan.recipe.splits.per_person)
    odds = np.array([w if some else 0.0 for w, some in zip(pool.weights, positions, strict=True)])
    count = int(rng.integers(occlusion.occluders[0], occlusion.occluders[1] + 1))
    ids: list[str] = []
    cutouts: list[Cutout] = []
    for _ in range(count + _REPLACEMENTS):
        source = int(rng.choice(len(odds), p=odds / odds.sum()))
        chosen = positions[source][int(rng.integers(len(positions[source])))]
        key = source, pool.ids[source][chosen]
        if frozen and _full_id(sources, key) in ids:
            continue
        cutout = _load(plan, "occluder", sources[source], key[1], rng.spawn(1)[0])
        # Nobody stands before a head, or before feet alone.
        if cutout is not None and not (occlusion.only_parts and cutout.category == "person"):
            ids.append(_full_id(sources, key))
            cutouts.append(cutout)
        if len(ids) == count:
            return Occluders(tuple(ids), tuple(cutouts))
    reason = "are people, who stand before no part alone" if occlusion.only_parts else _last(plan)
    raise InputError(f"{plan.recipe.name}: {_REPLACEMENTS} occluders cannot be used; {reason}")


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """The value as it reads back from JSON: lists for tuples, numbers for numpy's."""
    plain: dict[str, Any] = json.loads(json.dumps(value, default=lambda x: x.tolist()))
    return plain
