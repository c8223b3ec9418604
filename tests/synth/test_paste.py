"""Laying an occluder: what holds for every way of blending, and for cut-outs of odd sizes."""

from itertools import product

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synth.blend import match_colours, match_grain
from synth.blend.grain import estimate_blur, estimate_noise
from synth.occlusion_spec import Occlusion
from synth.paste import Canvas, lay, prepare
from synth.place import photo_box
from tests.synth.tiny import cutout, ellipse, person_crop

SIZE = 48
WAYS = [
    Occlusion(blend=blend, harmonise=harmonise, shadow=shadow, erode=erode)
    for blend, harmonise, shadow, erode in product(
        ("hard", "feather", "poisson"), ("none", "mild", "full"), (0.0, 0.7), (0, 1)
    )
]
SIDES, PLACES = st.integers(1, 70), st.integers(-80, 60)


def canvas(seed: int, border: int) -> Canvas:
    person = person_crop(SIZE, np.random.default_rng(seed), border)
    nothing = np.zeros_like(person.amodal)
    return Canvas(person.image, person.image, nothing, person.amodal, photo_box(person.image))


def laid(bare: Canvas, seed: int, box: tuple[int, int, int, int], occlusion: Occlusion) -> Canvas:
    rng = np.random.default_rng([1, seed])
    height, width = (int(side) for side in rng.integers(1, 50, 2))
    thing = prepare(cutout(height, width, rng, bool(rng.integers(2))), occlusion)
    return lay(bare, thing.rgba, box, bool(seed % 2), occlusion, rng)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(0, 6), PLACES, PLACES, SIDES, SIDES,
    st.sampled_from(WAYS),
)  # fmt: skip
@example(3, 5, -70, 0, 60, 40, WAYS[-1])  # wholly outside
@example(3, 5, 20, 20, 1, 1, WAYS[-1])
def test_image_and_clean_differ_under_occluders_alone(
    seed: int, border: int, left: int, top: int, width: int, height: int, occlusion: Occlusion
) -> None:
    bare, box = canvas(seed, border), (left, top, width, height)
    one = laid(bare, seed, box, occlusion)
    two = laid(one, seed + 1, (top, left, height, width), occlusion)
    for before, after in ((bare, one), (one, two)):
        assert (after.image == after.clean)[~after.occluder].all()
        assert (after.clean <= before.clean).all()  # a shadow never brightens
        assert occlusion.shadow or (after.clean == before.clean).all()
        assert (after.occluder >= before.occluder).all()
    outside = ~bare.image.any(axis=2)
    assert not two.image[outside].any() and not two.clean[outside].any()
    assert not two.occluder[:, :border].any()
    assert two.image.dtype == two.clean.dtype == np.uint8
    again = laid(bare, seed, box, occlusion)
    assert (again.image == one.image).all() and (again.clean == one.clean).all()


@pytest.mark.parametrize("occlusion", WAYS[:12])
def test_hard_covers_the_whole_outline_at_full_strength(occlusion: Occlusion) -> None:
    white = np.full((20, 20, 4), 255, np.uint8)
    done = lay(canvas(0, 0), white, (10, 10, 20, 20), False, occlusion, np.random.default_rng(0))
    assert done.occluder.sum() == 400 and done.occluder[10:30, 10:30].all()
    if occlusion.harmonise != "full":  # "mild" does nothing to a hard paste
        assert (done.image[done.occluder] == 255).all()


@pytest.mark.parametrize(("blend", "soft"), [("hard", False), ("feather", True), ("poisson", True)])
def test_only_a_hard_edge_has_no_mixed_pixels(blend: str, soft: bool) -> None:
    white = np.full((63, 63, 4), 255, np.uint8)
    white[..., 3] *= ellipse(63, 63)
    black = np.ones((SIZE, SIZE, 3), np.uint8)
    nothing = np.zeros((SIZE, SIZE), bool)
    bare = Canvas(black, black, nothing, ~nothing, (0, 0, SIZE, SIZE))
    occlusion = Occlusion(blend=blend, harmonise="none")
    done = lay(bare, white, (8, 8, 25, 25), False, occlusion, np.random.default_rng(0))
    levels = done.image[..., 0]
    assert ((levels > 20) & (levels < 200)).any() == soft


