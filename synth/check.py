"""Is a data set what it says it is? Every file, every sample, every invariant."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tqdm import tqdm

from synth.annotations import annotation_chunks
from synth.atomic import json_bytes
from synth.check_shard import Findings, check_shard
from synth.errors import InputError
from synth.finish import checksum, file_hash, hashed_files
from synth.recipe import SPLITS, Recipe
from synth.shards import Job, fingerprints, jobs, stored_recipe_hash, whole_markers
from synth.store import agree, check_places, read_info

_DISAGREES = "counts, shards and recipe differ; build the data set again"
_DIFFERS = "annotations.json: differs from the labels in the shards"
Shards = Sequence[tuple[Job, dict[str, Any]]]


def check(folder: str | Path, progress: bool = False, workers: int = 1) -> list[str]:
    """Every problem of a data set, one line each; empty when it is sound.

    All files are hashed and all samples decoded: any changed byte, any missing, cut-off or extra
    file, broken invariant, or person, occluder or photo in two splits is found. Files whose name
    begins with a dot are not of the data set and are passed over. One sample at a time is in
    memory.

    Args:
        folder: the data set's.
        progress: whether to show a bar of samples on standard error.
        workers: processes among which the shards are divided.

    Raises:
        InputError: a worker process died.
    """
    path = Path(folder)
    try:
        info = read_info(path)
        recipe = Recipe.model_validate(info["recipe"])
        return _problems(path, info, recipe, progress, workers)
    except BrokenProcessPool:
        raise InputError(f"{path}: a worker process died; try fewer --workers") from None
    except InputError as error:
        return [error.message]
    except (ValidationError, KeyError, TypeError, AttributeError):
        return [f"{path}/dataset.json: is damaged; build the data set again"]


def _problems(
    path: Path, info: dict[str, Any], recipe: Recipe, progress: bool, workers: int
) -> list[str]:
    problems = _info_faults(path, info)
    if not agree(info, recipe):
        # Nobody knows which shards there ought to be, and the recipe may ask for any number.
        return [*problems, f"dataset.json: {_DISAGREES}"]
    problems += _file_faults(path, info, recipe) + _extra_files(path, recipe)
    shards = list(zip(jobs(recipe), info["shards"], strict=True))
    problems += _shard_problems(path, recipe.size, shards, progress, workers)
    return problems + _fingerprint_faults(path, info, recipe) + _annotation_faults(path, recipe)


def _info_faults(path: Path, info: dict[str, Any]) -> list[str]:
    """What ``dataset.json`` says against itself."""
    faults = []
    if info["checksum"] != checksum(info):
        faults.append("dataset.json: was changed since it was built")
    elif (path / "dataset.json").read_bytes() != json_bytes(info, indent=1):
        faults.append("dataset.json: was written anew since it was built")
    if info["recipe_hash"] != stored_recipe_hash(info["recipe"]):
        faults.append("dataset.json: the recipe was changed since the data set was built")
    return faults


def _file_faults(path: Path, info: dict[str, Any], recipe: Recipe) -> list[str]:
    faults = []
    if sorted(info["files"]) != sorted(hashed_files(recipe)):
        faults.append("dataset.json: lists other files than the recipe gives")
    for name, digest in info["files"].items():
        if not (path / name).is_file():
            faults.append(f"{name}: is missing")
        elif file_hash(path / name) != digest:
            faults.append(f"{name}: was changed since it was built")
    return faults


def _extra_files(path: Path, recipe: Recipe) -> list[str]:
    known = {"dataset.json", *hashed_files(recipe), *(job.name for job in jobs(recipe))}
    extra = sorted(p.name for p in path.iterdir() if p.name not in known)
    return [
        f"{name}: belongs to no {'shard' if name.startswith('shard-') else 'part'} of this data set"
        for name in extra
        if not name.startswith(".")
    ]


def _shard_problems(
    path: Path, size: int, shards: Shards, progress: bool, workers: int
) -> list[str]:
    problems: list[str] = []
    people: dict[str, tuple[str, str]] = {}
    occluders: dict[str, tuple[str, str]] = {}
    photos: dict[str, tuple[str, str]] = {}
    total = sum(job.count for job, _ in shards)
    with (
        tqdm(total=total, unit="sample", disable=not progress) as bar,
        _findings(path, size, shards, workers) as all_found,
    ):
        for (job, _), found in zip(shards, all_found, strict=True):
            problems += [f"{job.name}: {fault}" for fault in found.faults]
            problems += _leaks(job, "person", found.people, people)
            problems += _leaks(job, "occluder", found.occluders, occluders)
            problems += _leaks(job, "photo", found.photos, photos)
            bar.update(job.count)
    return problems


@contextmanager
def _findings(path: Path, size: int, shards: Shards, workers: int) -> Iterator[Iterator[Findings]]:
    """The findings of all shards in order, from this process or several."""
    look = partial(check_shard, path, size)
    arguments = [job for job, _ in shards], [listed for _, listed in shards]
    if workers == 1 or len(shards) < 2:
        yield map(look, *arguments)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(shards)), context) as pool:
        yield pool.map(look, *arguments)


def _leaks(
    job: Job, what: str, found: dict[str, str], known: dict[str, tuple[str, str]]
) -> list[str]:
    """Ids that were seen in another split already; ``known`` learns the new ones."""
    faults = []
    for identifier, sample in found.items():
        split, first = known.setdefault(identifier, (job.split, sample))
        if split != job.split:
            faults.append(
                f"{job.name}: sample {sample}: {what} {identifier} is in {split} (sample {first}) "
                f"and {job.split}"
            )
    return faults


def _fingerprint_faults(path: Path, info: dict[str, Any], recipe: Recipe) -> list[str]:
    """Whether the hashes of the samples, which the shards were compared with, add up."""
    try:
        found = fingerprints(path, recipe)
    except InputError:
        return []  # a shard without its index is reported already
    faults = [
        f"{split}: content differs from its fingerprint"
        for split in SPLITS
        if found[split] != info["split_fingerprints"][split]
    ]
    if found[""] != info["fingerprint"]:
        faults.append(f"the data set: content has the fingerprint {found['']}")
    return faults


def _annotation_faults(path: Path, recipe: Recipe) -> list[str]:
    """Whether ``annotations.json`` is what the shards' labels give."""
    try:
        for job, marker in whole_markers(path, jobs(recipe)):
            for entry in marker.samples:
                check_places(path / job.name, entry)  # before as much is read as an index says
        # With the origin of backgrounds, or as earlier versions wrote it.
        same = any(_is_annotations(path, recipe, backgrounds) for backgrounds in (True, False))
        return [] if same else [_DIFFERS]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
        return [f"annotations.json: cannot be compared with the shards ({error})"]


def _is_annotations(path: Path, recipe: Recipe, backgrounds: bool) -> bool:
    chunks = annotation_chunks(path, recipe, backgrounds)
    with open(path / "annotations.json", "rb") as file:
        return all(file.read(len(chunk)) == chunk for chunk in chunks) and not file.read(1)
