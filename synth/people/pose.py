"""A library of poses: limb directions and angles, sampled around hand-made keyframes, with limits.

Directions are unit vectors in the frame of the torso, mirrored so that +X points away from the
body on both sides; -Y is forwards. Angles are degrees.
"""

from dataclasses import dataclass

import numpy as np

from synth.people.geometry import Array, normalise

KINDS = ("stand", "contrapposto", "walk", "run", "sit", "squat", "lunge", "kneel", "kick", "floor")
SHARE = (0.27, 0.20, 0.19, 0.09, 0.09, 0.03, 0.04, 0.03, 0.02, 0.04)

UPRIGHT = ("stand", "contrapposto", "walk")
NOT_IN_SKIRTS = ("run", "squat", "floor", "lunge", "kick")  # cloth is not simulated

# Upper arm and forearm.
ARMS = {
    "hang": ((0.16, 0.05, -1), (0.10, -0.22, -1)),
    "pocket": ((0.34, 0.28, -0.9), (-0.06, -0.36, -0.95)),
    "hips": ((0.75, 0.35, -0.7), (-0.72, -0.32, -0.34)),
    "crossed": ((0.14, -0.38, -0.9), (-0.78, -0.68, 0.04)),
    "wave": ((0.9, -0.1, -0.1), (0.35, -0.25, 1)),
    "up": ((0.4, -0.1, 1), (0.1, -0.2, 1)),
    "reach": ((0.15, -1, -0.2), (0.0, -1, 0.1)),
    "phone": ((0.25, -0.28, -0.95), (-0.3, -0.55, 0.78)),
    "carry": ((0.18, 0.05, -1), (0.05, -1, -0.1)),
    "spread": ((1, 0, -0.1), (1, -0.1, 0)),
    "point": ((0.6, -0.75, 0.05), (0.5, -0.85, 0.1)),
    "lap": ((0.2, -0.35, -0.9), (-0.18, -0.9, -0.3)),
    "behind": ((0.34, 0.5, -0.85), (-0.3, 0.3, -0.8)),
    "knees": ((0.22, -0.85, -0.55), (-0.12, -1, -0.12)),
    "clasp": ((0.2, -0.2, -1), (-0.55, -0.7, -0.35)),
}
STANDING_ARMS = {
    "hang": 0.36, "pocket": 0.10, "hips": 0.09, "wave": 0.06, "up": 0.04, "reach": 0.04,
    "phone": 0.09, "carry": 0.07, "spread": 0.02, "point": 0.05, "behind": 0.04, "clasp": 0.04,
}  # fmt: skip
SEATED_ARMS = ("lap", "carry", "phone", "crossed", "point")
SEATED_SHARE = (0.66, 0.12, 0.12, 0.05, 0.05)

# Limits, degrees: (least, most).
ELBOW = (0.0, 145.0)
KNEE = (0.0, 145.0)
HIP_FLEXION = (-30.0, 125.0)
HIP_ABDUCTION = (-12.0, 45.0)
ANKLE = (-35.0, 55.0)  # toes down is positive
SPINE = ((-18.0, 50.0), (-22.0, 22.0), (-30.0, 30.0))  # forwards, sideways, twist
NECK = ((-35.0, 40.0), (-22.0, 22.0), (-60.0, 60.0))
SHOULDER_BACK, SHOULDER_ACROSS = 0.65, -0.35  # bounds of an upper arm's y and x


@dataclass(frozen=True)
class Leg:
    """Angles of a leg; ankle 0 levels the sole where the joint allows, more lowers the toes."""

    flexion: float
    knee: float
    abduction: float = 4.0
    ankle: float = 0.0

    def directions(self) -> tuple[Array, Array]:
        """Unit directions (3,) of thigh and shin."""
        thigh, shin = np.deg2rad(self.flexion), np.deg2rad(self.flexion - self.knee)
        out = float(np.sin(np.deg2rad(self.abduction)))
        return (
            normalise(np.array([out, -np.sin(thigh), -np.cos(thigh)])),
            normalise(np.array([0.6 * out, -np.sin(shin), -np.cos(shin)])),
        )


@dataclass(frozen=True)
class Pose:
    """One pose; left first in every pair."""

    kind: str
    arms: tuple[tuple[Array, Array], tuple[Array, Array]]
    legs: tuple[Leg, Leg]
    spine: tuple[float, float, float]
    neck: tuple[float, float, float]
    lean: float  # pitch of the whole body, forwards positive
    curl: tuple[float, float]  # finger flexion
    wrists: Array  # (2, 3) Euler angles


def limit_leg(leg: Leg) -> Leg:
    """The leg with every angle inside its limits; the ankle is limited once it is levelled."""
    return Leg(
        flexion=float(np.clip(leg.flexion, *HIP_FLEXION)),
        knee=float(np.clip(leg.knee, *KNEE)),
        abduction=float(np.clip(leg.abduction, *HIP_ABDUCTION)),
        ankle=leg.ankle,
    )


def limit_arm(upper: Array, fore: Array) -> tuple[Array, Array]:
    """Unit directions of upper arm and forearm inside the limits of shoulder and elbow."""
    x, y, z = normalise(np.asarray(upper, float))
    x, y = max(x, SHOULDER_ACROSS), min(y, SHOULDER_BACK)
    upper = np.array([x, y, np.copysign(np.sqrt(max(0.0, 1 - x * x - y * y)), z)])
    upper, fore = normalise(upper), normalise(np.asarray(fore, float))
    cosine = float(np.clip(upper @ fore, -1, 1))
    most = np.deg2rad(ELBOW[1])
    if np.arccos(cosine) > most:
        side = fore - cosine * upper
        if np.linalg.norm(side) < 1e-3:
            side = np.array([0.0, -1.0, 0.0]) + upper * upper[1]
        fore = np.cos(most) * upper + np.sin(most) * normalise(side)
    return upper, fore


