"""One shard: a tar file of samples (WebDataset layout) and the marker that says it is finished.

The marker ``shard-00000.json`` is written after the tar file has its name, so a shard with a
marker is whole. It holds where each member lies, so that reading needs no scan, and ends in a seal:
the SHA-256 of all before it. A marker without a true seal counts as none.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter

from synth.atomic import atomic_file, json_bytes, write_bytes
from synth.codec import canonical, combined_hash, encode, sample_hash
from synth.errors import InputError, without_file
from synth.recipe import SPLITS, Recipe
from synth.sample import Sample
from synth.versions import library_versions

SCHEMA = 1
_BLOCK = 512
_SEAL = b', "seal": "'
_END = b'"}\n'


@dataclass(frozen=True)
class Job:
    """A shard to be written: samples ``first`` to ``first + count - 1``, all of one split."""

    number: int
    split: str
    first: int
    count: int

    @property
    def name(self) -> str:
        return f"shard-{self.number:05d}.tar"


@dataclass(frozen=True)
class Entry:
    """A sample in a shard: its id, the hash of its content, and (offset, bytes) by member."""

    id: str
    hash: str
    members: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Marker:
    """What is known of a finished shard.

    Attributes:
        recipe_hash: of the recipe that it belongs to.
        split, first: the samples' split, and the index of the first.
        bytes, sha256: of the tar file.
        fingerprint: over the content of the samples, in order.
        samples: one entry a sample, in order.
        skipped: inputs that could not be read on the way, and why.
        sources: SHA-256 of what each source read; empty for sources that read nothing.
        missed: samples whose asked hidden share could not be reached.
        versions: of Python and the packages that made it; empty in those of an earlier version.
    """

    recipe_hash: str
    split: str
    first: int
    bytes: int
    sha256: str
    fingerprint: str
    samples: tuple[Entry, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    missed: int = 0
    versions: dict[str, str] = field(default_factory=dict)


_FORM = TypeAdapter(Marker)


def recipe_hash(recipe: Recipe) -> str:
    """SHA-256 (hex) of a recipe with its seed and counts, and of the schema it is stored in."""
    return stored_recipe_hash(recipe.model_dump(mode="json"))


def stored_recipe_hash(recipe: dict[str, Any]) -> str:
    """The hash of a recipe as it stands in a file, perhaps of a version that had fewer keys."""
    return hashlib.sha256(canonical({"schema": SCHEMA, "recipe": recipe})).hexdigest()


def jobs(recipe: Recipe) -> list[Job]:
    """All shards of a recipe in index order: train, then val, then test; none mixes splits."""
    planned: list[Job] = []
    first = 0
    for split in SPLITS:
        end = first + getattr(recipe.counts, split)
        while first < end:
            count = min(recipe.shard_size, end - first)
            planned.append(Job(len(planned), split, first, count))
            first += count
    return planned


def marker_path(folder: Path, job: Job) -> Path:
    """Where the marker of a shard lies."""
    return (folder / job.name).with_suffix(".json")


def write_shard(
    folder: Path,
    job: Job,
    recipe_hash: str,
    samples: Iterable[Sample],
    skipped: Callable[[], dict[str, str]] = dict,
    sources: dict[str, str] | None = None,
) -> None:
    """Write a shard and then its marker; ``samples`` are the job's, in order.

    ``skipped`` is asked at the end for the inputs that could not be read on the way; ``sources``
    is what the marker says of the input's hashes.

    Raises:
        InputError: the file system refused.
    """
    path, missed = folder / job.name, 0
    entries: list[Entry] = []
    with atomic_file(path) as file:
        for sample in samples:
            missed += bool(sample.meta.get("missed"))
            members = {
                ending: _add(file, sample.sample_id, ending, content)
                for ending, content in encode(sample).items()
            }
            entries.append(Entry(sample.sample_id, sample_hash(sample), members))
        _close(file)
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    fingerprint = combined_hash(entry.hash for entry in entries)
    marker = Marker(
        recipe_hash,
        job.split,
        job.first,
        size,
        digest,
        fingerprint,
        tuple(entries),
        {name: without_file(reason) for name, reason in skipped().items()},
        sources or {},
        missed,
        library_versions(),
    )
    write_bytes(marker_path(folder, job), sealed(asdict(marker)))


def _add(file: IO[bytes], sample_id: str, ending: str, content: bytes) -> tuple[int, int]:
    """Append one member with a header that depends on nothing but name and size."""
    info = tarfile.TarInfo(f"{sample_id}.{ending}")
    info.size, info.mode, info.mtime = len(content), 0o644, 0
    file.write(info.tobuf(tarfile.USTAR_FORMAT))
    offset = file.tell()
    file.write(content)
    file.write(b"\0" * (-len(content) % _BLOCK))
    return offset, len(content)


def _close(file: IO[bytes]) -> None:
    file.write(b"\0" * (2 * _BLOCK))
    file.write(b"\0" * (-file.tell() % tarfile.RECORDSIZE))


def sealed(marker: dict[str, Any]) -> bytes:
    """The content of a marker's file; a seal that it has already is left out."""
    body = json_bytes({key: value for key, value in marker.items() if key != "seal"})
    body = body.removesuffix(b"}\n")
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + _END


