"""One builder a folder, or one a part: a lock that the system takes back when its holder dies."""

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synth.atomic import clean_leftovers
from synth.errors import InputError

try:
    import fcntl
except ImportError:  # no such locks on Windows: builds there are not guarded
    fcntl = None  # type: ignore[assignment]

_PATTERN = ".build-*.lock"
_TRIES, _PAUSE_SECONDS = 5, 0.05
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


@contextmanager
def build_lock(folder: Path, part: tuple[int, int]) -> Iterator[None]:
    """Hold the lock of ``part`` (i, n) of a build while the block runs.

    Different parts of one division may build at once; anything else that builds here is refused.
    Locks and temporary files of dead processes are removed.

    Raises:
        InputError: another build works in this folder, or the folder cannot be written.
    """
    path = folder / f".build-{part[0]}-of-{part[1]}.lock"
    handle = _take(path)
    try:
        living = [
            other for other in sorted(folder.glob(_PATTERN)) if other != path and _held(other)
        ]
        for other in living:
            if not other.name.endswith(f"-of-{part[1]}.lock"):
                raise _busy(other)
        clean_leftovers(folder, alone=not living)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _take(path: Path) -> int:
    """An open, locked handle on a lock file that is in its place."""
    for _ in range(_TRIES):
        handle = _open(path)
        if _lock(handle) and _is_at(path, handle):
            owner = {"host": socket.gethostname(), "pid": os.getpid()}
            os.truncate(handle, 0)
            os.write(handle, json.dumps(owner).encode())
            return handle
        os.close(handle)
        time.sleep(_PAUSE_SECONDS)
    raise _busy(path)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise InputError(
            f"{path.parent}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def _lock(handle: int) -> bool:
    """Whether the lock is ours now. A file system without locks is trusted."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _BUSY
    return True


def _is_at(path: Path, handle: int) -> bool:
    """Whether the file we locked still has its name: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _held(path: Path) -> bool:
    """Whether a living process holds a lock; one that nobody holds is removed."""
    handle = _open(path)
    try:
        if not _lock(handle):
            return True
        if _is_at(path, handle):
            path.unlink(missing_ok=True)
        return False
    finally:
        os.close(handle)


def _busy(path: Path) -> InputError:
    try:
        owner = json.loads(path.read_text())
        who = f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        who = "another process"
    return InputError(
        f"{path.parent}: {who} builds here already; wait for it or choose another folder"
    )
