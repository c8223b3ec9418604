"""MATLAB files: as scipy reads them where they are whole, one line where they are not."""

import errno
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.errors import InputError, MachineError
from synth.sources import mat
from synth.sources.mat import read_mat
from tests.synth.tiny import ROOT

LABELS = np.random.default_rng(0).integers(0, 59, (30, 20)).astype(np.uint8)


def save(path: Path, compressed: bool = True, **arrays: Any) -> Path:
    scipy.io.savemat(path, arrays, do_compression=compressed)
    return path


def test_real_label_maps_are_what_scipy_reads(real_data: Path) -> None:
    files = sorted((real_data / "ccp" / "annotations" / "pixel-level").glob("*.mat"))
    assert len(files[::17]) >= 50
    for path in files[::17]:
        expected = scipy.io.loadmat(path)["groundtruth"]
        read = read_mat(path, "groundtruth")
        assert read.dtype == expected.dtype, path
        np.testing.assert_array_equal(read, expected, err_msg=str(path))


def test_a_fault_of_the_machine_is_not_the_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path / "a.mat", labels=LABELS)

    def failing(*_: object) -> bytes:
        raise OSError(errno.EMFILE, "x")

    monkeypatch.setattr(Path, "read_bytes", failing)
    with pytest.raises(MachineError, match=r"a\.mat: could not be read .* may be sound"):
        read_mat(path, "labels")


ARRAYS = {
    "labels": LABELS,
    "one row": LABELS[:1],
    "one pixel": LABELS[:1, :1],
    "nothing": LABELS[:0],
    "doubles that fit a byte": LABELS.astype(np.float64),
    "doubles": LABELS / 7,
    "small numbers": LABELS.astype(np.int16),
    "large numbers": LABELS.astype(np.int32) * 10**6,
    "signed": LABELS.astype(np.int8),
    "truth values": LABELS > 30,
    "complex numbers": LABELS + 1j,
    "a volume": np.dstack([LABELS] * 3),
    "text": np.array(["null", "skin"]),
    "no text": np.array([""]),
}


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ARRAYS)
def test_every_array_is_what_scipy_reads(tmp_path: Path, kind: str, compressed: bool) -> None:
    for key in ("x", "eightlet", "groundtruth"):
        path = save(tmp_path / "a.mat", compressed, **{key: ARRAYS[kind]})
        expected, read = scipy.io.loadmat(path)[key], read_mat(path, key)
        assert read.shape == expected.shape
        # Doubles stored as bytes may stay bytes: the numbers are the same.
        assert read.dtype == expected.dtype or expected.dtype == np.float64
        np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("compressed", [True, False])
def test_cells_are_what_scipy_reads(tmp_path: Path, compressed: bool) -> None:
    inner = np.array([[np.ones(3), "leaf"]], dtype=object)
    cells = np.empty((2, 3), dtype=object)
    cells[:] = [["null", LABELS, 1.5], [inner, np.zeros((0, 0)), "ünder"]]
    path = save(tmp_path / "a.mat", compressed, x=cells)

    def assert_same(read: np.ndarray, expected: np.ndarray) -> None:
        assert read.shape == expected.shape
        for one, two in zip(read.ravel(), expected.ravel(), strict=True):
            if two.dtype == object:
                assert_same(one, two)
            else:
                np.testing.assert_array_equal(one, two)

    assert_same(read_mat(path, "x"), scipy.io.loadmat(path)["x"])


def test_other_byte_orders_and_versions(tmp_path: Path) -> None:
    def part(kind: int, content: bytes) -> bytes:
        return struct.pack(">II", kind, len(content)) + content + b"\0" * (-len(content) % 8)

    numbers = part(3, np.arange(6, dtype=">i2").tobytes())
    head = part(6, struct.pack(">II", 10, 0)) + part(5, struct.pack(">2i", 2, 3)) + part(1, b"x")
    big = tmp_path / "big.mat"
    big.write_bytes(b"MATLAB 5".ljust(124) + b"\1\0MI" + part(14, head + numbers))
    np.testing.assert_array_equal(read_mat(big, "x"), np.arange(6).reshape(3, 2).T)
    old = tmp_path / "old.mat"
    scipy.io.savemat(old, {"x": LABELS, "y": 3}, format="4")
    np.testing.assert_array_equal(read_mat(old, "x"), LABELS)
    true, claimed = struct.pack("<2i", 30, 20), struct.pack("<2i", 20_000, 20_000)
    old.write_bytes(old.read_bytes().replace(true, claimed))
    with pytest.raises(InputError, match="old.mat: x is far too large"):
        read_mat(old, "x")


