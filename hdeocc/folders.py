"""Folders that are either whole or not there, and digests of what lies in them."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from synth.atomic import sync_folder
from synth.errors import InputError
from synth.output import swap


@contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """A temporary sibling of ``final`` that takes its place when the block ends without error.

    What is written into it must be on the disk when the block ends (``synth.atomic`` does that).
    """
    temporary = final.with_name(f".{final.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    take_place(temporary, final)


def take_place(temporary: Path, final: Path) -> None:
    """Give a finished folder its name, in place of an older one that has it."""
    sync_folder(temporary)
    swap(temporary, final, final.with_name(f".{final.name}.old"))
    sync_folder(final.parent)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        InputError: unreadable, not JSON, or not an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable JSON ({error}); remove it and run again") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: not a JSON object; remove it and run again")
    return value


def digest(value: object) -> str:
    """SHA-256 of a JSON-able value, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every safetensors file of a folder, by name."""
    files = sorted(folder.glob("*.safetensors"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
