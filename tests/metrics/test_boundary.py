import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrics.boundary import band, boundary, boundary_f, tolerance

SHAPE = (12, 15)
masks = hnp.arrays(bool, SHAPE)


def _boundary_by_loops(mask: np.ndarray) -> list[tuple[int, int]]:
    height, width = mask.shape
    found = []
    for i in range(height):
        for j in range(width):
            down, right = min(i + 1, height - 1), min(j + 1, width - 1)
            neighbours = (mask[i, right], mask[down, j], mask[down, right])
            if any(other != mask[i, j] for other in neighbours):
                found.append((i, j))
    return found


def _f_by_loops(a: np.ndarray, b: np.ndarray) -> float:
    edges = _boundary_by_loops(a), _boundary_by_loops(b)
    if not edges[0] or not edges[1]:
        return float(not edges[0] and not edges[1])
    within = math.ceil(0.008 * math.sqrt(a.shape[0] ** 2 + a.shape[1] ** 2))
    shares = []
    for these, others in (edges, edges[::-1]):
        matched = 0
        for i, j in these:
            matched += any((i - k) ** 2 + (j - m) ** 2 <= within**2 for k, m in others)
        shares.append(matched / len(these))
    return 2 * shares[0] * shares[1] / sum(shares) if sum(shares) else 0.0


@given(masks, masks)
def test_it_equals_plain_loops_and_is_symmetric(a, b):
    assert boundary_f(a, b) == pytest.approx(_f_by_loops(a, b), abs=1e-12)
    assert boundary_f(a, b) == boundary_f(b, a)
    assert boundary_f(a, a) == 1


def test_it_equals_plain_loops_on_real_masks(real_masks):
    for i, mask in enumerate(real_masks[:4]):
        true = mask[::4, ::4]
        pred = np.roll(true, (i, 1 - 2 * i), axis=(0, 1))
        assert 0 < boundary_f(pred, true) <= 1
        assert boundary_f(pred, true) == pytest.approx(_f_by_loops(pred, true), abs=1e-12)


def test_the_tolerance_is_that_of_davis():
    assert tolerance((256, 256)) == 3 and tolerance((480, 854)) == 8
    true = np.zeros((256, 256), bool)
    true[64:192, 64:192] = True
    assert boundary_f(np.roll(true, 3, axis=0), true) == 1
    assert 0.4 < boundary_f(np.roll(true, 4, axis=0), true) < 0.6  # the two sides still match


@given(masks)
def test_masks_without_a_boundary(mask):
    nothing, everything = np.zeros(SHAPE, bool), np.ones(SHAPE, bool)
    assert boundary_f(nothing, everything) == boundary_f(nothing, nothing) == 1
    assert boundary_f(nothing, mask) == float(not boundary(mask).any())


@given(masks, st.integers(0, 4))
def test_the_band_holds_what_is_near_the_other_side(mask, width):
    points = np.argwhere(np.ones(SHAPE, bool))
    expected = np.zeros(SHAPE, bool)
    for i, j in points:
        others = points[mask.ravel() != mask[i, j]]
        if len(others):
            nearest = np.square(others - (i, j)).sum(1).min()
            expected[i, j] = nearest <= width**2 and width > 0
    np.testing.assert_array_equal(band(mask, width), expected)
