"""Who is in the photo: the visible part of each person, from a mask file, a box, or a detector."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hdeocc.crops import Box
from hdeocc.grab import NothingFound, grab
from synth.errors import InputError
from synth.images import read_mask

if TYPE_CHECKING:
    from hdeocc.detector import Detector

# A detection whose box overlaps the given one less than this is somebody else.
LEAST_IOU = 0.4


@dataclass(frozen=True, eq=False)
class Visible:
    """The visible part of one person.

    Attributes:
        mask: (H, W) bool, not empty.
        source: where it comes from, in words.
        guessed: whether it is a program's, not one that was given.
    """

    mask: np.ndarray
    source: str
    guessed: bool = False


def from_file(path: Path, photo: Path, shape: tuple[int, ...]) -> Visible:
    """A person marked in a mask file; see ``synth.images.read_mask`` for the kinds of masks.

    Args:
        path: of the mask.
        photo, shape: the photo's path, for messages, and its (height, width).

    Raises:
        InputError: no picture, one of another size than the photo, or one that marks nothing or
            everything.
    """
    mask = read_mask(path)
    if mask.shape != shape[:2]:
        turned = mask.shape == shape[1::-1]
        how = "turn it as the photo is turned" if turned else "scale it to the size of the photo"
        raise InputError(f"{path}: is {_size(mask.shape)} pixels, but {photo} is {_size(shape)} "
                         f"(upright); {how}")  # fmt: skip
    if not mask.any():
        raise InputError(f"{path}: marks no pixel; paint the visible part of the person in white")
    if mask.all():
        raise InputError(
            f"{path}: marks every pixel; only the visible part of the person may be white, the "
            "rest must be black"
        )
    return Visible(mask, f"mask {path.name}")


def parse_box(text: str, photo: Path, shape: tuple[int, ...]) -> Box:
    """A box "x,y,width,height" in pixels of the upright photo.

    Raises:
        InputError: no four numbers, nothing in it, or not within the photo.
    """
    try:
        left, top, width, height = (int(number) for number in text.split(","))
    except ValueError:
        raise InputError(
            f"--box {text}: is not x,y,width,height in whole pixels, such as 120,40,200,380"
        ) from None
    if width < 1 or height < 1:
        raise InputError(f"--box {text}: holds no pixel; width and height must be 1 or more")
    if left < 0 or top < 0 or left + width > shape[1] or top + height > shape[0]:
        raise InputError(
            f"--box {text}: reaches beyond {photo}, which is {_size(shape)} pixels (upright); "
            "give a box inside it"
        )
    return left, top, width, height


def from_box(photo: np.ndarray, box: Box, detector: "Detector | None" = None) -> Visible:
    """The person in a box around its visible part: the detection that fits, else GrabCut's guess.

    Args:
        photo: (H, W, 3) uint8 RGB.
        box: left, top, width, height.
        detector: None where there is no Mask R-CNN.

    Raises:
        InputError: the box shows nothing that could be told from what is around it.
    """
    words = ",".join(map(str, box))
    found = detector.people(photo) if detector is not None else []
    if found:
        best = max(found, key=lambda one: box_iou(one.box, box))
        if box_iou(best.box, box) >= LEAST_IOU:
            return Visible(best.mask, f"box {words}, {best.source}", guessed=True)
    try:
        return Visible(grab(photo, box), f"box {words}, GrabCut", guessed=True)
    except NothingFound as error:
        raise InputError(
            f"--box {words}: {error}; give a box with some background around the person, or --mask"
        ) from None


def from_detector(photo: np.ndarray, path: Path, detector: "Detector") -> list[Visible]:
    """Everybody that Mask R-CNN finds, the surest first.

    Raises:
        InputError: nobody.
    """
    found = detector.people(photo)
    if not found:
        raise InputError(
            f"{path}: nobody was found at a score of {detector.score:g} or more; lower --score, or "
            "give --mask or --box"
        )
    return [Visible(one.mask, one.source, guessed=True) for one in found]


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    both = max(wide, 0) * max(high, 0)
    return both / (one[2] * one[3] + other[2] * other[3] - both)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
