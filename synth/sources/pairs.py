"""Photos and the masks or parsings that go with them: two or three folders, matched by stem."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.images import SUFFIXES
from synth.sources.base import Rejection
from synth.sources.files import file_fault, listed_fault
from synth.sources.names import name_fault, names, reason_of, shown
from synth.sources.scan import Scan, scan

Stems = dict[str, tuple[Path, ...]]

# Suffixes of pictures of other types; files of no such suffix are not taken for pictures.
_UNREAD = (
    ".arw", ".avif", ".cr2", ".cr3", ".dng", ".exr", ".gif", ".heic", ".heif", ".ico", ".j2k",
    ".jfif", ".jp2", ".jpe", ".jxl", ".nef", ".orf", ".pbm", ".pgm", ".pnm", ".ppm", ".psd", ".raf",
    ".rw2", ".svg", ".tga", ".tif", ".tiff",
)  # fmt: skip
_PICTURES = frozenset((*SUFFIXES, *_UNREAD))
_NOT_READ = f"is of a type that is not read; save it as one of {', '.join(SUFFIXES)}"
_LONGEST_LIST = 256 << 20  # bytes; ten million stems are fewer


@dataclass
class Listed:
    """The pictures of a folder by stem, those of one stem sorted, and what is no picture to read.

    Attributes:
        found: the pictures.
        unread: what has the name of a picture and is not read, with the reason.
    """

    found: Stems = field(default_factory=dict)
    unread: dict[str, tuple[tuple[Path, str], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Trio:
    """The files of one stem: photo, its partner (a mask, say), and a third where there is one."""

    photo: Path
    partner: Path
    extra: Path | None

    def all(self) -> list[Path]:
        return [path for path in (self.photo, self.partner, self.extra) if path is not None]


@dataclass
class Matched:
    """What the folders hold together.

    Attributes:
        folders: of photos, partners and, where there is one, extras.
        root: the folder that holds all; names in rejections are relative to it.
        found: by stem, sorted.
        rejected: pictures without a partner, second pictures of a stem, and what is not read.
        files: every picture, and the list of stems.
    """

    folders: tuple[Path, ...]
    root: Path
    found: dict[str, Trio] = field(default_factory=dict)
    rejected: list[Rejection] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def roles(self) -> dict[str, str]:
        """Which folder is which, for the settings of a scan."""
        return {f"folder {i}": self.name(folder) for i, folder in enumerate(self.folders)}

    def name(self, path: Path) -> str:
        """What a rejection calls a file."""
        return shown(path.relative_to(self.root).as_posix())

    def reject(self, path: Path, reason: str) -> None:
        self.rejected.append(Rejection(self.name(path), reason))


def match(
    photos: Path, partners: Path, extras: Path | None = None, stems: Path | None = None
) -> Matched:
    """Pictures of the same stem in the folders; folders within folders are not looked into.

    Args:
        photos, partners: a picture without a partner of its stem is rejected.
        extras: a third folder, which need not have a picture of every stem.
        stems: a text file with one stem a line; others are passed over.

    Raises:
        InputError: a folder or the list is missing, or two folders are one.
    """
    folders = [Path(os.path.abspath(f)) for f in (photos, partners, extras) if f is not None]
    sides = [pictures(folder) for folder in folders]
    if len({os.path.realpath(folder) for folder in folders}) < len(folders):
        raise InputError(f"{photos}: holds photos and masks or parsings; give each its own folder")
    lists = [] if stems is None else [Path(os.path.abspath(stems))]
    root = Path(os.path.commonpath([*folders, *(path.parent for path in lists)]))
    matched = Matched(tuple(folders), root)
    matched.files += [p for one in sides for twins in one.found.values() for p in twins] + lists
    wanted = _stems(sides[:2]) if stems is None else read_stems(stems)
    for stem in sorted(wanted):
        _add(matched, stem, sides)
    return matched


def _stems(sides: Iterable[Listed]) -> set[str]:
    return {stem for side in sides for some in (side.found, side.unread) for stem in some}


def _add(matched: Matched, stem: str, sides: Sequence[Listed]) -> None:
    first: list[Path | None] = []
    for side in sides:
        for path, reason in side.unread.get(stem, ()):
            matched.reject(path, reason)
        twins = side.found.get(stem, ())
        first.append(twins[0] if twins else None)
        for twin in twins[1:]:
            matched.reject(twin, f"same stem as {shown(twins[0].name)}; rename or remove one")
    photo, partner, extra = [*first, None][:3]
    if photo and partner:
        matched.found[stem] = Trio(photo, partner, extra)
        return
    lone, other = (photo, 1) if photo else (partner, 0)
    if stem in sides[other].unread:
        return  # what is not read says why the stem is not used
    if lone:
        folder = matched.name(matched.folders[other])
        matched.reject(lone, f"no partner in {folder}; add it or remove this")
    elif stem not in sides[1].unread:
        matched.rejected.append(Rejection(shown(stem), "is listed, but there is no such photo"))


def keep(
    kind: str,
    rules: Mapping[str, Any],
    matched: Matched,
    judge: Callable[[Trio], tuple[Path, str] | None],
) -> Scan:
    """The stems that ``judge`` finds no fault with; every file is looked at, see `scan`.

    What `match` rejected comes first, and is kept in no cache: files that are not read tell of it.

    Args:
        kind, rules: the reader and its settings, as `scan` wants them.
        judge: the file at fault and the reason, or None. An InputError that names one of the
            files is a reason too.

    Raises:
        InputError: nothing is left.
    """

    def examine() -> tuple[list[str], list[Rejection]]:
        kept, rejected = [], []
        for stem, files in matched.found.items():
            fault = _fault(files, judge)
            if fault is None:
                kept.append(stem)
            else:
                rejected.append(Rejection(matched.name(fault[0]), fault[1]))
        return kept, rejected

    def photo(stem: str) -> Path:
        return matched.found[stem].photo

    found = scan(kind, rules, matched.root, matched.files, examine, photo)
    result = replace(found, rejected=(*matched.rejected, *found.rejected))
    if not result.kept:
        first = next(iter(result.rejected), None)
        why = f"first: {first.file}: {first.reason}" if first else "it holds none"
        raise InputError(
            f"{matched.folders[0]}: no photo has a usable partner of its name ({why}); "
            "mend that, or check the folders in the recipe"
        )
    return result


def _fault(
    files: Trio, judge: Callable[[Trio], tuple[Path, str] | None]
) -> tuple[Path, str] | None:
    for path in files.all():
        fault = name_fault(path.name)
        if fault is not None:
            return path, fault
    try:
        return judge(files)
    except InputError as error:
        named = [path for path in files.all() if names(error, path)]
        path = named[0] if named else files.photo
        return path, reason_of(error, path)


def pictures(folder: Path) -> Listed:
    """The pictures of a folder; hidden files and folders within it are passed over.

    Raises:
        InputError: no such folder, or it cannot be read.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; check the path in the recipe and --data")
    listed = Listed()
    for path in _entries(folder):
        reason = _unread(path)
        if reason is None:
            listed.found[path.stem] = (*listed.found.get(path.stem, ()), path)
        elif reason:
            one = path, reason
            listed.unread[path.stem] = (*listed.unread.get(path.stem, ()), one)
    return listed


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check the path") from None


def _unread(path: Path) -> str | None:
    """None for a picture; "" for what is none; else why one is not read."""
    suffix = path.suffix.lower()
    if suffix not in _PICTURES or os.path.isdir(path):
        return ""
    fault = file_fault(path)
    if fault is not None:
        return f"{fault}; replace or remove it"
    return _NOT_READ if suffix in _UNREAD else None


def read_stems(path: Path) -> set[str]:
    """The stems that a text file lists, one a line, with or without the suffix of a picture.

    Raises:
        InputError: no such file, no text, absurdly long, or it lists nothing.
    """
    fault = listed_fault(path, "list", "stems")
    if fault is not None:
        raise InputError(f"{path}: {fault}")
    try:
        if path.stat().st_size > _LONGEST_LIST:
            raise InputError(f"{path}: is no list of stems, but far longer; check the recipe")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text; give a file with one stem a line") from None
    stems = {_stem(line.strip()) for line in lines if line.strip()}
    if not stems:
        raise InputError(f"{path}: lists nobody; write one stem a line, or leave `stems` out")
    return stems


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in _PICTURES else name
