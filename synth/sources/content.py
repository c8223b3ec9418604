"""The files of a source: their state on disk, and one hash over their content.

A file is read once and again when its size or time changes: what is known of the files under a
folder is kept in the cache, a line each with a checksum of the line, the SHA-256 of the content,
size, time and name.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from synth.atomic import make_folder_of, write_bytes
from synth.errors import InputError, machine_fault
from synth.sources.files import file_fault

# A bar shows only where there is something to wait for.
_PATIENCE_SECONDS = 2.0
_GONE = "-" * 64  # instead of the hash of a file that cannot be read
# A file changed just now may change again within a tick of the file system's clock.
_SETTLED_NS = 2_000_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True, order=True)
class State:
    """A file by its name under the root, with size and time of change; -1 where it is missing."""

    name: str
    size: int
    mtime_ns: int

    @property
    def settled(self) -> bool:
        """Whether another change would show in the time of change."""
        return self.mtime_ns < time.time_ns() - _SETTLED_NS


def states(root: Path, files: Iterable[Path]) -> list[State]:
    """The states of files, each once, by name; with / between folders on every system."""
    found = set()
    for file in files:
        name = name_under(root, file)
        try:
            stat = os.stat(file)
            found.add(State(name, stat.st_size, stat.st_mtime_ns))
        except (OSError, ValueError):
            found.add(State(name, -1, -1))
    return sorted(found)


def name_under(root: Path, file: Path) -> str:
    """The name of a file relative to the root; both are absolute."""
    path, prefix = os.fspath(file), os.path.join(root, "")
    name = path.removeprefix(prefix) if path.startswith(prefix) else os.path.relpath(path, root)
    return name.replace(os.sep, "/")


def content_digest(
    root: Path, files: Sequence[State], cache: Path, hashes: dict[str, str] | None = None
) -> str:
    """SHA-256 (hex) over name and content of every file, wherever the folder lies.

    Args:
        root: what the names are relative to.
        files: sorted by name.
        cache: where the hashes are kept; one that cannot be read or written costs only time.
        hashes: learns the SHA-256 (hex) of each file's content, by name; not of those that cannot
            be read.
    """
    known = dict(_known(cache))
    total, fresh = hashlib.sha256(), False
    for file in watched(files, f"hashing {root.name}"):
        digest = known.pop(file, None)
        if digest is None:
            digest, fresh = _file_hash(root / file.name), True
        total.update(f"{digest} {file.name}\0".encode(errors="surrogateescape"))
        known[file] = digest
        if hashes is not None and digest != _GONE:
            hashes[file.name] = digest
    if fresh:
        _keep(cache, root, known, {file.name for file in files})
    return total.hexdigest()


def watched(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, with a bar on a terminal's standard error once they take a while."""
    yield from tqdm(items, what, delay=_PATIENCE_SECONDS, leave=False, disable=None)


def _file_hash(path: Path) -> str:
    if file_fault(path) is not None:
        return _GONE  # to open a pipe is to wait for a writer
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError) as error:
        if fault := machine_fault(path, error):
            raise fault from None  # its absence would be kept as what the file holds
        return _GONE


def _known(cache: Path) -> Iterator[tuple[State, str]]:
    """What the cache says; lines that are no such lines are passed over."""
    with suppress(OSError), open(cache, encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            check, _, rest = line.rstrip("\n").partition(" ")
            if check == _checksum(rest):
                digest, size, mtime, name = rest.split(" ", 3)
                yield State(name, int(size), int(mtime)), digest


def _checksum(line: str) -> str:
    return hashlib.sha256(line.encode(errors="surrogateescape")).hexdigest()[:16]


def _keep(cache: Path, root: Path, known: dict[State, str], listed: set[str]) -> None:
    """Write what is known of these files, and of others of the folder while they are there."""
    lines = [
        f"{digest} {file.size} {file.mtime_ns} {file.name}"
        for file, digest in known.items()
        if digest != _GONE and file.settled and "\n" not in file.name
        if file.name in listed or (root / file.name).exists()
    ]
    text = "".join(f"{_checksum(line)} {line}\n" for line in lines)
    with suppress(InputError, OSError):
        if lines:
            make_folder_of(cache)
            write_bytes(cache, text.encode(errors="surrogateescape"))
