"""A file system that refuses: one line, nothing half-written, and the same command goes on."""

import errno
import io
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from synth.build import build
from synth.errors import InputError
from tests.synth.scenarios import (
    Running,
    assert_not_done_again,
    files_of,
    finished_files,
    message_in,
)
from tests.synth.tiny import RECIPE, leftovers, tiny_recipe

SHORT = tiny_recipe(5)
LONG, LONG_SHARD = 200, 10


@pytest.fixture(scope="module")
def reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("reference")
    build(SHORT, folder, data, progress=False)
    return files_of(folder)


class SmallDisk:
    """Stands for ``open``: of all that is written only the first ``room`` bytes find place."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, path: Path, mode: str) -> "FileOnSmallDisk":
        file = FileOnSmallDisk(path, mode)
        file.disk = self
        return file


class FileOnSmallDisk(io.FileIO):
    disk: SmallDisk

    def write(self, content: Any) -> int:
        self.disk.room -= len(content)
        if self.disk.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(content)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to let a file of this process grow beyond ``size`` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def mount(*arguments: object) -> None:
    try:
        subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no small file system can be mounted here ({error})")


def assert_refused(recipe: Any, out: Path, data: Path, words: str) -> None:
    with pytest.raises(InputError, match=f"{words}.*make room") as caught:
        build(recipe, out, data, progress=False)
    assert "\n" not in caught.value.message
    assert leftovers(out) == []


@pytest.mark.parametrize("share", [0, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99])
def test_room_for_a_share_of_the_data_set(
    share: float,
    reference: dict[str, bytes],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    total = sum(map(len, reference.values()))
    with monkeypatch.context() as patch:
        patch.setattr("synth.atomic.open", SmallDisk(int(share * total)), raising=False)
        assert_refused(SHORT, tmp_path, data, "No space left on device")
    done = finished_files(tmp_path)
    assert all((tmp_path / name).read_bytes() == reference[name] for name in done)
    build(SHORT, tmp_path, data, progress=False)
    assert_not_done_again(tmp_path, done)
    assert files_of(tmp_path) == reference


@pytest.mark.parametrize("number", [1, 2, 3, 8, 12, 13, 15])
def test_the_disk_is_found_full_when_a_file_is_secured(
    number: int,
    reference: dict[str, bytes],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Quotas and network file systems say so late: at fsync."""
    calls: list[int] = []

    def full(handle: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{handle}"))
        if path.parent != tmp_path:
            return  # of the folder itself, which is optional, or of another file
        calls.append(handle)
        if len(calls) == number:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert_refused(SHORT, tmp_path, data, "quota exceeded")
    build(SHORT, tmp_path, data, progress=False)
    assert files_of(tmp_path) == reference


def test_a_file_that_may_not_grow(reference: dict[str, bytes], data: Path, tmp_path: Path) -> None:
    with largest_file(15_000):
        assert_refused(SHORT, tmp_path, data, "File too large")
    build(SHORT, tmp_path, data, progress=False)
    assert files_of(tmp_path) == reference


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_small_file_system(workers: int, mounted: Path, data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "long.toml"
    toml.write_text(RECIPE.format(train=LONG, shard_size=LONG_SHARD))
    out, options = mounted / "out", ("--workers", workers)
    message = message_in(Running(toml, out, data, *options).end(2))
    assert "No space left on device); make room" in message
    assert leftovers(out) == []
    done = finished_files(out)
    assert done
    mount("-o", "remount,size=8m", mounted)
    Running(toml, out, data, *options).end(0)
    assert_not_done_again(out, done)
    alone = build(tiny_recipe(LONG, LONG_SHARD), tmp_path / "alone", data, progress=False)
    assert alone is not None
    assert files_of(out) == files_of(tmp_path / "alone")


def test_no_room_at_all(mounted: Path, data: Path) -> None:
    out = mounted / "out"
    out.mkdir()
    filler: IO[bytes]
    with suppress_full(), (mounted / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(b"\0" * 4096)
    with pytest.raises(InputError, match="No space left on device") as caught:
        build(SHORT, out, data, progress=False)
    assert "\n" not in caught.value.message
    assert list(out.iterdir()) == []


@contextmanager
def suppress_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        assert error.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_written(mounted: Path, data: Path) -> None:
    mount("-o", "remount,ro", mounted)
    for out in (mounted, mounted / "out"):
        with pytest.raises(InputError, match="Read-only file system.*choose another folder"):
            build(SHORT, out, data, progress=False)


def test_a_folder_without_permission(data: Path, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o555)
    for out in (tmp_path, tmp_path / "out"):
        with pytest.raises(InputError, match="Permission denied.*choose another folder"):
            build(SHORT, out, data, progress=False)
