"""MATLAB files: as scipy reads them where they are whole, one line where they are not."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.errors import InputError
from synth.sources import mat
from synth.sources.mat import read_mat

LABELS = np.random.default_rng(0).integers(0, 59, (30, 20)).astype(np.uint8)


def save(path: Path, compressed: bool = True, **arrays: Any) -> Path:
    scipy.io.savemat(path, arrays, do_compression=compressed)
    return path


def test_real_label_maps_are_what_scipy_reads(real_data: Path) -> None:
    files = sorted((real_data / "ccp" / "annotations" / "pixel-level").glob("*.mat"))
    quick = 0
    for path in files[::17]:
        expected = scipy.io.loadmat(path)["groundtruth"]
        read = read_mat(path, "groundtruth")
        assert read.dtype == expected.dtype, path
        np.testing.assert_array_equal(read, expected, err_msg=str(path))
        quick += mat._label_map(path.read_bytes(), "groundtruth") is not None
    assert len(files[::17]) >= 50 and quick > 0.9 * len(files[::17])


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


def test_a_file_that_inflates_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mat, "MAX_PIXELS", 10_000)
    path = save(tmp_path / "a.mat", groundtruth=np.zeros((4000, 4000), np.uint8))
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="far too large"):
        read_mat(path, "groundtruth")