@pytest.mark.parametrize("occlusion", WAYS)
def test_empty_and_tiny_cutouts(occlusion: Occlusion) -> None:
    bare = canvas(2, 4)
    empty = np.zeros((9, 9, 4), np.uint8)
    done = lay(bare, empty, (20, 20, 9, 9), False, occlusion, np.random.default_rng(0))
    assert not done.occluder.any()
    assert (done.image == bare.image).all() and (done.clean == bare.clean).all()
    dot = np.full((1, 1, 4), 255, np.uint8)
    done = lay(bare, dot, (20, 20, 1, 1), True, occlusion, np.random.default_rng(0))
    assert done.occluder.sum() <= 1


def test_a_shadow_reaches_the_person_beside_the_occluder() -> None:
    bare = canvas(1, 0)
    shaded = laid(bare, 1, (16, 16, 20, 20), Occlusion(shadow=1.0))
    beside = bare.amodal & ~shaded.occluder
    assert (shaded.image < bare.image)[beside].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 30))
def test_matched_colours_are_bounded(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    base, other = rng.uniform(0, 255, 3), rng.uniform(0, 255, 3)
    rgb = np.clip(base + rng.normal(0, 40, (height, width, 3)), 0, 255).astype(np.float32)
    around = np.clip(other + rng.normal(0, 30, (9, 9, 3)), 0, 255).astype(np.uint8)
    alpha = (255 * ellipse(height, width)).astype(np.uint8)
    moved = match_colours(rgb, alpha, around, np.random.default_rng(seed))
    assert moved.shape == rgb.shape and moved.dtype == np.float32
    assert moved.min() >= 0 and moved.max() <= 255
    light = np.log(rgb + 16).sum(2).mean(), np.log(moved + 16).sum(2).mean()
    assert abs(light[1] - light[0]) < 3 * 0.6


def test_colours_move_towards_the_scene_and_never_all_the_way() -> None:
    grey = np.random.default_rng(0).uniform(100, 140, (30, 30, 3)).astype(np.float32)
    alpha = np.full((30, 30), 255, np.uint8)
    means = {}
    for level in (20, 230):
        around = np.full((20, 20, 3), level, np.uint8)
        drawn = [match_colours(grey, alpha, around, np.random.default_rng(s)) for s in range(20)]
        means[level] = np.mean(drawn)
    assert 20 < means[20] < 100 and 140 < means[230] < 230


def test_grain_of_a_smooth_cutout_becomes_that_of_the_scene() -> None:
    rng = np.random.default_rng(0)
    smooth = np.full((60, 60, 3), 120, np.float32)
    noisy = np.clip(120 + rng.normal(0, 2, (60, 60, 1)).repeat(3, 2), 0, 255).astype(np.uint8)
    alpha, whole = np.full((60, 60), 255, np.uint8), np.ones((60, 60), bool)
    wanted = estimate_noise(noisy, whole)
    got = estimate_noise(match_grain(smooth, alpha, noisy, rng), whole)
    assert wanted is not None and got is not None and wanted == pytest.approx(2, rel=0.3)
    assert got == pytest.approx(wanted, rel=0.25)
    assert (match_grain(smooth, alpha, smooth.astype(np.uint8), rng) == smooth).all()


def test_sharpness_moves_towards_that_of_the_scene() -> None:
    bars = np.repeat(np.where(np.arange(80) // 8 % 2, 200, 60)[None], 80, axis=0)
    crisp = np.dstack([bars] * 3).astype(np.float32)
    soft = cv2.GaussianBlur(crisp, (0, 0), 1.6)
    alpha, whole = np.full((80, 80), 255, np.uint8), np.ones((80, 80), bool)
    rng = np.random.default_rng(0)
    blur = {}
    for name, own, other in (("softer", crisp, soft), ("crisper", soft, crisp)):
        blur[name] = estimate_blur(match_grain(own, alpha, other.astype(np.uint8), rng), whole)
    of_crisp, of_soft = estimate_blur(crisp, whole), estimate_blur(soft, whole)
    softer, crisper = blur["softer"], blur["crisper"]
    assert of_crisp is not None and of_soft is not None
    assert softer is not None and crisper is not None
    assert of_crisp + 0.5 < softer <= of_soft + 0.2
    assert of_crisp <= crisper < 0.95 * of_soft  # sharpening has a low bound
