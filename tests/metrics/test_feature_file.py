import os
import pickle
import tempfile

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from metrics import feature_file
from metrics.errors import MetricsError
from metrics.feature_file import FeatureFile

NAMES = [f"s{i}" for i in range(9)]


def _features(n: int = 9, dimensions: int = 6) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n, dimensions)).astype(np.float32)


def _filled(sizes: tuple[int, ...] = (2, 0, 4, 3)) -> FeatureFile:
    file, start = FeatureFile(6), 0
    for size in sizes:
        file.append(NAMES[start : start + size], _features()[start : start + size])
        start += size
    return file


def test_rows_come_back_by_name_in_any_order():
    file = _filled()
    assert len(file) == 9 and file.sample_ids == NAMES and "s3" in file and "x" not in file
    rows = file.of(["s7", "s0", "s3"])
    assert rows.shape == (3, 6) and len(rows) == 3
    np.testing.assert_array_equal(rows[:], _features()[[7, 0, 3]])
    np.testing.assert_array_equal(rows[1:9], _features()[[0, 3]])
    np.testing.assert_array_equal(rows[np.array([2, 2])], _features()[[3, 3]])
    with pytest.raises(KeyError):
        file.of(["x"])


def test_two_files_merge_into_one():
    first, second = FeatureFile(6), FeatureFile(6)
    first.append(NAMES[:4], _features()[:4])
    second.append(NAMES[4:], _features()[4:])
    first.merge(second)
    np.testing.assert_array_equal(first.of(NAMES)[:], _filled().of(NAMES)[:])


@pytest.mark.parametrize("block", [1, 2, 4, 9])
def test_more_rows_than_are_copied_at_a_time_are_merged_and_saved(block, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_file, "_BLOCK", block)
    first, path = FeatureFile(6), tmp_path / "truth.safetensors"
    first.append(["first"], np.ones((1, 6)))
    first.merge(_filled())
    assert first.sample_ids == ["first", *NAMES]
    np.testing.assert_array_equal(first.of(NAMES)[:], _features())
    first.save(path)
    np.testing.assert_array_equal(load_file(path)["features"][1:], _features())
    np.testing.assert_array_equal(FeatureFile.load(path).of(NAMES)[:], _features())


def test_it_survives_the_disk_and_another_process(tmp_path):
    path = tmp_path / "truth.safetensors"
    _filled().save(path)
    assert os.listdir(tmp_path) == ["truth.safetensors"]
    np.testing.assert_array_equal(load_file(path)["features"], _features())
    loaded = FeatureFile.load(path)
    path.unlink()  # what is open stays readable
    for file in (loaded, pickle.loads(pickle.dumps(loaded)), pickle.loads(pickle.dumps(_filled()))):
        assert file.sample_ids == NAMES
        np.testing.assert_array_equal(file.of(NAMES)[:], _features())
    with pytest.raises(ValueError, match="no more"):
        loaded.append(["x"], _features(1))
    loaded.save(path)
    assert FeatureFile.load(path).sample_ids == NAMES


def test_nothing_is_left_in_the_folder_of_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    file = _filled()
    assert len(file) == 9 and os.listdir(tmp_path) == []


def test_damaged_and_foreign_files_are_refused_by_name(tmp_path):
    path, foreign = tmp_path / "truth.safetensors", tmp_path / "foreign.safetensors"
    _filled().save(path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"hello", content + b"0000"):
        path.write_bytes(damaged)
        with pytest.raises(MetricsError, match="truth.safetensors.*delete it") as caught:
            FeatureFile.load(path)
        assert "\n" not in caught.value.message
    for metadata in (None, {"sample_ids": "["}, {"sample_ids": "[1]"}, {"sample_ids": "3"}):
        save_file({"features": _features()}, foreign, metadata)
        with pytest.raises(MetricsError, match="foreign"):
            FeatureFile.load(foreign)
    save_file({"other": _features()}, foreign, {"sample_ids": "[]"})
    for file in (foreign, tmp_path / "nowhere.safetensors"):
        with pytest.raises(MetricsError, match=file.name):
            FeatureFile.load(file)


def test_doubles_are_not_loaded_as_features(tmp_path):
    path = tmp_path / "doubles.safetensors"
    save_file({"features": _features(1).astype(np.float64)}, path, {"sample_ids": '["a"]'})
    with pytest.raises(MetricsError, match="doubles"):
        FeatureFile.load(path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MetricsError, match="nowhere"):
        _filled().save(tmp_path / "nowhere" / "truth.safetensors")


def test_what_are_no_features_is_refused_and_leaves_no_trace():
    file = _filled()
    with pytest.raises(ValueError, match=r"\(2, 6\)"):
        file.append(["a", "b"], np.zeros((2, 5)))
    with pytest.raises(ValueError, match="finite"):
        file.append(["a"], np.full((1, 6), np.nan))
    for names in (["a", "s1"], ["a", "a"]):
        with pytest.raises(ValueError, match="twice"):
            file.append(names, np.zeros((2, 6)))
    assert file.sample_ids == NAMES
