"""Locks that the system takes back when their holder dies: one builder a folder, or one a part.

The lock is ``flock`` on ``.build-I-of-N.lock``. It holds between the processes of one machine, and
between machines wherever the shared file system carries ``flock`` (NFS 4 and Linux' NFS 3, CephFS,
GPFS, Lustre mounted with ``-o flock``), so the same part cannot be built on two hosts at once.
Where the file system has no locks the last comer wins: the file says who owns the folder, and a
build that finds another owner there stops. Whatever happens no shard is damaged: two builders
would write the same bytes under different temporary names.
"""

import errno
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from synth.atomic import clean_leftovers, make_folder_of, temporaries
from synth.errors import InputError

try:
    import fcntl
except ImportError:  # no such locks on Windows: the last comer wins there
    fcntl = None  # type: ignore[assignment]

_PATTERN = ".build-*.lock"
_TRIES, _PAUSE_SECONDS = 5, 0.05
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)


@dataclass(frozen=True)
class Lock:
    """A lock that was taken; workers on any machine see by its file whether it still is.

    Attributes:
        path: the lock's file.
        owner: what the file says while this build holds it.
    """

    path: Path
    owner: str

    def is_held(self) -> bool:
        """Whether this build still owns the folder; a file system's hiccup counts as yes."""
        try:
            return self.path.read_text() == self.owner
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def revoke(self) -> None:
        """Tell all workers of this build to stop at their next sample.

        Where the folder has another owner by now, they stop anyway and it is left alone.
        """
        if self.is_held():
            with suppress(OSError):
                os.truncate(self.path, 0)

    def release(self) -> None:
        """Remove the lock's file, unless it names another owner."""
        with suppress(OSError):
            if self.path.read_text() in ("", self.owner):
                self.path.unlink()


@contextmanager
def build_lock(folder: Path, part: tuple[int, int]) -> Iterator[Lock]:
    """Hold the lock of ``part`` (i, n) of a build while the block runs.

    Different parts of one division may build at once; anything else that builds here is refused.
    Locks and temporary files of dead processes are removed.

    Raises:
        InputError: another build works in this folder, or the folder cannot be written.
    """
    path = folder / f".build-{part[0]}-of-{part[1]}.lock"
    handle, owner = _take(path)
    lock = Lock(path, owner)
    try:
        # Listed before the other locks are looked at: whoever takes one later writes new files.
        leftovers = temporaries(folder)
        living = [
            other for other in sorted(folder.glob(_PATTERN)) if other != path and _held(other)
        ]
        for other in living:
            if not other.name.endswith(f"-of-{part[1]}.lock"):
                raise _busy(other)
        clean_leftovers(leftovers, alone=not living)
        yield lock
    finally:
        clean_leftovers(temporaries(folder), alone=False)
        lock.release()
        os.close(handle)


@contextmanager
def turn(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock of a file while the block runs, after everybody who holds it by then.

    ``wait`` is called once if somebody does. The file stays. Where the file system has no locks
    nobody waits.

    Raises:
        InputError: the file cannot be written.
    """
    make_folder_of(path)
    handle = _open(path)
    try:
        if not _lock(handle):
            wait()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _take(path: Path) -> tuple[int, str]:
    """An open, locked handle on a lock file that is in its place, and what was written there."""
    for _ in range(_TRIES):
        handle = _open(path)
        if _lock(handle) and _is_at(path, handle):
            return handle, _sign(path, handle)
        os.close(handle)
        time.sleep(_PAUSE_SECONDS)
    raise _busy(path)


def _sign(path: Path, handle: int) -> str:
    """Write who holds the lock; the token tells apart two builds of one process."""
    who = {"host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    owner = json.dumps(who)
    try:
        os.truncate(handle, 0)
        os.write(handle, owner.encode())
    except OSError as error:
        path.unlink(missing_ok=True)
        os.close(handle)
        raise _refused(path, error) from None
    return owner


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    except OSError as error:
        raise _refused(path, error) from None


def _refused(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path.parent}: cannot be written ({error.strerror}); make room or choose another folder"
    )


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
