"""COCO-17 keypoints from the rig and a few landmarks of the face."""

import numpy as np

from synth.people.assets import Assets
from synth.people.figure import Figure
from synth.people.geometry import Array

BONES = ("upperarm01", "lowerarm01", "wrist", "upperleg01", "lowerleg01", "foot")


def body_keypoints(figure: Figure, assets: Assets) -> Array:
    """Positions (17, 3) in the person's own frame; COCO's order, nose to ankles."""
    f = figure.body.surface.fields
    x, y, z = f.rest.T
    nose = np.argmin(np.where((np.abs(x) < 0.02) & (z > 0.85) & (z < 0.92), y, 9))
    posed = figure.skin
    eyes = [figure.eyes[side].mean(0) for side in (0, 1)]
    ears = [posed[(assets.ears > 0.5) & (x * side > 0)].mean(0) for side in (1, -1)]
    index = assets.model.index
    joints = [figure.rig.joints[index[f"{bone}.{side}"]] for bone in BONES for side in ("L", "R")]
    return np.stack([posed[nose], *eyes, *ears, *joints]).astype(np.float32)
