"""Faulty masks from true ones: border moved in or out, ragged, a piece missing, a piece too many.

The faults of a mask are drawn once, as amounts at strength 1, and then applied at a strength: so
the same draws give a mildly or a badly faulty mask. ``jitter`` asks for a strength, ``jitter_to``
for the IoU that the faulty mask shall have with the true one. All lengths are in units of the
person's size, the square root of the visible area.

IoU of initial masks with the true visible ones, of ``photos-small`` (128 px), and the distance
(Wasserstein, of the IoUs) to the segmenter, whose networks have not seen the people:

300 train samples    mean    5 %   25 %   50 %   75 %   95 %  below 0.5  distance
strength 0.25       1.000  0.996  1.000  1.000  1.000  1.000      0.000     0.292
strength 0.5        0.988  0.962  0.984  0.994  0.998  1.000      0.000     0.281
strength 1          0.910  0.813  0.884  0.925  0.950  0.976      0.000     0.203
strength 2          0.692  0.488  0.623  0.711  0.774  0.847      0.057     0.050
strength 4          0.513  0.317  0.441  0.523  0.601  0.678      0.413     0.194
segmenter           0.707  0.349  0.624  0.756  0.840  0.900      0.140     0.000

150 val samples      mean    5 %   25 %   50 %   75 %   95 %  below 0.5  distance
strength 0.25       1.000  0.998  1.000  1.000  1.000  1.000      0.000     0.303
strength 0.5        0.989  0.956  0.984  0.995  0.999  1.000      0.000     0.292
strength 1          0.907  0.799  0.881  0.916  0.949  0.975      0.000     0.210
strength 2          0.700  0.526  0.630  0.713  0.768  0.855      0.040     0.050
strength 4          0.527  0.359  0.462  0.533  0.607  0.694      0.367     0.170
segmenter           0.697  0.376  0.596  0.734  0.829  0.893      0.153     0.000

Strength 2 comes closest to the segmenter, which gives more very good and more very bad masks.
``hdeocc synth segmenter RECIPE --measure yes`` prints this table of a copy of that recipe whose
``[initial]`` names the networks; without these it prints the rows of the jitter.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

# Moves of the border at strength 1, in sizes: of the whole border, and of its bumps.
_SHIFT, _RAGGED, _BUMP = 0.02, 0.025, 0.1
_RADIUS = (0.08, 0.2)
# How often a piece is missing at strength 1, and at most; a blob grows up to this strength.
_DROPS, _MOST_DROPS, _LARGEST = 0.4, 0.9, 2.0
_STRONGEST, _HALVINGS = 8.0, 12


@dataclass(frozen=True, eq=False)
class Disc:
    """A disc about a pixel; its radius, in sizes, is that at strength 1."""

    row: int
    column: int
    radius: float

    def depth(self, shape: tuple[int, ...], strength: float, size: float) -> np.ndarray:
        """Distance in pixels to its border, (H, W) float32, negative inside."""
        y, x = np.ogrid[: shape[0], : shape[1]]
        radius = self.radius * min(strength, _LARGEST) * size
        return (np.hypot(y - self.row, x - self.column) - radius).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Faults:
    """What is wrong with one mask, at strength 1.

    Attributes:
        size: of the person in pixels; the unit of the lengths here.
        shift: how far the whole border moves: outwards (dilated) above 0, inwards (eroded) below.
        ragged: (H, W) float32 of about unit deviation: the border's bumps, out above 0.
        dropped: the piece that is missing, a disc about a pixel of the person; None for none.
        leaked: the piece that does not belong to the person, a disc about a pixel just outside;
            None for none.
    """

    size: float
    shift: float
    ragged: np.ndarray
    dropped: Disc | None
    leaked: Disc | None


def jitter(
    modal: np.ndarray, strength: float, rng: np.random.Generator, leak: float = 0.0
) -> np.ndarray:
    """A faulty version of a mask.

    Args:
        modal: (H, W) bool, not empty.
        strength: 1 moves the border by about 2 % of the person's size; 0 not at all.
        rng: every draw comes from here.
        leak: how often a piece of the neighbourhood is taken for the person, in [0, 1].

    Returns:
        (H, W) float32 in [0, 1] in steps of 1/255, soft at the border; the true mask where
        nothing would be left.
    """
    faults = draw_faults(modal, rng, min(_MOST_DROPS, _DROPS * strength), leak)
    faulty = _apply(_signed_depth(modal), faults, strength)
    return faulty if (faulty > 0.5).any() else modal.astype(np.float32)


def jitter_to(
    modal: np.ndarray, wanted: float, rng: np.random.Generator, leak: float = 0.0
) -> np.ndarray:
    """A faulty version of a mask that has about the IoU ``wanted`` with it.

    A blob is missing as often as at strength 1, and all faults together grow until the IoU is
    met. It is met to within a few pixels, except where the faults drawn cannot spoil the mask as
    much: then the worst that strength 8 reaches is given.

    Args:
        modal: (H, W) bool, not empty.
        wanted: in (0, 1].
        rng: every draw comes from here; as many draws whatever is wanted.
        leak: how often a piece of the neighbourhood is taken for the person, in [0, 1].

    Returns:
        (H, W) float32 in [0, 1] in steps of 1/255, not empty.
    """
    faults = draw_faults(modal, rng, _DROPS, leak)
    depth = _signed_depth(modal)
    best, best_miss = modal.astype(np.float32), 1 - wanted
    low, high = 0.0, _STRONGEST
    strength = high
    for _ in range(_HALVINGS):
        faulty = _apply(depth, faults, strength)
        got = iou(faulty, modal)
        if got > 0 and abs(got - wanted) < best_miss:
            best, best_miss = faulty, abs(got - wanted)
        low, high = (strength, high) if got > wanted else (low, strength)
        strength = (low + high) / 2
    return best


def iou(soft: np.ndarray, mask: np.ndarray) -> float:
    """IoU of a soft mask (H, W), cut at one half, with a mask (H, W) bool; 1 if both are empty."""
    guess = soft > 0.5
    union = int((guess | mask).sum())
    return int((guess & mask).sum()) / union if union else 1.0


def draw_faults(
    modal: np.ndarray, rng: np.random.Generator, drops: float, leak: float = 0.0
) -> Faults:
    """Faults of a mask (H, W) bool; ``drops`` and ``leak`` are the chances of the two blobs."""
    size = float(np.sqrt(modal.sum()))
    shift = float(rng.normal(0, _SHIFT))
    faults = Faults(size, shift, _smooth_noise(modal.shape, size, rng), None, None)
    if rng.random() < drops:
        faults = replace(faults, dropped=_disc(modal, rng))
    if leak and rng.random() < leak:
        around = cv2.dilate(modal.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        faults = replace(faults, leaked=_disc(around & ~modal, rng))
    return faults


def _disc(among: np.ndarray, rng: np.random.Generator) -> Disc | None:
    """A disc about one of the pixels of a mask; None where it has none."""
    rows, columns = np.nonzero(among)
    if not len(rows):
        return None
    pick = int(rng.integers(len(rows)))
    return Disc(int(rows[pick]), int(columns[pick]), float(rng.uniform(*_RADIUS)))


def _apply(depth: np.ndarray, faults: Faults, strength: float) -> np.ndarray:
    """The mask of a signed depth with its faults, (H, W) float32 in steps of 1/255."""
    size = faults.size
    moved: np.ndarray = depth + np.float32(faults.shift * strength * size)
    moved = moved + faults.ragged * (_RAGGED * strength * size)
    if faults.leaked is not None:
        moved = np.maximum(moved, -faults.leaked.depth(depth.shape, strength, size))
    if faults.dropped is not None:
        moved = np.minimum(moved, faults.dropped.depth(depth.shape, strength, size))
    soft = np.rint(np.clip(0.5 + moved / 2, 0, 1) * 255).astype(np.uint8)
    return soft.astype(np.float32) / np.float32(255)


def _signed_depth(mask: np.ndarray) -> np.ndarray:
    """Distance in pixels to the border, positive inside, (H, W) float32."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    # A mask that fills the frame has no outside, and the transform then returns a huge constant.
    limit = np.float32(max(mask.shape))
    return np.clip(inside - outside, -limit, limit)


def _smooth_noise(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (H, W) float32 of about unit deviation whose bumps measure a tenth of ``size``."""
    cell = max(2.0, _BUMP * size)
    coarse = rng.standard_normal((int(shape[0] / cell) + 2, int(shape[1] / cell) + 2))
    wide = (shape[1], shape[0])
    return cv2.resize(coarse.astype(np.float32), wide, interpolation=cv2.INTER_CUBIC)
