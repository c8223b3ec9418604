"""Posed bodies against their own mesh: balance, planted feet, arms outside of the body, seats."""

from functools import cache

import cv2
import numpy as np
import pytest
from scipy.spatial import ConvexHull, cKDTree

from synth.people import figure, render
from synth.people.assets import load_assets
from synth.people.figure import Figure, build_figure
from synth.people.geometry import vertex_normals
from synth.people.person import sample_person
from synth.people.pose import KINDS, KNEE, sample_kind, sample_pose
from synth.people.render import RenderedPerson, render_person
from synth.people.seats import BACK_IN_SIGHT
from synth.people.stance import FALLING, FREE, centre_of_mass, contact_points

BALANCED = [kind for kind in KINDS if kind not in FALLING]
LEVEL = [kind for kind in KINDS if kind not in FREE]
SEEDS = 6


@cache
def _figure(kind: str, seed: int) -> Figure:
    rng = np.random.default_rng([11, seed])
    person = sample_person(rng)
    return build_figure(load_assets(), person, sample_pose(rng, kind))


def _volume_centre(vertices: np.ndarray) -> np.ndarray:
    """The centroid of the closed body mesh: tetrahedra between its faces and the origin."""
    a, b, c = (vertices[load_assets().surfaces["body"].faces[:, k]].astype(float) for k in range(3))
    volume = np.einsum("ij,ij->i", a, np.cross(b, c))
    return np.asarray(((a + b + c) / 4 * volume[:, None]).sum(0) / volume.sum())


def _outside_support(made: Figure) -> float:
    """Metres by which the centre of mass is outside of the hull of what is near the ground."""
    points = made.skin.astype(float)
    touching = points[points[:, 2] < points[:, 2].min() + 0.03, :2]
    hull = ConvexHull(touching).equations
    return float((hull[:, :2] @ _volume_centre(points)[:2] + hull[:, 2]).max())


@pytest.mark.parametrize("kind", BALANCED)
def test_the_centre_of_mass_lies_over_what_carries_it(kind: str) -> None:
    assert max(_outside_support(_figure(kind, seed)) for seed in range(SEEDS)) < 0.01


def test_poses_as_they_were_drawn_would_fall_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure, "settle", lambda assets, rest, pose, turns: turns)
    unsettled = []
    for kind in ("squat", "kick", "floor"):
        rng = np.random.default_rng([11, 0])
        person = sample_person(rng)
        pose = sample_pose(rng, kind)
        unsettled.append(_outside_support(build_figure(load_assets(), person, pose)))
    assert max(unsettled) > 0.03


@pytest.mark.parametrize("kind", ["stand", "sit", "run", "squat"])
def test_segment_masses_agree_with_the_volume_of_the_mesh(kind: str) -> None:
    for seed in range(3):
        made = _figure(kind, seed)
        found = centre_of_mass(load_assets(), made.rig)
        assert np.linalg.norm(found - _volume_centre(made.skin)) < 0.06


@pytest.mark.parametrize("kind", LEVEL)
def test_what_is_planted_is_on_one_level(kind: str) -> None:
    rows = contact_points().rows
    names = {"floor": ("sole.L", "sole.R", "seat")}.get(kind, ("sole.L", "sole.R"))
    vertices = contact_points().probe.vertices - load_assets().surfaces["body"].rows.start
    for seed in range(SEEDS):
        skin = _figure(kind, seed).skin
        low = [skin[vertices[rows[name]], 2].min() for name in names]
        assert np.ptp(low) < 0.012, (kind, seed)


@pytest.mark.parametrize("kind", KINDS)
def test_knees_stay_within_their_limits_once_settled(kind: str) -> None:
    index = load_assets().model.index
    for seed in range(SEEDS):
        at = _figure(kind, seed).rig.joints
        for side in "LR":
            hip, knee, ankle = (
                at[index[f"{bone}.{side}"]] for bone in ("upperleg01", "lowerleg01", "foot")
            )
            thigh, shin = knee - hip, ankle - knee
            cosine = thigh @ shin / np.linalg.norm(thigh) / np.linalg.norm(shin)
            assert np.degrees(np.arccos(cosine)) < KNEE[1] + 3


