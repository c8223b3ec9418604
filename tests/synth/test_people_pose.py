"""Joint limits of sampled poses, and the rotations they become."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.people.articulate import rotations
from synth.people.assets import load_assets
from synth.people.person import sample_person
from synth.people.pose import (
    ELBOW,
    HIP_ABDUCTION,
    HIP_FLEXION,
    KINDS,
    KNEE,
    NECK,
    NOT_IN_SKIRTS,
    SHOULDER_ACROSS,
    SHOULDER_BACK,
    SPINE,
    Leg,
    limit_arm,
    limit_leg,
    sample_kind,
    sample_pose,
)

DIRECTION = st.lists(st.floats(-1, 1), min_size=3, max_size=3).filter(
    lambda v: np.linalg.norm(v) > 0.1
)
ANGLE = st.floats(-400, 400)


@settings(deadline=None)
@given(DIRECTION, DIRECTION)
def test_arms_are_limited(upper: list[float], fore: list[float]) -> None:
    a, b = limit_arm(np.array(upper), np.array(fore))
    np.testing.assert_allclose([np.linalg.norm(a), np.linalg.norm(b)], 1, atol=1e-6)
    angle = np.degrees(np.arccos(np.clip(a @ b, -1, 1)))
    assert angle <= ELBOW[1] + 1e-3
    assert a[1] <= SHOULDER_BACK + 1e-9
    assert a[0] >= SHOULDER_ACROSS - 1e-9


@settings(deadline=None)
@given(ANGLE, ANGLE, ANGLE)
def test_legs_are_limited(flexion: float, knee: float, abduction: float) -> None:
    leg = limit_leg(Leg(flexion, knee, abduction))
    for value, (low, high) in (
        (leg.flexion, HIP_FLEXION),
        (leg.knee, KNEE),
        (leg.abduction, HIP_ABDUCTION),
    ):
        assert low <= value <= high


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(KINDS))
def test_sampled_poses_respect_all_limits(seed: int, kind: str) -> None:
    pose = sample_pose(np.random.default_rng(seed), kind)
    for angles, limits in ((pose.spine, SPINE), (pose.neck, NECK)):
        for angle, (low, high) in zip(angles, limits, strict=True):
            assert low <= angle <= high
    for leg in pose.legs:
        assert leg == limit_leg(leg)
    for upper, fore in pose.arms:
        assert np.degrees(np.arccos(np.clip(upper @ fore, -1, 1))) <= ELBOW[1] + 1e-3


@pytest.mark.parametrize("seed", range(6))
def test_rotations_are_rotations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assets = load_assets()
    person = sample_person(rng)
    turns = rotations(
        assets, assets.model.rest(person.phenotype), sample_pose(rng, KINDS[seed % len(KINDS)])
    )
    assert set(turns) <= set(assets.model.bones)
    for name, turn in turns.items():
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9, err_msg=name)
        assert np.linalg.det(turn) > 0


def test_skirts_are_not_worn_where_cloth_would_have_to_be_simulated() -> None:
    rng = np.random.default_rng(0)
    kinds = {sample_kind(rng, skirt=True) for _ in range(200)}
    assert kinds.isdisjoint(NOT_IN_SKIRTS) and {"sit", "kneel", "walk"} <= kinds
    assert {sample_kind(rng, skirt=False) for _ in range(600)} == set(KINDS)
