"""What a benchmark needs that is not on this machine, where it is published, and what to do."""

import shlex
from collections.abc import Iterable
from pathlib import Path

from leaderboards.benchmark import Benchmark
from synth.errors import InputError
from synth.recipe import Recipe, load_recipe
from synth.source_specs import PATH_KEYS
from synth.sources.open import data_root

# Where the photos of a kind of source come from, in words: addresses move, names are found.
PUBLISHED = {
    "ahp": "AHP (Amodal Human Perception) is published by the paper's authors on the data set's "
    "home page; their GitHub repository sydney0zq/ahp leads to it",
    "ccp": "Clothing Co-Parsing is published by its authors in the GitHub repository "
    "bearpaw/clothing-co-parsing",
    "coco": "COCO 2017 is published on the home page of COCO",
    "lip": "LIP is published on the home page of Look Into Person",
}
NAMED = 3


def recipes_of(benchmark: Benchmark) -> list[Recipe]:
    """The recipes a benchmark builds its data from."""
    names = [benchmark.recipe, benchmark.test_recipe]
    return [load_recipe(name) for name in names if name is not None]


def missing(recipes: Iterable[Recipe], root: Path | None) -> dict[str, list[str]]:
    """Files and folders that the recipes name and that are not there, by kind of source."""
    found: dict[str, list[str]] = {}
    for recipe in recipes:
        for entry in (*recipe.people, *recipe.occluders):
            for key in PATH_KEYS:
                path = getattr(entry, key, None)
                if path is not None and not _is_there(root, path):
                    found.setdefault(entry.source, []).append(path)
    return {kind: list(dict.fromkeys(paths)) for kind, paths in found.items()}


def _is_there(root: Path | None, path: str) -> bool:
    if root is None and not Path(path).is_absolute():
        return False
    return ((root or Path()) / path).exists()


def require(benchmark: Benchmark, data: Path | None) -> None:
    """Refuse a benchmark whose photos are not there, before anything is written.

    Raises:
        InputError: what is missing, where it is published, and on which photos at hand the same
            table can be made; a ``data`` that is no folder.
    """
    root = _root(data)
    lacking = missing(recipes_of(benchmark), root)
    if not lacking:
        return
    paths = [path for some in lacking.values() for path in some]
    shown = ", ".join(paths[:NAMED]) + (f" and {len(paths) - NAMED} more" * (len(paths) > NAMED))
    where = f"under {root}" if root else "because no folder of photos is given (--data DIR)"
    where += _too_deep(root, paths)
    published = "; ".join(PUBLISHED[kind] for kind in lacking if kind in PUBLISHED)
    raise InputError(
        f"benchmark {benchmark.name}: did not find {shown} {where}; "
        + (f"{published}; " if published else "")
        + _instead(benchmark, root, data)
    )


def _too_deep(root: Path | None, paths: Iterable[str]) -> str:
    """A hint for who gave the folder of a release where the one that holds it is wanted."""
    for path in paths:
        first, *rest = Path(path).parts
        if root is not None and rest and root.joinpath(*rest).exists():
            return f" (that is {first} itself: give the folder that holds it, under this name)"
    return ""


def _root(data: Path | None) -> Path | None:
    try:
        return data_root(data)
    except InputError:
        if data is not None:
            raise
        return None


def _instead(benchmark: Benchmark, root: Path | None, data: Path | None) -> str:
    """What can be run with what is here."""
    at_hand = [name for name in benchmark.alternatives if not missing([load_recipe(name)], root)]
    if not at_hand:
        return "give the folder that holds them with --data DIR"
    given = (
        f" --data {shlex.quote(str(data))}"
        if data is not None and at_hand[0] != "people-quick"
        else ""
    )
    return (
        "the same table on photos at hand: "
        f"hdeocc bench run {benchmark.name} --on {at_hand[0]} --out DIR{given}"
    )
