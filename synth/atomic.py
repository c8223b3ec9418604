"""Files that are either whole or not there: write beside the target, fsync, then rename."""

import errno
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from synth.errors import InputError

_MARK = ".tmp-"


def host() -> str:
    """The name of this machine, as a part of file names."""
    return "".join(c if c.isalnum() else "_" for c in socket.gethostname())


def temporary(path: Path) -> Path:
    """A name beside ``path`` that only this process uses; ``clean_leftovers`` knows it."""
    return path.with_name(f"{_MARK}{host()}-{os.getpid()}-{path.name}")


def check_target(path: Path) -> None:
    """Refuse what cannot be the name of a file, before any work is done for it.

    Raises:
        InputError: it is empty or ends in no name (".", "/"), or it is a folder.
    """
    if path.name in ("", "..") or "\0" in str(path) or os.path.isdir(path):
        raise InputError(f"{path}: is not the name of a file; give one, such as new/name")


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """A writable and readable binary file that takes the name ``path`` when the block ends well.

    If the block raises, the temporary file is removed and ``path`` keeps its old content.

    Raises:
        InputError: the file system refused (disk full, no permission ...).
    """
    if os.path.isdir(path):  # who is given the name by a user asks `check_target` before
        raise _refused(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    check_target(path)
    unfinished = temporary(path)
    try:
        with _unnamed(path, unfinished) as file:
            yield file
        _take_name(path, unfinished)
    finally:
        _remove(unfinished)


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Atomically write several files; none takes its name before all of them are on the disk.

    Raises:
        InputError: as `atomic_file`.
    """
    unfinished = {path: temporary(path) for path in contents}
    try:
        for path, content in contents.items():
            with _unnamed(path, unfinished[path]) as file:
                file.write(content)
        for path, written in unfinished.items():
            _take_name(path, written)
    finally:
        for written in unfinished.values():
            _remove(written)


@contextmanager
def _unnamed(path: Path, unfinished: Path) -> Iterator[IO[bytes]]:
    """The file that shall become ``path``, on the disk when the block ends well."""
    with _refusing(path, unfinished), open(unfinished, "w+b") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _take_name(path: Path, unfinished: Path) -> None:
    with _refusing(path, unfinished):
        os.replace(unfinished, path)
    sync_folder(path.parent)


def _remove(unfinished: Path) -> None:
    with suppress(OSError):
        unfinished.unlink(missing_ok=True)


@contextmanager
def _refusing(path: Path, unfinished: Path) -> Iterator[None]:
    """Turn what the file system says of these two names into one line."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(path), str(unfinished)):
            raise  # another file's fault, met while this one was being written
        raise _refused(path, error) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable; not every file system offers it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Atomically write ``content`` to ``path``."""
    with atomic_file(path) as file:
        file.write(content)


def write_first(path: Path, content: bytes) -> None:
    """Atomically write ``content`` to ``path`` unless a file is there already, even a new one."""
    unfinished = temporary(path).with_suffix(".first")
    write_bytes(unfinished, content)
    try:
        os.link(unfinished, path)
    except FileExistsError:
        pass
    except OSError:  # no hard links here: the last of two that begin at the same moment wins
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Atomically write ``text`` to ``path``, whose folder is made if need be."""
    make_folder_of(path)
    write_bytes(path, text.encode())


def make_folder_of(path: Path) -> None:
    """Make the folder that a file shall lie in.

    Raises:
        InputError: the file system refused (a file in the way, no permission ...).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written ({error.strerror}); make room or choose another folder, "
        "then start again"
    )


def write_json(path: Path, value: Any, indent: int | None = None) -> None:
    """Atomically write ``value`` as JSON, keys in their order, with a final newline."""
    write_bytes(path, json_bytes(value, indent))


def json_bytes(value: Any, indent: int | None = None) -> bytes:
    """What ``write_json`` writes."""
    return (json.dumps(value, indent=indent, ensure_ascii=False) + "\n").encode()


def temporaries(folder: Path) -> list[Path]:
    """The temporary files in ``folder``, of whatever process."""
    return sorted(folder.glob(f"{_MARK}*"))


def clean_leftovers(paths: Iterable[Path], alone: bool) -> int:
    """Remove those ``temporaries`` that dead processes left; returns how many.

    When ``alone`` (nobody else built here when they were listed) all of them are leftovers;
    otherwise only those whose process, on this machine, no longer lives.
    """
    removed = 0
    for path in paths:
        machine, _, rest = path.name.removeprefix(_MARK).partition("-")
        pid = rest.partition("-")[0]
        if alone or (machine == host() and pid.isdigit() and not is_alive(int(pid))):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def is_alive(pid: int) -> bool:
    """Whether a process of that id runs on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
