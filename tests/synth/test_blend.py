"""Pasting: outlines, edges, tone, and the promise that alpha 0 touches nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.blend import (
    Layer,
    erode_outline,
    feather,
    harden,
    onto_canvas,
    paste,
    resize_cutout,
    tone,
)
from synth.blend.layer import covered
from tests.synth.tiny import ellipse


def disc(size: int = 40, colour: tuple[int, int, int] = (200, 30, 30)) -> np.ndarray:
    rgba = np.zeros((size, size, 4), np.uint8)
    rgba[..., :3] = (0, 255, 0)  # the old background, which must never show
    inside = ellipse(size, size)
    rgba[inside] = (*colour, 255)
    return rgba


def test_erosion_takes_the_outline_off() -> None:
    before, after = disc(), erode_outline(disc(), 2)
    assert 0.75 < (after[..., 3] > 0).sum() / (before[..., 3] > 0).sum() < 0.85
    assert not ((after[..., 3] > 0) & (before[..., 3] == 0)).any()
    assert not after[0, :, 3].any()


def test_erosion_spares_thin_things() -> None:
    pole = np.zeros((60, 20, 4), np.uint8)
    pole[:, 8:11, 3] = 255
    assert (erode_outline(pole, 3)[..., 3] > 0).sum() >= 0.6 * 180


@pytest.mark.parametrize("side", [17, 40, 90])
def test_the_old_background_never_bleeds_in(side: int) -> None:
    rgb, alpha = resize_cutout(disc(), side, side)
    shown = rgb[alpha >= 8]
    assert np.abs(shown - [200, 30, 30]).max() < 4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 999), st.booleans())
def test_feather_stays_within_the_outline_and_keeps_the_core(seed: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    size = int(rng.integers(20, 60))
    alpha = (255 * ellipse(size, int(rng.integers(20, 60)))).astype(np.uint8)
    soft = feather(alpha, coarse)
    assert (soft <= alpha).all()
    assert soft[size // 2, alpha.shape[1] // 2] == 255
    assert ((soft > 20) & (soft < 235)).sum() > 0
    assert (soft >= 128).sum() > 0.75 * (alpha >= 128).sum()


def test_hard_alpha_has_two_values() -> None:
    assert set(np.unique(harden(np.arange(256, dtype=np.uint8)))) == {0, 255}


def test_tone_moves_towards_the_scene_but_not_far() -> None:
    rgb = np.full((10, 10, 3), 200, np.float32)
    alpha = np.full((10, 10), 255, np.uint8)
    dark, light = np.full((10, 5, 3), 20, np.uint8), np.full((10, 5, 3), 240, np.uint8)
    darker = [tone(rgb, alpha, dark, np.random.default_rng(s)).mean() for s in range(20)]
    lighter = [tone(rgb, alpha, light, np.random.default_rng(s)).mean() for s in range(20)]
    assert np.mean(darker) < 180 < 195 < np.mean(lighter)
    assert min(darker) > 110


@settings(max_examples=40, deadline=None)
@given(
    st.integers(-50, 60),
    st.integers(-50, 60),
    st.integers(1, 70),
    st.integers(1, 70),
    st.integers(0, 99),
)
def test_paste_changes_nothing_where_alpha_is_zero(
    left: int, top: int, width: int, height: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (48, 48, 3)).astype(np.uint8)
    rgb, alpha = resize_cutout(disc(), width, height)
    layer = onto_canvas(rgb, feather(alpha, False), left, top, 48, (5, 0, 38, 48))
    pasted = paste(image, layer)
    bare = ~covered(layer, 48)
    assert (pasted[bare] == image[bare]).all()
    assert bare[:, :5].all()
    assert bare[:, 43:].all()
    assert pasted.dtype == np.uint8


def test_opaque_pixels_take_the_layers_colour() -> None:
    layer = Layer(np.full((4, 4, 3), 77, np.float32), np.full((4, 4), 255, np.uint8), 1, 2)
    pasted = paste(np.zeros((8, 8, 3), np.uint8), layer)
    assert (pasted[2:6, 1:5] == 77).all() and pasted.sum() == 16 * 3 * 77
