"""What the writer of a format does, and the parts that several formats share."""

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from synth.annotations import URLS, credit
from synth.codec import canonical
from synth.export.target import Target
from synth.place import mask_box
from synth.sample import Sample

Row = dict[str, Any]


class Writer(ABC):
    """Writes the samples of one split after the other; made with an empty folder to write into.

    Class attributes:
        about: Markdown about the format, for the README of the export.
    """

    about: ClassVar[str]

    def __init__(self, target: Target) -> None:
        self.target = target

    @abstractmethod
    def start(self, split: str) -> None:
        """The samples that follow are of this split."""

    @abstractmethod
    def add(self, sample: Sample, members: dict[str, bytes]) -> None:
        """Write a sample; ``members`` are the files it is stored as (see ``synth.codec``)."""

    @abstractmethod
    def finish(self) -> None:
        """The split is complete."""

    def close(self) -> None:
        """Close what is still open, whether all went well or not."""
        return


class JsonWriter(Writer):
    """A format of pictures in ``images/SPLIT`` and one JSON file a split in ``annotations``.

    The rows of the JSON file's lists wait on disk, so that memory does not grow with them.
    """

    # The name of the JSON file of a split, and what it holds beside images and annotations.
    file_name: ClassVar[str]
    fixed: ClassVar[Row] = {}

    def start(self, split: str) -> None:
        folder = self.target.folder
        self.split = split
        self.licences: dict[tuple[str, str], int] = {}
        for kind in ("images", "clean"):
            (folder / kind / split).mkdir(parents=True)
        (folder / "annotations").mkdir(exist_ok=True)
        self._path = folder / "annotations" / self.file_name.format(split=split)
        self._lists = {name: _Rows(self._path, name) for name in ("images", "annotations")}

    def add(self, sample: Sample, members: dict[str, bytes]) -> None:
        name = f"{sample.sample_id}.png"
        (self.target.folder / "images" / self.split / name).write_bytes(members["image.png"])
        if "clean.png" in members:
            (self.target.folder / "clean" / self.split / name).write_bytes(members["clean.png"])
        self._lists["images"].add(self._image(sample, name))
        for row in self.rows(sample):
            self._lists["annotations"].add(row)

    @abstractmethod
    def rows(self, sample: Sample) -> list[Row]:
        """The annotations of a sample."""

    def finish(self) -> None:
        title = self.target.title
        listed = [{"id": i, "name": n, "url": url} for (n, url), i in self.licences.items()]
        head = {"info": {"description": title, "version": "1"}, "licenses": listed, **self.fixed}
        with open(self._path, "wb") as file:
            file.write(canonical(head)[:-1])
            for name, rows in self._lists.items():
                rows.move_into(file, name)
            file.write(b"}\n")

    def close(self) -> None:
        for rows in getattr(self, "_lists", {}).values():
            rows.close()

    def _image(self, sample: Sample, name: str) -> Row:
        person = sample.meta.get("person", {})
        height, width = sample.amodal.shape
        row: Row = {"id": int(sample.sample_id), "file_name": name, "height": height,
                    "width": width, "person_id": sample.person_id,
                    "occluder_ids": list(sample.occluder_ids),
                    "occluder_sources": [credit(one) for one in _occluders(sample)]}  # fmt: skip
        row |= {key: person[key] for key in URLS if isinstance(person.get(key), str)}
        if isinstance(person.get("licence"), str):
            licence = person["licence"], str(person.get("licence_url", ""))
            row["license"] = self.licences.setdefault(licence, len(self.licences) + 1)
        return row


class _Rows:
    """A list of a JSON file, kept in a file of its own until the other list is complete."""

    def __init__(self, beside: Path, name: str) -> None:
        self._path = beside.with_suffix(f".{name}")
        self._file: IO[bytes] = open(self._path, "w+b")  # noqa: SIM115 (open across many calls)
        self._empty = True

    def add(self, row: Row) -> None:
        self._file.write((b"\n" if self._empty else b",\n") + canonical(row))
        self._empty = False

    def move_into(self, file: IO[bytes], name: str) -> None:
        file.write(b",\n" + json.dumps(name).encode() + b":[")
        self._file.seek(0)
        while chunk := self._file.read(1 << 20):
            file.write(chunk)
        file.write(b"]")
        self.close()

    def close(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def box(mask: np.ndarray) -> list[int]:
    """Box [left, top, width, height] in pixels of a mask (H, W) bool; zeros where it is empty."""
    return list(mask_box(mask)) if mask.any() else [0, 0, 0, 0]


def _occluders(sample: Sample) -> list[Row]:
    found: list[Row] = sample.meta.get("occluders", [])
    return found


def occluder_name(sample: Sample) -> str:
    """The classes of the occluders in words, such as "car, chair"."""
    names = [str(one.get("category", "thing")) for one in _occluders(sample)]
    return ", ".join(dict.fromkeys(names)) or "thing"
