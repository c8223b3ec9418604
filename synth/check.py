"""Is a data set what it says it is? Every file, every sample, every invariant."""

import itertools
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from tqdm import tqdm

from synth.annotations import annotation_chunks
from synth.codec import combined_hash, decode, sample_hash
from synth.errors import InputError
from synth.finish import checksum, file_hash
from synth.recipe import SPLITS, Recipe
from synth.sample import Sample, violations
from synth.shards import Job, Marker, jobs, marker_path, read_marker, recipe_hash
from synth.store import read_info


@dataclass
class _Seen:
    """What the shards turned out to hold."""

    hashes: dict[str, list[str]] = field(default_factory=lambda: {s: [] for s in SPLITS})
    people: dict[str, str] = field(default_factory=dict)
    occluders: dict[str, str] = field(default_factory=dict)


def check(folder: str | Path, progress: bool = False) -> list[str]:
    """Every problem of a data set, one line each; empty when it is sound.

    All files are hashed and all samples decoded: any changed byte, missing, cut-off or extra
    shard, broken invariant, or id in two splits is found. ``progress`` shows a bar of shards.
    """
    path = Path(folder)
    try:
        info = read_info(path)
        recipe = Recipe.model_validate(info["recipe"])
        return _problems(path, info, recipe, progress)
    except InputError as error:
        return [error.message]
    except (ValidationError, KeyError, TypeError, AttributeError):
        return [f"{path}/dataset.json: is damaged; build the data set again"]


def _problems(path: Path, info: dict[str, Any], recipe: Recipe, progress: bool) -> list[str]:
    planned = jobs(recipe)
    problems = _file_faults(path, info, recipe) + _extra_shards(path, planned)
    seen = _Seen()
    shards = list(zip(planned, info["shards"], strict=False))
    if len(planned) != len(info["shards"]):
        problems.append(f"dataset.json: lists {len(info['shards'])} shards, not {len(planned)}")
    for job, listed in tqdm(shards, unit="shard", disable=not progress):
        problems += [f"{job.name}: {fault}" for fault in _shard_faults(path, job, listed, seen)]
    return problems + _fingerprint_faults(info, seen) + _annotation_faults(path, planned, recipe)


def _file_faults(path: Path, info: dict[str, Any], recipe: Recipe) -> list[str]:
    faults = []
    if info["checksum"] != checksum(info):
        faults.append("dataset.json: was changed since it was built")
    if info["recipe_hash"] != recipe_hash(recipe):
        faults.append("dataset.json: the recipe was changed since the data set was built")
    for name, digest in info["files"].items():
        if not (path / name).is_file():
            faults.append(f"{name}: is missing")
        elif file_hash(path / name) != digest:
            faults.append(f"{name}: was changed since it was built")
    return faults


def _extra_shards(path: Path, planned: list[Job]) -> list[str]:
    known = {name for job in planned for name in (job.name, marker_path(path, job).name)}
    extra = sorted(p.name for p in path.glob("shard-*") if p.name not in known)
    return [f"{name}: belongs to no shard of this data set" for name in extra]


def _shard_faults(path: Path, job: Job, listed: dict[str, Any], seen: _Seen) -> list[str]:
    file, marker = path / job.name, read_marker(path, job)
    if not file.is_file():
        return ["is missing"]
    size = file.stat().st_size
    if size != listed["bytes"]:
        return [f"is cut off or grown: {size} bytes, not {listed['bytes']}"]
    faults = [] if file_hash(file) == listed["sha256"] else ["bytes were changed"]
    if marker is None:
        return [*faults, "its index is missing or damaged"]
    if (marker.sha256, marker.fingerprint) != (listed["sha256"], listed["fingerprint"]):
        faults.append("its index differs from dataset.json")
    hashes, found = _sample_faults(file, job, marker, seen)
    if combined_hash(hashes) != listed["fingerprint"]:
        found.append("content differs from its fingerprint")
    return faults + found


