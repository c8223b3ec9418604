"""Scalar fields on the template (the mean young adult at rest) that garments and labels are cut by.

Template coordinates are metres: the soles are at z = -0.82, the crotch near 0.08, the waist near
0.21, the neck hole near 0.73, the crown at 1.02; the A-pose reaches x = +-0.59.
"""

from dataclasses import dataclass, fields

import numpy as np

from synth.parsing import label
from synth.people.body import BodyModel
from synth.people.geometry import Array, bump

TORSO, LEFT_ARM, RIGHT_ARM, LEFT_LEG, RIGHT_LEG = range(5)
# Prefixes of the bones of each body part; arms and legs exist once on each side.
PARTS = {
    "arm": ("upperarm", "lowerarm"),
    "hand": ("wrist", "finger", "metacarpal"),
    "leg": ("upperleg", "lowerleg"),
    "foot": ("foot", "toe"),
}
ARM_CHAIN = ("upperarm01", "lowerarm01", "wrist")
LEG_CHAIN = ("upperleg01", "lowerleg01", "foot")


@dataclass(frozen=True)
class Fields:
    """Per-vertex fields, each (V,) unless said otherwise."""

    rest: Array  # (V, 3) template position
    arm: Array  # arc length along the arm: 0 shoulder, 0.5 elbow, 1 wrist
    leg: Array  # arc length along the leg: 0 hip, 0.5 knee, 1 ankle
    is_arm: Array  # bool
    arm_weight: Array  # skin weight of the arms without hands
    hand: Array  # skin weight of the hands
    foot: Array  # skin weight of the feet
    head: Array  # skin weight of the head
    region: Array  # uint8: TORSO, LEFT_ARM ...
    label: Array  # uint8 LIP-20 label of bare skin
    fold: Array  # how strongly cloth folds there, about 0.5 to 1.6

    def rows(self, rows: slice) -> "Fields":
        """The fields of a range of vertices."""
        return Fields(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def template_fields(model: BodyModel, rest: Array, heads: Array) -> Fields:
    """Compute all fields from the template's vertices (V, 3) and bone heads (B, 3)."""
    joint = {name: heads[i] for name, i in model.index.items()}
    weight = {(part, side): _part_weight(model, part, side) for part in PARTS for side in "LR"}
    both = {part: weight[part, "L"] + weight[part, "R"] for part in PARTS}
    left = rest[:, 0] > 0
    arm = np.where(left, *(_arc_length(rest, joint, ARM_CHAIN, side) for side in "LR"))
    leg = np.where(left, *(_arc_length(rest, joint, LEG_CHAIN, side) for side in "LR"))
    is_arm = both["arm"] + both["hand"] > 0.5
    region, labels = _regions(weight, len(rest))
    return Fields(
        rest=rest,
        arm=arm.astype(np.float32),
        leg=leg.astype(np.float32),
        is_arm=is_arm,
        arm_weight=both["arm"],
        hand=both["hand"],
        foot=both["foot"],
        head=model.bone_weight({"head", "eye.L", "eye.R"}),
        region=region,
        label=labels,
        fold=_fold_strength(rest, arm, leg, is_arm),
    )


def _part_weight(model: BodyModel, part: str, side: str) -> Array:
    names = {
        name for name in model.bones if name.startswith(PARTS[part]) and name.endswith("." + side)
    }
    return model.bone_weight(names)


def _arc_length(
    rest: Array, joint: dict[str, Array], chain: tuple[str, str, str], side: str
) -> Array:
    """Position along a two-bone limb, by the nearest of its two segments, in [-0.25, 1.25]."""
    a, b, c = (joint[f"{name}.{side}"] for name in chain)
    results = []
    for start, end, low, high in ((a, b, -0.5, 1.0), (b, c, 0.0, 1.5)):
        axis = end - start
        t = np.clip(((rest - start) * axis).sum(1) / (axis @ axis), low, high)
        distance = np.linalg.norm(rest - (start + t[:, None] * axis), axis=1)
        results.append((distance, t))
    (upper_distance, upper), (lower_distance, lower) = results
    return np.where(upper_distance < lower_distance, upper, 1 + lower) / 2


def _regions(weight: dict[tuple[str, str], Array], count: int) -> tuple[Array, Array]:
    region = np.full(count, TORSO, np.uint8)
    labels = np.full(count, label("face"), np.uint8)
    sides = (("L", "left"), ("R", "right"))
    for offset, (side, word) in enumerate(sides):
        arm = weight["arm", side] + weight["hand", side] > 0.5
        leg = weight["leg", side] + weight["foot", side] > 0.5
        region[arm], labels[arm] = LEFT_ARM + offset, label(f"{word}-arm")
        region[leg], labels[leg] = LEFT_LEG + offset, label(f"{word}-leg")
    return region, labels


def _fold_strength(rest: Array, arm: Array, leg: Array, is_arm: Array) -> Array:
    """Cloth folds at elbows, armpits, cuffs, knees, ankles, crotch and waist."""
    z = rest[:, 2]
    on_arm = bump(arm, 0.5, 0.12) + 0.6 * bump(arm, 0.95, 0.1) + 0.7 * bump(arm, 0.05, 0.1)
    on_leg = np.where(z < 0.05, 0.9 * bump(leg, 0.5, 0.09) + 0.9 * bump(leg, 0.95, 0.1), 0)
    elsewhere = on_leg + 0.8 * bump(z, 0.12, 0.08) + 0.5 * bump(z, 0.3, 0.08)
    return (0.55 + np.where(is_arm, on_arm, elsewhere)).astype(np.float32)
