"""A folder of output: it appears whole, and what is somebody's own is never overwritten."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synth.atomic import host, is_alive
from synth.errors import InputError

NOTHING = re.compile(r"(?!)")


@dataclass(frozen=True)
class Kind:
    """What a command writes, and how it knows its own again.

    Attributes:
        others: says of a file that it is not ours, as "no export wrote".
        known: what the names of the files in a folder may be, relative to it, for the folder to be
            replaced; `NOTHING` where it is not ours.
    """

    others: str
    known: Callable[[Path], re.Pattern[str]]


def refuse_inside(out: Path, *known: Path) -> None:
    """Refuse a file or folder to write that lies in a data set, a finished one or one begun.

    Besides those that names tell, ``known`` are data sets.

    Raises:
        InputError: it does.
    """
    for folder in out.resolve().parents:
        if _is_data_set(folder) or any(folder == one.resolve() for one in known):
            raise InputError(f"{out}: lies in the data set {folder}; give another --out")


def _is_data_set(folder: Path) -> bool:
    if not (folder / "recipe.json").is_file():
        return False
    return (folder / "dataset.json").is_file() or any(folder.glob("shard-*.json"))


def check_output(out: Path, kind: Kind) -> Path:
    """The real path of a folder to write; cheap, so that it can be asked before any work.

    Raises:
        InputError: it is a file, holds something that is not ours, lies in a data set, or is the
            current folder.
    """
    if "\0" in str(out):
        raise InputError(f"{out}: is not the name of a folder; give another --out")
    out = Path(os.path.realpath(out))
    # It would be replaced under the feet of whoever stands in it.
    if out in (Path.cwd(), *Path.cwd().parents):
        raise InputError(f"{out}: is or holds the current folder; name a new one as --out")
    refuse_inside(out)
    if not os.path.lexists(out):
        return out
    if not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; give another --out")
    pattern = kind.known(out)
    foreign = next((name for name in _names(out) if not pattern.fullmatch(name)), None)
    if foreign is not None:
        raise InputError(
            f"{out}: holds something else ({foreign}), which {kind.others}; move it away, or "
            "give a new or empty --out"
        )
    return out


@contextmanager
def new_output(out: Path, kind: Kind) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place when the block ends well.

    Raises:
        InputError: as `check_output`, or the file system refused.
    """
    out = check_output(out, kind)
    _clean_leftovers(out)
    # Two commands that write to one place must not take each other's files away.
    own = f"{host()}-{os.getpid()}"
    unfinished, old = (out.with_name(f".{out.name}.{own}.{state}") for state in ("new", "old"))
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        yield unfinished
        swap(unfinished, out, old)
    except OSError as error:
        raise InputError(
            f"{error.filename or out}: cannot be written ({error.strerror}); make room or choose "
            "another --out"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def swap(new: Path, out: Path, old: Path) -> None:
    """Put ``new`` where ``out`` is, which is called ``old`` meanwhile and then removed.

    If that fails, what was there before comes back.
    """
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


def _clean_leftovers(out: Path) -> None:
    """Remove what a killed command of this machine for the same folder left beside it."""
    for ending in ("new", "old") if out.exists() else ("new",):
        for path in out.parent.glob(f".{out.name}.*.{ending}"):
            machine, _, pid = path.name.split(".")[-2].partition("-")
            if machine == host() and pid.isdigit() and not is_alive(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


def _names(out: Path) -> Iterator[str]:
    """Every file in a folder, links and what is no file among them, relative to it."""

    def unread(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be looked into; give another --out")

    for folder, inner, files in os.walk(out, onerror=unread):
        inner.sort()
        links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
        for name in sorted([*files, *links]):
            yield Path(folder, name).relative_to(out).as_posix()
