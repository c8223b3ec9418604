"""What is found by looking through a source once, kept on disk until one of its files changes.

Judging a thousand label maps takes seconds, and every worker, part and command needs the answer.
It is kept in the user's cache folder together with the settings and the name, size and time of
every file, so a changed file is looked at again. A cache that is missing, damaged or read-only
costs time and nothing else.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synth.atomic import make_folder_of, write_json
from synth.errors import InputError
from synth.sources.base import Rejection
from synth.sources.content import State, content_digest, name_under, states

_FORMAT = 2
# Digits of a photo's hash: of ten million photos no two are taken for one.
_DIGITS = 20


@dataclass(frozen=True)
class Scan:
    """Usable ids, what was left out, and the SHA-256 (hex) of all input.

    Attributes:
        kept: ids, sorted.
        rejected: in the order found.
        digest: over the relative name and the content of every file, wherever the folder lies.
        photos: the first digits of the SHA-256 of the photo of each kept id, by id. So a photo is
            the same photo whatever its name, its folder and the machine.
    """

    kept: tuple[str, ...]
    rejected: tuple[Rejection, ...]
    digest: str
    photos: Mapping[str, str] = field(default_factory=dict)


def scan(
    kind: str,
    settings: Mapping[str, Any],
    root: Path,
    files: Sequence[Path],
    examine: Callable[[], tuple[Sequence[str], Sequence[Rejection]]],
    photo: Callable[[str], Path] | None = None,
) -> Scan:
    """The scan of a source, from the cache where nothing changed.

    Args:
        kind: the reader, and the version of its rules: raise it when ``examine`` changes.
        settings: JSON-able; everything ``examine`` depends on besides the files.
        root: what file names are relative to in the digest.
        files: every file of the source, those that are rejected included.
        examine: looks through the files; returns the kept ids and the rejections.
        photo: where the photo of a kept id lies, one of ``files``.
    """
    root = Path(os.path.abspath(root))
    found = states(root, (Path(os.path.abspath(file)) for file in files))
    folder, place = cache_folder(), _short(str(root))
    key = _key(kind, settings, root, found)
    cache = folder / f"{_short(kind, json.dumps(settings, sort_keys=True))}-{place}.json"
    cached = _read(cache, key)
    if cached is not None:
        return cached
    kept, rejected = examine()
    hashes: dict[str, str] = {}
    digest = content_digest(root, found, folder / f"content-{place}.txt", hashes)
    photos = {} if photo is None else _photos(root, kept, photo, hashes)
    result = Scan(tuple(kept), tuple(rejected), digest, photos)
    if all(file.settled for file in found):
        _write(cache, key, result)
    return result


def _photos(
    root: Path, kept: Sequence[str], photo: Callable[[str], Path], hashes: Mapping[str, str]
) -> dict[str, str]:
    names = {one: name_under(root, Path(os.path.abspath(photo(one)))) for one in kept}
    return {one: hashes[name][:_DIGITS] for one, name in names.items() if name in hashes}


def cache_folder() -> Path:
    """Where scans are kept: $HDEOCC_CACHE/scan, else hdeocc/scan in the user's cache folder."""
    named = os.environ.get("HDEOCC_CACHE")
    if named:
        return Path(named).expanduser() / "scan"
    usual = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(usual) / "hdeocc" / "scan"


def _short(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:16]


def _key(kind: str, settings: Mapping[str, Any], root: Path, found: Sequence[State]) -> str:
    """SHA-256 (hex) of all that a scan depends on; the root too, since rejections name files."""
    head = [_FORMAT, kind, settings, str(root)]
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for file in found:
        line = f"{file.size} {file.mtime_ns} {file.name}\0"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _checksum(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _read(cache: Path, key: str) -> Scan | None:
    """The scan that was kept under ``key``; None where it was not, or is damaged."""
    try:
        stored = json.loads(cache.read_bytes())
        value = stored["scan"]
        if stored["key"] != key or stored["checksum"] != _checksum(value):
            return None
        rejected = tuple(Rejection(file, reason) for file, reason in value["rejected"])
        return Scan(tuple(value["kept"]), rejected, value["digest"], value["photos"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _write(cache: Path, key: str, result: Scan) -> None:
    rejected = [[one.file, one.reason] for one in result.rejected]
    value: dict[str, Any] = {"kept": result.kept, "rejected": rejected, "digest": result.digest}
    value["photos"] = dict(result.photos)
    with suppress(InputError, OSError, UnicodeError):
        make_folder_of(cache)
        write_json(cache, {"key": key, "checksum": _checksum(value), "scan": value})
