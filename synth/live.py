"""Samples made when they are asked for: a data set that needs no disk and never runs out."""

import hashlib
import operator
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import overload

from synth.codec import canonical
from synth.errors import InputError
from synth.plan import Plan, make_sample
from synth.recipe import SPLITS, Counts
from synth.sample import Sample

_FOREVER = 1 << 40


class Live(Sequence[Sample]):
    """The samples of a plan's split, each made when it is asked for.

    Sample i is the sample i that building the recipe would store. Beyond what the recipe counts,
    train goes on with new composites of train people under train occluders: the next turns
    of the same order, with ids and random streams that no stored sample has. Val and test end.

    An endless one (train without ``length``) has a nominal ``len``, the samples of one epoch, and
    samples at every index beyond it too; iterating it stops after one epoch.

    Args:
        plan: an open recipe; a plan is as large as its sources' annotation files.
        split: "train", "val" or "test".
        length: how many samples; None takes the recipe's count, and is endless for train. A train
            split that the recipe counts as 0 has as many samples an epoch as it has people.
        workers: processes that make samples ahead while a network trains; 0 makes each sample
            where it is needed.

    Raises:
        InputError: no such split, nobody to draw from, or a length that val or test cannot have.
    """

    def __init__(
        self, plan: Plan, split: str = "train", length: int | None = None, workers: int = 1
    ) -> None:
        name = plan.recipe.name
        if split not in SPLITS:
            raise InputError(f"{name}: no split {split!r}; there are {', '.join(SPLITS)}")
        if not (len(plan.people[split]) and len(plan.occluders[split])):
            raise InputError(f"{name}: has no people or occluders for {split}; raise its shares")
        count = plan.counts[split]
        if length is not None and (length < 1 or (split != "train" and length > count)):
            raise InputError(f"{name}: cannot have {length} samples of {split}; it has {count}")
        if not count and split != "train":
            raise InputError(f"{name}: has no {split} samples; set counts.{split}")
        self.split, self.workers = split, workers
        self.endless = split == "train" and length is None
        self.size = plan.recipe.size
        self._length = length or count or len(plan.people[split])
        self._plan = _train_only(plan) if split == "train" else plan
        self._count = count
        self._first = sum(plan.counts[other] for other in SPLITS[: SPLITS.index(split)])
        self._held_out = sum(plan.counts.values()) - count

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over what its samples depend on: recipe, people, occluders, files."""
        plan = self._plan
        value = {
            "recipe": plan.recipe.model_dump(mode="json", exclude={"counts"}),
            "stored": [self._first, self._count, self._held_out],
            "people": plan.people[self.split].ids,
            "occluders": plan.occluders[self.split].ids,
            "people_files": [source.digest for source in plan.person_sources],
            "occluder_files": [source.digest for source in plan.occluder_sources],
            "starter": plan.starter.digest,
        }
        return hashlib.sha256(b"live" + canonical(value)).hexdigest()

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Sample number ``index``, made now; negative numbers count from the nominal end.

        Raises:
            IndexError: beyond the end of one that ends.
            InputError: the sources cannot give a sample.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = operator.index(index)
        if not self.endless or place < 0:
            place = range(len(self))[place]
        # Indices of val and test are skipped, so that no sample shares their random streams.
        beyond = self._held_out if self.split == "train" and place >= self._count else 0
        return make_sample(self._plan, self._first + place + beyond)


def _train_only(plan: Plan) -> Plan:
    """The plan with train samples at every index; its pools stay as they were divided."""
    # Beyond what a data set may hold, so not validated: nothing of it is ever listed or stored.
    counts = Counts.model_construct(train=_FOREVER, val=0, test=0)
    return replace(plan, recipe=plan.recipe.model_copy(update={"counts": counts}))