def _sample_faults(
    file: Path, job: Job, marker: Marker, seen: _Seen
) -> tuple[list[str], list[str]]:
    """Hashes of the samples that the tar file holds, and their faults."""
    hashes: list[str] = []
    faults: list[str] = []
    wanted = iter(marker.samples)
    count = 0
    try:
        for name, places, members in _tar_samples(file):
            entry = next(wanted, None)
            count += 1
            if entry is None or entry.id != name or entry.members != places:
                faults.append(f"sample {name} does not lie where the index says")
            hashes.append(_one_sample(name, members, job, count - 1, seen, faults))
            if entry is not None and hashes[-1] and hashes[-1] != entry.hash:
                faults.append(f"sample {name} was changed")
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        faults.append(f"is no readable tar file ({error})")
    if count != job.count:
        faults.append(f"holds {count} samples, not {job.count}")
    return hashes, faults


def _one_sample(
    name: str, members: dict[str, bytes], job: Job, place: int, seen: _Seen, faults: list[str]
) -> str:
    """The hash of a sample, "" where it cannot be decoded; its faults are appended."""
    try:
        sample = decode(members)
    except (ValueError, InputError) as error:
        faults.append(f"sample {name} {error}")
        return ""
    faults += [f"sample {name}: {fault}" for fault in violations(sample)]
    if sample.sample_id != f"{job.first + place:06d}" or sample.sample_id != name:
        faults.append(f"sample {name} has the id {sample.sample_id}")
    if sample.split != job.split:
        faults.append(f"sample {name} is of {sample.split} in a shard of {job.split}")
    faults += _leaks(sample, seen)
    digest = sample_hash(sample)
    seen.hashes[job.split].append(digest)
    return digest


def _leaks(sample: Sample, seen: _Seen) -> list[str]:
    faults = []
    pairs = [("person", sample.person_id, seen.people)]
    pairs += [("occluder", one, seen.occluders) for one in sample.occluder_ids]
    for what, identifier, known in pairs:
        before = known.setdefault(identifier, sample.split)
        if before != sample.split:
            faults.append(
                f"sample {sample.sample_id}: {what} {identifier} is in {before} and {sample.split}"
            )
    return faults


def _tar_samples(
    file: Path,
) -> Iterator[tuple[str, dict[str, tuple[int, int]], dict[str, bytes]]]:
    """Name, place of each member, and content of each sample of a tar file, in order."""
    with tarfile.open(file, "r:") as tar:
        for name, group in itertools.groupby(tar, key=lambda m: m.name.partition(".")[0]):
            places, members = {}, {}
            for member in group:
                ending = member.name.partition(".")[2]
                stream = tar.extractfile(member)
                if stream is None:
                    raise ValueError(f"{member.name} is no file")
                places[ending] = (member.offset_data, member.size)
                members[ending] = stream.read()
            yield name, places, members


def _fingerprint_faults(info: dict[str, Any], seen: _Seen) -> list[str]:
    faults = []
    for split in SPLITS:
        if combined_hash(seen.hashes[split]) != info["split_fingerprints"][split]:
            faults.append(f"{split}: content differs from its fingerprint")
    everything = combined_hash(h for split in SPLITS for h in seen.hashes[split])
    if everything != info["fingerprint"]:
        faults.append(f"the data set: content has the fingerprint {everything}")
    return faults


def _annotation_faults(path: Path, planned: list[Job], recipe: Recipe) -> list[str]:
    """Whether ``annotations.json`` is what the shards' labels give."""
    shards = [(job, marker) for job in planned if (marker := read_marker(path, job))]
    try:
        with open(path / "annotations.json", "rb") as file:
            for chunk in annotation_chunks(path, shards, recipe.title or recipe.name):
                if file.read(len(chunk)) != chunk:
                    return ["annotations.json: differs from the labels in the shards"]
            if file.read(1):
                return ["annotations.json: differs from the labels in the shards"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"annotations.json: cannot be compared with the shards ({error})"]
    return []
