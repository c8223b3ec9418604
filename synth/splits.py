"""Which people and occluders belong to which split, and in what order people come.

What is read from one photo is in one split: people and occluders, of all entries of a recipe. A
photo is known by what is in its file, so copies, links and other spellings of a path are one. The
same picture stored anew is another file: a crop of LIP and the COCO photo it comes from, whose
number both names bear, are not tied together.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from synth.errors import InputError
from synth.recipe import SPLITS, Recipe
from synth.source_specs import Entry
from synth.sources.base import OccluderSource, PersonSource, Source

_BLOCK = 1000
_ORDER = 7  # keeps the streams that order people apart from those of samples

Key = tuple[int, str]  # number of the source in the recipe, id within it
Homes = dict[str, str]  # the split of each photo
Parts = dict[str, tuple[str, ...]]  # ids by split
PhotoOf = Callable[[str], str]
AnySource = PersonSource | OccluderSource
_NOBODY: Parts = {name: () for name in SPLITS}


@dataclass(frozen=True)
class Pool:
    """The ids of one split, one tuple a source, and the sources' weights."""

    ids: tuple[tuple[str, ...], ...]
    weights: tuple[float, ...]

    def __len__(self) -> int:
        return sum(map(len, self.ids))


def make_pools(
    recipe: Recipe, people: Sequence[PersonSource], occluders: Sequence[OccluderSource]
) -> tuple[dict[str, Pool], dict[str, Pool]]:
    """The pools of people and those of occluders, each by the name of the split.

    Photos are divided by their people first, source after source, then by their occluders. Entries
    for train alone come after all others and get what lies in no photo of another split.

    Raises:
        InputError: a split that is to have samples would have nothing to draw from, or too few
            occluders where they may not come twice over one person.
    """
    photo_of, homes = photo_names([*people, *occluders]), Homes()

    def divided(sources: Sequence[AnySource], specs: Sequence[Entry]) -> list[Parts]:
        return [
            _NOBODY if spec.train_only else divide(recipe, s.name, s.ids(), photo_of(s), homes)
            for s, spec in zip(sources, specs, strict=True)
        ]

    def train_added(
        parts: Sequence[Parts], sources: Sequence[AnySource], specs: Sequence[Entry]
    ) -> list[Parts]:
        return [
            _for_train(recipe, s.name, s.ids(), photo_of(s), homes) if spec.train_only else part
            for part, s, spec in zip(parts, sources, specs, strict=True)
        ]

    parts = divided(people, recipe.people), divided(occluders, recipe.occluders)
    if any(_wanted(recipe, s) and not any(one[s] for one in p) for s in SPLITS for p in parts):
        _mend(recipe, [[photo_of(s) for s in some] for some in (people, occluders)], parts, homes)
        parts = divided(people, recipe.people), divided(occluders, recipe.occluders)
    persons = train_added(parts[0], people, recipe.people)
    things = train_added(parts[1], occluders, recipe.occluders)
    return (
        _pools(recipe, people, persons, "people"),
        _pools(recipe, occluders, things, "occluders"),
    )


def _for_train(
    recipe: Recipe, source: str, ids: Sequence[str], photo: PhotoOf, homes: Homes
) -> Parts:
    """The parts of an entry for train alone: everything, but for what other splits' photos hold."""
    groups = _ranked(recipe.splits.seed, source, ids, photo)
    mine = [some for name, some in groups if homes.setdefault(name, "train") == "train"]
    return _NOBODY | {"train": tuple(one for some in mine for one in some)}


def _pools(
    recipe: Recipe,
    sources: Sequence[PersonSource] | Sequence[OccluderSource],
    divided: Sequence[Parts],
    what: str,
) -> dict[str, Pool]:
    specs = recipe.people if what == "people" else recipe.occluders
    weights = tuple(spec.weight for spec in specs)
    pools = {}
    for split in SPLITS:
        pools[split] = Pool(tuple(parts[split] for parts in divided), weights)
        if getattr(recipe.counts, split) and not len(pools[split]):
            found = sum(len(ids) for parts in divided for ids in parts.values())
            share = "splits.val or splits.test" if split == "train" else f"splits.{split}"
            raise InputError(
                f"{recipe.name}: of {found} {what}{_left_out(sources)} none is left for {split}; "
                f"give more {what}, {'lower' if split == 'train' else 'raise'} {share} "
                f"or set counts.{split} = 0"
            )
        if what == "occluders" and split != "train" and getattr(recipe.counts, split):
            _check_turns(recipe, split, len(pools[split]))
    return pools


