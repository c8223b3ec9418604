"""Content recovery without learning: what a trained method must beat.

Every floor paints the hole ``amodal & ~modal`` of one picture at a time. None reads a pixel in
the hole: it is blanked before the floor sees the picture.
"""

from abc import abstractmethod
from typing import ClassVar

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from baselines.arrays import from_pictures, to_masks, to_pictures
from hdeocc.batch import Batch
from hdeocc.method import Method, Track

_GREY = np.full(3, 128, np.uint8)
# Pixels for which one biharmonic system is solved: a second and 0.3 GB on one core.
_BIHARMONIC_LIMIT = 65536
# A biharmonic equation reaches two pixels far.
_BIHARMONIC_REACH = 2


class ContentFloor(Method):
    """A floor paints numpy pictures; this class is the way from and to tensors."""

    track: ClassVar[Track] = "content"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})

    def predict(self, batch: Batch) -> Tensor:
        modal, amodal = to_masks(batch.modal), to_masks(batch.amodal)
        pictures = to_pictures(batch.image)
        trios = zip(pictures, modal, amodal & ~modal, strict=True)
        return from_pictures([self.recover(*trio) for trio in trios])

    def recover(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """The picture with its hole painted.

        Args:
            image: (H, W, 3) uint8 RGB.
            visible: the visible person, (H, W) bool.
            hole: what to paint, (H, W) bool, outside ``visible``; may be empty or everything.

        Returns:
            (H, W, 3) uint8, equal to ``image`` outside the hole.
        """
        if not hole.any():
            return image.copy()
        if hole.all():
            return np.broadcast_to(_GREY, image.shape).copy()
        blanked = np.where(hole[..., None], np.uint8(0), image)
        painted = self.paint(blanked, visible, hole)
        return np.where(hole[..., None], painted, image)

    @abstractmethod
    def paint(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """A picture (H, W, 3) uint8 of which only the hole counts.

        ``hole`` is neither empty nor the whole frame, and ``image`` is black in it.
        """


class PersonFloor(ContentFloor):
    """A floor that knows visible person pixels only; without any it paints the mean colour."""

    def paint(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        if not visible.any():
            return np.broadcast_to(mean_colour(image, ~hole), image.shape)
        return self.paint_person(image, visible, hole)

    @abstractmethod
    def paint_person(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """As :meth:`paint`, with at least one visible person pixel."""


class MeanColour(PersonFloor):
    """The mean visible person colour."""

    title: ClassVar[str] = "Mean visible colour"

    def paint_person(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return np.broadcast_to(mean_colour(image, visible), image.shape)


class NearestPersonPixel(PersonFloor):
    """The colour of the nearest visible person pixel (Euclidean distance)."""

    title: ClassVar[str] = "Nearest person pixel"

    def paint_person(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        rows, columns = distance_transform_edt(
            ~visible, return_distances=False, return_indices=True
        )
        return image[rows, columns]


class Biharmonic(ContentFloor):
    """The smoothest surface through everything around the hole (Damelin and Hoang, 2018)."""

    title: ClassVar[str] = "Biharmonic"

    def paint(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        painted = image.copy()
        box = bounding_box(hole, _BIHARMONIC_REACH)
        painted[box] = biharmonic(image[box], hole[box], _BIHARMONIC_LIMIT)
        return painted


class Telea(ContentFloor):
    """OpenCV's Telea over the whole picture, as a plain inpainter knows it: with background."""

    title: ClassVar[str] = "Telea"

    def paint(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        painted = image.copy()
        radius = telea_radius(image)
        box = bounding_box(hole, 2 * radius)
        painted[box] = telea(image[box], hole[box], radius)
        return painted


class TeleaPerson(PersonFloor):
    """Telea given person pixels only, so that neither background nor occluder bleeds in."""

    title: ClassVar[str] = "Telea, person only"

    def paint_person(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        painted = image.copy()
        radius = telea_radius(image)
        box = bounding_box(hole | visible, 1)
        painted[box] = telea(image[box], ~visible[box], radius)
        return painted


def mean_colour(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Mean colour (3,) uint8 of an (H, W, 3) picture over a non-empty (H, W) mask."""
    return image[where].mean(axis=0).round().astype(np.uint8)


def bounding_box(mask: np.ndarray, margin: int) -> tuple[slice, slice]:
    """Rows and columns of a non-empty (H, W) mask, grown by ``margin`` within the frame."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(0, rows[0] - margin), rows[-1] + 1 + margin),
        slice(max(0, columns[0] - margin), columns[-1] + 1 + margin),
    )


def telea_radius(image: np.ndarray) -> int:
    """Neighbourhood of Telea's method in pixels: 4 at 128 px, in proportion, at least 3."""
    return max(3, round(image.shape[0] / 32))


def telea(image: np.ndarray, unknown: np.ndarray, radius: int) -> np.ndarray:
    """Telea's fast-marching inpainting of ``unknown`` (H, W) bool in an RGB uint8 picture.

    Computed with 16 bits a channel: OpenCV rounds every painted pixel and paints on from it, which
    at 8 bits brightens a flat colour by 20 levels over 120 pixels.
    """
    deep = np.where(unknown[..., None], np.uint8(0), image).astype(np.uint16) * 257
    mask = unknown.astype(np.uint8)
    channels = [cv2.inpaint(c, mask, radius, cv2.INPAINT_TELEA) for c in cv2.split(deep)]
    return (cv2.merge(channels) / 257).round().astype(np.uint8)


def biharmonic(image: np.ndarray, hole: np.ndarray, limit: int) -> np.ndarray:
    """Biharmonic inpainting of an (H, W, 3) uint8 picture.

    A hole of more than ``limit`` pixels is solved on a picture reduced until it fits, then
    enlarged: memory and time grow with the hole, its detail does not.
    """
    factor = int(np.ceil(np.sqrt(hole.sum() / limit)))
    colours = image.astype(np.float64) / 255
    if factor > 1:
        colours, solved = _reduced(colours, ~hole, factor)
    else:
        solved = hole
    painted = inpaint_biharmonic(colours, solved, channel_axis=-1)
    if factor > 1:
        height, width = hole.shape
        # Every block at its place: those at the far edges hang over, as they did when padded.
        rows, columns = (side * factor for side in solved.shape)
        painted = cv2.resize(painted, (columns, rows), interpolation=cv2.INTER_CUBIC)
        painted = painted[:height, :width]
    return (painted * 255).round().clip(0, 255).astype(np.uint8)


def _reduced(colours: np.ndarray, known: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of the known pixels of each block, and which blocks have none."""
    height, width = known.shape
    pad = ((0, -height % factor), (0, -width % factor))
    weights = np.pad(known, pad).astype(np.float64)[..., None]
    sums = np.pad(colours, (*pad, (0, 0))) * weights
    blocks = [_block_sums(array, factor) for array in (sums, weights)]
    empty = blocks[1][..., 0] == 0
    return blocks[0] / np.maximum(blocks[1], 1), empty


def _block_sums(array: np.ndarray, factor: int) -> np.ndarray:
    height, width, channels = array.shape
    blocks = array.reshape(height // factor, factor, width // factor, factor, channels)
    return blocks.sum(axis=(1, 3))
