"""Settings in TOML files: strict models, files found by path or bundled name, one-line errors."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from synth.errors import InputError


class Strict(BaseModel):
    """Settings that cannot change, and refuse keys they do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Strict)


def hint(name: str, known: Iterable[str], otherwise: str = "there are") -> str:
    """What to say beside an unknown name: the closest known ones, or all of them."""
    names = list(dict.fromkeys(known))
    close = get_close_matches(name, names, 3, 0.4)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"{otherwise}: {', '.join(names)}"


@dataclass(frozen=True)
class Library(Generic[Model]):
    """The TOML files of one kind that come with a package, and those of the user.

    Attributes:
        kind: what errors call one, "recipe" say.
        model: what a file must hold.
        package, folder: where the bundled files are.
        keys: every key that may occur somewhere in a file, for the hint beside a wrong one.
    """

    kind: str
    model: type[Model]
    package: str
    folder: str
    keys: frozenset[str]

    def bundled(self) -> list[str]:
        """Names of the files that come with the package."""
        files = (resources.files(self.package) / self.folder).iterdir()
        return sorted(p.name.removesuffix(".toml") for p in files if p.name.endswith(".toml"))

    def load(self, name_or_path: str | Path) -> Model:
        """Settings from a path ending in .toml or, by name, from the bundled files.

        Raises:
            InputError: nothing of that name (with the closest), broken TOML, bad key or value.
        """
        path, names = Path(name_or_path), self.bundled()
        if path.suffix == ".toml":
            if not path.is_file():
                known = ", ".join(names)
                raise InputError(
                    f"{path}: no such {self.kind} file; give a .toml file or one of: {known}"
                )
            return self.parse(_read(path), str(path))
        name = str(name_or_path)
        if name not in names:
            raise InputError(
                f"{name}: no {self.kind} of that name; {hint(name, names)} (or give a .toml file)"
            )
        file = resources.files(self.package) / self.folder / f"{name}.toml"
        return self.parse(file.read_text(encoding="utf-8"), name)

    def parse(self, text: str, where: str) -> Model:
        """Settings from TOML text; ``where`` names it in errors."""
        try:
            return self.model.model_validate(tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{where}: not valid TOML: {error}; mend that line") from None
        except ValidationError as error:
            raise InputError(f"{where}: {self._first_fault(error)}") from None

    def _first_fault(self, error: ValidationError) -> str:
        # A misspelt key is also a missing one; the misspelling says more.
        fault = min(error.errors(), key=lambda f: f["type"] != "extra_forbidden")
        parts = [str(part) for part in fault["loc"]]
        key, where = ".".join(parts), f"see the bundled {self.kind}s"
        if fault["type"] == "extra_forbidden":
            close = get_close_matches(parts[-1], sorted(self.keys), 3, 0.5)
            meant = f"did you mean {' or '.join(close)}?" if close else where
            return f"unknown key {key}; {meant}"
        if fault["type"] == "missing":
            return f"key {key} is missing; add it ({where})"
        if not key or fault["type"] == "value_error":
            return str(fault["msg"]).removeprefix("Value error, ")
        return f"{key}: {fault['msg'].lower()} (got {str(fault.get('input'))[:60]}); change it"


def keys_of(models: Iterable[type[BaseModel]]) -> frozenset[str]:
    """The field names of some models together."""
    return frozenset(key for model in models for key in model.model_fields)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no UTF-8 text; give a TOML file saved as UTF-8") from None
