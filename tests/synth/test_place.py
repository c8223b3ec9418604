"""Poses: overlap, scale, and steering to an asked share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.occlusion_spec import Occlusion
from synth.place import KINDS, Pose, Scene, draw_pose, find_pose, mask_box, photo_box
from tests.synth.tiny import ellipse, person_crop

SEEDS = st.integers(0, 2**32 - 1)


def overlap_fraction(pose: Pose, box: tuple[float, float, float, float]) -> tuple[float, float]:
    """Overlap along x and y over the shorter side, from first principles."""
    left, top, width, height = box
    x = min(pose.left + pose.width, left + width) - max(pose.left, left)
    y = min(pose.top + pose.height, top + height) - max(pose.top, top)
    return x / min(width, pose.width), y / min(height, pose.height)


@given(SEEDS, st.floats(0.2, 4))
def test_boxes_overlap_by_at_least_the_asked_fraction(seed: int, aspect: float) -> None:
    occlusion = Occlusion(overlap=(0.4, 1.0))
    box = (30.0, 10.0, 25.0, 70.0)
    pose = draw_pose(box, aspect, occlusion, np.random.default_rng(seed))
    x, y = overlap_fraction(pose, box)
    assert x * y >= 0.4 * 0.5 - 1e-9
    assert min(x, y) >= 0.4 - 1e-9
    assert pose.height / pose.width == pytest.approx(aspect)


@given(SEEDS)
def test_scale_is_in_range_unless_across(seed: int) -> None:
    pose = draw_pose((0, 0, 30, 80), 1.5, Occlusion(scale=(0.3, 1)), np.random.default_rng(seed))
    if pose.kind == "across":
        assert pose.width >= 30 - 1e-9
    else:
        assert 0.3 * 80 - 1e-9 <= max(pose.width, pose.height) <= 80 + 1e-9


def test_every_kind_is_drawn_and_below_comes_from_below() -> None:
    rng = np.random.default_rng(0)
    poses = [draw_pose((20, 20, 20, 60), 1.0, Occlusion(), rng) for _ in range(300)]
    assert {pose.kind for pose in poses} == set(KINDS)
    partly = [
        p for p in poses if p.kind == "below" and overlap_fraction(p, (20, 20, 20, 60))[1] < 1
    ]
    assert partly
    assert all(pose.top + pose.height > 80 for pose in partly)


def test_share_on_the_grid_equals_the_count_at_full_size() -> None:
    amodal = np.zeros((64, 64), bool)
    amodal[10:50, 20:40] = True
    scene = Scene(amodal, np.zeros_like(amodal), (0, 0, 64, 64))
    solid = np.full((16, 16), 255, np.uint8)
    assert scene.share(Pose(20, 10, 20, 20, "side", False), solid) == pytest.approx(0.5)
    assert scene.share(Pose(-30, 10, 20, 20, "side", False), solid) == 0
    assert scene.share(Pose(0, 0, 64, 64, "side", True), solid) == pytest.approx(1)


def test_what_is_hidden_already_counts_once() -> None:
    amodal = np.ones((64, 64), bool)
    hidden = np.zeros_like(amodal)
    hidden[:32] = True
    scene = Scene(amodal, hidden, (0, 0, 64, 64))
    solid = np.full((16, 16), 255, np.uint8)
    assert scene.share(Pose(0, 0, 64, 32, "side", False), solid) == pytest.approx(0.5)
    assert scene.share(Pose(0, 32, 64, 16, "side", False), solid) == pytest.approx(0.75)


def test_nothing_is_hidden_outside_the_photo() -> None:
    amodal = np.ones((64, 64), bool)
    scene = Scene(amodal, np.zeros_like(amodal), (16, 0, 32, 64))
    solid = np.full((8, 8), 255, np.uint8)
    assert scene.share(Pose(0, 0, 64, 64, "side", False), solid) == pytest.approx(0.5)


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.floats(0.05, 0.7), st.floats(0.5, 2))
def test_a_solid_thing_reaches_any_share(seed: int, target: float, aspect: float) -> None:
    rng = np.random.default_rng(seed)
    person = person_crop(96, rng)
    scene = Scene(person.amodal, np.zeros_like(person.amodal), (0, 0, 96, 96))
    alpha = (255 * ellipse(int(40 * aspect), 40)).astype(np.uint8)
    found = find_pose(scene, alpha, target, 0.02, Occlusion(), rng)
    assert found.share == pytest.approx(target, abs=0.02)
    assert found.draws <= Occlusion().tries


def test_boxes_of_masks_and_photos() -> None:
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:9] = True
    assert mask_box(mask) == (3, 2, 6, 3)
    with pytest.raises(ValueError, match="empty"):
        mask_box(np.zeros((3, 3), bool))
    image = np.zeros((8, 9, 3), np.uint8)
    assert photo_box(image) == (0, 0, 9, 8)
    image[:, 2:7, 1] = 7
    assert photo_box(image) == (2, 0, 5, 8)


@given(SEEDS)
def test_what_stands_rests_on_its_ground(seed: int) -> None:
    box = (20.0, 10.0, 25.0, 70.0)
    pose = draw_pose(box, 2.0, Occlusion(), np.random.default_rng(seed), ground=83.0)
    assert pose.kind == "stand"
    assert pose.top + pose.height == pytest.approx(83)
    assert pose.height >= 0.7 * 70 - 1e-9
    assert overlap_fraction(pose, box)[0] >= 0.4 - 1e-9
