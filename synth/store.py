"""A data set on disk, for reading: by split, by index, without scanning the shards."""

import json
import operator
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from pydantic import ValidationError

from synth.codec import decode
from synth.errors import InputError
from synth.recipe import SPLITS, Recipe
from synth.sample import Sample
from synth.shards import SCHEMA, Entry, Job, jobs, read_marker, read_members


class Split(Sequence[Sample]):
    """The samples of one split; each is read from its shard when asked for.

    Attributes:
        name: "train", "val" or "test".
        fingerprint: SHA-256 (hex) over the content of its samples, in order.
        size: side of the square pictures in pixels.
        ids: sample ids, in order.
    """

    def __init__(self, folder: Path, name: str, size: int, fingerprint: str) -> None:
        self.folder, self.name, self.size, self.fingerprint = folder, name, size, fingerprint
        self.ids: list[str] = []
        self._where: list[tuple[str, Entry]] = []

    def add(self, shard: str, entries: Sequence[Entry]) -> None:
        """Append the samples of a shard."""
        self.ids += [entry.id for entry in entries]
        self._where += [(shard, entry) for entry in entries]

    def __len__(self) -> int:
        return len(self._where)

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
        shard, entry = self._where[operator.index(index)]
        path = self.folder / shard
        try:
            return decode(read_members(path, entry))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: sample {entry.id} cannot be read ({error}); delete that shard and its "
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
            dataset = cls(path, recipe, info)
            missing = [s["file"] for s in info["shards"] if not _has_size(path, s)]
        except (ValidationError, KeyError, TypeError):
            raise InputError(f"{path}/dataset.json: is damaged; build the data set again") from None
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
        split = Split(self.path, name, self.recipe.size, self.info["split_fingerprints"][name])
        for job in chosen:
            split.add(job.name, _entries(self.path, job))
        return split


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
        info: dict[str, Any] = json.loads(path.read_bytes())
        schema = info["schema"]
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: is damaged; build the data set again") from None
    if schema != SCHEMA:
        raise InputError(
            f"{path}: schema {schema}, but this version reads {SCHEMA}; build it again"
        )
    return info


def _has_size(folder: Path, shard: dict[str, Any]) -> bool:
    path = folder / shard["file"]
    return path.is_file() and path.stat().st_size == shard["bytes"]


def _entries(folder: Path, job: Job) -> tuple[Entry, ...]:
    marker = read_marker(folder, job)
    if marker is None:
        raise InputError(f"{folder}: the index of {job.name} is missing or damaged; build again")
    return marker.samples
