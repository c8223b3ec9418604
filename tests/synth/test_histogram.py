"""Declared histograms of the hidden share: what is asked of each sample."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from synth.histogram import Aim, draw_aim, even_position, from_histogram
from synth.occlusion_spec import Histogram, Occlusion

SEEDS = st.integers(0, 2**32 - 1)
WEIGHTS = st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(any)


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    shares = draw(WEIGHTS)
    count = len(shares) + 1
    edges = draw(st.lists(st.integers(0, 100), min_size=count, max_size=count, unique=True))
    return Histogram(edges=[e / 100 for e in sorted(edges)], shares=shares)


def test_an_even_sequence_fills_any_bins_evenly() -> None:
    """Counts of 2 to 20 equal bins are within two of what they should be, for any n up to 400."""
    worst = 0.0
    for seed in range(12):
        at = np.array([even_position(seed, 2, number) for number in range(400)])
        assert (at >= 0).all() and (at < 1).all()
        for bins in (2, 3, 5, 10, 20):
            for n in (7, 50, 200, 400):
                counts = np.histogram(at[:n], np.linspace(0, 1, bins + 1))[0]
                worst = max(worst, float(np.abs(counts - n / bins).max()))
    assert worst <= 2


@given(SEEDS, st.integers(0, 2), st.integers(0, 10**6))
def test_a_position_depends_on_seed_split_and_number_alone(seed: int, split: int, n: int) -> None:
    assert even_position(seed, split, n) == even_position(seed, split, n)
    assert even_position(seed, split, n) != even_position(seed + 1, split, n)
    assert even_position(seed, split, n) != even_position(seed, split + 1, n)


@settings(max_examples=40, deadline=None)
@given(histograms(), SEEDS)
def test_200_asked_shares_match_the_histogram(histogram: Histogram, seed: int) -> None:
    """Within three a bin whatever the bins; how seldom that is more than two is tested below."""
    occlusion = Occlusion(hidden=histogram)
    rng = np.random.default_rng(0)
    aims = [draw_aim(occlusion, rng, even_position(seed, 0, number)) for number in range(200)]
    total = sum(histogram.shares)
    for low, high, share in zip(
        histogram.edges, histogram.edges[1:], histogram.shares, strict=False
    ):
        inside = [aim for aim in aims if (aim.low, aim.high) == (low, high)]
        assert abs(len(inside) - 200 * share / total) <= 3
        assert all(aim.share is not None and low <= aim.share <= high for aim in inside)
    assert rng.random() == np.random.default_rng(0).random()  # nothing is drawn beside it


def test_uneven_bins_are_nearly_always_filled_within_two() -> None:
    rng, beyond = np.random.default_rng(0), 0
    for seed in range(300):
        ends = np.sort(rng.random(6))
        at = np.array([even_position(seed, 0, number) for number in range(200)])
        counts = np.diff(np.searchsorted(np.sort(at), ends))
        beyond += bool(np.abs(counts - 200 * np.diff(ends)).max() > 2)
    assert beyond <= 15


@given(histograms(), st.floats(0, 1, exclude_max=True))
def test_empty_bins_are_never_asked_for(histogram: Histogram, position: float) -> None:
    share, low, high = from_histogram(histogram, position)
    number = histogram.edges.index(low)
    assert histogram.edges[number + 1] == high and histogram.shares[number] > 0
    assert low <= share <= high


def test_shares_are_uniform_within_a_bin() -> None:
    histogram = Histogram(edges=(0.1, 0.3, 0.7), shares=(1, 1))
    shares = [from_histogram(histogram, even_position(3, 1, n))[0] for n in range(200)]
    counts = np.histogram(shares, [0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7])[0]
    assert np.abs(counts - 25).max() <= 2


@given(SEEDS, st.floats(0, 0.5), st.floats(0.01, 0.5))
def test_a_range_is_filled_as_evenly_as_a_flat_histogram(
    seed: int, low: float, width: float
) -> None:
    high = low + width
    flat, bins = Occlusion(hidden=(low, high)), {"edges": (low, high), "shares": (1,)}
    rng = np.random.default_rng(seed)
    for number in range(5):
        at = even_position(seed, 0, number)
        aim = draw_aim(flat, rng, at)
        assert aim.share == pytest.approx(draw_aim(Occlusion(hidden=bins), rng, at).share)
        assert (aim.low, aim.high, aim.declared) == (low, high, False)


def test_rejection_asks_for_a_range_only() -> None:
    rng = np.random.default_rng(0)
    assert draw_aim(Occlusion(preset="pcnet"), rng) == Aim(None, 0.001, 0.9, declared=True)
    histogram = {"edges": (0.1, 0.2, 0.4), "shares": (1, 3)}
    of_bin = draw_aim(Occlusion(hidden=histogram, reach="reject"), rng, position=0.9)
    assert of_bin == Aim(None, 0.2, 0.4, declared=True)


def test_how_far_a_share_misses() -> None:
    aim = Aim(0.3, 0.2, 0.4)
    assert aim.miss(0.35) == (0.0, pytest.approx(0.05))
    assert aim.miss(0.5) == (pytest.approx(0.1), pytest.approx(0.2))
    assert aim.miss(0.0)[0] == 1.0
    assert Aim(None, 0.2, 0.4).miss(0.25) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("edges", "shares", "said"),
    [
        ((0.1, 0.1), (1,), "must rise"),
        ((0.1, math.nan), (1,), "must rise"),
        ((-0.1, 0.5), (1,), "must rise"),
        ((0.1, 1.5), (1,), "must rise"),
        ((0.1, 0.2, 0.3), (1,), "3 edges and 1 shares; give 2"),
        ((0.1, 0.2), (0,), "one above 0"),
        ((0.1, 0.2), (-1,), "0 or more"),
        ((0.1, 0.2), (math.nan,), "0 or more"),
        ((0.1, 0.2), (math.inf,), "0 or more"),
    ],
)
def test_what_is_no_histogram(
    edges: tuple[float, ...], shares: tuple[float, ...], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Histogram(edges=edges, shares=shares)
