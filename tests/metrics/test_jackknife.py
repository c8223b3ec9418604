import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from metrics.jackknife import groups_of, interval

people = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30)


@given(people, st.integers(1, 9))
def test_photos_of_a_person_share_a_group_whatever_the_order(names, most):
    groups = groups_of(names, most)
    of_person = dict(zip(names, groups, strict=True))
    assert all(of_person[name] == group for name, group in zip(names, groups, strict=True))
    assert set(groups) == set(range(min(most, len(set(names)))))
    np.testing.assert_array_equal(groups_of(names[::-1], most), groups[::-1])


def test_many_people_are_dealt_out_evenly():
    sizes = np.bincount(groups_of([f"{i:04d}" for i in range(1050)]))
    assert len(sizes) == 100 and sizes.min() == 10 and sizes.max() == 11


@given(st.lists(st.floats(-9, 9), min_size=2, max_size=20))
def test_for_a_mean_it_is_students_interval(values):
    values = np.array(values)
    mean, n = values.mean(), len(values)
    without = [np.delete(values, i).mean() for i in range(n)]
    low, high = interval(mean, without)
    reach = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    assert low == pytest.approx(mean - reach, abs=1e-9)
    assert high == pytest.approx(mean + reach, abs=1e-9)


def test_no_interval_without_two_groups_or_with_a_number_that_does_not_exist():
    assert interval(1.0, [1.0]) is None and interval(1.0, []) is None
    assert interval(1.0, [1.0, 2.0, math.nan]) is None


def test_it_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        values = rng.normal(size=20)  # the variance, which is no mean
        without = [np.delete(values, i).var(ddof=1) for i in range(20)]
        low, high = interval(values.var(ddof=1), without)
        inside += low <= 1 <= high
    assert 0.85 < inside / 400 < 0.99
