"""The last step of a build: annotations, card and ``dataset.json`` over the finished shards."""

import hashlib
import importlib.metadata
import platform
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from synth.annotations import annotation_chunks
from synth.atomic import atomic_file, write_bytes, write_json
from synth.card import card
from synth.codec import canonical, combined_hash
from synth.plan import Plan
from synth.recipe import SPLITS
from synth.shards import SCHEMA, Job, Marker, jobs, marker_path
from synth.store import Dataset

_LIBRARIES = ("numpy", "opencv-python-headless", "pycocotools", "scipy", "pillow")


def finish(folder: Path, plan: Plan, markers: list[Marker]) -> None:
    """Write what describes the whole data set; ``dataset.json`` comes last and completes it.

    Doing it twice, or from two parts at once, writes the same files.
    """
    from synth.preview import contact_sheet

    shards = list(zip(jobs(plan.recipe), markers, strict=True))
    with atomic_file(folder / "annotations.json") as file:
        for chunk in annotation_chunks(folder, shards, plan.recipe.title or plan.recipe.name):
            file.write(chunk)
    info = _describe(plan, shards)
    dataset = Dataset(folder, plan.recipe, info)
    write_bytes(folder / "contact_sheet.png", contact_sheet(dataset))
    write_bytes(folder / "README.md", card(info).encode())
    info["files"] = _file_hashes(folder, shards)
    info["checksum"] = checksum(info)
    write_json(folder / "dataset.json", info, indent=1)


def checksum(info: dict[str, Any]) -> str:
    """SHA-256 (hex) of ``dataset.json`` without its own checksum."""
    rest = {key: value for key, value in info.items() if key != "checksum"}
    return hashlib.sha256(canonical(rest)).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe(plan: Plan, shards: list[tuple[Job, Marker]]) -> dict[str, Any]:
    hashes = {
        split: [e.hash for _, marker in shards if marker.split == split for e in marker.samples]
        for split in SPLITS
    }
    skipped = _skipped(plan, (marker for _, marker in shards))
    return {
        "schema": SCHEMA,
        "name": plan.recipe.name,
        "recipe": plan.recipe.model_dump(mode="json"),
        "recipe_hash": shards[0][1].recipe_hash,
        "seed": plan.recipe.seed,
        "counts": plan.counts,
        "pools": {
            split: {"people": len(plan.people[split]), "occluders": len(plan.occluders[split])}
            for split in SPLITS
        },
        "fingerprint": combined_hash(h for split in SPLITS for h in hashes[split]),
        "split_fingerprints": {split: combined_hash(hashes[split]) for split in SPLITS},
        "shards": [_shard(job, marker) for job, marker in shards],
        "skipped": skipped,
        "skipped_by_reason": dict(Counter(map(_reason, skipped)).most_common()),
        "versions": _versions(),
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


def _skipped(plan: Plan, markers: Iterable[Marker]) -> list[dict[str, str]]:
    """What sources left out, and what could not be read when it was needed."""
    found = [{"file": r.file, "reason": r.reason} for r in plan.rejected()]
    late = {key: reason for marker in markers for key, reason in marker.skipped.items()}
    return found + [{"file": key, "reason": late[key]} for key in sorted(late)]


def _reason(skipped: dict[str, str]) -> str:
    """The reason without the path that it may begin with, so that equal ones count together."""
    head, colon, rest = skipped["reason"].partition(": ")
    return rest if colon and ("/" in head or "\\" in head) else skipped["reason"]


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for name in ("hdeocc", *_LIBRARIES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def _file_hashes(folder: Path, shards: list[tuple[Job, Marker]]) -> dict[str, str]:
    names = ["annotations.json", "contact_sheet.png", "README.md", "recipe.json"]
    names += [marker_path(folder, job).name for job, _ in shards]
    return {name: file_hash(folder / name) for name in names}
