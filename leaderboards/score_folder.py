"""Predictions of any program, a folder of pictures by sample id: checked by name, then scored."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from hdeocc.folders import digest
from leaderboards.records import Data, Protocol, Record
from leaderboards.score import Facts, make_record
from leaderboards.score_pictures import Pictures, PictureScorer, expected
from metrics.truth import Rules
from synth.atomic import temporaries
from synth.codec import is_whole_png
from synth.errors import InputError
from synth.store import Split

_NAMED = 5
_PICTURES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".npy"}
GREY = 0
# PNG's colour types by the channels that reading them gives.
_KINDS = {GREY: "grey", 2: "RGB", 3: "palette", 4: "grey with opacity", 6: "RGB with opacity"}
_WANTED = {1: "grey", 3: "RGB"}
_HEADER = 33  # bytes of a PNG up to the end of its header


@dataclass(frozen=True)
class Faults:
    """What is wrong with the files of predictions, each by its path below the folder it is in.

    Attributes:
        missing: pictures of samples that are scored.
        extra: pictures that belong to no sample of the split.
        wrong: pictures of another size or kind, with the reason.
    """

    missing: tuple[Path, ...]
    extra: tuple[Path, ...]
    wrong: dict[Path, str]

    @property
    def none(self) -> bool:
        """Whether everything is as it should be."""
        return not (self.missing or self.extra or self.wrong)

    def lines(self) -> list[str]:
        """Every fault, one line each."""
        return [
            *(f"missing: {path}" for path in self.missing),
            *(f"extra: {path}" for path in self.extra),
            *(f"wrong: {path} {reason}" for path, reason in self.wrong.items()),
        ]

    def refuse(self, *, partial: bool = False) -> None:
        """Refuse the predictions by name; ``partial`` lets missing ones pass.

        Raises:
            InputError: one line with the first few names of a kind.
        """
        if self.wrong:
            path, reason = next(iter(self.wrong.items()))
            raise InputError(
                f"{path}: {reason}{_others(len(self.wrong) - 1)}; save it in the size and kind "
                "of the sample"
            )
        if self.extra:
            raise InputError(
                f"{self.extra[0].parent}: {_some(self.extra)} belong to no sample of the split; "
                "remove them or name the right data set and split"
            )
        if self.missing and not partial:
            raise InputError(
                f"{self.missing[0].parent}: {len(self.missing)} predictions are missing "
                f"({_some(self.missing)}); add them, for a part of a split has no score"
            )


def _some(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:_NAMED])
    return names + _others(len(paths) - _NAMED)


def _others(n: int) -> str:
    return f" and {n} more" if n > 0 else ""


def faults_of(pictures: Pictures, test: Split) -> Faults:
    """Compare the files with the samples of a split; no picture is decoded.

    Raises:
        InputError: a folder of predictions does not exist.
    """
    folders = pictures.folders()
    for folder, _ in folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give the folder of ID.png predictions")
    shape = _shape(test)
    wrong = {
        path: reason
        for folder, channels in folders
        for path in pictures_in(folder, test.ids)
        if (reason := _fault(path, shape, channels)) is not None
    }
    extra = [path for folder, _ in folders for path in _foreign(folder, test.ids)]
    absent = [(i, folder) for i in range(len(test)) for folder, _ in folders]
    missing = [
        folder / f"{test.ids[i]}.png"
        for i, folder in absent
        if not (folder / f"{test.ids[i]}.png").is_file() and expected(pictures.track, test[i])
    ]
    return Faults(tuple(missing), tuple(extra), wrong)


def pictures_in(folder: Path, ids: Iterable[str]) -> list[Path]:
    """The pictures that a folder has of some samples."""
    paths = [folder / f"{one}.png" for one in ids]
    return [path for path in paths if path.is_file()]


def _foreign(folder: Path, ids: Iterable[str]) -> list[Path]:
    """Pictures of a folder that are no sample's; other files beside them do not matter.

    Nor do pictures of ours that somebody was killed in the middle of.
    """
    known = {f"{one}.png" for one in ids} | {path.name for path in temporaries(folder)}
    found = [path for path in folder.iterdir() if path.suffix.lower() in _PICTURES]
    return sorted(path for path in found if path.name not in known and path.is_file())


def _shape(test: Split) -> tuple[int, int]:
    height, width = test[0].amodal.shape
    return height, width


def read_header(path: Path) -> tuple[int, int, int, int]:
    """Width, height, depth and colour type of a whole PNG file, which is not decoded.

    Raises:
        ValueError: it is none, or cannot be read; the message says so.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    if not is_whole_png(content) or content[12:16] != b"IHDR" or len(content) < _HEADER:
        raise ValueError("is not a readable PNG")
    width, height, depth, kind = struct.unpack(">IIBB", content[16:26])
    return width, height, depth, kind


def _fault(path: Path, shape: tuple[int, int], channels: int) -> str | None:
    """What is wrong with a picture, from its header; None where it is as expected."""
    try:
        width, height, depth, kind = read_header(path)
    except ValueError as error:
        return str(error)
    if (height, width) != shape:
        return f"is {width}x{height} pixels, not {shape[1]}x{shape[0]}"
    if _KINDS.get(kind) != _WANTED[channels] or depth > 8:
        found = f"{depth}-bit {_KINDS.get(kind, 'of an unknown kind')}"
        return f"is {found}, not 8-bit {_WANTED[channels]}"
    return None


@dataclass(frozen=True)
class FolderScore:
    """The record of a folder of predictions, and what was wrong with the folder."""

    record: Record
    faults: Faults


def score_folder(
    pictures: Pictures,
    test: Split,
    data: Data,
    facts: Facts,
    rules: Rules = Rules(),  # noqa: B008  (frozen)
    *,
    cache: Path | None = None,
    vgg: bool = False,
    partial: bool = False,
) -> FolderScore:
    """Score pictures by sample id against a split of a data set, whoever made them.

    The track follows from what was given: masks, photos, or both for the full pipeline. With
    ``partial``, missing pictures leave a record of those that are there, without totals.
    ``cache`` and ``vgg``: as of `PictureScorer`.

    Raises:
        InputError: a missing, extra, damaged or wrongly sized picture, by name.
    """
    faults = faults_of(pictures, test)
    faults.refuse(partial=partial)
    scorer = PictureScorer(test, cache, vgg)
    scored = scorer.score(pictures, rules, facts.title)
    by = Protocol(name=rules.name, border_band=rules.border_band)
    key = _key(pictures, test, by, scorer.networks_of(pictures.track))
    return FolderScore(make_record(scored, facts, rules, data, key), faults)


def is_of(record: Record, pictures: Pictures, test: Split) -> bool:
    """Whether a record that `score_folder` made is of these very pictures."""
    key = _key(pictures, test, record.protocol, record.feature_networks)
    return pictures.track == record.track and key == record.score_key


def _key(pictures: Pictures, test: Split, by: Protocol, networks: Mapping[str, str]) -> str:
    """Digest of everything the numbers depend on, the bytes of the pictures included.

    ``networks``: name -> source and SHA-256, as `PictureScorer.networks_of` and records have them.
    """
    made = [
        [
            (path.name, sha256(path.read_bytes()).hexdigest())
            for path in pictures_in(folder, test.ids)
        ]
        for folder, _ in pictures.folders()
    ]
    shas = [about.rpartition("sha256 ")[2] for about in networks.values()]
    rules = [by.version, by.name, by.border_band]
    return digest([pictures.track, made, test.fingerprint, rules, shas])
