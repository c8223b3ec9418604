"""From a pose to bone rotations: joint chains, twist of the upper arm, levelled feet."""

import numpy as np

from synth.people.assets import Assets
from synth.people.body import RestBody
from synth.people.geometry import Array, axis_rotation, euler, normalise, shortest_rotation
from synth.people.pose import ANKLE, Leg, Pose

SPINE_BONES = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK_BONES = ("neck01", "neck02", "neck03", "head")
SIDES = (("L", 1.0), ("R", -1.0))
INVERSION = 22.0  # degrees that a foot turns sideways to lie flat
Joints = dict[str, Array]


def rest_joints(assets: Assets, rest: RestBody) -> Joints:
    """Bone heads (3,) of a person at rest, by bone name."""
    return {name: rest.heads[i] for name, i in assets.model.index.items()}


def rotations(assets: Assets, rest: RestBody, pose: Pose) -> dict[str, Array]:
    """Rotation (3, 3) by bone name that puts a person into a pose."""
    joint = rest_joints(assets, rest)
    tilt = euler(pose.lean)
    result = {"root": tilt}
    bend = euler(*(angle / len(SPINE_BONES) for angle in pose.spine))
    result |= dict.fromkeys(SPINE_BONES, bend)
    nod = euler(*(angle / len(NECK_BONES) for angle in pose.neck))
    result |= dict.fromkeys(NECK_BONES, nod)
    for side, (suffix, _) in enumerate(SIDES):
        result |= arm_turns(joint, side, *pose.arms[side])
        result[f"wrist.{suffix}"] = euler(*pose.wrists[side])
        result |= _fingers(joint, suffix, pose.curl[side])
        result |= leg_turns(joint, side, pose.legs[side], tilt)
    return result


def arm_turns(joint: Joints, side: int, upper: Array, fore: Array) -> dict[str, Array]:
    """Rotations of collar bone, shoulder and elbow for directions (3,) of the arm's two halves.

    Directions are those of a Pose: in the frame of the torso, +X away from the body.
    """
    suffix, sign = SIDES[side]
    mirror = np.array([sign, 1, 1])
    rest_upper = normalise(joint[f"lowerarm01.{suffix}"] - joint[f"upperarm01.{suffix}"])
    rest_fore = normalise(joint[f"wrist.{suffix}"] - joint[f"lowerarm01.{suffix}"])
    raised = float(np.interp(upper[2], (-1.0, -0.3, 1.0), (-9, 0, 30))) * sign
    collar = euler(0, -raised / 2, 0)
    into = (collar @ collar).T
    upper, fore = into @ (upper * mirror), into @ (fore * mirror)
    swing = shortest_rotation(rest_upper, upper)
    twist = _elbow_twist(rest_upper, rest_fore, upper, fore, swing)
    half, full = (axis_rotation(upper, twist * part) @ swing for part in (0.5, 1.0))
    return {
        f"clavicle.{suffix}": collar,
        f"shoulder01.{suffix}": collar,
        f"upperarm01.{suffix}": half,
        f"upperarm02.{suffix}": half.T @ full,
        f"lowerarm01.{suffix}": shortest_rotation(rest_fore, full.T @ fore),
    }


def _elbow_twist(
    rest_upper: Array, rest_fore: Array, upper: Array, fore: Array, swing: Array
) -> float:
    """Radians to turn the upper arm so that the elbow is a hinge, within a shoulder's reach."""
    hinge = np.cross(upper, fore)
    if np.linalg.norm(hinge) <= 0.15:
        return 0.0
    start = swing @ normalise(np.cross(rest_upper, rest_fore))
    start = normalise(start - upper * (start @ upper))
    hinge = normalise(hinge)
    angle = np.arctan2(np.cross(start, hinge) @ upper, start @ hinge)
    return float(np.clip(angle, -1.7, 1.7))


def _fingers(joint: Joints, suffix: str, curl: float) -> dict[str, Array]:
    result = {}
    for finger in "2345":
        names = [f"finger{finger}-{k}.{suffix}" for k in "123"]
        a, b, c = (joint[name] for name in names)
        axis = np.cross(b - a, c - b)
        if np.linalg.norm(axis) < 1e-7:
            continue
        for name, share in zip(names, (0.6, 0.8, 0.8), strict=True):
            result[name] = axis_rotation(axis, np.deg2rad(curl) * share)
    return result


def leg_turns(joint: Joints, side: int, leg: Leg, tilt: Array) -> dict[str, Array]:
    """Rotations of hip, knee and ankle; tilt (3, 3) is the root's, against which feet level."""
    suffix, sign = SIDES[side]
    mirror = np.array([sign, 1, 1])
    thigh, shin = (direction * mirror for direction in leg.directions())
    rest_thigh = joint[f"lowerleg01.{suffix}"] - joint[f"upperleg01.{suffix}"]
    rest_shin = joint[f"foot.{suffix}"] - joint[f"lowerleg01.{suffix}"]
    hip = shortest_rotation(rest_thigh, thigh)
    knee = shortest_rotation(rest_shin, hip.T @ shin)
    ankle = tilt @ hip @ knee
    pitch, roll = (np.degrees(np.arcsin(np.clip(ankle[2, k], -1, 1))) for k in (1, 0))
    pitch = float(np.clip(leg.ankle - pitch, *ANKLE))
    return {
        f"upperleg01.{suffix}": hip,
        f"lowerleg01.{suffix}": knee,
        f"foot.{suffix}": euler(pitch, float(np.clip(roll, -INVERSION, INVERSION)), sign * 6),
    }
