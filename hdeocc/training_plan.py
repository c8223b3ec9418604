"""Which methods `hdeocc train` trains, in which order, with which options and budgets."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hdeocc.differences import differences
from hdeocc.fitted import made_of
from hdeocc.folders import read_json
from hdeocc.method import Budget, Method, Preset, entries, method_class
from synth.atomic import write_text
from synth.errors import InputError
from synth.settings import hint

TRACKS = ("mask", "content")
MARKER = "train.json"
SCHEMA = 1
# What `train.json` tells of a method by itself; earlier versions left it out.
MADE_OF = ("class", "settings", "outside_weights", "trained_without")

# What the paper's benchmarks give their methods on photos of the same size: their alternatives.
BUDGETS: dict[Preset, dict[str, Budget]] = {
    "quick": {
        "mask": Budget(samples=3200, batch=8, lr=1e-3),
        "content": Budget(samples=3200, batch=8, lr=1e-3),
    },
    "small": {
        "mask": Budget(samples=14_000, batch=8, lr=1e-3),
        "content": Budget(samples=8_000, batch=8, lr=2e-3),
    },
    "full": {
        "mask": Budget(samples=240_000, batch=16, lr=3e-4, precision="bf16-mixed"),
        "content": Budget(samples=240_000, batch=16, lr=2e-4, precision="bf16-mixed"),
    },
}


@dataclass(frozen=True)
class Part:
    """One method to train: its "track.name", the options that differ, what it may spend."""

    key: str
    options: Mapping[str, Any]
    budget: Budget

    @property
    def track(self) -> str:
        """The track, which names its folder too."""
        return self.key.partition(".")[0]

    @property
    def kind(self) -> type[Method]:
        """The method's class."""
        track, _, name = self.key.partition(".")
        return method_class(track, name)


def keys_of(name: str, fitted: Sequence[str] = ()) -> list[str]:
    """The methods behind a name ("two-stage", or "mask.two-stage"), those they build on first.

    Those in ``fitted`` are there already.

    Raises:
        InputError: an unknown name, a method that learns nothing, or two methods of one track.
    """
    known = entries()
    found = [name] if "." in name else [f"{track}.{name}" for track in TRACKS]
    found = [key for key in found if key in known]
    if not found:
        names = [*known, *dict.fromkeys(key.split(".", 1)[1] for key in known)]
        raise InputError(f"no method {name!r}; {hint(name, names)}")
    keys: list[str] = []
    for key in found:
        _add(keys, key, [*fitted])
    for track in TRACKS:
        same = [key for key in keys if key.startswith(f"{track}.")]
        if len(same) > 1:
            raise InputError(f"{name}: needs {' and '.join(same)}, two methods of one track")
    return keys


def _add(keys: list[str], key: str, fitted: list[str]) -> None:
    if key in keys or key in fitted:
        return
    kind = method_class(*key.split(".", 1))
    if not kind.learned:
        raise InputError(f"{key}: learns nothing, so there is nothing to train")
    for upstream in kind.upstream:
        _add(keys, upstream, fitted)
    keys.append(key)


def parse_options(given: Sequence[str], keys: Sequence[str]) -> dict[str, dict[str, Any]]:
    """``--set`` options by track: "mask.net.width=2", or without the track where there is one.

    Values are read as TOML (2, 0.5, true, [1, 2]), else as words.

    Raises:
        InputError: no "=", a track that is not trained, or an option that is set twice.
    """
    tracks = [key.partition(".")[0] for key in keys]
    options: dict[str, dict[str, Any]] = {track: {} for track in tracks}
    for text in given:
        name, sign, value = text.partition("=")
        track, dot, rest = name.strip().partition(".")
        if dot and track in tracks:
            name = rest
        elif len(tracks) == 1:
            track, name = tracks[0], name.strip()
        else:
            sign = ""
        if not (sign and name):
            raise InputError(
                f"--set {text}: give {' or '.join(f'{t}.OPTION=VALUE' for t in tracks)}"
            )
        if name in options[track]:
            raise InputError(f"--set {text}: sets {name} of {track} a second time; keep one")
        options[track][name] = _value(value.strip())
    return options


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def claim(out: Path, settings: Mapping[str, Any]) -> None:
    """Make a folder the model's, or go on in one that was begun with the very same settings.

    Raises:
        InputError: it is a file, holds something else, or was begun with other settings; these are
            named.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; give another --out")
    marker = out / MARKER
    if marker.is_file():
        before = read_json(marker)
        if told := differences(before, _as_far_as(before, settings)):
            raise InputError(f"{out}: {told}; give another --out")
        return
    if out.is_dir() and any(out.iterdir()):
        raise InputError(
            f"{out}: holds something else (no {MARKER}); give an empty or new folder as --out"
        )
    write_text(marker, json.dumps(settings, indent=1) + "\n")


def _as_far_as(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """``now`` without what earlier versions did not write down, where ``before`` is of one."""
    told = dict(now)
    for track in TRACKS:
        old = before.get(track)
        if track in told and isinstance(old, dict) and "class" not in old:
            told[track] = {k: v for k, v in told[track].items() if k not in MADE_OF}
    return told


def settings_of(
    parts: Sequence[Part], preset: Preset, half: bool, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Everything the weights depend on, JSON-able: what the command says, by its words, and what
    the installed methods are by themselves.
    """
    settings: dict[str, Any] = {"schema": SCHEMA, "preset": preset, "half": half}
    settings["data"] = {
        name: facts[name] for name in ("name", "made", "train_fingerprint", "val_fingerprint")
    }
    for part in parts:
        settings[part.track] = {
            "method": part.key,
            "options": part.kind.settings(preset, part.options)[1],
            **part.budget.facts(),
            # An empty list too, so that the difference is named when a network comes or goes.
            "trained_without": [],
            **made_of(part.kind.variant(preset, part.options)),
        }
    return settings
