"""Photos and the masks or parsings that go with them: two or three folders, matched by stem."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.errors import InputError
from synth.images import SUFFIXES
from synth.sources.base import Rejection
from synth.sources.names import name_fault, shown
from synth.sources.scan import Scan, scan

Stems = dict[str, tuple[Path, ...]]


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
        rejected: pictures without a partner, and second pictures of a stem.
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
    matched.files += [p for side in sides for twins in side.values() for p in twins] + lists
    wanted = set(sides[0]) | set(sides[1]) if stems is None else read_stems(stems)
    for stem in sorted(wanted):
        _add(matched, stem, sides)
    return matched


def _add(matched: Matched, stem: str, sides: Sequence[Stems]) -> None:
    first: list[Path | None] = []
    for twins in (side.get(stem, ()) for side in sides):
        first.append(twins[0] if twins else None)
        for twin in twins[1:]:
            matched.reject(twin, f"same stem as {shown(twins[0].name)}; rename or remove one")
    photo, partner, extra = [*first, None][:3]
    if photo and partner:
        matched.found[stem] = Trio(photo, partner, extra)
    elif photo or partner:
        lone, other = (photo, 1) if photo else (partner, 0)
        assert lone is not None
        folder = matched.name(matched.folders[other])
        matched.reject(lone, f"no partner in {folder}; add it or remove this")
    else:
        matched.rejected.append(Rejection(shown(stem), "is listed, but there is no such photo"))


def keep(
    kind: str,
    rules: Mapping[str, Any],
    matched: Matched,
    judge: Callable[[Trio], tuple[Path, str] | None],
) -> Scan:
    """The stems that ``judge`` finds no fault with; every file is looked at, see `scan`.

    Args:
        kind, rules: the reader and its settings, as `scan` wants them.
        judge: the file at fault and the reason, or None. An InputError that names one of the
            files is a reason too.

    Raises:
        InputError: nothing is left.
    """

    def examine() -> tuple[list[str], list[Rejection]]:
        kept, rejected = [], list(matched.rejected)
        for stem, files in matched.found.items():
            fault = _fault(files, judge)
            if fault is None:
                kept.append(stem)
            else:
                rejected.append(Rejection(matched.name(fault[0]), fault[1]))
        return kept, rejected

    def photo(stem: str) -> Path:
        return matched.found[stem].photo

    result = scan(kind, rules, matched.root, matched.files, examine, photo)
    if not result.kept:
        first = next(iter(result.rejected), None)
        why = f"; first: {first.file}: {first.reason}" if first else "; it holds none"
        raise InputError(f"{matched.folders[0]}: no photo has a usable partner of its name{why}")
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
        named = [path for path in files.all() if error.message.startswith(f"{path}: ")]
        path = named[0] if named else files.photo
        return path, error.message.removeprefix(f"{path}: ")


def pictures(folder: Path) -> Stems:
    """The pictures of a folder by stem, those of one stem sorted; hidden files are passed over.

    Raises:
        InputError: no such folder.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder}: no such folder; check the path in the recipe and --data")
    found: Stems = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        found[path.stem] = (*found.get(path.stem, ()), path)
    return found


def read_stems(path: Path) -> set[str]:
    """The stems that a text file lists, one a line, with or without the suffix of a picture.

    Raises:
        InputError: no such file, or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text; give a file with one stem a line") from None
    return {_stem(line.strip()) for line in lines if line.strip()}


def _stem(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name
