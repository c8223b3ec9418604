"""Whose folder is it? ``recipe.json`` says of which recipe, seed and input the shards are made."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synth.atomic import json_bytes, write_bytes, write_first
from synth.errors import InputError
from synth.output import refuse_inside
from synth.plan import Plan
from synth.recipe import Recipe
from synth.shards import (
    SCHEMA,
    first_difference,
    jobs,
    marker_path,
    read_marker,
    recipe_hash,
    stored_recipe_hash,
)

_OURS = (".build-", ".tmp-")
_NAMES = ("recipe.json", "dataset.json", "annotations.json", "contact_sheet.png", "README.md")


def source_digests(plan: Plan) -> dict[str, str]:
    """SHA-256 (hex) of what each source reads, by a name that a user understands."""
    digests = {f"people {source.name}": source.digest for source in plan.person_sources}
    digests |= {f"occluders {source.name}": source.digest for source in plan.occluder_sources}
    return digests | {"initial masks": plan.starter.digest}


def identify(folder: Path, recipe: Recipe) -> str:
    """The hash that shards of the recipe bear in this folder: new, empty, or begun with it.

    A folder begun with an earlier version, whose recipes had fewer keys, keeps its hash. Where
    ``recipe.json`` is missing or damaged the finished shards say whose folder it is.

    Raises:
        InputError: the folder holds something else, or is new and lies in a data set.
    """
    try:
        known = sorted(p.name for p in folder.iterdir() if not p.name.startswith(_OURS))
    except FileNotFoundError:
        known = []
    except OSError as error:
        raise InputError(f"{folder}: no usable folder ({error.strerror}); choose another") from None
    if not known:
        refuse_inside(folder)
        return recipe_hash(recipe)
    identity = _identity(folder)
    if identity is None:
        _check_shards(folder, known, recipe)
        return recipe_hash(recipe)
    if not _is_same(identity["recipe"], recipe):
        raise _of_another(folder)
    own = _shard_files(recipe)
    extra = [name for name in known if name.startswith("shard-") and name not in own]
    if extra:
        raise InputError(f"{folder / extra[0]}: belongs to no shard of this recipe; remove it")
    return str(identity["recipe_hash"])


def _check_shards(folder: Path, known: list[str], recipe: Recipe) -> None:
    """Nothing, where the folder holds finished shards of the recipe and nothing foreign.

    Raises:
        InputError: it does not, or a shard is of another recipe.
    """
    own, digest = {*_NAMES, *_shard_files(recipe)}, recipe_hash(recipe)
    foreign = [name for name in known if name not in own]
    markers = (read_marker(folder, job) for job in jobs(recipe))
    found = {marker.recipe_hash for marker in markers if marker is not None}
    if found - {digest}:
        raise _of_another(folder)
    if not found and known == ["recipe.json"]:
        raise InputError(
            f"{folder}/recipe.json: is damaged, or of something else; remove it and run the same "
            "command again, or choose another folder"
        )
    if foreign or not found:
        first = (foreign or known)[0]
        raise InputError(f"{folder}: holds something else ({first}); choose a new or empty folder")


def _shard_files(recipe: Recipe) -> set[str]:
    """Names of the tar files and markers of a recipe."""
    return {name for job in jobs(recipe) for name in (job.name, marker_path(Path(), job).name)}


def _of_another(folder: Path) -> InputError:
    return InputError(
        f"{folder}: holds a data set of another recipe or seed; choose another folder"
    )


def _is_same(stored: dict[str, Any], recipe: Recipe) -> bool:
    try:
        return Recipe.model_validate(stored) == recipe
    except ValidationError:
        return False


def refuse_changed(folder: Path, sources: dict[str, str]) -> None:
    """Nothing, where the folder says nothing of its input, or its shards are made from the same.

    Raises:
        InputError: a source has changed since the folder was begun, or an earlier version began it
            that drew other people from the same recipe.
    """
    identity = _identity(folder)
    known = identity["sources"] if identity else {}
    if identity and not _is_in_order(identity["recipe"]):
        raise InputError(
            f"{folder}: was begun by an earlier version, in which entries of the recipe with "
            "train_only kept their place before others; choose another folder"
        )
    changed = first_difference(known, sources)
    if changed:
        raise InputError(
            f"{folder}: the source of {changed} has changed since this data set was begun (SHA-256 "
            f"{known[changed][:12]} then, {sources[changed][:12]} now); restore its files or "
            "choose another folder"
        )


def _is_in_order(recipe: dict[str, Any]) -> bool:
    """Whether a stored recipe has its entries in the order that `Recipe` gives them."""
    now = Recipe.model_validate(recipe)
    entries = [(recipe["people"], now.people), (recipe["occluders"], now.occluders)]
    return all(
        [bool(one.get("train_only")) for one in stored] == [one.train_only for one in mine]
        for stored, mine in entries
    )


def claim(folder: Path, recipe: Recipe, sources: dict[str, str]) -> None:
    """Say whose folder it is, if nobody has; two parts may begin at once, and one is the first.

    Raises:
        InputError: it is somebody else's, or its shards are made from other input.
    """
    value = {
        "schema": SCHEMA,
        "recipe_hash": recipe_hash(recipe),
        "sources": sources,
        "recipe": recipe.model_dump(mode="json"),
    }
    identify(folder, recipe)
    if not is_claimed(folder):
        # What is damaged is written over; what somebody else wrote a moment ago is not.
        damaged = (folder / "recipe.json").exists()
        write = write_bytes if damaged else write_first
        write(folder / "recipe.json", json_bytes(value, indent=1))
        identify(folder, recipe)  # somebody may have been faster
    refuse_changed(folder, sources)


def is_claimed(folder: Path) -> bool:
    """Whether the folder says of which recipe it is."""
    return _identity(folder) is not None


def read_identity(folder: Path) -> dict[str, Any]:
    """What ``recipe.json`` says: "recipe", "recipe_hash" and "sources".

    Raises:
        InputError: it is missing or damaged.
    """
    identity = _identity(folder)
    if identity is None:
        raise InputError(
            f"{folder}/recipe.json: is missing or damaged; run the same build command again"
        )
    return identity


def _identity(folder: Path) -> dict[str, Any] | None:
    """`read_identity`, or None where ``recipe.json`` is missing or damaged."""
    try:
        value = json.loads((folder / "recipe.json").read_bytes())
        recipe, sources = dict(value["recipe"]), dict(value.get("sources", {}))
        if value["recipe_hash"] != stored_recipe_hash(recipe):
            return None
        if not all(isinstance(digest, str) for digest in sources.values()):
            return None
        return {"recipe": recipe, "recipe_hash": value["recipe_hash"], "sources": sources}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
