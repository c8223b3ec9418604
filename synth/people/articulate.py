"""From a pose to bone rotations: joint chains, twist, levelled feet, arms kept out of the body."""

import numpy as np

from synth.people.assets import Assets
from synth.people.body import RestBody
from synth.people.fields import TORSO
from synth.people.geometry import Array, axis_rotation, euler, normalise, shortest_rotation
from synth.people.pose import ANKLE, Pose, limit_arm

SPINE_BONES = ("spine05", "spine04", "spine03", "spine02", "spine01")
NECK_BONES = ("neck01", "neck02", "neck03", "head")
SIDES = (("L", 1.0), ("R", -1.0))
ARM_RADIUS = 0.055  # metres of clearance between the axis of an arm and the skin of the torso
HAND = 0.09  # metres from wrist to knuckles
LEVELS = 12


def rotations(assets: Assets, rest: RestBody, pose: Pose) -> dict[str, Array]:
    """Rotation (3, 3) by bone name that puts a person into a pose."""
    model = assets.model
    joint = {name: rest.heads[i] for name, i in model.index.items()}
    result = {"root": euler(pose.lean)}
    bend = euler(*(angle / len(SPINE_BONES) for angle in pose.spine))
    result |= dict.fromkeys(SPINE_BONES, bend)
    nod = euler(*(angle / len(NECK_BONES) for angle in pose.neck))
    result |= dict.fromkeys(NECK_BONES, nod)
    torso = _torso_outline(assets, rest)
    for side, (suffix, sign) in enumerate(SIDES):
        upper, fore = keep_out(torso, joint, suffix, sign, pose.arms[side])
        result |= _arm(joint, suffix, sign, upper, fore)
        result[f"wrist.{suffix}"] = euler(*pose.wrists[side])
        result |= _fingers(joint, suffix, pose.curl[side])
        result |= _leg(joint, suffix, sign, pose, side)
    return result


def _torso_outline(assets: Assets, rest: RestBody) -> Array:
    """Rows (LEVELS, 4) of an upright torso: height, half width, centre and half depth."""
    surface = assets.surfaces["tights"]
    torso = surface.fields.region == TORSO
    points = rest.vertices[surface.rows][torso]
    height = surface.fields.rest[torso, 2]
    edges = np.linspace(0.0, 0.66, LEVELS + 1)
    rows = []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        ring = points[(height >= low) & (height < high)]
        front, back = ring[:, 1].min(), ring[:, 1].max()
        width = np.abs(ring[:, 0]).max()
        rows.append((ring[:, 2].mean(), width, (front + back) / 2, (back - front) / 2))
    return np.array(rows)


def keep_out(
    torso: Array, joint: dict[str, Array], suffix: str, sign: float, arm: tuple[Array, Array]
) -> tuple[Array, Array]:
    """Directions of upper arm and forearm, turned until no part of the arm is inside the torso."""
    mirror = np.array([sign, 1, 1])
    shoulder = joint[f"upperarm01.{suffix}"] * mirror
    elbow, wrist = joint[f"lowerarm01.{suffix}"] * mirror, joint[f"wrist.{suffix}"] * mirror
    upper_length = float(np.linalg.norm(elbow - shoulder))
    fore_length = float(np.linalg.norm(wrist - elbow))
    upper, fore = limit_arm(*arm)
    for _ in range(12):
        bend = shoulder + upper * upper_length
        reach = np.array([0.35, 0.7, 1.0, 1.0 + HAND / fore_length])
        fore_push = [_push(torso, bend + fore * (fore_length * t)) / t for t in reach]
        upper_push = _push(torso, bend) + 0.5 * _push(torso, shoulder + upper * upper_length * 0.7)
        largest = fore_push[int(np.argmax([np.linalg.norm(p) for p in fore_push]))]
        if np.linalg.norm(largest) + np.linalg.norm(upper_push) < 1e-3:
            break
        upper = upper + (upper_push + 0.35 * largest) / upper_length
        fore = fore + 0.8 * largest / fore_length
        upper, fore = limit_arm(upper, fore)
    return upper, fore


def _push(torso: Array, point: Array) -> Array:
    """The horizontal way (3,) out of the torso for a point of the arm; zero outside of it."""
    if not torso[0, 0] - 0.02 < point[2] < torso[-1, 0]:
        return np.zeros(3)
    width, centre, depth = (np.interp(point[2], torso[:, 0], torso[:, k]) for k in (1, 2, 3))
    a, b = width + ARM_RADIUS, depth + ARM_RADIUS
    x, y = point[0] / a, (point[1] - centre) / b
    radius = float(np.hypot(x, y))
    if radius >= 1:
        return np.zeros(3)
    scale = (1 - radius) / max(radius, 0.2)
    return np.array([x * a * scale, y * b * scale, 0.0])


def _arm(
    joint: dict[str, Array], suffix: str, sign: float, upper: Array, fore: Array
) -> dict[str, Array]:
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


def _fingers(joint: dict[str, Array], suffix: str, curl: float) -> dict[str, Array]:
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


def _leg(
    joint: dict[str, Array], suffix: str, sign: float, pose: Pose, side: int
) -> dict[str, Array]:
    mirror = np.array([sign, 1, 1])
    leg = pose.legs[side]
    thigh, shin = (direction * mirror for direction in leg.directions())
    rest_thigh = joint[f"lowerleg01.{suffix}"] - joint[f"upperleg01.{suffix}"]
    rest_shin = joint[f"foot.{suffix}"] - joint[f"lowerleg01.{suffix}"]
    hip = shortest_rotation(rest_thigh, thigh)
    knee = shortest_rotation(rest_shin, hip.T @ shin)
    forwards = euler(pose.lean) @ hip @ knee @ np.array([0.0, -1.0, 0.0])
    pitch = float(np.degrees(np.arcsin(np.clip(forwards[2], -1, 1))))
    return {
        f"upperleg01.{suffix}": hip,
        f"lowerleg01.{suffix}": knee,
        f"foot.{suffix}": euler(float(np.clip(pitch + leg.ankle, *ANKLE)), 0, sign * 6),
    }
