"""The LIP-20 label set: one parsing label for every pixel of a person.

Source: "Look into Person" (LIP), 20 classes with the background; the classes the paper parses
people into. Left and right are the person's own.
"""

import numpy as np

LIP_LABELS: tuple[str, ...] = (
    "background",
    "hat",
    "hair",
    "glove",
    "sunglasses",
    "upper-clothes",
    "dress",
    "coat",
    "socks",
    "pants",
    "jumpsuits",
    "scarf",
    "skirt",
    "face",
    "left-arm",
    "right-arm",
    "left-leg",
    "right-leg",
    "left-shoe",
    "right-shoe",
)
NUM_LABELS = len(LIP_LABELS)

_MIRRORED = {"left-arm": "right-arm", "left-leg": "right-leg", "left-shoe": "right-shoe"}
_SWAPS = _MIRRORED | {right: left for left, right in _MIRRORED.items()}

# Label of a pixel after the picture was mirrored, by its label before: (20,) uint8.
FLIP_TABLE = np.array(
    [LIP_LABELS.index(_SWAPS.get(name, name)) for name in LIP_LABELS], dtype=np.uint8
)

# One colour a label for pictures of parsings: (20, 3) uint8 RGB, background black.
PALETTE = np.array(
    [
        [0, 0, 0],
        [196, 78, 82],
        [110, 64, 38],
        [240, 200, 60],
        [60, 60, 90],
        [221, 132, 82],
        [218, 112, 180],
        [76, 114, 176],
        [150, 205, 160],
        [85, 110, 140],
        [129, 114, 179],
        [230, 90, 130],
        [140, 190, 70],
        [250, 205, 170],
        [100, 200, 210],
        [40, 140, 160],
        [170, 220, 120],
        [60, 150, 80],
        [250, 240, 120],
        [210, 170, 30],
    ],
    dtype=np.uint8,
)


def label(name: str) -> int:
    """The number of a LIP-20 class; ValueError for a name that is none."""
    return LIP_LABELS.index(name)


def mirror(parsing: np.ndarray) -> np.ndarray:
    """Parsing (H, W) uint8 of the mirrored picture: flipped, with left and right swapped."""
    return FLIP_TABLE[parsing[:, ::-1]]


def colourise(parsing: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) uint8 of a parsing (H, W) uint8."""
    return PALETTE[parsing]
