"""Which people and occluders belong to which split, and in what order people come."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from synth.errors import InputError
from synth.recipe import SPLITS, Recipe
from synth.sources.base import OccluderSource, PersonSource

_BLOCK = 1000
_ORDER = 7  # keeps the streams that order people apart from those of samples

Key = tuple[int, str]  # number of the source in the recipe, id within it


@dataclass(frozen=True)
class Pool:
    """The ids of one split, one tuple a source, and the sources' weights."""

    ids: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]

    def __len__(self) -> int:
        return sum(map(len, self.ids))


def make_pools(
    recipe: Recipe,
    sources: Sequence[PersonSource] | Sequence[OccluderSource],
    weights: tuple[float, ...],
    what: str,
) -> dict[str, Pool]:
    """The pool of each split by its name; ``what`` is "people" or "occluders".

    Raises:
        InputError: a split that is to have samples would have nothing to draw from, or too few
            occluders where they may not come twice over one person.
    """
    divided = [divide(recipe, source.name, source.ids(), source.group) for source in sources]
    pools = {}
    for split in SPLITS:
        pools[split] = Pool(tuple(parts[split] for parts in divided), weights)
        if getattr(recipe.counts, split) and not len(pools[split]):
            found = sum(len(ids) for parts in divided for ids in parts.values())
            raise InputError(
                f"{recipe.name}: of {found} {what}{_left_out(sources)} none is left for {split}; "
                f"give more {what}, "
                f"raise splits.{split} or set counts.{split} = 0"
            )
        if what == "occluders" and split != "train" and getattr(recipe.counts, split):
            _check_turns(recipe, split, len(pools[split]))
    return pools


def _check_turns(recipe: Recipe, split: str, count: int) -> None:
    turns = recipe.splits.per_person
    if recipe.occlusion.frozen and count < turns:
        raise InputError(
            f"{recipe.name}: {count} occluders for {split} cannot differ in the {turns} "
            "composites of a person; give more occluders or lower splits.per_person"
        )


def _left_out(sources: Sequence[PersonSource] | Sequence[OccluderSource]) -> str:
    rejected = [one for source in sources for one in source.rejected]
    if not rejected:
        return ""
    return f" ({len(rejected)} left out, first {rejected[0].file}: {rejected[0].reason})"


def divide(
    recipe: Recipe,
    source: str,
    ids: Sequence[str],
    group: Callable[[str], str] = str,
) -> dict[str, tuple[str, ...]]:
    """The ids of one source by split, in an order that only the id, source and seed decide.

    Ids of one ``group`` (the people of one photo) stay together, in the place of their smallest.
    Test comes first, then val, then train: the groups that still fit the number of ids a split is
    to have, half over or less. A split that is to have samples gets at least one group while the
    source has enough for all of them. Adding ids later moves few of the old ones.
    """
    seed, left = recipe.splits.seed, _groups(ids, group)
    left.sort(key=lambda members: _order_key(seed, source, members[0]))
    enough = len(left) >= len(SPLITS)
    parts = {}
    for name in ("test", "val"):
        share = getattr(recipe.splits, name)
        wanted = bool(getattr(recipe.counts, name)) and share > 0
        parts[name] = _take(left, round(share * len(ids)), wanted and enough)
    return parts | {"train": tuple(one for members in left for one in members)}


def _groups(ids: Sequence[str], group: Callable[[str], str]) -> list[list[str]]:
    members: dict[str, list[str]] = {}
    for one in sorted(ids):
        members.setdefault(group(one), []).append(one)
    return list(members.values())


def _take(left: list[list[str]], size: int, at_least_one: bool) -> tuple[str, ...]:
    """Take whole groups of about ``size`` ids off ``left``; the smallest where none fits."""
    taken: list[str] = []
    kept = []
    for members in left:
        if len(taken) + len(members) / 2 <= size:
            taken += members
        else:
            kept.append(members)
    if not taken and at_least_one:
        taken = min(kept, key=len)
        kept.remove(taken)
    left[:] = kept
    return tuple(taken)


def _order_key(seed: int, source: str, identifier: str) -> tuple[str, str]:
    return hashlib.sha256(f"{seed}:{source}:{identifier}".encode()).hexdigest(), identifier


@lru_cache(maxsize=16)
def _block(weights: tuple[float, ...]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """A fixed run of turns that gives each source its share, evenly mixed.

    Returns:
        Quota of each source in the run; the source of each turn; how many turns that source had
        before it in the run.
    """
    total = sum(weights)
    length = 1 if len(weights) == 1 else _BLOCK
    quotas = [max(int(weight > 0), round(length * weight / total)) for weight in weights]
    turns = sorted(
        ((rank + 0.5) / quota, source, rank)
        for source, quota in enumerate(quotas)
        for rank in range(quota)
    )
    return tuple(quotas), tuple(t[1] for t in turns), tuple(t[2] for t in turns)


@lru_cache(maxsize=256)
def _permutation(seed: int, split: str, source: int, cycle: int, length: int) -> np.ndarray:
    key = (_ORDER, SPLITS.index(split), source, cycle)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)).permutation(length)


def train_person(pool: Pool, seed: int, number: int) -> Key:
    """Person of the train sample ``number``: all of a source in turn, newly shuffled each cycle."""
    weights = tuple(w if ids else 0.0 for w, ids in zip(pool.weights, pool.ids, strict=True))
    quotas, sources, ranks = _block(weights)
    block, turn = divmod(number, len(sources))
    source = sources[turn]
    ids = pool.ids[source]
    cycle, position = divmod(block * quotas[source] + ranks[turn], len(ids))
    return source, ids[int(_permutation(seed, "train", source, cycle, len(ids))[position])]


def held_out_order(pool: Pool, seed: int, split: str) -> list[Key]:
    """Every person of a val or test pool once: sources mixed by weight until each runs dry."""
    turns = []
    for source, (ids, weight) in enumerate(zip(pool.ids, pool.weights, strict=True)):
        order = _permutation(seed, split, source, 0, len(ids))
        turns += [((rank + 0.5) / weight, source, ids[int(i)]) for rank, i in enumerate(order)]
    return [(source, identifier) for _, source, identifier in sorted(turns)]


def turn_of(pool: Pool, number: int, turns: int) -> list[range]:
    """Positions of the ids, source by source, that composite ``number`` may draw from.

    The ids are dealt out to the ``turns`` composites of a person, so that these share none; with
    each person the hands move on by one. With ``turns`` ids or more nobody's hand is empty.
    """
    person, turn = divmod(number, turns)
    hand, start, positions = (turn + person) % turns, 0, []
    for ids in pool.ids:
        positions.append(range((hand - start) % turns, len(ids), turns))
        start += len(ids)
    return positions
