"""Left and right limbs where a label set names neither: by the side of the body's axis.

The rule is that of an upright person who faces the camera, so that the person's left is on the
right of the picture; it turns with the body and is wrong for people seen from behind. The axis
of the arms runs from the middle of the head through that of the torso. The axis of the legs runs
from the middle of the thighs to the middle between the large pieces of shin. A connected
arm, or leg, belongs to one side as a whole where at least three quarters of it lie there; else
the axis divides it.
"""

import cv2
import numpy as np

from synth.parsing import label

ARM, THIGH, SHIN = 111, 112, 113
_WHOLE = 0.75
# A piece of shin smaller than this share of the largest is a scrap, not the other leg.
_OTHER_LEG = 0.3
_UPRIGHT = np.array([0.0, 1.0])


def divide_limbs(labels: np.ndarray) -> None:
    """Replace ARM, THIGH and SHIN in (H, W) uint8 by the arms and legs of LIP-20, in place."""
    arms, legs = labels == ARM, (labels == THIGH) | (labels == SHIN)
    if arms.any():
        head, torso = labels == label("face"), labels == label("upper-clothes")
        through = _middle(torso if torso.any() else arms)
        _divide(labels, arms, _direction(head, through), through, "arm")
    if legs.any():
        thighs, shins = labels == THIGH, labels == SHIN
        through = _between(shins) if shins.any() else _middle(legs)
        _divide(labels, legs, _direction(thighs, through), through, "leg")


def _divide(
    labels: np.ndarray, limbs: np.ndarray, down: np.ndarray, through: np.ndarray, name: str
) -> None:
    rows, columns = np.nonzero(limbs)
    left = (columns - through[0]) * down[1] > (rows - through[1]) * down[0]
    pieces = cv2.connectedComponents(limbs.astype(np.uint8), connectivity=8)[1][rows, columns]
    share = (np.bincount(pieces, left) / np.maximum(np.bincount(pieces), 1))[pieces]
    left = np.where(share >= _WHOLE, True, np.where(share <= 1 - _WHOLE, False, left))
    labels[rows, columns] = np.where(left, label(f"left-{name}"), label(f"right-{name}"))


def _direction(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """From the middle of a mask to a point, as (column, row); downwards where that says nothing."""
    step = below - _middle(above) if above.any() else _UPRIGHT
    return step if np.abs(step).max() >= 1 else _UPRIGHT


def _middle(mask: np.ndarray) -> np.ndarray:
    """Mean (column, row) of a mask that is not empty."""
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])


def _between(shins: np.ndarray) -> np.ndarray:
    """The point halfway between the middles of the large pieces, or the middle of one."""
    _, _, stats, centres = cv2.connectedComponentsWithStats(shins.astype(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.asarray(centres[1:][areas >= _OTHER_LEG * areas.max()].mean(axis=0))