def test_what_no_label_map_is_made_of_is_refused(tmp_path: Path) -> None:
    for value in ({"field": 1}, scipy.sparse.eye(3).tocsc()):
        with pytest.raises(InputError, match="a.mat: .*neither numbers nor text"):
            read_mat(save(tmp_path / "a.mat", x=value), "x")


def test_the_array_asked_for_is_found_among_others(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", first=LABELS, second=LABELS + 1, firs=LABELS + 2)
    for key, more in (("first", 0), ("second", 1), ("firs", 2)):
        np.testing.assert_array_equal(read_mat(path, key), LABELS + more)
    with pytest.raises(InputError, match=r"a\.mat"):
        read_mat(path, "third")


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"hello" * 99), ("zeros", bytes(4096))):
        (tmp_path / f"{name}.mat").write_bytes(content)
    for name in ("none", "empty", "text", "zeros"):
        with pytest.raises(InputError, match=rf"{name}\.mat: .*again") as caught:
            read_mat(tmp_path / f"{name}.mat", "groundtruth")
        assert "\n" not in caught.value.message


def test_files_cut_anywhere_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", groundtruth=LABELS)
    content = path.read_bytes()
    for end in range(0, len(content), 9):
        path.write_bytes(content[:end])
        with pytest.raises(InputError, match=r"a\.mat"):
            read_mat(path, "groundtruth")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_bytes_are_read_as_scipy_reads_them_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = save(tmp_path_factory.mktemp("fuzz") / "a.mat", groundtruth=LABELS)
    content = bytearray(path.read_bytes())
    raw = bytearray(zlib.decompress(bytes(content[136:])))
    inside = data.draw(st.booleans())
    target = raw if inside else content
    for _ in range(data.draw(st.integers(1, 3))):
        # The tags are at the front; the rest are labels.
        place = data.draw(st.integers(0, min(len(target), 140) - 1))
        target[place] = data.draw(st.integers(0, 255))
    if inside:
        packed = zlib.compress(bytes(raw))
        content = content[:128] + struct.pack("<II", 15, len(packed)) + packed
    path.write_bytes(content)
    try:
        read = read_mat(path, "groundtruth")
    except InputError as error:
        assert "a.mat" in error.message and "\n" not in error.message
        return
    np.testing.assert_array_equal(read, scipy.io.loadmat(path)["groundtruth"])


@pytest.mark.parametrize("within_a_cell", [False, True])
def test_a_file_that_inflates_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, within_a_cell: bool
) -> None:
    monkeypatch.setattr(mat, "MAX_PIXELS", 100_000)
    array: Any = np.zeros((4000, 4000), np.uint8)
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = array
    path = save(tmp_path / "a.mat", x=cell if within_a_cell else array)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="far too large"):
        read_mat(path, "x")


CLAIMS = """
import resource, sys
from pathlib import Path
from synth.errors import InputError
from synth.sources.mat import read_mat
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        read_mat(Path(name), "x")
    except InputError as error:
        assert "\\n" not in error.message
    else:
        raise AssertionError(name)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_no_memory_is_taken_on_the_word_of_a_file(tmp_path: Path) -> None:
    """A cell within a cell, and numbers, that claim 20,000 x 20,000 entries."""
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = np.array([[1.0, 2.0]], dtype=object)
    for number, value in enumerate((cell, LABELS)):
        path = save(tmp_path / f"{number}.mat", compressed=False, x=value)
        content = path.read_bytes()
        for sizes in ((1, 2), LABELS.shape):
            true, claimed = (struct.pack("<2I2i", 5, 8, *s) for s in (sizes, (20_000, 20_000)))
            content = content.replace(true, claimed)
        assert content != path.read_bytes()
        path.write_bytes(content)
    bomb = np.empty((1, 1), dtype=object)
    bomb[0, 0] = np.zeros((10_000, 10_000), np.uint8)
    paths = [tmp_path / "0.mat", tmp_path / "1.mat", save(tmp_path / "2.mat", x=bomb)]
    done = subprocess.run(
        [sys.executable, "-c", CLAIMS, *map(str, paths)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200_000  # kilobytes