def _depth(points: np.ndarray, skin: np.ndarray, normals: np.ndarray) -> float:
    """How deep the deepest of the points is inside the skin; negative if all are outside."""
    apart, nearest = cKDTree(skin).query(points)
    height = np.einsum("ij,ij->i", points - skin[nearest], normals[nearest])
    return float(-np.where(apart < 0.1, height, 1.0).min())


def _arm_depth(made: Figure) -> float:
    """The greatest depth of a forearm or hand in the torso, the legs or the head."""
    body = load_assets().surfaces["body"]
    f = body.fields
    normals = vertex_normals(made.skin, body.faces)
    torso = (f.region == 0) & (f.rest[:, 2] > 0) & (f.rest[:, 2] < 0.62)
    solid = torso | (f.region >= 3) | (f.head > 0.9)
    arm = ((f.region == 1) | (f.region == 2)) & (f.arm > 0.5)
    return _depth(made.skin[arm], made.skin[solid], normals[solid])


def _arm_depths(count: int) -> np.ndarray:
    depths = []
    for seed in range(count):
        rng = np.random.default_rng([12, seed])
        person = sample_person(rng)
        kind = sample_kind(rng, person.outfit in ("skirt", "dress"))
        depths.append(_arm_depth(build_figure(load_assets(), person, sample_pose(rng, kind))))
    return np.array(depths)


def test_arms_are_outside_of_the_body() -> None:
    depths = _arm_depths(60)
    assert depths.max() < 0.03
    assert (depths > 0.01).mean() < 0.1


def test_arms_as_they_were_drawn_would_be_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure, "clear_arms", lambda assets, rest, pose, turns, coat: turns)
    depths = _arm_depths(20)
    assert depths.max() > 0.04 and (depths > 0.01).mean() > 0.25


def _seated(seed: int, yaw: float | None = None) -> RenderedPerson:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "sample_kind", lambda rng, skirt: "sit")
        if yaw is not None:
            patch.setattr(render, "_yaw", lambda rng, kind: yaw)
        return render_person(np.random.default_rng([13, seed]), 128, framing="full")


@pytest.mark.parametrize("seed", range(8))
def test_a_seated_person_touches_the_seat(seed: int) -> None:
    person = _seated(seed)
    seat = person.meta["seat"]
    assert seat["kind"] in ("chair", "stool", "bench", "block") and 0.2 < seat["height"] < 0.7
    whole = np.zeros((128, 128), np.uint8)
    for polygon in seat["polygons"]:
        cv2.fillPoly(whole, [np.rint(polygon["points"]).astype(np.int32)], 1)
    hips = person.keypoints[[11, 12], :2].mean(0)
    scale = np.ptp(np.nonzero(person.alpha)[0])
    rows, columns = np.nonzero(whole)
    assert columns.min() - 3 < hips[0] < columns.max() + 3
    # The seat begins a hand's breadth below the hip joints and reaches the level of the feet.
    below = rows[np.abs(columns - hips[0]) < 8]
    nearest = below[below > hips[1]].min() - hips[1]
    assert nearest < 0.2 * scale
    assert abs(rows.max() - person.keypoints[[15, 16], 1].max()) < 0.25 * scale
    assert (whole & (person.alpha > 128)).sum() > 20  # the body is in front of it


def test_a_back_rest_never_stands_between_the_camera_and_a_back() -> None:
    kinds = {_seated(seed, yaw=BACK_IN_SIGHT + 20).meta["seat"]["kind"] for seed in range(12)}
    assert "chair" not in kinds
    assert "chair" in {_seated(seed, yaw=0.0).meta["seat"]["kind"] for seed in range(12)}


def test_only_seated_people_have_a_seat() -> None:
    standing = render_person(np.random.default_rng([1, 3]), 48, framing="full")
    assert standing.meta["pose"] != "sit" and standing.meta["seat"] == {}
