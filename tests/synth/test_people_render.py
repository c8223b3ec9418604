"""The public functions: invariants of a rendered person, determinism, balance of labels."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from synth.parsing import LIP_LABELS, NUM_LABELS
from synth.people import render
from synth.people.noise import noise
from synth.people.pose import ARMS, Leg, Pose
from synth.people.render import FRAMINGS, RenderedPerson, composite, render_cutout, render_person
from synth.people.resolve import SPECK, drop_specks, resolve, shading_samples

SIZE = 64


def _person(seed: int, size: int = SIZE, **options: Any) -> RenderedPerson:
    return render_person(np.random.default_rng([1, seed]), size, **options)


def _digest(person: RenderedPerson) -> str:
    """SHA-256 over everything a rendered person holds."""
    digest = hashlib.sha256()
    for array in (person.rgb, person.alpha, person.parsing, person.keypoints):
        digest.update(array.tobytes())
    digest.update(json.dumps([person.light, person.meta], sort_keys=True).encode())
    return digest.hexdigest()


def test_same_generator_same_bytes_whatever_was_drawn_before() -> None:
    first = _digest(_person(3))
    _person(4)
    assert _digest(_person(3)) == first
    assert _digest(_person(4)) != first


def test_same_bytes_in_another_process_with_more_threads() -> None:
    script = (
        "import cv2, numpy as np; cv2.setNumThreads(2)\n"
        "from tests.synth.test_people_render import _digest, _person\n"
        "print(_digest(_person(3)), _digest(_person(8)))"
    )
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    here = f"{_digest(_person(3))} {_digest(_person(8))}"
    cv2.setNumThreads(threads)
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.split() == here.split(), found.stderr


@pytest.mark.parametrize("seed", range(12))
def test_shapes_types_and_label_rule(seed: int) -> None:
    person = render_cutout(np.random.default_rng(seed), SIZE)
    assert person.rgb.shape == (SIZE, SIZE, 3) and person.rgb.dtype == np.uint8
    assert person.alpha.shape == (SIZE, SIZE) and person.alpha.dtype == np.uint8
    assert person.parsing.dtype == np.uint8 and person.parsing.max() < NUM_LABELS
    assert person.keypoints.shape == (17, 3) and person.keypoints.dtype == np.float32
    assert np.array_equal(person.parsing > 0, person.alpha >= 128)
    assert set(np.unique(person.keypoints[:, 2])) <= {0, 1, 2}
    assert json.loads(json.dumps(person.meta)) == person.meta
    assert set(person.light) == {"direction", "colour", "sky"}


@pytest.mark.parametrize("seed", range(12))
def test_full_framing_shows_the_whole_person_with_a_margin(seed: int) -> None:
    person = _person(seed, framing="full")
    border = np.concatenate(
        [person.alpha[0], person.alpha[-1], person.alpha[:, 0], person.alpha[:, -1]]
    )
    assert border.max() == 0
    rows = np.nonzero((person.alpha >= 128).any(1))[0]
    columns = np.nonzero((person.alpha >= 128).any(0))[0]
    assert 0.7 <= max(np.ptp(rows), np.ptp(columns)) / SIZE <= 0.94
    assert (person.keypoints[:, 2] > 0).all()
    inside = person.keypoints[:, :2]
    assert inside.min() >= 0 and inside.max() < SIZE
    count, _ = cv2.connectedComponents((person.alpha > 0).astype(np.uint8), connectivity=8)
    assert count <= 3  # one silhouette; a hand or lock may show through a gap of a pixel


def test_cropped_framings_are_cut_at_the_bottom() -> None:
    for framing in FRAMINGS[1:]:
        person = _person(2, framing=framing)
        assert person.alpha[-1].max() > 0
        assert person.alpha[0].max() == 0


def test_unknown_framing_is_refused() -> None:
    with pytest.raises(ValueError, match="none of full"):
        _person(0, framing="portrait")


@pytest.mark.parametrize(("size", "supersample"), [(33, 1), (48, 2), (40, 4)])
def test_any_size_and_supersampling(size: int, supersample: int) -> None:
    fine = _person(7, size=size, supersample=supersample, framing="full")
    usual = _person(7, size=size, framing="full")
    assert np.array_equal(fine.parsing > 0, fine.alpha >= 128)
    overlap = (fine.parsing > 0) & (usual.parsing > 0)
    assert overlap.sum() / ((fine.parsing > 0) | (usual.parsing > 0)).sum() > 0.85


def _frontal(monkeypatch: pytest.MonkeyPatch, seed: int) -> RenderedPerson:
    upper, fore = (np.array(direction) for direction in ARMS["spread"])
    arm = (upper, fore)
    straight = Pose("stand", (arm, arm), (Leg(0, 0, 8), Leg(0, 0, 8)), (0, 0, 0), (0, 0, 0), 0,
                    (5, 5), np.zeros((2, 3)))  # fmt: skip
    monkeypatch.setattr(render, "sample_pose", lambda rng, kind: straight)
    monkeypatch.setattr(render, "_yaw", lambda rng, kind: 0.0)
    return _person(seed, size=128, framing="full")


@pytest.mark.parametrize("seed", range(5))
def test_the_left_of_someone_seen_from_the_front_is_on_our_right(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    person = _frontal(monkeypatch, seed)
    for part in ("arm", "leg", "shoe"):
        left = np.nonzero(person.parsing == LIP_LABELS.index(f"left-{part}"))[1]
        right = np.nonzero(person.parsing == LIP_LABELS.index(f"right-{part}"))[1]
        if len(left) and len(right):
            assert left.mean() > right.mean() + 3
    points = person.keypoints
    for k in (1, 3, 5, 7, 9, 11, 13, 15):
        assert points[k, 0] > points[k + 1, 0]
    nose, hips, ankles = points[0, 1], points[[11, 12], 1].mean(), points[[15, 16], 1].mean()
    assert nose < hips < ankles
    assert (points[5:11, 2] == 2).all()  # spread arms hide nothing


def test_keypoints_lie_on_the_person() -> None:
    on = []
    for seed in range(12):
        person = _person(seed, framing="full")
        grown = cv2.dilate(person.alpha, np.ones((3, 3), np.uint8))
        x, y = person.keypoints[:, :2].astype(int).T
        on.append(grown[y, x] > 0)
    assert np.mean(on) > 0.99


def test_someone_seen_from_behind_hides_the_nose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "_yaw", lambda rng, kind: 180.0)
    assert _person(5, framing="full").keypoints[0, 2] == 1
    monkeypatch.setattr(render, "_yaw", lambda rng, kind: 0.0)
    assert _person(5, framing="full").keypoints[0, 2] in (1, 2)


@pytest.fixture(scope="module")
def crowd() -> list[RenderedPerson]:
    return [_person(seed, size=48) for seed in range(160)]


def test_every_label_occurs_and_rare_ones_are_not_too_rare(crowd: list[RenderedPerson]) -> None:
    present = np.array(
        [np.bincount(person.parsing.ravel(), minlength=NUM_LABELS) > 0 for person in crowd]
    )
    share = dict(zip(LIP_LABELS, present.mean(0), strict=True))
    assert min(share.values()) >= 0.04, share
    bags = np.mean([person.meta["bag"] != "none" for person in crowd])
    assert 0.1 < bags < 0.3
    assert share["face"] > 0.9 and share["upper-clothes"] > 0.5


def test_there_are_no_stray_pieces(crowd: list[RenderedPerson]) -> None:
    for person in crowd:
        mask = (person.alpha >= 128).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        area = np.sort(stats[1:, cv2.CC_STAT_AREA])
        assert (area >= SPECK * area.sum()).all(), person.meta


def test_specks_go_and_what_hangs_on_by_a_thread_is_thinned() -> None:
    alpha = np.zeros((20, 40), np.uint8)
    alpha[2:18, 2:18] = 255
    alpha[5, 25] = 200  # detached
    alpha[10, 18:21], alpha[10, 21] = 40, 180  # a thread of faint pixels to a small piece
    rgb, parsing = np.full((20, 40, 3), 90, np.uint8), np.where(alpha >= 128, 5, 0).astype(np.uint8)
    drop_specks(rgb, alpha, parsing)
    assert alpha[5, 25] == 0 and (rgb[5, 25] == 0).all() and parsing[5, 25] == 0
    assert alpha[10, 18:22].tolist() == [40, 40, 40, 127] and parsing[10, 21] == 0
    assert (alpha[2:18, 2:18] == 255).all() and np.array_equal(parsing > 0, alpha >= 128)


def test_skin_is_never_grey(crowd: list[RenderedPerson]) -> None:
    """Chroma of faces in CIELAB: measured pale skin lies between about 14 and 30."""
    face = LIP_LABELS.index("face")
    pale = []
    for person in crowd:
        skin = person.rgb[(person.parsing == face) & (person.alpha == 255)]
        if len(skin) < 10:
            continue
        lab = np.median(cv2.cvtColor(np.float32(skin[None] / 255), cv2.COLOR_RGB2LAB)[0], axis=0)
        if lab[0] > 58:
            pale.append(lab)
    chroma = np.hypot(*np.array(pale)[:, 1:].T)
    hue = np.degrees(np.arctan2(*np.array(pale)[:, :0:-1].T))
    assert len(pale) > 10
    assert chroma.min() > 11 and 15 < np.median(chroma) < 32
    assert (hue > 30).all() and (hue < 85).all()  # from pink to sand


def test_leaving_out_the_far_side_of_closed_bodies_changes_nothing_that_is_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = [_person(seed) for seed in range(6)]
    whole = render.rasterise
    monkeypatch.setattr(
        render, "rasterise", lambda vertices, faces, camera, size, solid: whole(
            vertices, faces, camera, size
        )
    )  # fmt: skip
    for seed, person in enumerate(quick):
        slow = _person(seed)
        assert (np.abs(slow.alpha.astype(int) - person.alpha) > 64).mean() < 1e-3
        assert (slow.parsing != person.parsing).mean() < 2e-3


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_people_fit_into_little_memory() -> None:
    script = (
        "import numpy as np, pathlib\n"
        "from synth.people.backgrounds import draw_scene\n"
        "from synth.people.render import composite, render_person\n"
        "for s in range(10):\n"
        "    rng = np.random.default_rng(s)\n"
        "    composite(render_person(rng, 256), draw_scene(rng, 256).rgb)\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(status.split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert int(done.stdout) < 250 * 1024, done.stderr  # kibibytes


def test_people_differ(crowd: list[RenderedPerson]) -> None:
    for key, least in (("pose", 8), ("outfit", 5), ("hair", 8), ("age_group", 4), ("framing", 3)):
        assert len({person.meta[key] for person in crowd}) >= least, key
    full = np.mean([person.meta["framing"] == "full" for person in crowd])
    assert 0.6 < full < 0.9
    yaws = np.array([person.meta["yaw"] for person in crowd])
    assert (np.abs(yaws) > 120).mean() > 0.08  # some are seen from behind


def test_composite_keeps_person_and_distant_background() -> None:
    person = _person(6, framing="full")
    background = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    before = background.copy()
    picture = composite(person, background)
    assert np.array_equal(background, before)
    assert np.array_equal(picture[person.alpha == 255], person.rgb[person.alpha == 255])
    assert np.array_equal(picture[:4], background[:4])
    dark = composite(person, np.full((SIZE, SIZE, 3), 200, np.uint8))
    outside = person.alpha == 0
    assert dark[outside].min() < 190  # there is a shadow at the feet


def test_resolve_on_a_hand_made_case() -> None:
    covered = np.zeros((4, 4), bool)
    covered[:2, :2] = True  # a whole pixel
    covered[0, 2] = True  # a quarter of the next
    labels = np.where(covered, 5, 0).astype(np.uint8)
    labels[1, 1] = 7
    chosen = shading_samples(covered, 2)
    assert chosen[:2, :2].any() and chosen[0, 2]
    colour = np.ones((int(chosen.sum()), 3))
    rgb, alpha, parsing = resolve(covered, labels, chosen, colour, 2)
    assert alpha.tolist() == [[255, 64], [0, 0]]
    assert parsing.tolist() == [[5, 0], [0, 0]]
    assert rgb[0, 0].tolist() == [255] * 3 and rgb[1, 1].tolist() == [0] * 3


@pytest.mark.parametrize("factor", [1, 2, 3, 4])
def test_every_covered_pixel_gets_a_shaded_sample(factor: int) -> None:
    covered = np.random.default_rng(0).random((8 * factor, 8 * factor)) < 0.4
    chosen = shading_samples(covered, factor)
    assert not (chosen & ~covered).any()

    def blocks(mask: np.ndarray) -> np.ndarray:
        return np.asarray(mask.reshape(8, factor, 8, factor).any((1, 3)))

    assert np.array_equal(blocks(chosen), blocks(covered))


def test_noise_is_periodic_and_its_gradient_is_one() -> None:
    points = np.random.default_rng(0).random((4000, 3)).astype(np.float32)
    value, gradient = noise(points)
    np.testing.assert_allclose(noise(points + 3)[0], value, atol=0.05)
    assert 0.7 < value.std() < 1.2
    step = np.float32(1 / 48)
    for axis in range(3):
        offset = np.zeros(3, np.float32)
        offset[axis] = step
        slope = (noise(points + offset)[0] - noise(points - offset)[0]) / (2 * step)
        assert np.corrcoef(slope, gradient[:, axis])[0, 1] > 0.97
