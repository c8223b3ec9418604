"""A data set on disk, for reading: by split, by index, without scanning the shards."""

import json
import operator
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, overload

from pydantic import ValidationError

from synth.codec import canonical
from synth.errors import InputError
from synth.info import Info
from synth.recipe import SPLITS, Recipe
from synth.sample import Sample
from synth.shards import SCHEMA, Entry, Job, jobs, read_marker, read_members
from synth.untrusted import decode_untrusted

# The markers kept in memory, one a shard: reading in order needs one, a shuffle across a data
# set of a few thousand samples all of them, and 200 entries a shard weigh about 300 kB.
_MARKERS = 32


class Split(Sequence[Sample]):
    """The samples of one split; each is read from its shard when asked for.

    Nothing is held of the samples themselves: where a sample lies is read from its shard's marker
    when it is asked for, and the last few markers are kept. So a split of a million samples costs
    no more memory than one of a hundred, and it is small when it is sent to another process.

    Attributes:
        name: "train", "val" or "test".
        fingerprint: SHA-256 (hex) over the content of its samples, in order.
        size: side of the square pictures in pixels.
    """

    def __init__(
        self, folder: Path, name: str, size: int, fingerprint: str, planned: Sequence[Job]
    ) -> None:
        self.folder, self.name, self.size, self.fingerprint = folder, name, size, fingerprint
        self._jobs = tuple(planned)
        self._entries = lru_cache(_MARKERS)(partial(_entries, folder))

    def __reduce__(self) -> tuple[type["Split"], tuple[Any, ...]]:
        return Split, (self.folder, self.name, self.size, self.fingerprint, self._jobs)

    @property
    def ids(self) -> list[str]:
        """Sample ids, in order."""
        first = self._jobs[0].first
        return [f"{index:06d}" for index in range(first, first + len(self))]

    @property
    def shards(self) -> list[Path]:
        """The split's tar files, in order."""
        return [self.folder / job.name for job in self._jobs]

    def __len__(self) -> int:
        last = self._jobs[-1]
        return last.first + last.count - self._jobs[0].first

    def __iter__(self) -> Iterator[Sample]:
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """Sample number ``index`` of the split; negative numbers count from the end.

        Raises:
            IndexError: beyond the end.
            InputError: the shard was changed or removed since it was written.
        """
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self.read(index)[0]

    def read(self, index: int) -> tuple[Sample, dict[str, bytes]]:
        """A sample together with the files it is stored as, by ending; see ``synth.codec``.

        Raises:
            IndexError, InputError: as reading by index.
        """
        place = range(len(self))[operator.index(index)]
        job = self._jobs[place // self._jobs[0].count]  # all shards but the last are equally long
        entry = self._entries(job)[place - (job.first - self._jobs[0].first)]
        path, wanted = self.folder / job.name, f"{self._jobs[0].first + place:06d}"
        try:
            check_places(path, entry)
            members = read_members(path, entry)
            sample = decode_untrusted(members)
            _check_identity(sample, wanted, job.split, self.size)
            return sample, members
        except (OSError, ValueError, InputError) as error:
            raise InputError(
                f"{path}: sample {wanted} cannot be read ({error}); delete that shard and its "
                ".json and build again"
            ) from None


class Dataset:
    """A finished data set; open it with ``Dataset.open``.

    Attributes:
        path: its folder.
        recipe: what it was built from, seed and counts included.
        fingerprint: SHA-256 (hex) over the content of all samples, in order.
        info: all of ``dataset.json``.
    """

    def __init__(self, path: Path, recipe: Recipe, info: dict[str, Any]) -> None:
        self.path, self.recipe, self.info = path, recipe, info
        self.fingerprint: str = info["fingerprint"]

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """The data set in a folder.

        Raises:
            InputError: no data set there, not finished, of another schema, or shards missing.
        """
        path = Path(folder)
        info = read_info(path)
        try:
            recipe = Recipe.model_validate(info["recipe"])
        except ValidationError as error:
            raise _damaged(path / "dataset.json", error) from None
        if not agree(info, recipe):
            raise InputError(
                f"{path}/dataset.json: counts, shards and recipe differ; build the data set again"
            )
        dataset = cls(path, recipe, info)
        missing = [s["file"] for s in info["shards"] if not _has_size(path, s)]
        if missing:
            raise InputError(
                f"{path}: {len(missing)} shards are missing or cut off (first: {missing[0]}); "
                "build again with the same recipe to restore them"
            )
        return dataset

    def __len__(self) -> int:
        return sum(self.info["counts"].values())

    def split(self, name: str) -> Split:
        """The samples of "train", "val" or "test".

        Raises:
            InputError: no such split, or it has no samples.
        """
        if name not in SPLITS:
            raise InputError(f"{self.path}: no split {name!r}; there are {', '.join(SPLITS)}")
        chosen = [job for job in jobs(self.recipe) if job.split == name]
        if not chosen:
            raise InputError(
                f"{self.path}: has no {name} samples; set counts.{name} and build again"
            )
        fingerprint = self.info["split_fingerprints"][name]
        return Split(self.path, name, self.recipe.size, fingerprint, chosen)


def read_info(folder: Path) -> dict[str, Any]:
    """The content of ``dataset.json``; InputError where missing, broken or of another schema."""
    path = folder / "dataset.json"
    if not path.is_file():
        unfinished = (folder / "recipe.json").is_file()
        state = (
            "is not finished; run the same build command again"
            if unfinished
            else ("holds no data set; build one with: hdeocc synth build RECIPE --out DIR")
        )
        raise InputError(f"{folder}: {state}")
    try:
        content = path.read_bytes()
        info: dict[str, Any] = json.loads(content)
        if b"\\u" in content:
            canonical(info)  # half a surrogate pair could not be written again
        schema = info["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: is damaged; build the data set again") from None
    if schema != SCHEMA:
        raise InputError(
            f"{path}: schema {str(schema)[:40]}, but this version reads {SCHEMA}; build it again"
        )
    try:
        Info.model_validate(info)
    except ValidationError as error:
        raise _damaged(path, error) from None
    return info


def _damaged(path: Path, error: ValidationError) -> InputError:
    key = ".".join(str(part) for part in error.errors()[0]["loc"])
    return InputError(f"{path}: is damaged ({key}); build the data set again")


def agree(info: dict[str, Any], recipe: Recipe) -> bool:
    """Whether counts and shards are those of the recipe; a long list is made of no one's word."""
    counts = recipe.counts.model_dump()
    wanted = sum(-(-count // recipe.shard_size) for count in counts.values())
    if info["counts"] != counts or len(info["shards"]) != wanted:
        return False
    listed = [(s["file"], s["split"], s["samples"]) for s in info["shards"]]
    return listed == [(job.name, job.split, job.count) for job in jobs(recipe)]


def _has_size(folder: Path, shard: dict[str, Any]) -> bool:
    path = folder / shard["file"]
    return path.is_file() and path.stat().st_size == shard["bytes"]


def check_places(path: Path, entry: Entry) -> None:
    size = path.stat().st_size
    for ending, (offset, length) in entry.members.items():
        if offset < 0 or length < 0 or offset + length > size:
            raise ValueError(f"the index has its {ending} outside the shard")


def _check_identity(sample: Sample, wanted: str, split: str, size: int) -> None:
    if (sample.sample_id, sample.split) != (wanted, split):
        raise ValueError(f"there lies sample {sample.sample_id} of {sample.split}")
    if sample.amodal.shape != (size, size):
        raise ValueError(f"its pictures are not of {size} pixels")


def _entries(folder: Path, job: Job) -> tuple[Entry, ...]:
    try:
        marker = read_marker(folder, job)
    except (LookupError, OverflowError, RecursionError):
        marker = None
    if marker is None or len(marker.samples) != job.count:
        raise InputError(f"{folder}: the index of {job.name} is missing or damaged; build again")
    return marker.samples
