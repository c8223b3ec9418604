"""The contact shadow: it only darkens, stays in the photo, and lies where the occluder touches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.blend import Layer, contact_shadow, darken, onto_canvas
from tests.synth.tiny import ellipse

SIZE = 64
WHOLE = (0, 0, SIZE, SIZE)
DARKEST = 0.6  # share of the light that the strongest shadow takes


def layer(left: int, top: int, height: int, width: int, frame: tuple[int, ...] = WHOLE) -> Layer:
    alpha = (255 * ellipse(height, width)).astype(np.uint8)
    rgb = np.zeros((height, width, 3), np.float32)
    return onto_canvas(rgb, alpha, left, top, SIZE, frame)  # type: ignore[arg-type]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


NOBODY, EVERYWHERE = np.zeros((SIZE, SIZE), bool), np.ones((SIZE, SIZE), bool)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(-50, 70), st.integers(-50, 70), st.integers(1, 60), st.integers(1, 60),
    st.floats(0.01, 1), st.integers(0, 20), st.integers(0, 99),
)  # fmt: skip
def test_it_takes_a_bounded_share_of_light_and_stays_inside_the_photo(
    left: int, top: int, height: int, width: int, strength: float, border: int, seed: int
) -> None:
    frame = (border, 0, SIZE - 2 * border, SIZE)
    person = rng(seed).random((SIZE, SIZE)) < 0.5
    made = layer(left, top, height, width, frame)
    light = contact_shadow(made, person, frame, strength, rng(seed))
    assert light.dtype == np.float32 and light.shape == (SIZE, SIZE)
    assert light.max() <= 1 and light.min() >= 1 - DARKEST * strength - 1e-6
    assert (light[:, :border] == 1).all() and (light[:, SIZE - border :] == 1).all()
    assert made.alpha.any() or (light == 1).all()
    assert (light == contact_shadow(made, person, frame, strength, rng(seed))).all()


@pytest.mark.parametrize("seed", range(5))
def test_it_is_deepest_at_the_occluder_and_gone_further_off(seed: int) -> None:
    light = contact_shadow(layer(24, 20, 16, 16), EVERYWHERE, WHOLE, 1.0, rng(seed))
    assert light[28, 32] < 0.7
    assert (light[:10] > 0.999).all() and (light[:, :8] > 0.999).all()
    far = np.abs(np.arange(SIZE) - 32)
    row = light[28]
    assert row[far > 16].min() > row[far < 4].max()


def test_the_person_gets_more_of_it_than_what_is_behind() -> None:
    thing = layer(20, 4, 24, 24)
    on, off = (contact_shadow(thing, who, WHOLE, 1.0, rng()) for who in (EVERYWHERE, NOBODY))
    assert (on <= off + 1e-6).all()
    assert (1 - on[12, 32]) > 2 * (1 - off[12, 32])


def test_the_ground_beside_the_foot_is_darker_than_what_is_beside_the_middle() -> None:
    full = np.full((34, 24), 255, np.uint8)
    box = Layer(np.zeros((34, 24, 3), np.float32), full, 20, 10)
    drawn = [contact_shadow(box, NOBODY, WHOLE, 1.0, rng(seed)) for seed in range(20)]
    light = np.mean(drawn, axis=0)
    beside = (light[:, 19] + light[:, 44]) / 2
    assert beside[42] < beside[27] - 0.02


def test_stronger_is_darker() -> None:
    thing = layer(20, 20, 24, 24)
    weak, strong = (contact_shadow(thing, EVERYWHERE, WHOLE, s, rng()) for s in (0.3, 0.9))
    assert (strong <= weak).all() and strong.min() < weak.min() - 0.2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_darken_never_brightens_and_leaves_black_and_not_black_as_they_are(seed: int) -> None:
    image = rng(seed).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    image[:4] = 0
    image[4:6] = 1
    shaded = darken(image, rng(seed).random((20, 20)).astype(np.float32))
    assert shaded.dtype == np.uint8 and (shaded <= image).all()
    assert ((shaded == 0) == (image == 0)).all()
    assert (darken(image, np.ones((20, 20), np.float32)) == image).all()
