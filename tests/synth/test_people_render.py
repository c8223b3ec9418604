"""The public functions: invariants of a rendered person, determinism, balance of labels."""

import hashlib
import json
import subprocess
import sys
from typing import Any

import cv2
import numpy as np
import pytest

from synth.parsing import LIP_LABELS, NUM_LABELS
from synth.people import render
from synth.people.noise import noise
from synth.people.pose import ARMS, Leg, Pose
from synth.people.render import FRAMINGS, RenderedPerson, composite, render_cutout, render_person
from synth.people.resolve import resolve, shading_samples

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
    assert min(share.values()) >= 0.03, share
    assert share["face"] > 0.9 and share["upper-clothes"] > 0.5


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
