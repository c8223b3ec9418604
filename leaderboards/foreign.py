"""Predictions of other programs: a folder of PNG files by sample id, and what is claimed of it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from hdeocc.batch import INPUTS
from hdeocc.folders import read_json
from leaderboards.cost import macs_together
from leaderboards.predict import ABOUT, PARSING
from leaderboards.records import UNMEASURED, ResultTrack
from leaderboards.score import Facts, consumed_together
from leaderboards.score_pictures import Pictures
from synth.errors import InputError
from synth.settings import hint


def pictures_of(folder: Path, masks: Path | None, track: str | None) -> Pictures:
    """Where the pictures of a set of predictions lie; ``masks`` are those of the full track.

    Raises:
        InputError: no PNG there, or ``masks`` with another track than "full".
    """
    kind = _track(folder, masks, track)
    first = folder if kind == "mask" else masks
    parsing = first is not None and (first / PARSING).is_dir()
    return Pictures(
        masks=first,
        photos=None if kind == "mask" else folder,
        parsing=first / PARSING if parsing and first is not None else None,
    )


def _track(folder: Path, masks: Path | None, given: str | None) -> ResultTrack:
    if masks is not None:
        if given not in (None, "full"):
            raise InputError(f"--masks belongs to the full track, not to {given}; leave one out")
        return "full"
    if given == "full":
        raise InputError("--track full needs the predicted masks too; give them with --masks DIR")
    if given in ("mask", "content"):
        return "mask" if given == "mask" else "content"
    return "mask" if _first(folder).ndim == 2 else "content"


def _first(folder: Path) -> np.ndarray:
    """The first picture of a folder, which tells masks (grey) from photos."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of ID.png predictions")
    path = next(iter(sorted(folder.glob("*.png"))), None)
    if path is None:
        raise InputError(f"{folder}: holds no PNG files; give the folder of ID.png predictions")
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None:
        raise InputError(f"{path}: is no readable PNG file; write it again")
    return np.asarray(picture)


def facts_of(
    folder: Path,
    benchmark: str,
    fingerprint: str,
    name: str | None = None,
    consumes: Collection[str] | None = None,
    masks: Path | None = None,
    trained_on: str | None = None,
) -> Facts:
    """What is claimed of a folder: by the user, else by the predictions.json that we write.

    ``masks``: those of the full track, whose cost and inputs are part of the row's. What nobody
    says of the cost stays None, for a 0 would be a claim. ``trained_on``: other data that the
    method learned from, which makes its row rank apart.

    Raises:
        InputError: nothing says what the method was given, an unknown input, or predictions that
            say they are of another split than that of ``fingerprint``.
    """
    about = _about(folder)
    made_for = about.get("fingerprint", fingerprint)
    if made_for != fingerprint:
        raise InputError(
            f"{folder / ABOUT}: these predictions are of the split {str(made_for)[:12]}, not of "
            f"{fingerprint[:12]}; give the data set and the split they were made for"
        )
    if about.get("track") == "full" or masks is not None:
        about |= _of_both(about, {} if masks is None else _about(masks))
    title = name or str(about.get("title", folder.resolve().name))
    return Facts(
        benchmark=benchmark,
        method=str(about["method"]) if name is None and "method" in about else slug(title),
        title=title,
        seed=_int(about.get("seed")) or 0,
        preset=str(about.get("preset", "")),
        consumes=_consumes(folder, about, consumes),
        learned=about["learned"] if isinstance(about.get("learned"), bool) else None,
        pretrained=trained_on or _text(about.get("pretrained")),
        options=_dict(about.get("options")),
        parameters=_int(about.get("parameters")),
        macs=_int(about.get("macs")),
        milliseconds=_float(about.get("milliseconds")),
        device=str(about.get("device", UNMEASURED)),
        weights_sha256=_dict(about.get("weights_sha256")),
    )


def _about(folder: Path) -> dict[str, Any]:
    """What our own predictions say of themselves; nothing for those of other programs."""
    return read_json(folder / ABOUT) if (folder / ABOUT).is_file() else {}


def _of_both(photos: dict[str, Any], masks: dict[str, Any]) -> dict[str, Any]:
    """Cost and inputs of a pipeline: its photos tell of the second step alone."""
    parts = (masks, photos)
    trained = dict.fromkeys(part["pretrained"] for part in parts if part.get("pretrained"))
    read = [_list(part.get("consumes")) for part in parts]
    inputs = consumed_together(*read) if read[1] else set()
    return {
        "parameters": _sum([_int(part.get("parameters")) for part in parts]),
        "macs": macs_together((_int(p.get("parameters")), _int(p.get("macs"))) for p in parts),
        "pretrained": " and ".join(map(str, trained)) or None,
        "milliseconds": _sum([_float(part.get("milliseconds")) for part in parts]),
        "consumes": sorted(inputs),
    }


def _sum(values: Sequence[Any]) -> Any:
    """The sum; None where one is not known, for part of a cost is no cost."""
    return None if None in values else sum(values)


def _consumes(
    folder: Path, about: dict[str, Any], given: Collection[str] | None
) -> tuple[str, ...]:
    inputs = about.get("consumes", []) if given is None else list(given)
    if not isinstance(inputs, list) or not inputs:
        raise InputError(
            f"{folder}: nothing says what the method was given; say it with --consumes, "
            f"a list of: {', '.join(INPUTS)}"
        )
    for one in inputs:
        if one not in INPUTS:
            raise InputError(f"--consumes {one}: no such input; {hint(str(one), INPUTS)}")
    return tuple(sorted(inputs))


def slug(name: str) -> str:
    """A name as records and files bear it: small letters, digits and hyphens.

    Raises:
        InputError: nothing is left of it.
    """
    plain = "".join(c.lower() if c.isascii() and c.isalnum() else "-" for c in name)
    short = "-".join(part for part in plain.split("-") if part)
    if not short:
        raise InputError(f"--name {name!r}: give a name with letters or digits")
    return short


def _int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _list(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
