"""The folder of an export: it appears whole, and what is no export is never overwritten."""

import os
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
    out = Path(os.path.abspath(out))
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
    if out == Path.cwd():  # it would be replaced under the feet of whoever stands in it
        raise InputError(f"{out}: is the current folder; name a new one as --out")
    if not out.exists() or (out / MARKER).is_file():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; give another --out")
    held = sorted(path.name for path in out.iterdir())
    if held:
        raise InputError(f"{out}: holds something else ({held[0]}); give a new or empty --out")
