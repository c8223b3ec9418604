import hashlib
import json
import socket
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from synth.errors import InputError
from synth.people import backgrounds
from synth.people.backgrounds import draw_scene
from synth.people.scenery import ground, photos, props, sheets, textures

MANY = 60


def _draw(seed: int, size: int = 64) -> np.ndarray:
    return draw_scene(np.random.default_rng(seed), size).rgb


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.stack([_draw(seed) for seed in range(MANY)])


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_frame_has_the_asked_size(size: int) -> None:
    frame = _draw(1, size)
    assert frame.shape == (size, size, 3)
    assert frame.dtype == np.uint8


def test_no_frame_is_flat_or_blown_out(frames: np.ndarray) -> None:
    grey = frames.mean(axis=3)
    assert grey.std(axis=(1, 2)).min() > 6
    assert grey.mean(axis=(1, 2)).min() > 25
    assert grey.mean(axis=(1, 2)).max() < 235
    assert ((frames == 0) | (frames == 255)).all(axis=3).mean(axis=(1, 2)).max() < 0.6


def test_different_seeds_give_clearly_different_frames(frames: np.ndarray) -> None:
    flat = frames[:, ::4, ::4].reshape(MANY, -1).astype(float)
    gaps = np.abs(flat[:, None] - flat[None]).mean(axis=2) + 1e3 * np.eye(MANY)
    assert gaps.min() > 5


def test_colours_vary_across_frames(frames: np.ndarray) -> None:
    means = frames.reshape(MANY, -1, 3).mean(axis=1)
    assert means.std(axis=0).min() > 10


def test_frames_carry_sensor_noise_and_no_perfectly_flat_areas(frames: np.ndarray) -> None:
    # Toy pictures have large areas of one exact colour.
    for frame in frames:
        same = (frame[:, 1:] == frame[:, :-1]).all(axis=2) & (frame[:, 1:] < 255).any(axis=2)
        assert same.mean() < 0.35


def test_same_state_gives_the_same_bytes_whatever_is_already_cached() -> None:
    first = [_draw(seed) for seed in range(8)]
    for seed in range(100, 110):
        _draw(seed)
    props.draw_prop.cache_clear()
    photos.photo.cache_clear()
    sheets.noise_sheet.cache_clear()
    for seed in reversed(range(8)):
        assert np.array_equal(first[seed], _draw(seed))


def test_a_fresh_process_draws_the_same() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from synth.people.backgrounds import draw_scene\n"
        "h = hashlib.sha256()\n"
        "for s in range(10): h.update(draw_scene(np.random.default_rng(s), 64).rgb.tobytes())\n"
        "print(h.hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = hashlib.sha256(b"".join(_draw(seed).tobytes() for seed in range(10))).hexdigest()
    assert done.stdout.strip() == here


@pytest.mark.parametrize("scene", [draw for draw, _ in backgrounds._SCENES])
def test_every_scene_is_finite_and_has_its_horizon_inside(scene) -> None:
    for seed in range(4):
        view = scene(np.random.default_rng(seed), 96)
        assert view.frame.shape == (96, 96, 3)
        assert np.isfinite(view.frame).all()
        assert 0.2 * 96 < view.horizon < 0.9 * 96


def test_provenance_names_every_photograph_that_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is read stays unnamed; props in the distance are drawn without photographs."""
    read: set[str] = set()
    for module, name in ((textures, "photo"), (photos, "photo")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda key, original=original: (read.add(key), original(key))[1]
        )
    named = set()
    for seed in range(40):
        read.clear()
        background = draw_scene(np.random.default_rng(seed), 64)
        assert set(background.photos) == read, background.name
        named |= read
        facts = background.provenance
        assert json.loads(json.dumps(facts)) == facts
        assert [photo["file"] for photo in facts["photos"]] == [
            photos.PHOTOS[key].file for key in background.photos
        ]
        assert facts["licence"].startswith("generated")
        assert ("CC0" in facts["licence"]) == any(
            photos.PHOTOS[key].licence == "CC0-1.0" for key in read
        )
    assert len(named) >= 4


def test_photographs_are_free_of_conditions_by_scikit_images_own_words() -> None:
    """The notes in `skimage.data` still say what is claimed here."""
    from skimage import data

    for key, photo in photos.PHOTOS.items():
        function = {"cat": "chelsea"}.get(key, key)
        notes = " ".join((getattr(data, function).__doc__ or "").split())
        word = {"CC0-1.0": "CC0", "public domain": "public domain"}[photo.licence]
        assert word in notes, key


def test_frame_is_the_picture_of_the_scene() -> None:
    for seed in range(6):
        rgb = draw_scene(np.random.default_rng(seed), 48).rgb
        assert np.array_equal(rgb, _draw(seed, 48))


def test_ground_is_haze_at_the_horizon_and_itself_at_the_feet() -> None:
    patch, haze = np.full((64, 64, 3), 200, np.uint8), np.zeros(3, np.float32)
    for seed in range(6):
        frame = ground.lay_ground(np.random.default_rng(seed), 64, 24.0, patch, 2.0, haze)
        rows = frame.mean(axis=(1, 2))
        assert (rows[:24] == 0).all()
        assert rows[24] < 0.75 * rows[-1]
        assert rows[-1] == pytest.approx(200, rel=0.35)


def test_props_shrink_with_distance() -> None:
    heights = []
    for foot in (40.0, 70.0):
        frame = np.full((128, 128, 3), 128, np.float32)
        rng = np.random.default_rng(0)
        props.stand(rng, frame, "bush", 1.0, 64, foot, 30.0, np.zeros(3, np.float32))
        changed = np.abs(frame - 128).max(axis=2) > 8
        heights.append(int(changed[: int(foot)].any(axis=1).sum()))
    assert heights[1] > 2 * heights[0]


def test_no_network_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    photos.photo.cache_clear()
    monkeypatch.setattr(socket, "socket", refuse)
    for seed in range(20):
        _draw(seed, 32)
    for name in photos.PHOTOS:
        assert photos.photo(name).ndim == 3


def test_a_missing_photo_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = photos.Photo("no_such_photo.png", "CC0-1.0", "nowhere")
    monkeypatch.setitem(photos.PHOTOS, "lost", lost)
    assert find_spec("skimage") is not None
    with pytest.raises(InputError, match="no_such_photo.png.*reinstall") as caught:
        photos.photo("lost")
    assert "\n" not in caught.value.message


def test_cached_material_cannot_be_changed() -> None:
    for shared in (photos.photo("brick"), sheets.noise_sheet("cloud"), props.draw_prop("bush", 0)):
        with pytest.raises(ValueError, match="read-only"):
            shared[0, 0] = 0


def test_too_small_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        _draw(0, 4)
