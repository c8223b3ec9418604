"""The bootstrap: right width where theory knows it, over people, paired, repeatable."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards import stats
from leaderboards.stats import of_one_seed


def _draws(people: list[str], seed: int = 0, resamples: int = 4000) -> stats.Resampling:
    return stats.resampling(people, np.random.default_rng(seed), resamples)


def _width(interval: stats.Interval | None) -> float:
    assert interval is not None
    return interval.high - interval.low


def test_width_of_a_mean_is_the_one_of_theory() -> None:
    rng = np.random.default_rng(1)
    people = [f"p{i}" for i in range(400)]
    values = rng.normal(3.0, 2.0, 400)
    interval = stats.mean_interval(_draws(people), people, of_one_seed(values))
    assert _width(interval) == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.06)
    assert interval is not None and interval.low < values.mean() < interval.high


def test_people_are_drawn_not_composites() -> None:
    # Four equal composites of each person say no more than one of them.
    rng = np.random.default_rng(2)
    people = [f"p{i}" for i in range(100)]
    values = rng.normal(0, 1, 100)
    once = stats.mean_interval(_draws(people), people, of_one_seed(values))
    four = stats.mean_interval(_draws(people * 4), people * 4, of_one_seed(np.tile(values, 4)))
    assert once == four
    as_strangers = [f"q{i}" for i in range(400)]
    naive = stats.mean_interval(_draws(as_strangers), as_strangers, of_one_seed(np.tile(values, 4)))
    assert _width(four) == pytest.approx(2 * _width(naive), rel=0.15)


def test_pairing_removes_what_two_methods_share() -> None:
    rng = np.random.default_rng(3)
    people = [f"p{i}" for i in range(50)]
    shared = rng.normal(0, 1, 50)
    first, second = shared + 0.05, shared.copy()
    draws = _draws(people)
    found = stats.difference(draws, people, of_one_seed(first), of_one_seed(second))
    assert found is not None and found.interval.excludes_zero() and found.n == 50
    assert (found.interval.low, found.mean, found.interval.high) == pytest.approx([0.05] * 3)
    assert found.p == pytest.approx(2 / 4001)


def test_seeded_and_independent_of_the_order_of_samples() -> None:
    rng = np.random.default_rng(4)
    people = [f"p{i % 7}" for i in range(30)]
    values = rng.random(30)
    order = rng.permutation(30)
    shuffled = [people[i] for i in order]
    first = stats.mean_interval(stats.default_resampling(people), people, of_one_seed(values))
    again = stats.mean_interval(
        stats.default_resampling(shuffled), shuffled, of_one_seed(values[order])
    )
    other = stats.mean_interval(_draws(people, seed=5, resamples=1000), people, of_one_seed(values))
    assert first is not None and again is not None
    assert (first.low, first.high) == pytest.approx((again.low, again.high), abs=1e-12)
    assert first != other


def test_nan_is_not_counted() -> None:
    people = [f"p{i}" for i in range(6)]
    with_nan = np.array([1.0, 2.0, np.nan, 3.0, np.nan, 2.0])
    interval = stats.mean_interval(_draws(people), people, of_one_seed(with_nan))
    assert interval is not None and 1.0 <= interval.low <= interval.high <= 3.0
    assert stats.mean_interval(_draws(people), people, of_one_seed(np.full(6, np.nan))) is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), min_size=1, max_size=30))
def test_interval_lies_within_the_values_and_one_person_has_none(
    samples: list[tuple[int, float]],
) -> None:
    people = [f"p{i}" for i, _ in samples]
    values = np.array([v for _, v in samples])
    interval = stats.mean_interval(_draws(people, resamples=200), people, of_one_seed(values))
    assert (interval is None) is (len(set(people)) < 2)
    if interval is None:
        return
    assert values.min() - 1e-9 <= interval.low <= interval.high <= values.max() + 1e-9


def test_ratio_of_sums_weighs_by_the_bottom() -> None:
    people = ["a", "b"]
    tops, bottoms = (of_one_seed(np.array(v)) for v in ([1.0, 90], [10.0, 100]))
    interval = stats.percentiles(_draws(people).ratios(people, tops, bottoms))
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((0.1, 0.9))


def _simulated(rng: np.random.Generator, effect: float) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Two methods on 40 people of 1 to 5 composites each, whose hardness a person shares."""
    people = [f"p{i}" for i, n in enumerate(rng.integers(1, 6, 40)) for _ in range(n)]
    hardness = rng.normal(0, 1, 40)[[int(p[1:]) for p in people]]
    liking = rng.normal(0, 0.3, 40)[[int(p[1:]) for p in people]]
    first = hardness + liking + effect + rng.normal(0, 0.2, len(people))
    return people, first, hardness + rng.normal(0, 0.2, len(people))


def test_the_paired_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered, means = 0, 0
    for _ in range(300):
        people, first, second = _simulated(rng, 0.1)
        draws = stats.resampling(people, rng, 400)
        found = stats.difference(draws, people, of_one_seed(first), of_one_seed(second))
        assert found is not None
        covered += found.interval.low <= 0.1 <= found.interval.high
        means += found.interval.low <= found.mean <= found.interval.high
    assert 0.90 <= covered / 300 <= 0.98  # a percentile interval of 40 people covers a bit less
    assert means == 300


