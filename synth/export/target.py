"""The folder of an export: it appears whole, and what is no export is never overwritten."""

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.atomic import is_alive, write_json, write_text
from synth.errors import InputError
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
    if "\0" in str(out):
        raise InputError(f"{out}: is not the name of a folder; give another --out")
    out = Path(os.path.realpath(out))
    _refuse_foreign(out)
    _clean_leftovers(out)
    # Two exports to one place must not take each other's files away.
    unfinished, old = (out.with_name(f".{out.name}.{os.getpid()}.{s}") for s in ("new", "old"))
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield Target(unfinished, kind, dataset, tuple(splits))
        _swap(unfinished, out, old)
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: cannot be written ({error.strerror}); make room or choose "
            "another --out"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _clean_leftovers(out: Path) -> None:
    """Remove what exports to ``out`` that were killed left beside it."""
    for ending in ("new", "old") if out.exists() else ("new",):
        for path in out.parent.glob(f".{out.name}.*.{ending}"):
            pid = path.name.split(".")[-2]
            if pid.isdigit() and not is_alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


def _swap(new: Path, out: Path, old: Path) -> None:
    """Put ``new`` where ``out`` is; if that fails, what was there before comes back."""
    if not out.exists():
        os.replace(new, out)
        return
    shutil.rmtree(old, ignore_errors=True)
    os.replace(out, old)
    try:
        os.replace(new, out)
    except OSError:
        os.replace(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _refuse_foreign(out: Path) -> None:
    # It would be replaced under the feet of whoever stands in it.
    if out in (Path.cwd(), *Path.cwd().parents):
        raise InputError(f"{out}: is or holds the current folder; name a new one as --out")
    if not os.path.lexists(out):
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; give another --out")
    pattern = _known(out)
    foreign = next((name for name in _names(out) if not pattern.fullmatch(name)), None)
    if foreign is not None:
        raise InputError(
            f"{out}: holds something else ({foreign}), which no export wrote; move it away, or "
            "give a new or empty --out"
        )


def _known(out: Path) -> re.Pattern[str]:
    """What the names of the files in a folder may be for it to be replaced."""
    try:
        value = json.loads((out / MARKER).read_bytes())
        files = FILES[value["format"]]
        ours = isinstance(value["fingerprint"], str) and isinstance(value["splits"], dict)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ours = False
    return re.compile(rf"README\.md|{re.escape(MARKER)}|{files}" if ours else r"(?!)")


def _names(out: Path) -> Iterator[str]:
    """Every file in a folder, links and what is no file among them, relative to it."""

    def unread(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be looked into; give another --out")

    for folder, inner, files in os.walk(out, onerror=unread):
        inner.sort()
        links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            yield Path(folder, name).relative_to(out).as_posix()
