"""Poses: overlap, scale, and steering to an asked share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.occlusion_spec import Occlusion
from synth.place import Scene, find_pose, mask_box, photo_box
from synth.poses import Pose, Shape, Site, draw_pose, shape_of
from tests.synth.tiny import ellipse, person_crop

SEEDS = st.integers(0, 2**32 - 1)


def drawn(
    box: tuple[float, float, float, float],
    aspect: float,
    settings: Occlusion,
    rng: np.random.Generator,
    ground: float | None = None,
) -> Pose:
    return draw_pose(Site(box, 100, ground), Shape(aspect), settings, rng)


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
    pose = drawn(box, aspect, occlusion, np.random.default_rng(seed))
    x, y = overlap_fraction(pose, box)
    assert x * y >= 0.4 * 0.5 - 1e-9
    assert min(x, y) >= 0.4 - 1e-9
    assert pose.height / pose.width == pytest.approx(aspect)


@given(SEEDS)
def test_scale_is_in_range_unless_across(seed: int) -> None:
    pose = drawn((0, 0, 30, 80), 1.5, Occlusion(scale=(0.3, 1)), np.random.default_rng(seed))
    if pose.kind == "across":
        assert pose.width >= 30 - 1e-9
    else:
        assert 0.3 * 80 - 1e-9 <= max(pose.width, pose.height) <= 80 + 1e-9


def test_every_kind_is_drawn_and_below_comes_from_below() -> None:
    rng = np.random.default_rng(0)
    poses = [drawn((20, 20, 20, 60), 1.0, Occlusion(), rng) for _ in range(300)]
    assert {pose.kind for pose in poses} == {"below", "side", "across", "anywhere"}
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


@pytest.mark.parametrize("tries", [1, 3, 7])
def test_few_tries_are_steered_as_well(tries: int) -> None:
    alpha = (255 * ellipse(40, 40)).astype(np.uint8)
    found = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        person = person_crop(96, rng)
        scene = Scene(person.amodal, np.zeros_like(person.amodal), (0, 0, 96, 96))
        found.append(find_pose(scene, alpha, 0.3, 0.02, Occlusion(tries=tries), rng))
    assert all(one.draws <= tries for one in found) and any(one.rescaled for one in found)
    assert np.mean([abs(one.share - 0.3) for one in found]) < 0.02


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
    pose = drawn(box, 2.0, Occlusion(), np.random.default_rng(seed), ground=83.0)
    assert pose.kind == "stand"
    assert pose.top + pose.height == pytest.approx(83)
    assert pose.height >= 0.7 * 70 - 1e-9
    assert overlap_fraction(pose, box)[0] >= 0.4 - 1e-9


def test_kinds_come_as_often_as_their_weights_say() -> None:
    rng = np.random.default_rng(1)
    occlusion = Occlusion(placement={"side": 3.0, "below": 1.0})
    kinds = [drawn((20, 20, 20, 60), 1.0, occlusion, rng).kind for _ in range(800)]
    assert set(kinds) == {"below", "side"}
    assert kinds.count("side") == pytest.approx(600, abs=50)


def test_the_order_of_weights_does_not_matter() -> None:
    weights = {"squares": 1.0, "below": 2.0, "part:feet": 1.0, "side": 0.0}
    one, two = Occlusion(placement=weights), Occlusion(placement=dict(reversed(weights.items())))
    assert list(one.placement) == list(two.placement) == ["below", "squares", "part:feet"]


@given(SEEDS, st.floats(0.3, 3), st.floats(0.05, 0.9))
def test_squares_overlap_by_the_drawn_share(seed: int, aspect: float, least: float) -> None:
    """PCNet's placer, from its definition: squares of the crop's size share ``overlap``."""
    occlusion = Occlusion(overlap=(least, least + 0.02), scale=(1.0, 1.0001), placement="squares")
    pose = drawn((10, 10, 30, 70), aspect, occlusion, np.random.default_rng(seed))
    x, y = pose.left + pose.width / 2 - 50, pose.top + pose.height / 2 - 50
    assert (1 - abs(x) / 100) * (1 - abs(y) / 100) == pytest.approx(least + 0.01, abs=0.0101)
    side = max((3 * pose.width * pose.height) ** 0.5, 1.1 * pose.width, 1.1 * pose.height)
    assert side == pytest.approx(100, rel=1e-3)


def test_the_thickest_spot_lies_over_the_part() -> None:
    alpha = np.zeros((40, 60), np.uint8)
    alpha[:, :3] = 255  # a thin post ...
    alpha[5:25, 30:60] = 255  # ... beside a plate
    shape = shape_of(alpha)
    assert shape.heart[0] * 60 == pytest.approx(45, abs=8)
    assert shape.heart[1] * 40 == pytest.approx(15, abs=3)
    site = Site((20.0, 10.0, 30.0, 80.0), 100, spots={"part:head": np.array([[35, 14]])})
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pose = draw_pose(site, shape, Occlusion(placement="part:head"), rng)
        across = 1 - shape.heart[0] if pose.flip else shape.heart[0]
        assert pose.left + across * pose.width == pytest.approx(35.5)
        assert pose.top + shape.heart[1] * pose.height == pytest.approx(14.5)


def test_what_hides_feet_stands_on_the_ground() -> None:
    site = Site((20.0, 10.0, 30.0, 80.0), 100, spots={"part:feet": np.array([[35, 88]])})
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pose = draw_pose(site, Shape(1.0), Occlusion(placement="part:feet"), rng)
        assert 90 <= pose.top + pose.height <= 90 + 0.13 * 80


def test_a_part_that_is_hidden_already_gives_way() -> None:
    rng = np.random.default_rng(0)
    pose = draw_pose(Site((20, 10, 30, 80), 100), Shape(1.0), Occlusion(placement="part:feet"), rng)
    assert pose.kind == "anywhere"


def test_in_front_of_a_part_means_more_of_it_than_of_the_rest() -> None:
    amodal = np.zeros((96, 96), bool)
    amodal[8:88, 30:60] = True
    head = np.zeros_like(amodal)
    head[8:18, 30:60] = True
    scene = Scene(amodal, np.zeros_like(amodal), (0, 0, 96, 96), {"part:head": head})
    solid = np.full((16, 16), 255, np.uint8)

    def focused(left: float, top: float, width: float, height: float) -> bool:
        return scene.is_focused(Pose(left, top, width, height, "part:head", False), solid)

    assert focused(30, 8, 30, 10)
    assert focused(30, 8, 30, 30)  # all of the head, 20 of 70 rows of the rest: 3.5 times
    assert not focused(30, 14, 30, 30)  # 40 % of both
    assert not focused(0, 0, 5, 5)


def test_rejection_takes_the_first_draw_in_range() -> None:
    person = person_crop(96, np.random.default_rng(0))
    scene = Scene(person.amodal, np.zeros_like(person.amodal), (0, 0, 96, 96))
    occlusion = Occlusion(preset="pcnet", tries=400)
    solid = np.full((30, 20), 255, np.uint8)
    for seed in range(30):
        found = find_pose(scene, solid, 0.3, 0.1, occlusion, np.random.default_rng(seed))
        again = np.random.default_rng(seed)
        shape, site = shape_of(solid, with_heart=False), Site(scene.box, 96)
        poses = [draw_pose(site, shape, occlusion, again) for _ in range(found.draws)]
        shares = [scene.share(pose, solid) for pose in poses]
        assert abs(shares[-1] - 0.3) <= 0.1 < min((abs(s - 0.3) for s in shares[:-1]), default=1)
        assert found.pose == poses[-1] and not found.rescaled