def test_ignoring_that_composites_share_a_person_covers_too_rarely() -> None:
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(200):
        people, first, second = _simulated(rng, 0.1)
        strangers = [f"s{i}" for i in range(len(people))]
        draws = stats.resampling(strangers, rng, 400)
        found = stats.difference(draws, strangers, of_one_seed(first), of_one_seed(second))
        assert found is not None
        covered += found.interval.low <= 0.1 <= found.interval.high
    assert covered / 200 < 0.85


def test_p_is_uniform_enough_without_a_difference() -> None:
    rng = np.random.default_rng(9)
    ps = []
    for _ in range(200):
        people, first, second = _simulated(rng, 0.0)
        draws = stats.resampling(people, rng, 400)
        found = stats.difference(draws, people, of_one_seed(first), of_one_seed(second))
        assert found is not None
        ps.append(found.p)
    assert np.mean(np.array(ps) < 0.05) < 0.11 and 0.4 < np.mean(ps) < 0.6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_p_lies_in_its_range_and_does_not_depend_on_the_sign(drawn: list[float]) -> None:
    values = np.array(drawn)
    p = stats.two_sided(values)
    assert 0 < p <= 1 and p == stats.two_sided(-values)


def test_no_common_sample_has_no_difference() -> None:
    people = ["a", "b"]
    first, second = np.array([1.0, np.nan]), np.array([np.nan, 1.0])
    assert stats.difference(_draws(people), people, of_one_seed(first), of_one_seed(second)) is None


def test_a_difference_is_of_the_samples_that_both_count() -> None:
    # Interval and p as well: what one of the two lacks would else look like a difference.
    people = [f"p{i}" for i in range(40)]
    shared = np.random.default_rng(6).normal(0, 1, 40)
    first, second = shared + 0.05, shared.copy()
    first[20:30] += 100
    second[20:30] = first[30:] = np.nan
    for one, other, sign in ((first, second, 1), (second, first, -1)):
        found = stats.difference(_draws(people), people, of_one_seed(one), of_one_seed(other))
        assert found is not None and found.n == 20
        ends = [found.interval.low, found.mean, found.interval.high]
        assert ends == pytest.approx([sign * 0.05] * 3)
        assert found.p == pytest.approx(2 / 4001)


def test_one_person_among_many_says_nothing_of_chance() -> None:
    # Others are drawn too, but only the samples of one are counted: no width, so no interval.
    people = ["a", "a", "b"]
    values, nothing = (of_one_seed(np.array(v)) for v in ([0.2, 0.4, np.nan], [0.1, 0.1, 0.1]))
    draws = _draws(people)
    assert stats.mean_interval(draws, people, values) is None
    assert stats.difference(draws, people, values, nothing) is None
    assert stats.difference(draws, people, of_one_seed(np.ones(3)), nothing) is not None


def _trained(rng: np.random.Generator, seeds: int, luck: float) -> tuple[list[str], stats.Scores]:
    """A method's scores on 60 people, each training of which was more or less lucky."""
    people = [f"p{i}" for i in range(60)]
    values = rng.normal(0, 0.5, 60) + rng.normal(0, luck, (seeds, 1))
    return people, stats.Scores(values, tuple(range(seeds)))


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_variance_of_a_mean_is_that_of_people_and_of_trainings(seeds: int) -> None:
    rng, found = np.random.default_rng(10), []
    for _ in range(400):
        people, scores = _trained(rng, seeds, 0.2)
        found.append(stats.resampling(people, rng, 400).means(people, scores).var())
    assert np.mean(found) == pytest.approx(0.5**2 / 60 + 0.2**2 / seeds, rel=0.1)


def test_two_trainings_of_one_method_are_told_apart_more_rarely_with_their_seeds_drawn() -> None:
    rng, over_people, over_both = np.random.default_rng(11), 0, 0
    for _ in range(200):
        people, first = _trained(rng, 3, 0.1)
        values = (
            first.values.mean(0) + rng.normal(0, 0.1, (3, 1)) - rng.normal(0, 0.1, (3, 1)).mean()
        )
        second = stats.Scores(values, (7, 8, 9))
        draws = stats.resampling(people, rng, 400)
        averaged = [of_one_seed(one.averaged) for one in (first, second)]
        for_people = stats.difference(draws, people, *averaged)
        for_both = stats.difference(draws, people, first, second)
        assert for_people is not None and for_both is not None
        assert for_both.mean == pytest.approx(for_people.mean)
        over_people += for_people.interval.excludes_zero()
        over_both += for_both.interval.excludes_zero()
    assert over_both < 0.25 * 200 < 0.9 * 200 < over_people


def test_the_luck_that_rows_of_one_seed_share_cancels() -> None:
    people, first = _trained(np.random.default_rng(12), 3, 0.2)
    second = stats.Scores(first.values - 0.05, first.seeds)
    found = stats.difference(_draws(people), people, first, second)
    assert found is not None
    assert (found.interval.low, found.interval.high) == pytest.approx([0.05] * 2)
    elsewhere = stats.difference(
        _draws(people), people, first, stats.Scores(second.values, (4, 5, 6))
    )
    assert elsewhere is not None and _width(elsewhere.interval) > 0.1
