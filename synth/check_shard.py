"""Is one shard what its marker and ``dataset.json`` say? Every byte, every sample."""

import io
import itertools
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.codec import combined_hash, sample_hash
from synth.errors import InputError
from synth.finish import file_hash
from synth.sample import Sample, violations
from synth.shards import Job, Marker, read_marker
from synth.truncate import FRAME
from synth.untrusted import decode_untrusted

Places = dict[str, tuple[int, int]]


class _Bounded(io.BufferedReader):
    """A file that makes room for no more than it holds, whatever a tar header says of lengths."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._length = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        left = max(self._length - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


@dataclass
class Findings:
    """What a shard turned out to hold.

    Attributes:
        faults: one line each.
        people, occluders, photos: the first sample of each id, and of each photo that a person or
            an occluder is read from.
    """

    faults: list[str] = field(default_factory=list)
    people: dict[str, str] = field(default_factory=dict)
    occluders: dict[str, str] = field(default_factory=dict)
    photos: dict[str, str] = field(default_factory=dict)


def check_shard(folder: Path, size: int, job: Job, listed: dict[str, Any]) -> Findings:
    """Everything that can be said of one shard.

    Args:
        folder: the data set's.
        size: side of its pictures in pixels.
        job: the shard.
        listed: its row in ``dataset.json``.
    """
    found, file, marker = Findings(), folder / job.name, read_marker(folder, job)
    if not file.is_file():
        found.faults.append("is missing")
        return found
    length = file.stat().st_size
    if length != listed["bytes"]:
        found.faults.append(f"is cut off or grown: {length} bytes, not {listed['bytes']}")
        return found
    if file_hash(file) != listed["sha256"]:
        found.faults.append("bytes were changed")
    if marker is None:
        found.faults.append("its index is missing or damaged")
        return found
    if (marker.sha256, marker.fingerprint) != (listed["sha256"], listed["fingerprint"]):
        found.faults.append("its index differs from dataset.json")
    hashes = _sample_hashes(file, size, job, marker, found)
    if combined_hash(hashes) != listed["fingerprint"]:
        found.faults.append("content differs from its fingerprint")
    return found


def _sample_hashes(file: Path, size: int, job: Job, marker: Marker, found: Findings) -> list[str]:
    """Hashes of the samples that the tar file holds; their faults are noted."""
    hashes: list[str] = []
    wanted = iter(marker.samples)
    try:
        for name, places, members in _tar_samples(file):
            entry = next(wanted, None)
            if entry is None or entry.id != name or entry.members != places:
                found.faults.append(f"sample {name} does not lie where the index says")
            sample = _decoded(name, members, found)
            if sample is not None:
                _judge(name, sample, size, job, len(hashes), found)
            hashes.append("" if sample is None else sample_hash(sample))
            if entry is not None and hashes[-1] and hashes[-1] != entry.hash:
                found.faults.append(f"sample {name} was changed")
    except (tarfile.TarError, EOFError, OSError, ValueError, RecursionError) as error:
        found.faults.append(f"is no readable tar file ({error})")
    if len(hashes) != job.count:
        found.faults.append(f"holds {len(hashes)} samples, not {job.count}")
    return hashes


def _decoded(name: str, members: dict[str, bytes], found: Findings) -> Sample | None:
    """A sample as readers get it, or None where they cannot; that is noted."""
    try:
        return decode_untrusted(members)
    except (ValueError, InputError) as error:
        found.faults.append(f"sample {name} {error}")
        return None


def _judge(name: str, sample: Sample, size: int, job: Job, place: int, found: Findings) -> None:
    """Note the faults of a sample, and who and what is in it."""
    found.faults += [f"sample {name}: {fault}" for fault in violations(sample)]
    if sample.sample_id != f"{job.first + place:06d}" or sample.sample_id != name:
        found.faults.append(f"sample {name} has the id {sample.sample_id}")
    if sample.split != job.split:
        found.faults.append(f"sample {name} is of {sample.split} in a shard of {job.split}")
    if sample.amodal.shape != (size, size):
        found.faults.append(f"sample {name} has pictures that are not of {size} pixels")
    _note_ids(sample, found)


def _note_ids(sample: Sample, found: Findings) -> None:
    found.people.setdefault(sample.person_id, sample.sample_id)
    for one in sample.occluder_ids:
        if one != FRAME:  # the edge of the photo, which is no occluder of any split
            found.occluders.setdefault(one, sample.sample_id)
    for origin in (sample.meta.get("person", {}), *sample.meta.get("occluders", ())):
        if isinstance(origin.get("photo"), str):
            found.photos.setdefault(origin["photo"], sample.sample_id)


def _tar_samples(file: Path) -> Iterator[tuple[str, Places, dict[str, bytes]]]:
    """Name, place of each member, and content of each sample of a tar file, in order."""
    length = file.stat().st_size
    with _Bounded(file) as stored, tarfile.open(fileobj=stored, mode="r:") as tar:
        for name, group in itertools.groupby(tar, key=lambda m: m.name.partition(".")[0]):
            places, members = {}, {}
            for member in group:
                ending = member.name.partition(".")[2]
                stream = tar.extractfile(member) if member.isreg() else None
                if stream is None:
                    raise ValueError(f"{member.name} is no file")
                if member.offset_data + member.size > length:
                    raise ValueError(f"{member.name} is cut off")
                places[ending] = (member.offset_data, member.size)
                members[ending] = stream.read()
            yield name, places, members
