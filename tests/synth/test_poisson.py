"""Gradient-domain blending: the solver against a dense solve, and what it may change."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.blend import Layer, adapt, feather, onto_canvas
from synth.blend.poisson import reach_of, solve
from tests.synth.tiny import ellipse

WHOLE = (0, 0, 48, 48)
LONGEST = 28.0  # levels that a correction may have on the outline


def dense(step: np.ndarray, inside: np.ndarray, reach: float) -> np.ndarray:
    """laplace(c) = c / reach^2 inside, c = step outside, no flux through the border; float64."""
    height, width = inside.shape
    matrix, right = np.eye(inside.size), step.reshape(-1, 3).astype(np.float64)
    right = np.where(inside.reshape(-1, 1), 0.0, right)
    for y, x in np.argwhere(inside):
        row = y * width + x
        matrix[row, row] = reach**-2
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if 0 <= v < height and 0 <= u < width:
                matrix[row, row] += 1
                matrix[row, v * width + u] -= 1
    solution: np.ndarray = np.linalg.solve(matrix, right).reshape(step.shape)
    return solution


def scene(seed: int, size: int = 48) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3)).astype(np.uint8)


def layer(seed: int, left: int = 9, top: int = 6, height: int = 31, width: int = 22) -> Layer:
    rng = np.random.default_rng(seed)
    alpha = feather((255 * ellipse(height, width)).astype(np.uint8), coarse=True)
    rgb = rng.uniform(0, 255, (height, width, 3)).astype(np.float32)
    return onto_canvas(rgb, alpha, left, top, 48, WHOLE)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.floats(1.5, 8), st.integers(1, 14), st.integers(2, 14),
    st.booleans(),
)  # fmt: skip
def test_solver_agrees_with_a_dense_solve(
    seed: int, reach: float, height: int, width: int, even: bool
) -> None:
    rng = np.random.default_rng(seed)
    inside = rng.random((height, width)) < rng.uniform(0.2, 1)
    inside[rng.integers(height), rng.integers(width)] = False
    step = rng.uniform(-LONGEST, LONGEST, (height, width, 3)).astype(np.float32)
    if even:
        step[:] = LONGEST
    got, exact = solve(step, inside, reach), dense(step, inside, reach)
    assert (got == step)[~inside].all()
    error, size = (got - exact)[inside], exact[inside]
    assert np.sqrt((error**2).sum()) <= 0.02 * np.sqrt((size**2).sum()) + 1e-3
    assert np.abs(error).max(initial=0) < 0.06 * np.abs(step[~inside]).max()


def test_solver_does_not_read_the_step_inside() -> None:
    inside = ellipse(20, 30)
    step = np.where(inside[..., None], np.float32(0), np.float32(10)).repeat(3, axis=2)
    other = np.where(inside[..., None], np.float32(1e4), step)
    assert (solve(step, inside, 3.0) == solve(other, inside, 3.0)).all()


def test_correction_falls_to_a_third_over_its_reach() -> None:
    inside = np.ones((60, 5), bool)
    inside[0] = False
    depth = solve(np.full((60, 5, 3), 20, np.float32), inside, 6.0)[:, 2, 0]
    assert depth[6] / depth[0] == pytest.approx(np.exp(-1), rel=0.1)
    assert (np.diff(depth) <= 0.02 * 20).all() and abs(depth[-1]) < 0.02 * 20


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(-40, 50), st.integers(-40, 50))
def test_adapted_layer_keeps_its_place_and_alpha_and_changes_a_little(
    seed: int, left: int, top: int
) -> None:
    before = layer(seed, left, top)
    after = adapt(before, scene(seed), WHOLE)
    assert (after.alpha == before.alpha).all()
    assert (after.left, after.top) == (before.left, before.top)
    shown = before.alpha > 0
    assert after.rgb[shown].min(initial=0) >= 0 and after.rgb[shown].max(initial=0) <= 255
    change = np.linalg.norm(after.rgb - before.rgb, axis=2)[shown]
    assert change.max(initial=0) < 1.02 * LONGEST
    again = adapt(layer(seed, left, top), scene(seed), WHOLE)
    assert (again.rgb == after.rgb).all()


def test_rim_moves_towards_the_scene_and_the_core_stays() -> None:
    alpha = (255 * ellipse(41, 41)).astype(np.uint8)
    before = Layer(np.full((41, 41, 3), 60, np.float32), alpha, 3, 3)
    after = adapt(before, np.full((48, 48, 3), 180, np.uint8), WHOLE)
    moved = (after.rgb - before.rgb)[..., 0]
    assert reach_of(48) == 1.5
    assert moved[0, 20] > 5 and moved[20, 0] > 5
    assert abs(moved[20, 20]) < 0.5
    assert moved[alpha > 0].min() > -0.5


def test_border_of_the_photo_is_no_outline() -> None:
    """What the photo cuts off goes on beyond it: nothing is known there to lean towards."""
    full = np.full((48, 30), 255, np.uint8)
    before = Layer(np.full((48, 30, 3), 60, np.float32), full, 0, 0)
    after = adapt(before, np.full((48, 48, 3), 180, np.uint8), WHOLE)
    moved = (after.rgb - before.rgb)[..., 0]
    assert (moved[:, 29] > 5).all()
    assert np.abs(moved[:, :20]).max() < 0.6
    assert np.allclose(moved, moved[:1], atol=0.05)


def test_where_there_is_no_outline_nothing_changes() -> None:
    whole = Layer(np.full((48, 48, 3), 60, np.float32), np.full((48, 48), 255, np.uint8), 0, 0)
    assert (adapt(whole, scene(0), WHOLE).rgb == 60).all()
    empty = onto_canvas(whole.rgb, whole.alpha, 60, 0, 48, WHOLE)
    assert empty.alpha.size == 0 and adapt(empty, scene(0), WHOLE) is empty
    faint = Layer(whole.rgb, np.zeros((48, 48), np.uint8), 0, 0)
    assert adapt(faint, scene(0), WHOLE) is faint


def test_one_pixel() -> None:
    dot = Layer(np.full((1, 1, 3), 60, np.float32), np.full((1, 1), 255, np.uint8), 47, 0)
    assert 60 < adapt(dot, np.full((48, 48, 3), 180, np.uint8), WHOLE).rgb[0, 0, 0] < 60 + LONGEST
