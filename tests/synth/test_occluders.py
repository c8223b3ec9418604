import hashlib
import socket
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from synth.people.occluders import _DRAW, CATEGORIES, draw_occluder
from synth.people.scenery.canvas import Canvas
from synth.people.scenery.textures import TEXTURES, texture

# Things one can look through: alpha must be zero somewhere inside the outline.
PIERCED = ("picket_fence", "chain_link", "railing", "chair", "table", "bicycle", "tall_grass")
SIZES = (32, 64, 128, 256)


def _draw(seed: int, size: int, category: str | None = None) -> np.ndarray:
    return draw_occluder(np.random.default_rng(seed), size, category).rgba


def _digest(seeds: range) -> str:
    whole = hashlib.sha256()
    for seed in seeds:
        cutout = draw_occluder(np.random.default_rng(seed), 64)
        whole.update(cutout.category.encode() + cutout.rgba.tobytes())
    return whole.hexdigest()


def test_at_least_fourteen_categories_and_all_are_reached_by_chance() -> None:
    rng = np.random.default_rng(0)
    seen = {draw_occluder(rng, 16).category for _ in range(14 * len(CATEGORIES))}
    assert len(CATEGORIES) >= 14
    assert seen == set(CATEGORIES)


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("size", SIZES)
def test_cutout_is_tight_opaque_inside_and_of_the_asked_size(category: str, size: int) -> None:
    for seed in range(3):
        rgba = _draw(seed, size, category)
        alpha = rgba[..., 3]
        assert rgba.dtype == np.uint8 and rgba.shape[2] == 4
        assert size - 2 <= max(alpha.shape) <= size
        for border in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]):
            assert border.any()
        assert alpha.max() > 200
        assert (alpha > 128).mean() > 0.04


@pytest.mark.parametrize("category", CATEGORIES)
def test_nothing_is_cut_off_by_the_canvas(category: str) -> None:
    for seed in range(12):
        canvas = Canvas(np.random.default_rng(seed), 160)
        _DRAW[category](canvas)
        alpha = canvas.rgba[..., 3] > 0
        cut = max(e.mean() for e in (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]))
        assert cut < 0.03, seed


@pytest.mark.parametrize("category", sorted(set(CATEGORIES) - {"wall"}))
def test_box_around_a_thing_also_holds_transparent_pixels(category: str) -> None:
    assert (_draw(1, 128, category)[..., 3] == 0).any()


@pytest.mark.parametrize("category", PIERCED)
def test_one_can_look_through_open_things(category: str) -> None:
    # Many rows of an open thing go solid, clear, solid.
    alpha = _draw(3, 256, category)[..., 3]
    crossings = [ndimage.label(row > 128)[1] for row in alpha]
    assert np.mean(np.array(crossings) >= 2) > 0.3


def test_fence_has_holes_enclosed_on_all_sides() -> None:
    alpha = _draw(0, 256, "chain_link")[..., 3]
    clear, count = ndimage.label(alpha < 64)
    rim = set(np.concatenate([clear[0], clear[-1], clear[:, 0], clear[:, -1]]).tolist())
    enclosed = set(range(1, count + 1)) - rim
    assert len(enclosed) > 20


def test_same_generator_state_gives_the_same_bytes_whatever_was_drawn_before() -> None:
    first = _draw(5, 96)
    for seed in range(40, 50):
        _draw(seed, 48)
    assert np.array_equal(first, _draw(5, 96))


def test_a_fresh_process_draws_the_same() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from synth.people.occluders import draw_occluder\n"
        "h = hashlib.sha256()\n"
        "for s in reversed(range(100, 112)): draw_occluder(np.random.default_rng(s), 32)\n"
        "for s in range(12):\n"
        "    c = draw_occluder(np.random.default_rng(s), 64)\n"
        "    h.update(c.category.encode() + c.rgba.tobytes())\n"
        "print(h.hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == _digest(range(12))


@pytest.mark.parametrize("category", CATEGORIES)
def test_different_seeds_give_different_pictures(category: str) -> None:
    assert len({_draw(seed, 48, category).tobytes() for seed in range(6)}) == 6


def test_surfaces_are_shaded_and_grainy_rather_than_flat() -> None:
    for category in CATEGORIES:
        rgba = _draw(2, 96, category)
        solid = rgba[rgba[..., 3] > 250][:, :3].astype(float)
        assert solid.std(axis=0).max() > 4, category
        assert len(np.unique(solid, axis=0)) > len(solid) // 8, category


def test_transparent_pixels_carry_no_black_that_resizing_could_smear() -> None:
    rgba = _draw(4, 96, "bush")
    hidden, seen = rgba[rgba[..., 3] == 0][:, :3], rgba[rgba[..., 3] > 0][:, :3]
    assert np.abs(hidden.mean(axis=0) - seen.mean(axis=0)).max() < 2


def test_the_pose_does_not_depend_on_the_asked_size() -> None:
    small, large = (_draw(9, size, "chair")[..., 3] for size in (64, 256))
    ratios = [alpha.shape[0] / alpha.shape[1] for alpha in (small, large)]
    assert ratios[0] == pytest.approx(ratios[1], rel=0.08)


def test_no_network_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    for category in CATEGORIES:
        _draw(6, 32, category)


@pytest.mark.parametrize(("size", "category"), [(4, None), (64, "unicorn")])
def test_bad_arguments_are_refused(size: int, category: str | None) -> None:
    with pytest.raises(ValueError, match="at least 8|unknown category"):
        draw_occluder(np.random.default_rng(0), size, category)


@pytest.mark.parametrize("kind", TEXTURES)
def test_textures_keep_shape_and_colour(kind: str) -> None:
    patch = texture(np.random.default_rng(0), kind, 96, 64, (150.0, 120.0, 90.0))
    assert patch.shape == (96, 64, 3) and patch.dtype == np.uint8
    assert patch.std() > 1
    red, _, blue = patch.reshape(-1, 3).mean(axis=0)
    assert red > blue