def read_marker(folder: Path, job: Job) -> Marker | None:
    """The marker of a shard; None where there is none, or it is not what was once written."""
    try:
        content = marker_path(folder, job).read_bytes()
        body, _, seal = content.rpartition(_SEAL)
        if seal != hashlib.sha256(body).hexdigest().encode() + _END:
            return None
        return _FORM.validate_json(body + b"}", strict=True)
    except (OSError, ValueError):
        return None


def finished(
    folder: Path, job: Job, recipe_hash: str, sources: dict[str, str] | None = None
) -> bool:
    """Whether a shard is whole; False where it is still to be written.

    Raises:
        InputError: the shard in the folder belongs to another recipe or seed, or was made from
            other input than ``sources`` says.
    """
    marker = read_marker(folder, job)
    if marker is None:
        return False
    path = folder / job.name
    remedy = "delete it and its .json and run the same command again, or choose another folder"
    if marker.recipe_hash != recipe_hash:
        raise InputError(f"{path}: belongs to another recipe or seed; {remedy}")
    changed = first_difference(marker.sources, sources or {})
    if changed:
        raise InputError(f"{path}: was made before the source of {changed} changed; {remedy}")
    whole = path.is_file() and path.stat().st_size == marker.bytes
    return whole and len(marker.samples) == job.count


def first_difference(known: dict[str, str], now: dict[str, str]) -> str:
    """The first source whose hash is known and is another now; "" where there is none."""
    return next((name for name, one in now.items() if known.get(name, one) != one), "")


def whole_markers(folder: Path, planned: Iterable[Job]) -> Iterator[tuple[Job, Marker]]:
    """The shards of a finished data set with their markers, one at a time.

    Raises:
        InputError: a marker is missing or damaged.
    """
    for job in planned:
        marker = read_marker(folder, job)
        if marker is None:
            raise InputError(
                f"{marker_path(folder, job)}: is missing or damaged; run the same command again"
            )
        yield job, marker


def fingerprints(folder: Path, recipe: Recipe) -> dict[str, str]:
    """The fingerprint of each split by its name, and under "" that of the whole data set."""
    planned = jobs(recipe)
    found = {split: [job for job in planned if split in ("", job.split)] for split in ("", *SPLITS)}
    return {
        split: combined_hash(e.hash for _, m in whole_markers(folder, some) for e in m.samples)
        for split, some in found.items()
    }


def read_members(path: Path, entry: Entry) -> dict[str, bytes]:
    """The content of a sample's members by ending, straight from where they lie."""
    members = {}
    with open(path, "rb") as file:
        for ending, (offset, size) in entry.members.items():
            file.seek(offset)
            members[ending] = file.read(size)
    return members
