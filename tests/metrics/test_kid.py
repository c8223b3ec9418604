import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import kid
from metrics.errors import MetricsError


def _features(n: int, seed: int = 0, dimensions: int = 6) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 1, (n, dimensions))


def _by_loops(a: np.ndarray, b: np.ndarray) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return (float(x @ y) / len(x) + 1) ** 3

    n, m = len(a), len(b)
    within = [
        sum(kernel(x[i], x[j]) for i in range(len(x)) for j in range(len(x)) if i != j)
        for x in (a, b)
    ]
    between = sum(kernel(x, y) for x in a for y in b)
    return within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * between / (n * m)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
def test_it_equals_plain_loops_in_blocks_of_any_size_and_is_symmetric(n, m, seed):
    a, b = _features(n, seed), _features(m, seed + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kid, "BLOCK", 1 + seed % 5)
        assert kid.distance(a, b) == pytest.approx(_by_loops(a, b), abs=1e-9)
        assert kid.distance(b, a) == pytest.approx(kid.distance(a, b), abs=1e-9)
        shuffled = np.random.default_rng(seed).permutation(a)
        assert kid.distance(shuffled, b) == pytest.approx(kid.distance(a, b), abs=1e-9)


@given(st.integers(4, 12), st.integers(2, 5), st.integers(0, 99))
def test_without_a_group_is_the_distance_of_the_others(n, count, seed):
    a, b = _features(n, seed), _features(n, seed + 1)
    groups = np.arange(n) % count
    value, without = kid.distances(a, b, groups, groups)
    assert value == pytest.approx(kid.distance(a, b), abs=1e-9)
    for group, found in enumerate(without):
        kept = groups != group
        if kept.sum() < 2:
            assert math.isnan(found)
        else:
            assert found == pytest.approx(kid.distance(a[kept], b[kept]), abs=1e-9)


def test_a_set_against_itself_is_not_above_zero():
    a = _features(20)
    # The pairs of a photo with itself are in one mean and not in the other.
    kernel = (a @ a.T / 6 + 1) ** 3
    apart = kernel[~np.eye(20, dtype=bool)].mean()
    assert kid.distance(a, a) == pytest.approx(2 * (apart - kernel.mean()))
    assert kid.distance(a, a) < 0


def test_it_has_no_bias_for_few_photos_of_one_kind():
    rng = np.random.default_rng(2)
    found = [kid.distance(*rng.normal(size=(2, 5, 4))) for _ in range(4000)]
    assert abs(np.mean(found)) < 4 * np.std(found) / math.sqrt(len(found))


def test_too_few_photos_are_refused():
    with pytest.raises(MetricsError, match="at least 2.*1 and 5"):
        kid.distance(_features(1), _features(5))
