"""Whose folder is it? ``recipe.json`` says of which recipe, seed and input the shards are made."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from synth.atomic import json_bytes, write_first
from synth.errors import InputError
from synth.plan import Plan
from synth.recipe import Recipe
from synth.shards import (
    SCHEMA,
    first_difference,
    jobs,
    marker_path,
    recipe_hash,
    stored_recipe_hash,
)

_OURS = (".build-", ".tmp-")


def source_digests(plan: Plan) -> dict[str, str]:
    """SHA-256 (hex) of what each source reads, by a name that a user understands."""
    digests = {f"people {source.name}": source.digest for source in plan.person_sources}
    digests |= {f"occluders {source.name}": source.digest for source in plan.occluder_sources}
    return digests | {"initial masks": plan.starter.digest}


def identify(folder: Path, recipe: Recipe) -> str:
    """The hash that shards of the recipe bear in this folder: new, empty, or begun with it.

    A folder begun with an earlier version, whose recipes had fewer keys, keeps its hash.

    Raises:
        InputError: the folder holds something else.
    """
    try:
        known = sorted(p.name for p in folder.iterdir() if not p.name.startswith(_OURS))
    except FileNotFoundError:
        return recipe_hash(recipe)
    except OSError as error:
        raise InputError(f"{folder}: no usable folder ({error.strerror}); choose another") from None
    if known and "recipe.json" not in known:
        raise InputError(
            f"{folder}: holds something else ({known[0]}); choose a new or empty folder"
        )
    if not known:
        return recipe_hash(recipe)
    identity = read_identity(folder)
    if not _is_same(identity["recipe"], recipe):
        raise InputError(
            f"{folder}: holds a data set of another recipe or seed; choose another folder"
        )
    own = {name for job in jobs(recipe) for name in (job.name, marker_path(folder, job).name)}
    extra = [name for name in known if name.startswith("shard-") and name not in own]
    if extra:
        raise InputError(f"{folder / extra[0]}: belongs to no shard of this recipe; remove it")
    return str(identity["recipe_hash"])


def _is_same(stored: dict[str, Any], recipe: Recipe) -> bool:
    try:
        return Recipe.model_validate(stored) == recipe
    except ValidationError:
        return False


def refuse_changed(folder: Path, sources: dict[str, str]) -> None:
    """Nothing, where the folder is new, or its shards are made from the same input.

    Raises:
        InputError: a source has changed since the folder was begun.
    """
    if not (folder / "recipe.json").is_file():
        return
    known = read_identity(folder)["sources"]
    changed = first_difference(known, sources)
    if changed:
        raise InputError(
            f"{folder}: the source of {changed} has changed since this data set was begun (SHA-256 "
            f"{known[changed][:12]} then, {sources[changed][:12]} now); restore its files or "
            "choose another folder"
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
    if not (folder / "recipe.json").is_file():
        write_first(folder / "recipe.json", json_bytes(value, indent=1))
        identify(folder, recipe)  # somebody may have been faster
    refuse_changed(folder, sources)


def read_identity(folder: Path) -> dict[str, Any]:
    """What ``recipe.json`` says: "recipe", "recipe_hash" and "sources".

    Raises:
        InputError: it is damaged.
    """
    path = folder / "recipe.json"
    try:
        value = json.loads(path.read_bytes())
        recipe, sources = dict(value["recipe"]), dict(value.get("sources", {}))
        if value["recipe_hash"] != stored_recipe_hash(recipe):
            raise ValueError
        return {"recipe": recipe, "recipe_hash": value["recipe_hash"], "sources": sources}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise InputError(f"{path}: is damaged; choose another folder") from None
