"""The visible samples that materials are painted on."""

from dataclasses import dataclass

from synth.people.geometry import Array


@dataclass
class Samples:
    """Visible samples of one material; the arrays are changed in place by the shaders."""

    position: Array  # (n, 3) on the template
    along: Array  # (n,) arc length of the limb; on hair, a random number of the strand
    edge: Array  # (n,) metres to the hem; on hair, metres behind the hairline
    fold: Array  # (n,)
    region: Array  # (n,) uint8
    normal: Array  # (n, 3) world
    albedo: Array  # (n, 3) linear
    gloss: Array  # (n,) strength of the highlight
    power: Array  # (n,) sharpness of the highlight
    translucent: Array  # (n,) 1 for skin
