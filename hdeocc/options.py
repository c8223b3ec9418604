"""Settings changed by name: the frozen dataclass of a preset with some of its fields replaced.

A field is named by its path ("net.templates", "loss.l1") or, where no other field bears it, by its
last word alone ("templates"). Tables in TOML may be nested or dotted. Unknown names and values of
another type are refused, so that a typing error never silently runs another experiment.
"""

import dataclasses
import math
import types
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from synth.errors import InputError
from synth.settings import hint

Settings = TypeVar("Settings")
Options = dict[str, Any]


def change(settings: Settings, options: Mapping[str, Any], where: str) -> tuple[Settings, Options]:
    """Settings with some fields replaced, and the options under their full names, sorted.

    ``where`` names the asker in errors. The second is JSON-able and the same for all spellings.

    Raises:
        InputError: an unknown or ambiguous name (with the closest), a name given twice, a value of
            another type, or one that the settings refuse.
    """
    types_by_path = _leaves(type(settings), "")
    values: Options = {}
    for name, value in flat(options):
        path = _path(name, list(types_by_path), where)
        if path in values:
            raise InputError(f"{where}: option {path} is given twice; keep one")
        values[path] = _checked(path, value, types_by_path[path], where)
    try:
        changed = _replaced(settings, values)
    except ValueError as error:
        raise InputError(f"{where}: option {error}; change it") from None
    plain = {path: list(v) if isinstance(v, tuple) else v for path, v in values.items()}
    return changed, dict(sorted(plain.items()))


def _leaves(kind: type, prefix: str) -> dict[str, Any]:
    """The annotated type of every field that is no dataclass itself, by its path."""
    found: dict[str, Any] = {}
    for name, annotation in get_type_hints(kind).items():
        if name not in {field.name for field in dataclasses.fields(kind)}:
            continue
        if dataclasses.is_dataclass(annotation) and isinstance(annotation, type):
            found |= _leaves(annotation, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = annotation
    return found


def flat(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values, a name again where it stands in a table and beside it."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _path(name: str, paths: list[str], where: str) -> str:
    if name in paths:
        return name
    found = [path for path in paths if path.rsplit(".", 1)[-1] == name]
    if len(found) > 1:
        raise InputError(f"{where}: option {name} may be {' or '.join(found)}; give it in full")
    if not found:
        short = [path.rsplit(".", 1)[-1] for path in paths]
        known = paths if "." in name else short
        raise InputError(f"{where}: no option {name!r}; {hint(name, known)}")
    return found[0]


def _checked(path: str, value: Any, wanted: Any, where: str) -> Any:
    if get_origin(wanted) in (Union, types.UnionType):
        wanted = next(one for one in get_args(wanted) if one is not type(None))
    if get_origin(wanted) is Literal:
        if value in get_args(wanted):
            return value
        raise InputError(f"{where}: option {path} = {value!r}: one of {_listed(get_args(wanted))}")
    if get_origin(wanted) is tuple:
        inner = get_args(wanted)[0]
        if isinstance(value, list | tuple) and all(isinstance(one, inner) for one in value):
            return tuple(value)
        raise InputError(f"{where}: option {path} = {value!r}: give a list of {_word(inner)}")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where}: option {path} = {value!r}: give a number that has an end")
    if isinstance(value, bool) is (wanted is bool) and isinstance(value, wanted):
        return value
    raise InputError(f"{where}: option {path} = {value!r}: give {_word(wanted)}")


def _listed(choices: tuple[Any, ...]) -> str:
    return ", ".join(str(choice) for choice in choices)


def _word(kind: type) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "words"}
    return words.get(kind, kind.__name__)


def _replaced(settings: Settings, values: Mapping[str, Any]) -> Settings:
    here = {name: value for name, value in values.items() if "." not in name}
    for name in {path.split(".", 1)[0] for path in values if "." in path}:
        inner = {p.split(".", 1)[1]: v for p, v in values.items() if p.startswith(f"{name}.")}
        here[name] = _replaced(getattr(settings, name), inner)
    return dataclasses.replace(settings, **here)  # type: ignore[type-var]
