"""Arms are kept out of the body: what lies inside the skin is pushed out along its normal."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from synth.people.articulate import SIDES, arm_turns, rest_joints
from synth.people.assets import Assets, load_assets
from synth.people.body import RestBody
from synth.people.fields import LEFT_ARM, LEFT_LEG, TORSO
from synth.people.geometry import Array
from synth.people.pose import Pose, limit_arm
from synth.people.probe import Probe, make_probe

ARMPIT = 0.62  # template height above which the torso may touch an arm
REACH = 0.12  # metres beyond which a point of the skin says nothing about inside or outside
ROUNDS = 8
SKIN_GAP, SLEEVE_GAP, COAT_GAP = 0.008, 0.016, 0.022  # metres an arm keeps from the body
LEVER = 1.45  # the fingertips' distance from the elbow over the forearm's length


@dataclass(frozen=True)
class Watched:
    """Probes of the body that must not be entered and of both arms."""

    body: Probe
    arms: tuple[Probe, Probe]
    lever: tuple[Array, Array]  # distance from the elbow over the forearm's length, 0 to LEVER
    bare: tuple[Array, Array]  # bool, hands


@lru_cache(maxsize=1)
def watched() -> Watched:
    """The probes, chosen once on the template."""
    assets = load_assets()
    tights, body = assets.surfaces["tights"], assets.surfaces["body"]
    f, skin = tights.fields, body.fields
    solid = (f.region == TORSO) & (f.rest[:, 2] < ARMPIT)
    solid |= (f.region >= LEFT_LEG) & (f.leg < 0.7)
    rows = np.nonzero(solid)[0]
    head = np.nonzero(skin.head > 0.9)[0][::40]
    vertices = np.concatenate([rows + tights.rows.start, head + body.rows.start])
    obstacle = make_probe(
        assets.model, vertices, np.concatenate([tights.normals[rows], body.normals[head]])
    )
    arms, levers, bare = [], [], []
    for region in (LEFT_ARM, LEFT_ARM + 1):
        sleeve = np.nonzero((f.region == region) & (f.arm > 0.42) & (f.hand < 0.5))[0]
        hand = np.nonzero((skin.region == region) & (skin.hand > 0.5))[0][::40]
        chosen = np.concatenate([sleeve + tights.rows.start, hand + body.rows.start])
        arms.append(make_probe(assets.model, chosen, np.zeros((len(chosen), 3), np.float32)))
        along = np.concatenate([f.arm[sleeve], skin.arm[hand]])
        levers.append(np.clip(2 * along - 1, 0, LEVER))
        bare.append(np.arange(len(chosen)) >= len(sleeve))
    return Watched(obstacle, (arms[0], arms[1]), (levers[0], levers[1]), (bare[0], bare[1]))


def clear_arms(
    assets: Assets, rest: RestBody, pose: Pose, turns: dict[str, Array], coat: bool
) -> dict[str, Array]:
    """Bone rotations with arms turned until they are outside of torso, thighs and head."""
    joint, probes = rest_joints(assets, rest), watched()
    turns, arms = dict(turns), list(pose.arms)
    torso = assets.model.index["spine01"]
    rig = assets.model.pose(rest, turns)
    skin, outwards = probes.body.pose(rest, rig)
    for _ in range(ROUNDS):
        moved = False
        for side, (_, sign) in enumerate(SIDES):
            points, _ = probes.arms[side].pose(rest, rig)
            gap = np.where(probes.bare[side], SKIN_GAP, SLEEVE_GAP) + COAT_GAP * coat
            push, lever = deepest(points, gap, skin, outwards, probes.lever[side])
            if np.linalg.norm(push) < 2e-3:
                continue
            moved = True
            push = (rig.transforms[torso, :, :3].T.astype(float) @ push) * [sign, 1, 1]
            arms[side] = _turn(joint, side, arms[side], push, lever)
            turns |= arm_turns(joint, side, *arms[side])
        if not moved:
            break
        rig = assets.model.pose(rest, turns)
    return turns


def deepest(
    points: Array, gap: Array, skin: Array, outwards: Array, lever: Array
) -> tuple[Array, float]:
    """The way (3,) out of the skin for the deepest of the points (n, 3), and its lever."""
    square = (points**2).sum(1)[:, None] + (skin**2).sum(1)
    for axis in range(3):
        square -= 2 * points[:, axis, None] * skin[:, axis]
    nearest = square.argmin(1)
    apart = points - skin[nearest]
    height = np.einsum("ni,ni->n", apart, outwards[nearest])
    near = square[np.arange(len(points)), nearest] < REACH**2
    depth = np.where(near, gap - height, 0)
    worst = int(depth.argmax())
    return outwards[nearest[worst]] * max(float(depth[worst]), 0.0), float(lever[worst])


def _turn(
    joint: dict[str, Array], side: int, arm: tuple[Array, Array], push: Array, lever: float
) -> tuple[Array, Array]:
    """Arm directions after a push (3,) on a point at a lever behind the elbow."""
    shoulder, elbow, wrist = (
        joint[f"{name}.{SIDES[side][0]}"] for name in ("upperarm01", "lowerarm01", "wrist")
    )
    upper_length, fore_length = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
    share = min(lever, 1.0)  # what is near the elbow is moved by the upper arm alone
    upper = arm[0] + push * (1 - 0.55 * share) / upper_length
    fore = arm[1] + push * 0.6 * share / (max(lever, 0.3) * fore_length)
    return limit_arm(upper, fore)
