"""The folder of an export: it appears whole, and what is no export is never overwritten."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.atomic import write_json, write_text
from synth.output import NOTHING, Kind, new_output
from synth.store import Dataset

MARKER = "export.json"
# The files of an export besides its README and marker, by format; all else is somebody's own.
_SPLIT, _PNG = "(train|val|test)", r"\d+\.png"
_PICTURES = rf"(images|clean)/{_SPLIT}/{_PNG}"
FILES = {
    "coco": rf"{_PICTURES}|annotations/instances_{_SPLIT}\.json",
    "cocoa": rf"{_PICTURES}|annotations/COCO_amodal_{_SPLIT}\.json",
    "kins": rf"{_PICTURES}|annotations/instances_{_SPLIT}\.json",
    "folder": rf"(image|clean|parsing|amodal|modal|occluder|initial)/{_PNG}|samples\.csv",
    "parquet": rf"{_SPLIT}\.parquet",
}


@dataclass(frozen=True)
class Target:
    """Where the files of an export go until it is complete, and what it is of."""

    folder: Path
    kind: str
    dataset: Dataset
    splits: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the data set is called."""
        recipe = self.dataset.recipe
        return recipe.title or recipe.name

    def describe(self, about: str) -> None:
        """Write ``README.md`` and ``export.json``, which says whose folder it is."""
        info = self.dataset.info
        value: dict[str, Any] = {
            "format": self.kind,
            "data_set": self.dataset.recipe.name,
            "fingerprint": self.dataset.fingerprint,
            "splits": {name: info["counts"][name] for name in self.splits},
            "seed": self.dataset.recipe.seed,
            "versions": info["versions"],
        }
        counts = ", ".join(f"{count} {name}" for name, count in value["splits"].items())
        write_text(
            self.folder / "README.md",
            f"# {self.title}, as {self.kind}\n\n{counts} samples, made with hdeocc; fingerprint of "
            f"the data set `{self.dataset.fingerprint}`.\n\n{about.strip()}\n\n"
            "The licence and origin of every person and occluder stand beside its picture; the "
            "occluded pictures are under the licences of both.\n",
        )
        write_json(self.folder / MARKER, value, indent=1)


@contextmanager
def new_export(out: Path, kind: str, dataset: Dataset, splits: Sequence[str]) -> Iterator[Target]:
    """A folder beside ``out`` that takes its place when the block ends well.

    Raises:
        InputError: ``out`` holds something that is no export, or the file system refused.
    """
    with new_output(out, _EXPORT) as unfinished:
        yield Target(unfinished, kind, dataset, tuple(splits))


def _known(out: Path) -> re.Pattern[str]:
    """What the names of the files in a folder may be for it to be replaced."""
    try:
        value = json.loads((out / MARKER).read_bytes())
        files = FILES[value["format"]]
        ours = isinstance(value["fingerprint"], str) and isinstance(value["splits"], dict)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ours = False
    return re.compile(rf"README\.md|{re.escape(MARKER)}|{files}") if ours else NOTHING


_EXPORT = Kind("no export wrote", _known)
