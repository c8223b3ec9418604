"""How a pose stands: planted feet reach the ground, and the centre of mass lies over them.

Segment masses and centres are the male means of de Leva, "Adjustments to Zatsiorsky-Seluyanov's
segment inertia parameters", Journal of Biomechanics 29 (1996), table 4.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

from synth.people.articulate import SIDES, Joints, leg_turns, rest_joints
from synth.people.assets import Assets, load_assets
from synth.people.body import RestBody, Rig
from synth.people.geometry import Array, euler
from synth.people.pose import HIP_FLEXION, Leg, Pose, limit_leg
from synth.people.probe import Probe, make_probe

# Mass, and the two joints between which its centre lies at a share of the way.
LIMBS = (
    (0.0271, "upperarm01", "lowerarm01", 0.577),
    (0.0162, "lowerarm01", "wrist", 0.457),
    (0.0061, "wrist", "finger3-1", 0.79),
    (0.1416, "upperleg01", "lowerleg01", 0.410),
    (0.0433, "lowerleg01", "foot", 0.446),
    (0.0137, "foot", "toe3-1", 0.44),
)
TRUNK, HEAD = 0.4346, 0.0694
SOLE = 0.02  # metres of shoe under a foot, of cloth under a seat
TOUCHING = 0.02  # what is at most this far above the lowest point carries weight
MARGIN = 0.02  # metres that the centre of mass stays inside the edge of the support
ROUNDS = 7
PITCH, ROLL = (-25.0, 42.0), (-14.0, 14.0)  # degrees, limits of the whole body's lean
FREE = ("run", "kick")  # feet are not brought to one level
FALLING = ("run", "sit")  # balance is not asked for
NEARLY = 0.03  # metres of level from which balance can be judged
LEVEL, STEADY = 0.002, 0.3  # metres and degrees that are near enough
STRAIGHT = 4.0  # degrees of knee from which a leg cannot reach further


@dataclass(frozen=True)
class Contacts:
    """Points that may touch the ground, grouped: rows of the probe by name."""

    probe: Probe
    rows: dict[str, Array]


@lru_cache(maxsize=1)
def contact_points() -> Contacts:
    """Soles and knees of both sides, and the seat."""
    assets = load_assets()
    body = assets.surfaces["body"]
    f = body.fields
    x, y, z = f.rest.T
    chosen: dict[str, Array] = {}
    for region, (suffix, _) in zip((3, 4), SIDES, strict=True):
        sole = np.nonzero((f.region == region) & (f.foot > 0.6) & (z < -0.795))[0]
        hull = cv2.convexHull(f.rest[sole, :2].astype(np.float32), returnPoints=False)
        chosen[f"sole.{suffix}"] = sole[hull.ravel()]
        bend = (f.region == region) & (np.abs(f.leg - 0.5) < 0.05)
        chosen[f"knee.{suffix}"] = np.argsort(np.where(bend, y, 9))[:16]
    chosen["seat"] = seat_rows()
    vertices = np.concatenate(list(chosen.values())) + body.rows.start
    ends = np.cumsum([0] + [len(rows) for rows in chosen.values()])
    rows = {name: np.arange(a, b) for name, a, b in zip(chosen, ends[:-1], ends[1:], strict=True)}
    normals = np.zeros((len(vertices), 3), np.float32)
    return Contacts(make_probe(assets.model, vertices, normals), rows)


@lru_cache(maxsize=1)
def seat_rows() -> Array:
    """Vertices (k,) of the body that one sits on."""
    f = load_assets().surfaces["body"].fields
    _, y, z = f.rest.T
    return np.nonzero((z > -0.06) & (z < 0.12) & (y > 0.04) & ~f.is_arm)[0]


def settle(assets: Assets, rest: RestBody, pose: Pose, turns: dict[str, Array]) -> dict[str, Array]:
    """Bone rotations with legs and lean changed until the pose stands by itself."""
    joint, contacts, rear = rest_joints(assets, rest), contact_points(), _kneeling(pose)
    turns, legs, lean = dict(turns), pose.legs, np.array([pose.lean, 0.0])
    for _ in range(ROUNDS):
        rig = assets.model.pose(rest, turns)
        points, _ = contacts.probe.pose(rest, rig)
        group = {name: points[rows] for name, rows in contacts.rows.items()}
        drops = _drops(pose.kind, legs, group, rear)
        tip = np.zeros(2)
        if pose.kind not in FALLING and np.abs(drops).max() < NEARLY:
            tip = _tip(centre_of_mass(assets, rig), _support(pose.kind, group, rear))
        if np.abs(drops).max() < LEVEL and np.abs(tip).max() < STEADY:
            break
        left, right = (_move(joint, k, legs[k], euler(*lean), drops[k], rear) for k in (0, 1))
        legs, lean = (left, right), np.clip(lean + tip, *np.transpose((PITCH, ROLL)))
        turns["root"] = euler(*lean)
        for side in (0, 1):
            turns |= leg_turns(joint, side, legs[side], turns["root"])
    return turns


def _move(joint: Joints, side: int, leg: Leg, tilt: Array, drop: float, rear: int | None) -> Leg:
    """A leg whose foot is lower by a drop in metres; the rear one is knelt on."""
    return _fold(joint, side, leg, drop) if side == rear else _reach(joint, side, leg, tilt, drop)


def _kneeling(pose: Pose) -> int | None:
    """The side of the leg that is knelt on."""
    left, right = pose.legs
    return int(left.flexion > right.flexion) if pose.kind == "kneel" else None


def centre_of_mass(assets: Assets, rig: Rig) -> Array:
    """The centre of mass (3,) of a posed skeleton."""
    at = {name: rig.joints[i].astype(float) for name, i in assets.model.index.items()}
    hips = (at["upperleg01.L"] + at["upperleg01.R"]) / 2
    shoulders = (at["upperarm01.L"] + at["upperarm01.R"]) / 2
    total = TRUNK * (0.55 * shoulders + 0.45 * hips)
    total = total + HEAD * (at["head"] + at["eye.L"] + at["eye.R"]) / 3
    for suffix, _ in SIDES:
        for mass, near, far, share in LIMBS:
            a, b = at[f"{near}.{suffix}"], at[f"{far}.{suffix}"]
            total = total + mass * (a + share * (b - a))
    return total


def _drops(kind: str, legs: tuple[Leg, Leg], group: dict[str, Array], rear: int | None) -> Array:
    """Metres (2,) by which each foot is too high above the level of what else is planted."""
    low = {name: float(points[:, 2].min()) - SOLE for name, points in group.items()}
    soles = np.array([low["sole.L"], low["sole.R"]])
    if kind in FREE:
        return np.zeros(2)
    if rear is not None:
        return soles - low[f"knee.{SIDES[rear][0]}"]
    if kind == "floor":
        return soles - low["seat"]
    lifted = kind == "lunge" or legs[int(soles.argmax())].knee < STRAIGHT
    return soles - (soles.max() if lifted else soles.min())


def _support(kind: str, group: dict[str, Array], rear: int | None) -> Array:
    """The points (n, 3) that carry the body: of each planted part those that touch the ground."""
    parts = ["sole.L", "sole.R"]
    if kind == "kick":
        parts = [min(parts, key=lambda name: float(group[name][:, 2].min()))]
    if rear is not None:
        parts.append(f"knee.{SIDES[rear][0]}")
    if kind == "floor":
        parts.append("seat")
    chosen = [group[name] for name in parts]
    return np.concatenate([p[p[:, 2] < p[:, 2].min() + TOUCHING] for p in chosen])


def _fold(joint: Joints, side: int, leg: Leg, drop: float) -> Leg:
    """A leg that is knelt on, its toes lowered by a drop in metres."""
    knee, ankle = (joint[f"{name}.{SIDES[side][0]}"] for name in ("lowerleg01", "foot"))
    turn = np.degrees(drop / np.linalg.norm(ankle - knee))
    return limit_leg(replace(leg, knee=leg.knee - float(turn)))


def _reach(joint: Joints, side: int, leg: Leg, tilt: Array, drop: float) -> Leg:
    """A leg whose ankle is lower by a drop in metres and otherwise where it was."""
    if abs(drop) < 1e-4:
        return leg
    suffix, sign = SIDES[side]
    hip, knee, ankle = (joint[f"{name}.{suffix}"] for name in ("upperleg01", "lowerleg01", "foot"))
    mirror = np.array([sign, 1, 1])
    thigh, shin = leg.directions()
    long = float(np.linalg.norm(knee - hip)), float(np.linalg.norm(ankle - knee))
    chord = tilt @ ((long[0] * thigh + long[1] * shin) * mirror)
    chord = tilt.T @ (chord - [0, 0, drop])
    upper, lower = long[0] * np.hypot(*thigh[1:]), long[1] * np.hypot(*shin[1:])
    reach = float(np.clip(np.hypot(chord[1], chord[2]), 0.2, 0.9995 * (upper + lower)))
    inner = (upper**2 + lower**2 - reach**2) / (2 * upper * lower)
    ahead = (upper**2 + reach**2 - lower**2) / (2 * upper * reach)
    flexion = np.arctan2(-chord[1], -chord[2]) + np.arccos(np.clip(ahead, -1, 1))
    bend = np.pi - np.arccos(np.clip(inner, -1, 1))
    most = np.deg2rad(HIP_FLEXION[1])
    if flexion > most:  # the hip is at its limit: the shin alone gives the height
        flexion, down = most, -chord[2] - upper * np.cos(most)
        bend = most - np.arccos(np.clip(down / lower, -1, 1))
    return limit_leg(replace(leg, flexion=np.degrees(flexion), knee=np.degrees(bend)))


def _tip(mass: Array, support: Array) -> Array:
    """Degrees (pitch, roll) to lean so that the centre of mass (3,) comes over its support."""
    flat = support[:, :2].astype(np.float32)
    hull = cv2.convexHull(flat)
    centre, start = (flat.min(0) + flat.max(0)) / 2, mass[:2].astype(np.float32)
    margin = min(MARGIN, 0.6 * cv2.pointPolygonTest(hull, centre.tolist(), True))
    shares = np.linspace(0, 1, 21)
    path = start + (centre - start) * shares[:, None].astype(np.float32)
    inside = [cv2.pointPolygonTest(hull, p.tolist(), True) >= margin for p in path]
    shift = path[int(np.argmax(inside)) if any(inside) else -1] - start
    height = max(float(mass[2] - support[:, 2].min()), 0.2)
    return 0.9 * np.degrees(np.arctan2([-shift[1], shift[0]], height))
