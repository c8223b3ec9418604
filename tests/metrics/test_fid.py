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
from metrics.inception import FrechetInception


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


@given(st.integers(1, 10), st.integers(0, 99))
def test_statistics_without_a_part_are_those_of_the_rest(part, seed):
    features = _features(15, seed=seed)
    rest = _statistics(features).without(_statistics(features[:part]))
    assert rest.n == 15 - part
    np.testing.assert_allclose(rest.mean, features[part:].mean(0), atol=1e-10)
    np.testing.assert_allclose(rest.covariance(), np.cov(features[part:].T), atol=1e-8)


def test_distance_by_hand_in_one_dimension():
    distance = frechet_distance(np.array([1.0]), np.array([[4.0]]), np.zeros(1), np.array([[9.0]]))
    assert distance == pytest.approx(1 + (2 - 3) ** 2)


def _by_matrix_root(a: np.ndarray, b: np.ndarray) -> float:
    first, second = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(first @ second)
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(first + second - 2 * root).real


@given(st.integers(0, 999), st.sampled_from([40, 5]))
def test_distance_equals_the_matrix_root_and_is_symmetric(seed, n):
    a, b = _features(n, seed=seed), _features(40, seed=seed + 1)
    assert fid.distance(a, b) == pytest.approx(_by_matrix_root(a, b), rel=1e-6, abs=1e-6)
    assert fid.distance(a, b) == pytest.approx(fid.distance(b, a), rel=1e-7, abs=1e-7)


@given(st.integers(0, 999), st.integers(2, 11), st.integers(2, 11))
def test_both_routes_give_one_number_for_few_photos(seed, n, m):
    a, b = _features(n, 12, seed), _features(m, 12, seed + 1)
    scale = max(np.square(a).sum(), np.square(b).sum())
    few, many = fid._Few(a, b), fid._Many(a, b)
    assert isinstance(fid._route(a, b), fid._Few)
    assert few.distance() == pytest.approx(many.distance(), rel=1e-6, abs=1e-6 * scale)


@pytest.mark.parametrize("n, route", [(20, fid._Few), (60, fid._Many)])
@given(seed=st.integers(0, 99), count=st.integers(2, 7))
def test_without_a_group_is_the_distance_of_the_others(n, route, seed, count):
    a, b = _features(n, 30, seed), _features(n, 30, seed + 1)
    groups = np.random.default_rng(seed).permutation(np.arange(n) % count)
    assert isinstance(fid._route(a, b), route)
    value, without = fid.distances(a, b, groups, groups)
    assert value == fid.distance(a, b) and len(without) == count
    for group, found in enumerate(without):
        kept = groups != group
        assert found == pytest.approx(fid.distance(a[kept], b[kept]), rel=1e-6)


def test_a_group_that_leaves_too_few_has_no_distance():
    a, groups = _features(3), np.array([0, 0, 1])
    assert np.isnan(fid.distances(a, a, groups, groups)[1][0])


@given(st.integers(0, 999), st.integers(2, 20))
def test_a_set_against_itself_and_against_its_shift_even_when_singular(seed, n):
    features = _features(n, dimensions=12, seed=seed)
    scale = np.square(features).sum()
    assert fid.distance(features, features) == pytest.approx(0, abs=1e-9 * scale)
    shifted = fid.distance(features, features + 2)
    assert shifted == pytest.approx(12 * 4, abs=1e-9 * scale)


def test_identical_photos_have_no_covariance_but_a_distance():
    assert fid.distance(np.ones((3, 4)), np.full((5, 4), 2.0)) == pytest.approx(4)


def test_few_photos_of_one_kind_are_far_from_zero_and_more_are_nearer():
    rng = np.random.default_rng(0)
    few, many = (fid.distance(*rng.normal(size=(2, n, 40))) for n in (20, 2000))
    assert few > 20 > 1 > many


def test_too_few_photos_and_wrong_features_are_refused():
    with pytest.raises(MetricsError, match="at least 2"):
        fid.distance(_features(1), _features(5))
    with pytest.raises(MetricsError, match="at least 2"):
        _statistics(_features(1)).covariance()
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
    inception = FrechetInception()
    ours = [
        np.concatenate([inception.features(batch) for batch in np.split(photos, [3, 11])])
        for photos in sets
    ]
    assert expected > 1
    assert fid.distance(*ours) == pytest.approx(expected, abs=1e-3)
    assert fid._Many(*ours).distance() == pytest.approx(fid._Few(*ours).distance(), abs=1e-6)


def test_inception_features_do_not_depend_on_the_batch(installed_weights, real_photos):
    inception = FrechetInception()
    together = inception.features(real_photos[:4])
    alone = np.concatenate([inception.features(real_photos[i : i + 1]) for i in range(4)])
    assert together.shape == (4, 2048)
    np.testing.assert_allclose(together, alone, atol=1e-5)
