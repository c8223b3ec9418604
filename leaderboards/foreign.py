"""Predictions of other programs: a folder of PNG files by sample id, and what is claimed of it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hdeocc.batch import INPUTS
from hdeocc.folders import read_json
from leaderboards.cost import macs_together
from leaderboards.predict import ABOUT, PARSING
from leaderboards.records import METHOD, UNMEASURED, ResultTrack, reason
from leaderboards.score import Facts, consumed_together
from leaderboards.score_folder import GREY, read_header
from leaderboards.score_pictures import Pictures
from synth.atomic import temporaries
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
    return "mask" if _is_grey(folder) else "content"


def _is_grey(folder: Path) -> bool:
    """Whether the first picture of a folder is a mask, by its header."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of ID.png predictions")
    unfinished = temporaries(folder)
    path = min((path for path in folder.glob("*.png") if path not in unfinished), default=None)
    if path is None:
        raise InputError(f"{folder}: holds no PNG files; give the folder of ID.png predictions")
    try:
        *_, kind = read_header(path)
    except ValueError as error:
        raise InputError(f"{path}: {error}; write it again") from None
    return kind == GREY


class Said(BaseModel):
    """What predictions.json says, as far as a record repeats it; the defaults: nobody said."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    fingerprint: str | None = None
    track: ResultTrack | None = None
    method: str | None = Field(None, pattern=METHOD)
    title: str | None = None
    seed: int = Field(0, ge=0)
    preset: str = ""
    consumes: list[str] = []
    learned: bool | None = None
    pretrained: str | None = None
    options: dict[str, Any] = {}
    parameters: int | None = Field(None, ge=0)
    macs: int | None = Field(None, ge=0)
    milliseconds: float | None = Field(None, ge=0, allow_inf_nan=False)
    device: str = UNMEASURED
    weights_sha256: dict[str, str] = {}
    holds: list[str] = []


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
        InputError: nothing says what the method was given, an unknown input, a predictions.json
            that is damaged, or predictions that say they are of another track, or of another split
            than that of ``fingerprint``.
    """
    said = _said(folder)
    if said.fingerprint not in (None, fingerprint):
        raise InputError(
            f"{folder / ABOUT}: these predictions are of the split {str(said.fingerprint)[:12]}, "
            f"not of {fingerprint[:12]}; give the data set and the split they were made for"
        )
    _check_holes(folder, said, masks)
    silent = folder
    if masks is not None:
        below = _said(masks)
        silent = folder if below.consumes else masks
        said = _of_both(below, said)
    title = name or said.title or folder.resolve().name
    return Facts(
        benchmark=benchmark,
        method=slug(title) if name is not None or said.method is None else said.method,
        title=title,
        seed=said.seed,
        preset=said.preset,
        consumes=_consumes(silent, said.consumes, consumes),
        learned=said.learned,
        pretrained=trained_on or said.pretrained,
        options=said.options,
        parameters=said.parameters,
        macs=said.macs,
        milliseconds=said.milliseconds,
        device=said.device,
        weights_sha256=said.weights_sha256,
    )


def _said(folder: Path) -> Said:
    """What our own predictions say of themselves; nothing for those of other programs."""
    path = folder / ABOUT
    try:
        return Said.model_validate(read_json(path)) if path.is_file() else Said()
    except ValidationError as error:
        raise InputError(
            f"{path}: says what no result can repeat ({reason(error)}); mend it, or remove it and "
            "say what is known with --name and --consumes"
        ) from None


def _check_holes(folder: Path, said: Said, masks: Path | None) -> None:
    """Refuse photos whose holes are those of another track: a predicted hole is not the true one.

    Raises:
        InputError: photos of the full track without ``masks``, or others with them.
    """
    if said.track == "full" and masks is None:
        raise InputError(
            f"{folder / ABOUT}: these photos are of the full track, painted into predicted masks; "
            "give those with --masks DIR"
        )
    if said.track == "content" and masks is not None:
        raise InputError(
            f"{folder / ABOUT}: these photos are of the content track, painted into the true "
            "masks; leave --masks out, or predict them again with --masks"
        )


def _of_both(masks: Said, photos: Said) -> Said:
    """Cost and inputs of a pipeline: its photos tell of the second step alone."""
    parts = (masks, photos)
    trained = dict.fromkeys(part.pretrained for part in parts if part.pretrained)
    # Where one of them is silent, what the other reads is not all that the row was given.
    told = all(part.consumes for part in parts)
    inputs = consumed_together(masks.consumes, photos.consumes) if told else set()
    # The network of the first step may be one of those that the second step predicts with.
    held = f"mask.{masks.method}" in photos.holds
    together = {
        "parameters": photos.parameters if held else _sum([part.parameters for part in parts]),
        "macs": macs_together((part.parameters, part.macs) for part in parts),
        "pretrained": " and ".join(trained) or None,
        "milliseconds": _sum([part.milliseconds for part in parts]),
        "consumes": sorted(inputs),
    }
    return photos.model_copy(update=together)


def _sum(values: Sequence[Any]) -> Any:
    """The sum; None where one is not known, for part of a cost is no cost."""
    return None if None in values else sum(values)


def _consumes(
    folder: Path, said: Collection[str], given: Collection[str] | None
) -> tuple[str, ...]:
    inputs = said if given is None else given
    if not inputs:
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
