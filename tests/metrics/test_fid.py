import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import linalg

from metrics import fid
from metrics.errors import MetricsError
from metrics.fid import Statistics, frechet_distance


def _features(n: int, dimensions: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(3, 1, (n, dimensions)) @ rng.normal(size=(dimensions, dimensions))


def _statistics(features: np.ndarray, sizes: list[int] | None = None) -> Statistics:
    statistics = Statistics(features.shape[1])
    for part in np.split(features, np.cumsum(sizes or [])):
        statistics.update(part)
    return statistics


@given(st.integers(2, 30), st.lists(st.integers(0, 9), max_size=5), st.integers(0, 99))
def test_statistics_are_those_of_numpy_in_any_batches_and_order(n, sizes, seed):
    features = _features(n, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(features)
    statistics = _statistics(shuffled, sizes)
    assert statistics.n == n
    np.testing.assert_allclose(statistics.mean, features.mean(0), atol=1e-10)
    np.testing.assert_allclose(statistics.covariance(), np.cov(features.T), atol=1e-9)


def test_two_processes_equal_one():
    features = _features(20)
    first, second = _statistics(features[:7]), _statistics(features[7:])
    first.merge(second)
    assert first.n == 20
    np.testing.assert_allclose(first.covariance(), np.cov(features.T), atol=1e-9)


def test_distance_by_hand_in_one_dimension():
    distance = frechet_distance(np.array([1.0]), np.array([[4.0]]), np.zeros(1), np.array([[9.0]]))
    assert distance == pytest.approx(1 + (2 - 3) ** 2)


@given(st.integers(0, 999))
def test_distance_equals_the_matrix_root_and_is_symmetric(seed):
    a, b = (_statistics(_features(40, seed=s)) for s in (seed, seed + 1))
    root = linalg.sqrtm(a.covariance() @ b.covariance())
    expected = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance() + b.covariance() - 2 * root)
    assert fid.distance(a, b) == pytest.approx(expected.real, rel=1e-6, abs=1e-6)
    assert fid.distance(a, b) == pytest.approx(fid.distance(b, a), rel=1e-9, abs=1e-9)


@given(st.integers(0, 999), st.integers(2, 20))
def test_a_set_against_itself_and_against_its_shift_even_when_singular(seed, n):
    features = _features(n, dimensions=12, seed=seed)
    scale = np.square(features).sum()
    same = fid.distance(_statistics(features), _statistics(features))
    assert same == pytest.approx(0, abs=1e-9 * scale)
    shifted = fid.distance(_statistics(features), _statistics(features + 2))
    assert shifted == pytest.approx(12 * 4, abs=1e-9 * scale)


def test_identical_photos_have_no_covariance_but_a_distance():
    ones, twos = np.ones((3, 4)), np.full((5, 4), 2.0)
    assert fid.distance(_statistics(ones), _statistics(twos)) == pytest.approx(4)


def test_statistics_survive_the_disk(tmp_path):
    statistics = _statistics(_features(9))
    statistics.save(tmp_path / "truth.npz")
    again = Statistics.load(tmp_path / "truth.npz")
    assert again.n == 9 and os.listdir(tmp_path) == ["truth.npz"]
    np.testing.assert_allclose(again.covariance(), statistics.covariance(), rtol=1e-14)
    np.testing.assert_array_equal(again.mean, statistics.mean)


def test_damaged_statistics_are_refused_by_name(tmp_path):
    path = tmp_path / "truth.npz"
    _statistics(_features(9)).save(path)
    content = path.read_bytes()
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, mu=np.zeros(3), sigma=np.zeros((2, 2)), n=4)
    objects = tmp_path / "objects.npz"
    np.savez(objects, mu=np.array([object()]), sigma=np.zeros((1, 1)), n=4)
    for file, damaged in ((path, content[: len(content) // 2]), (path, b""), (path, b"hello")):
        file.write_bytes(damaged)
        with pytest.raises(MetricsError, match="truth.npz"):
            Statistics.load(file)
    for file in (foreign, objects, tmp_path / "nowhere.npz"):
        with pytest.raises(MetricsError, match=file.name):
            Statistics.load(file)


def test_too_few_photos_and_wrong_features_are_refused():
    with pytest.raises(MetricsError, match="at least 2"):
        fid.distance(_statistics(_features(1)), _statistics(_features(5)))
    with pytest.raises(ValueError, match="finite"):
        Statistics(6).update(np.full((2, 6), np.nan))
    with pytest.raises(ValueError, match=r"\(B, 6\)"):
        Statistics(6).update(np.zeros((2, 5)))


PYTORCH_FID_COMMAND = """
import torch
torch.set_num_threads(1)
from metrics import features, weights
with features.pytorch_fid_weights(features.to_tensors(weights.load("inception"))):
    from pytorch_fid import fid_score
    fid_score.main()
"""


def test_fid_equals_the_pytorch_fid_command(installed_weights, real_photos, tmp_path):
    sets = real_photos[:20], real_photos[20:]
    for name, photos in zip("ab", sets, strict=True):
        (tmp_path / name).mkdir()
        for i, photo in enumerate(photos):
            cv2.imwrite(str(tmp_path / name / f"{i:03d}.png"), photo[..., ::-1])
    command = [sys.executable, "-c", PYTORCH_FID_COMMAND, "--device", "cpu", "--num-workers", "0"]
    command += [str(tmp_path / "a"), str(tmp_path / "b")]
    root = Path(fid.__file__).parents[1]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
    expected = float(done.stdout.split("FID:")[1])
    inception = fid.FrechetInception()
    ours = [Statistics(), Statistics()]
    for statistics, photos in zip(ours, sets, strict=True):
        for batch in np.split(photos, [3, 11]):
            statistics.update(inception.features(batch))
    assert expected > 1
    assert fid.distance(*ours) == pytest.approx(expected, abs=1e-3)


def test_inception_features_do_not_depend_on_the_batch(installed_weights, real_photos):
    inception = fid.FrechetInception()
    together = inception.features(real_photos[:4])
    alone = np.concatenate([inception.features(real_photos[i : i + 1]) for i in range(4)])
    assert together.shape == (4, 2048)
    np.testing.assert_allclose(together, alone, atol=1e-5)
