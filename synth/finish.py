"""The last step of a build: annotations, card and ``dataset.json`` over the finished shards."""

import hashlib
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from synth.annotations import annotation_chunks
from synth.atomic import atomic_file, write_bytes, write_json
from synth.card import card
from synth.claim import read_identity
from synth.codec import canonical
from synth.errors import without_file
from synth.images import DETAILS
from synth.plan import Plan
from synth.recipe import SPLITS, Recipe
from synth.shards import SCHEMA, Job, Marker, fingerprints, jobs, whole_markers
from synth.store import Dataset
from synth.versions import joined, library_versions


def finish(folder: Path, plan: Plan) -> None:
    """Write what describes the whole data set; ``dataset.json`` comes last and completes it.

    Doing it twice, or from two parts at once, writes the same files. Of the shards one marker at
    a time is in memory.

    Args:
        folder: where all shards are finished; its ``recipe.json`` says of what.
        plan: what they were made from.

    Raises:
        InputError: a shard was damaged meanwhile, or the file system refused.
    """
    from synth.preview import contact_sheet

    with atomic_file(folder / "annotations.json") as file:
        for chunk in annotation_chunks(folder, plan.recipe):
            file.write(chunk)
    info = _describe(folder, plan)
    dataset = Dataset(folder, plan.recipe, info)
    write_bytes(folder / "contact_sheet.png", contact_sheet(dataset))
    write_bytes(folder / "README.md", card(info).encode())
    info["files"] = {name: file_hash(folder / name) for name in hashed_files(plan.recipe)}
    info["checksum"] = checksum(info)
    write_json(folder / "dataset.json", info, indent=1)
    for logs in folder.glob(".build-slurm-*"):
        shutil.rmtree(logs, ignore_errors=True)


def hashed_files(recipe: Recipe) -> list[str]:
    """Names of the files whose hashes ``dataset.json`` holds: all but itself and the tar files."""
    markers = [Path(job.name).with_suffix(".json").name for job in jobs(recipe)]
    return ["annotations.json", "contact_sheet.png", "README.md", "recipe.json", *markers]


def checksum(info: dict[str, Any]) -> str:
    """SHA-256 (hex) of ``dataset.json`` without its own checksum."""
    rest = {key: value for key, value in info.items() if key != "checksum"}
    return hashlib.sha256(canonical(rest)).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(folder: Path, plan: Plan) -> dict[str, Any]:
    rows, late, missed = [], {}, 0
    made_by: list[dict[str, str]] = []
    for job, marker in whole_markers(folder, jobs(plan.recipe)):
        rows.append(_shard(job, marker))
        late.update(marker.skipped)
        missed += marker.missed
        if marker.versions not in made_by:
            made_by.append(marker.versions)
    skipped = [{"file": r.file, "reason": without_file(r.reason)} for r in plan.rejected()]
    skipped += [{"file": key, "reason": late[key]} for key in sorted(late)]
    prints = fingerprints(folder, plan.recipe)
    return {
        "schema": SCHEMA,
        "name": plan.recipe.name,
        **read_identity(folder),
        "seed": plan.recipe.seed,
        "counts": plan.counts,
        "missed": missed,
        "pools": {
            split: {"people": len(plan.people[split]), "occluders": len(plan.occluders[split])}
            for split in SPLITS
        },
        "fingerprint": prints.pop(""),
        "split_fingerprints": prints,
        "shards": rows,
        "skipped": skipped,
        "skipped_by_reason": dict(Counter(map(_reason, skipped)).most_common()),
        "versions": joined(made_by) or library_versions(),
    }


def _shard(job: Job, marker: Marker) -> dict[str, Any]:
    return {
        "file": job.name,
        "split": job.split,
        "samples": job.count,
        "bytes": marker.bytes,
        "sha256": marker.sha256,
        "fingerprint": marker.fingerprint,
    }


def _reason(skipped: dict[str, str]) -> str:
    """The reason without what is the file's own, so that equal ones count together."""
    return skipped["reason"].partition(DETAILS)[0]
