"""The folder of an export: it appears whole, and what is no export is never overwritten."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.atomic import write_json, write_text
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
    _refuse_foreign(out)
    unfinished, old = out.with_name(f".{out.name}.unfinished"), out.with_name(f".{out.name}.old")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield Target(unfinished, kind, dataset, tuple(splits))
        if out.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(out, old)
        os.replace(unfinished, out)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: cannot be written ({error.strerror}); make room or choose "
            "another --out"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _refuse_foreign(out: Path) -> None:
    if not out.exists() or (out / MARKER).is_file():
        return
    if not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; give another --out")
    held = sorted(path.name for path in out.iterdir())
    if held:
        raise InputError(f"{out}: holds something else ({held[0]}); give a new or empty --out")