def _check_turns(recipe: Recipe, split: str, count: int) -> None:
    turns, each = recipe.splits.per_person, recipe.occlusion.occluders[1]
    if recipe.occlusion.frozen and count < turns * each:
        of = "" if each == 1 else f", with up to {each} in each"
        raise InputError(
            f"{recipe.name}: {count} occluders for {split} cannot differ in the {turns} "
            f"composites of a person{of}; give more occluders or lower splits.per_person"
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
    photo: PhotoOf = str,
    homes: Homes | None = None,
) -> Parts:
    """The ids of one source by split, in an order that only the id, source and seed decide.

    Ids of one ``photo`` stay together, in the place of their smallest, and photos that have a
    split in ``homes`` keep it; ``homes`` learns those of the others. Test comes first, then val,
    then train: the photos that still fit the number of ids a split is to have, half over or less.
    A split that is to have samples gets at least one photo while the source has enough for all of
    them. Adding ids later moves few of the old ones.
    """
    homes = {} if homes is None else homes
    groups = _ranked(recipe.splits.seed, source, ids, photo)
    taken = Counter[str]()
    for group in groups if homes else ():
        if group[0] in homes:
            taken[homes[group[0]]] += len(group[1])
    left = [group for group in groups if group[0] not in homes]
    for name in ("test", "val"):
        count, room = taken[name], round(getattr(recipe.splits, name) * len(ids))
        kept = []
        for group in left:
            if count + len(group[1]) / 2 <= room:
                homes[group[0]] = name
                count += len(group[1])
            else:
                kept.append(group)
        if not count and kept and _wanted(recipe, name) and len(groups) >= len(SPLITS):
            smallest = min(kept, key=lambda group: len(group[1]))
            homes[smallest[0]] = name
            kept.remove(smallest)
        left = kept
    parts: dict[str, list[str]] = {name: [] for name in SPLITS}
    for group in groups:
        parts[homes.setdefault(group[0], "train")] += group[1]
    return {name: tuple(some) for name, some in parts.items()}


def _ranked(
    seed: int, source: str, ids: Sequence[str], photo: PhotoOf
) -> list[tuple[str, list[str]]]:
    """The photos of a source and what it reads from each, in the order of their splits."""
    members: dict[str, list[str]] = {}
    for one in sorted(ids):
        members.setdefault(photo(one), []).append(one)
    groups = list(members.items())
    groups.sort(key=lambda group: _order_key(seed, source, group[1][0]))
    return groups


def _wanted(recipe: Recipe, split: str) -> bool:
    """Whether a split must have somebody: it is to have samples, and a share to draw them from."""
    return bool(getattr(recipe.counts, split)) and getattr(recipe.splits, split, 1) > 0


def _mend(
    recipe: Recipe,
    photo_of: Sequence[Sequence[PhotoOf]],
    parts: Sequence[Sequence[Parts]],
    homes: Homes,
) -> None:
    """Move photos to splits that have no people or no occluders, from those that can spare them.

    Where most occluders come from the photos of people, these decide; so all occluders may have
    gone to other splits. With as many photos of people, and of occluders, as there are splits to
    fill, each split gets some.
    """
    sizes: dict[str, list[int]] = {}  # people and occluders by photo
    have = {name: [0, 0] for name in SPLITS}
    for what, name in itertools.product((0, 1), SPLITS):
        for photo, divided in zip(photo_of[what], parts[what], strict=True):
            for one in divided[name]:
                sizes.setdefault(photo(one), [0, 0])[what] += 1
                have[name][what] += 1
    for what, name in itertools.product((0, 1), ("test", "val", "train")):
        if have[name][what] or not _wanted(recipe, name):
            continue
        spare = (
            photo
            for photo, size in sizes.items()
            if size[what] and _spares(recipe, homes[photo], have[homes[photo]], size)
        )
        best = min(spare, key=lambda photo: sum(sizes[photo]), default=None)
        if best is not None:
            for number, count in enumerate(sizes[best]):
                have[homes[best]][number] -= count
                have[name][number] += count
            homes[best] = name


def _spares(recipe: Recipe, split: str, have: Sequence[int], size: Sequence[int]) -> bool:
    """Whether a split has people and occluders left without so many of them."""
    left = (number > less or not less for number, less in zip(have, size, strict=True))
    return not _wanted(recipe, split) or all(left)


def photo_names(sources: Sequence[AnySource]) -> Callable[[AnySource], PhotoOf]:
    """For a source, the photo of each id: one name for all photos that a group joins."""
    joined: dict[str, str] = {}

    def find(photo: str) -> str:
        while (above := joined.get(photo, photo)) != photo:
            joined[photo], photo = joined.get(above, above), above
        return photo

    for source in sources:
        if getattr(source.group, "__func__", None) is Source.group:
            continue  # its groups are its photos
        for one in source.ids():
            photo, group = find(source.photo(one)), find(source.group(one))
            if photo != group:
                joined[photo] = group
    return lambda source: (lambda one: find(source.photo(one))) if joined else source.photo


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
