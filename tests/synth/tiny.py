"""Small people and occluders for tests of the engine: in memory, and as folders of PNG files."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from synth.errors import InputError
from synth.recipe import Recipe, parse_recipe
from synth.sources.base import Cutout, PersonCrop, Source

ROOT = Path(__file__).resolve().parents[2]


def ellipse(height: int, width: int) -> np.ndarray:
    """A (height, width) bool mask of the ellipse that fills its box."""
    y, x = np.ogrid[:height, :width]
    return ((2 * y + 1) / height - 1) ** 2 + ((2 * x + 1) / width - 1) ** 2 <= 1


def person_crop(size: int, rng: np.random.Generator, border: int = 0) -> PersonCrop:
    """A standing ellipse of random colours, with a black border left and right."""
    image = rng.integers(1, 256, (size, size, 3)).astype(np.uint8)
    if border:
        image[:, :border] = image[:, -border:] = 0
    height, width = int(size * rng.uniform(0.6, 0.95)), int(size * rng.uniform(0.25, 0.5))
    top, left = (size - height) // 2, (size - width) // 2
    amodal = np.zeros((size, size), bool)
    amodal[top : top + height, left : left + width] = ellipse(height, width)
    parsing = np.where(amodal, np.where(np.arange(size)[:, None] < size // 2, 5, 9), 0)
    return PersonCrop(image, amodal, parsing.astype(np.uint8), {"licence": "none"})


def cutout(height: int, width: int, rng: np.random.Generator, round_shape: bool = True) -> Cutout:
    """An opaque ellipse or box of random colours."""
    rgba = rng.integers(0, 256, (height, width, 4)).astype(np.uint8)
    shape = ellipse(height, width) if round_shape else np.ones((height, width), bool)
    rgba[..., 3] = np.where(shape, 255, 0)
    return Cutout(rgba, "thing", {})


class FakePeople(Source):
    """People drawn from their id; ``broken`` ids cannot be read."""

    def __init__(self, name: str, count: int, broken: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.name, self.count, self.broken = name, count, broken

    def ids(self) -> list[str]:
        return [f"{i:03d}" for i in range(self.count)]

    def load(self, person_id: str, size: int, rng: np.random.Generator) -> PersonCrop:
        if person_id in self.broken:
            raise InputError(f"/data/{person_id}.png: is truncated; remove it")
        return person_crop(size, rng)


class FakeOccluders(Source):
    """Round things drawn from their id."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__()
        self.name, self.count = name, count

    def ids(self) -> list[str]:
        return [f"{i:03d}" for i in range(self.count)]

    def load(self, occluder_id: str, size: int, rng: np.random.Generator) -> Cutout:
        own = np.random.default_rng(int(occluder_id))
        height, width = own.integers(size // 3, size, 2)
        return cutout(int(height), int(width), own)


RECIPE = """
name = "tiny"
title = "Tiny people"
size = 32
shard_size = {shard_size}
[counts]
train = {train}
val = 4
test = 6
[splits]
val = 0.2
test = 0.2
[[people]]
source = "folder"
images = "people"
masks = "people-masks"
[[occluders]]
source = "folder"
images = "things"
masks = "things-masks"
[initial]
kind = "jitter"
"""


def tiny_recipe(train: int = 14, shard_size: int = 4) -> Recipe:
    """The recipe of ``write_tiny``'s folders."""
    return parse_recipe(RECIPE.format(train=train, shard_size=shard_size), "tiny")


# Its building takes long enough to be disturbed.
LONG_TOML = RECIPE.format(train=110, shard_size=5)
LONG = parse_recipe(LONG_TOML, "tiny")


def write_tiny(folder: Path, people: int = 12, things: int = 12) -> Path:
    """Photos and masks of small people and things, as PNG files under ``folder``."""
    for name, count, tall in (("people", people, True), ("things", things, False)):
        for number in range(count):
            rng = np.random.default_rng([number, tall])
            height, width = (44, 20) if tall else (24 + number, 30)
            image = rng.integers(0, 256, (60, 48, 3)).astype(np.uint8)
            mask = np.zeros((60, 48), np.uint8)
            mask[8 : 8 + height, 9 : 9 + width] = 255 * ellipse(height, width)
            _save(folder / name / f"{number:03d}.png", image)
            _save(folder / f"{name}-masks" / f"{number:03d}.png", mask)
    return folder


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def start_synth(*arguments: object) -> "subprocess.Popen[str]":
    """The command line of ``synth`` in a process group of its own."""
    code = "from synth.cli import synth; synth()"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Where the tests run in the background Ctrl-C is ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def leftovers(folder: Path) -> list[str]:
    """Temporary and lock files in a data set's folder."""
    return sorted(p.name for p in folder.iterdir() if p.name.startswith("."))


def labels_of(folder: Path) -> Iterator[dict]:
    """The annotations of a data set as they stand on disk."""
    yield from json.loads((folder / "annotations.json").read_bytes())["annotations"]
