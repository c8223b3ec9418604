"""The folder of a result: it appears whole, and what is no such result is never overwritten."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synth.atomic import is_alive
from synth.errors import InputError

MARKER = "result.json"
MADE_BY = "hdeocc deocclude"
PICTURES = ("amodal", "parsing", "person", "recovered", "side-by-side")
# All that a result may hold; anything else is somebody's own.
_FILES = re.compile(rf"all\.png|(person-\d+/)?(result\.json|({'|'.join(PICTURES)})\.png)")


def check_target(out: Path) -> Path:
    """The real path of a folder for a result; cheap, so that it can be asked before any work.

    Raises:
        InputError: it is a file, holds something else than a result, or is the current folder.
    """
    if "\0" in str(out):
        raise InputError(f"{out}: is not the name of a folder; give another --out")
    out = Path(os.path.realpath(out))
    # It would be replaced under the feet of whoever stands in it.
    if out in (Path.cwd(), *Path.cwd().parents):
        raise InputError(f"{out}: is or holds the current folder; name a new one as --out")
    if not os.path.lexists(out):
        return out
    if not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; give another --out")
    foreign = _foreign(out)
    if foreign is not None:
        raise InputError(
            f"{out}: holds something else ({foreign}), which hdeocc deocclude did not write; move "
            "it away, or give a new or empty --out"
        )
    return out


@contextmanager
def new_result(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place when the block ends well.

    Raises:
        InputError: as `check_target`, or the file system refused.
    """
    out = check_target(out)
    _clean_leftovers(out)
    # Two results for one place must not take each other's files away.
    unfinished, old = (out.with_name(f".{out.name}.{os.getpid()}.{s}") for s in ("new", "old"))
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield unfinished
        _swap(unfinished, out, old)
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: cannot be written ({error.strerror}); make room or choose "
            "another --out"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _clean_leftovers(out: Path) -> None:
    """Remove what a killed command for the same folder left beside it."""
    for ending in ("new", "old") if out.exists() else ("new",):
        for path in out.parent.glob(f".{out.name}.*.{ending}"):
            pid = path.name.split(".")[-2]
            if pid.isdigit() and not is_alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


def _swap(new: Path, out: Path, old: Path) -> None:
    """Put ``new`` where ``out`` is; if that fails, what was there before comes back."""
    if not out.exists():
        os.replace(new, out)
        return
    shutil.rmtree(old, ignore_errors=True)
    os.replace(out, old)
    try:
        os.replace(new, out)
    except OSError:
        os.replace(old, out)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _foreign(out: Path) -> str | None:
    """The first file in a folder that is of no result; None for an empty folder or a result."""
    try:
        names = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if not _plain_dir(p))
        ours = json.loads((out / MARKER).read_bytes()).get("made_by") == MADE_BY if names else True
    except (OSError, ValueError, AttributeError, RecursionError):
        ours = False
    return next((name for name in names if not (ours and _FILES.fullmatch(name))), None)


def _plain_dir(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
