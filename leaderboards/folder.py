"""The output folder of a benchmark: where everything lies, and how it gets there whole.

bench.json                              marker: this folder is ours, and which benchmark it runs
data/                                   the data set
models/TRACK.METHOD/seed-0/             weights and fitted.json
training/TRACK.METHOD/seed-0/           checkpoints and logs of a training
predictions/TRACK/METHOD/seed-0/ID.png  and predictions.json
results/TRACK.METHOD.seed-0.json        one record a result
leaderboard.{html,md,csv}, contact-sheet.png
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboards.benchmark import Benchmark
from synth.atomic import write_text
from synth.errors import InputError

MARKER = "bench.json"
SCHEMA = 1


@dataclass(frozen=True)
class Folder:
    """Paths below the output folder of one benchmark."""

    root: Path

    @property
    def data(self) -> Path:
        """The data set."""
        return self.root / "data"

    @property
    def results(self) -> Path:
        """The records."""
        return self.root / "results"

    def model(self, key: str, seed: int) -> Path:
        """Weights of "track.method"."""
        return self.root / "models" / key / f"seed-{seed}"

    def training(self, key: str, seed: int) -> Path:
        """Checkpoints and logs of "track.method"."""
        return self.root / "training" / key / f"seed-{seed}"

    def predictions(self, track: str, method: str, seed: int) -> Path:
        """Stored pictures of one row."""
        return self.root / "predictions" / track / method / f"seed-{seed}"

    def result(self, track: str, method: str, seed: int) -> Path:
        """The record of one row."""
        return self.results / f"{track}.{method}.seed-{seed}.json"


def claim(root: Path, benchmark: Benchmark) -> Folder:
    """Make the output folder ours, or go on in one that runs the same benchmark.

    Raises:
        InputError: the path is a file, holds something else, or runs another benchmark.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file, not a folder; give another --out")
    marker = root / MARKER
    if marker.is_file():
        name = _owner(marker)
        if name != benchmark.name:
            raise InputError(
                f"{root}: runs benchmark {name}, not {benchmark.name}; give another --out"
            )
    elif root.is_dir() and any(root.iterdir()):
        raise InputError(
            f"{root}: holds something else (no {MARKER}); give an empty or new folder as --out"
        )
    about = {"schema": SCHEMA, "benchmark": benchmark.model_dump(mode="json")}
    write_text(marker, json.dumps(about, indent=1) + "\n")
    return Folder(root)


def _owner(marker: Path) -> str:
    """The benchmark that a folder runs; InputError where its marker is damaged."""
    try:
        return str(json.loads(marker.read_bytes())["benchmark"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{marker}: is damaged; restore it or give another --out") from None


def opened(root: Path) -> Folder:
    """The output folder of an earlier run.

    Raises:
        InputError: no such folder, or it holds no results.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; make one with `hdeocc bench run`")
    folder = Folder(root)
    if not any(folder.results.glob("*.json")):
        raise InputError(f"{root}: has no results/*.json; make them with `hdeocc bench run`")
    return folder


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """A temporary sibling of ``final`` that takes its place when the block ends without error."""
    temporary = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if final.exists():
        old = final.with_name(f".{final.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        os.replace(final, old)
        os.replace(temporary, final)
        shutil.rmtree(old)
    else:
        os.replace(temporary, final)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        InputError: unreadable, not JSON, or not an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable JSON ({error}); remove it and run again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; remove it and run again")
    return value


def digest(value: object) -> str:
    """SHA-256 of a JSON-able value, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every safetensors file of a folder, by name."""
    files = sorted(folder.glob("*.safetensors"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