def sample_kind(rng: np.random.Generator, skirt: bool) -> str:
    """Draw a kind of pose; in a skirt some are left out."""
    share = np.array(SHARE)
    if skirt:
        share[[KINDS.index(kind) for kind in NOT_IN_SKIRTS]] = 0
    return KINDS[int(rng.choice(len(KINDS), p=share / share.sum()))]


def sample_pose(rng: np.random.Generator, kind: str) -> Pose:
    """Draw a pose of a kind."""
    legs, bend, lean = _legs(rng, kind)
    mirrored = kind not in ("stand", "squat", "sit", "floor") and rng.random() < 0.5
    arms = _arms(rng, kind)
    if mirrored:
        legs, arms, bend = legs[::-1], arms[::-1], (bend[0], -bend[1], -bend[2])
    spine = np.array(bend) + rng.normal(0, (4, 2.5, 6))
    neck = rng.normal(0, (8, 5, 20))
    return Pose(
        kind=kind,
        arms=(_vary(rng, arms[0]), _vary(rng, arms[1])),
        legs=(limit_leg(legs[0]), limit_leg(legs[1])),
        spine=_clip_angles(spine, SPINE),
        neck=_clip_angles(neck, NECK),
        lean=lean,
        curl=(8 + abs(rng.normal(0, 16)), 8 + abs(rng.normal(0, 16))),
        wrists=np.clip(rng.normal(0, 9, (2, 3)), -30, 30),
    )


def _clip_angles(angles: Array, limits: tuple) -> tuple[float, float, float]:
    x, y, z = (float(np.clip(a, low, high)) for a, (low, high) in zip(angles, limits, strict=True))
    return x, y, z


def _vary(rng: np.random.Generator, arm: tuple) -> tuple[Array, Array]:
    return limit_arm(*(np.array(d) + rng.normal(0, 0.07, 3) for d in arm))


def _legs(
    rng: np.random.Generator, kind: str
) -> tuple[tuple[Leg, Leg], tuple[float, float, float], float]:
    """Legs, bend of the spine, and lean of the body for a kind; the left leg leads."""

    def near(mean: float, spread: float) -> float:
        return mean + float(rng.normal(0, spread))

    if kind == "stand":
        apart = 2 + abs(near(0, 4))
        left, right = (Leg(near(1, 2), abs(near(0, 3)), near(apart, 1)) for _ in range(2))
        return (left, right), (1, 0, 0), 0
    if kind == "contrapposto":
        free = Leg(near(13, 4), near(20, 5), near(7, 3), 4)
        return (Leg(near(0, 1), 1, 3), free), (1, near(-4, 1), 0), 0
    if kind == "walk":
        swing = near(23, 4)
        front, back = Leg(swing, near(9, 4), 1.5, -12), Leg(-0.7 * swing, near(22, 7), 1.5, 20)
        return (front, back), (3, 0, 6), 0
    if kind == "run":
        front = Leg(near(48, 8), near(62, 14), 1, -5)
        return (front, Leg(near(-20, 6), near(58, 20), 1, 35)), (8, 0, 10), 6
    if kind == "sit":
        apart = 4 + abs(near(0, 7))
        left, right = (Leg(near(86, 4), near(86, 9), near(apart, 3)) for _ in range(2))
        return (left, right), (near(6, 6), 0, 0), 0
    if kind == "squat":
        deep = near(100, 9)
        left, right = (Leg(near(deep, 3), near(deep + 36, 3), 16, 30) for _ in range(2))
        return (left, right), (near(24, 4), 0, 0), 12
    if kind == "lunge":
        front = Leg(near(60, 8), near(64, 7), 3)
        return (front, Leg(near(-24, 4), near(20, 6), 3, 35)), (4, 0, 0), 0
    if kind == "kneel":
        front = Leg(near(88, 4), near(86, 5), 5)
        return (front, Leg(near(0, 3), near(110, 2), 4, 150)), (near(6, 5), 0, 0), 0
    if kind == "floor":
        left, right = (Leg(near(120, 2), near(102, 4), 6) for _ in range(2))
        return (left, right), (near(18, 5), 0, 0), -18
    kicking = Leg(near(55, 12), abs(near(22, 12)), 3, 30)
    return (kicking, Leg(near(-3, 2), 6, 3)), (-4, 0, 0), -4


def _arms(rng: np.random.Generator, kind: str) -> tuple[tuple, tuple]:
    if kind in ("walk", "run") and rng.random() < 0.8:
        swing, elbow = (1.0, 0.25) if kind == "walk" else (1.7, 1.5)
        front = ((0.15, -0.42 * swing, -1), (0, -0.5 * swing - 0.4 * elbow, -1 + 0.9 * elbow))
        back = ((0.2, 0.42 * swing, -1), (0.1, 0.1 * swing - 0.35 * elbow, -1 + 0.25 * elbow))
        return back, front
    if kind == "floor":
        return ARMS["knees"], ARMS["knees"]
    if kind in ("sit", "kneel"):
        left, right = (ARMS[SEATED_ARMS[int(i)]] for i in rng.choice(5, 2, p=SEATED_SHARE))
        return left, right
    if kind == "squat":
        name = "reach" if rng.random() < 0.5 else "lap"
        return ARMS[name], ARMS[name]
    pair = rng.random()
    if pair < 0.06:
        return ARMS["crossed"], ARMS["crossed"]
    names, share = tuple(STANDING_ARMS), np.array(list(STANDING_ARMS.values()))
    left, right = (ARMS[names[int(i)]] for i in rng.choice(len(names), 2, p=share / share.sum()))
    return (left, left) if pair < 0.3 else (left, right)
