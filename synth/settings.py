"""Settings in TOML files: strict models, files found by path or bundled name, one-line errors."""

import json
import math
import os
import tomllib
from collections.abc import Iterable, Set
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from synth.errors import InputError


class Strict(BaseModel):
    """Settings that cannot change, and refuse keys they do not know.

    Numbers are numbers: pydantic would take ``true`` for 1 and "3" for 3. Its strict mode would
    not, but refuses the lists of TOML where a setting is a tuple.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _of_their_kind(cls, given: Any) -> Any:
        for name in given if isinstance(given, dict) else ():
            kinds = _kinds(cls.model_fields[name].annotation) if name in cls.model_fields else {Any}
            if kinds & _PLAIN and Any not in kinds:
                _refuse_others(given[name], kinds, f".{name}")
        return given


Model = TypeVar("Model", bound=Strict)
# TOML promises no larger whole number, and no setting needs a larger number of any kind.
_LARGEST = 2**63 - 1
_DEEPEST = 20
_UNKNOWN = "unknown_kind"
_NOT_OF_KIND = "not_of_its_kind"
_PLAIN = frozenset({bool, int, float, str, type(None)})
# What TOML calls what Python has other names for.
_SHAPES = {
    "tuple_type": "has to be a list; write it in [ ]",
    "model_type": "has to be a table with keys of its own; write these",
    "dict_type": "has to be a table with keys of its own; write these",
}


class UnknownNameError(InputError):
    """No bundled file has the name, which stands in front of what is ``said`` of it."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(f"{name}: {said}")
        self.said = said


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
        bases: whether a file may build on another one, named by its key ``base``: what it does not
            say is as there, but for its name. A table or list that it gives replaces that of the
            base as a whole.
        foreign: what a file is that has all of some keys, and those keys: taken for one of this
            kind it would be refused for a key that is none of its faults.
    """

    kind: str
    model: type[Model]
    package: str
    folder: str
    keys: frozenset[str]
    bases: bool = False
    foreign: tuple[str, frozenset[str]] | None = None

    def bundled(self) -> list[str]:
        """Names of the files that come with the package."""
        files = (resources.files(self.package) / self.folder).iterdir()
        return sorted(p.name.removesuffix(".toml") for p in files if p.name.endswith(".toml"))

    def load(self, name_or_path: str | Path) -> Model:
        """Settings from a path ending in .toml or, by name, from the bundled files.

        Raises:
            InputError: nothing of that name (with the closest), broken TOML, bad key or value.
        """
        text, where, folder = self._find(name_or_path)
        return self._parse(text, where, folder)

    def parse(self, text: str, where: str) -> Model:
        """Settings from TOML text; ``where`` names it in errors."""
        return self._parse(text, where, Path())

    def _find(self, name_or_path: str | Path) -> tuple[str, str, Path]:
        """A file's text, what errors call it, and the folder that paths in it start from."""
        path, names = Path(name_or_path), self.bundled()
        if path.suffix == ".toml":
            if not os.path.isfile(path):  # unlike pathlib's, of names of any length
                known = ", ".join(names)
                raise InputError(
                    f"{path}: no such {self.kind} file; give a .toml file or one of: {known}"
                )
            return _read(path), str(path), path.parent
        name = str(name_or_path)
        if name not in names:
            said = f"no {self.kind} of that name; {hint(name, names)} (or give a .toml file)"
            raise UnknownNameError(name, said)
        file = resources.files(self.package) / self.folder / f"{name}.toml"
        return file.read_text(encoding="utf-8"), name, Path()

    def _parse(self, text: str, where: str, folder: Path) -> Model:
        document = self._with_bases(text, where, folder)
        if self.foreign and self.foreign[1] <= document.keys():
            raise InputError(
                f"{where}: is a {self.foreign[0]}, where a {self.kind} is wanted; give a .toml "
                f"file of one or, by name, one of: {', '.join(self.bundled())}"
            )
        try:
            return self.model.model_validate(document)
        except ValidationError as error:
            raise InputError(f"{where}: {self._first_fault(error, document)}") from None

    def _with_bases(self, text: str, where: str, folder: Path) -> dict[str, Any]:
        """What a file holds, over what the file holds that it builds on, and so on."""
        made: dict[str, Any] = {}
        for depth in range(_DEEPEST):
            document = self._toml(text, where)
            base = document.pop("base", None) if self.bases else None
            if depth:
                document.pop("name", None)  # two different things may not have one name
            made = document | made
            if base is None:
                return made
            if not isinstance(base, str):
                raise InputError(
                    f"{where}: base: has to be the name of a {self.kind}, or a .toml file"
                )
            try:
                text, where, folder = self._find(folder / base if base.endswith(".toml") else base)
            except InputError as error:
                raise InputError(f"{where}: base: {error.message}") from None
        raise InputError(f"{where}: base: leads on and on; let no {self.kind} build on itself")

    def _toml(self, text: str, where: str) -> dict[str, Any]:
        try:
            return _document(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{where}: not valid TOML: {error}; mend that line") from None
        except ValueError as error:
            raise InputError(f"{where}: {error}; see the bundled {self.kind}s") from None

    def _first_fault(self, error: ValidationError, document: dict[str, Any]) -> str:
        # A misspelt key is also a missing one; the misspelling says more. Of the ways in which a
        # value may be written, the one that most of it fits is meant.
        parts, fault = min(
            ((_written(fault, document), fault) for fault in error.errors()),
            key=lambda one: (one[1]["type"] != "extra_forbidden", -len(one[0])),
        )
        key, where = ".".join(parts), f"see the bundled {self.kind}s"
        if fault["type"] == "extra_forbidden":
            known = self.keys | {"base"} if self.bases else self.keys
            close = get_close_matches(parts[-1], sorted(known), 3, 0.5)
            meant = f"did you mean {' or '.join(close)}?" if close else where
            return f"unknown key {key}; {meant}"
        if fault["type"] == "missing":
            return f"key {key} is missing; add it ({where})"
        if fault["type"] == _UNKNOWN:
            return f"{key}.{fault['msg']}"
        if fault["type"] == _NOT_OF_KIND:
            return f"{key}{fault['msg']}".removeprefix(".") + "; change it"
        if fault["type"] == "tuple_type" and isinstance(fault["input"], dict):
            return f"{key}: has to be a list of tables; write [[{key}]]"
        if fault["type"] in _SHAPES:
            return f"{key}: {_SHAPES[fault['type']]} (got {str(fault['input'])[:60]})"
        if not key or fault["type"] == "value_error":
            return str(fault["msg"]).removeprefix("Value error, ")
        return f"{key}: {fault['msg'].lower()} (got {str(fault.get('input'))[:60]}); change it"


def _written(fault: ErrorDetails, document: dict[str, Any]) -> list[str]:
    """Where a fault is, in keys that the document has: pydantic names kinds of values among them.

    A missing key is the last one.
    """
    parts: list[str] = []
    value: Any = document
    for part in fault["loc"]:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            continue
        parts.append(str(part))
    return [*parts, str(fault["loc"][-1])] if fault["type"] == "missing" else parts


def _kinds(annotation: Any) -> frozenset[Any]:
    """What a setting may be in the end, in lists, choices of kinds and tables, with their keys."""
    if get_origin(annotation) is Literal:
        return frozenset(type(value) for value in get_args(annotation))
    inner = get_args(annotation)
    if get_origin(annotation) is Annotated:
        inner = inner[:1]
    if not inner:
        return frozenset({annotation})
    return frozenset().union(*(_kinds(part) for part in inner if part is not ...))


def _refuse_others(given: Any, kinds: Set[Any], at: str) -> None:
    """Refuse ``true`` where no truth value may stand, and text where nothing but numbers may."""
    if isinstance(given, list | tuple):
        for number, one in enumerate(given):
            _refuse_others(one, kinds, f"{at}.{number}")
    elif isinstance(given, dict) and kinds <= _PLAIN:  # a model asks this of its own settings
        for name, one in given.items():
            _refuse_others(one, kinds, f"{at}.{name}")
    elif isinstance(given, bool | str) and type(given) not in kinds:
        wanted = "text" if str in kinds else "true or false" if bool in kinds else "a number"
        said = f"{at}: has to be {wanted} (got {json.dumps(given)[:60]})"
        raise PydanticCustomError(_NOT_OF_KIND, "{said}", {"said": said})


def tagged(key: str, models: Iterable[type[BaseModel]]) -> BeforeValidator:
    """What says, before a union is told apart by ``key``, which kinds there are."""
    names = [str(get_args(model.model_fields[key].annotation)[0]) for model in models]

    def check(given: Any) -> Any:
        if not isinstance(given, dict) or given.get(key) in names:
            return given
        said = f"{key} is missing; add it (there are: {', '.join(names)})"
        if key in given:
            name = str(given[key])[:60]
            said = f"{key}: no {name!r}; {hint(name, names)}"
        raise PydanticCustomError(_UNKNOWN, "{said}", {"said": said})

    return BeforeValidator(check)


def _document(text: str) -> dict[str, Any]:
    """What TOML text holds.

    Raises:
        ValueError: it is no TOML (``TOMLDecodeError``), or holds what no setting can be.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except ValueError:  # of a number with more digits than Python reads
        raise ValueError("holds a number that is too large") from None
    waiting: list[tuple[str, Any, int]] = [("", document, 0)]
    while waiting:
        key, value, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("is nested too deeply")
        if isinstance(value, dict):
            waiting += [(name, inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            waiting += [(key, inner, depth + 1) for inner in value]
        elif isinstance(value, str) and "\0" in value:
            raise ValueError(f"{key} holds a null character")
        elif isinstance(value, int | float) and _LARGEST < abs(value) < math.inf:
            raise ValueError(f"{key} is a number that is too large")
    return document


def keys_of(models: Iterable[type[BaseModel]]) -> frozenset[str]:
    """The field names of some models together."""
    return frozenset(key for model in models for key in model.model_fields)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors put a mark in front
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no UTF-8 text; give a TOML file saved as UTF-8") from None
