"""What is found out about one person of a photo."""

from dataclasses import dataclass

import numpy as np

from hdeocc.crops import Box, Square, person_box


@dataclass(frozen=True, eq=False)
class WholePerson:
    """One person of a photo of H x W pixels, with what is hidden; all in the photo's coordinates.

    Attributes:
        modal: the visible part as it was given, (H, W) bool.
        amodal: the whole person as far as it lies in the photo, (H, W) bool; contains ``modal``.
        probability: of being the person by stage 1, (H, W) float32 in [0, 1].
        parsing: LIP-20 label of every pixel of ``amodal``, (H, W) uint8, 0 outside; None where
            the mask method does not parse.
        recovered: the photo with the hidden part painted, (H, W, 3) uint8 RGB; equal to the photo
            wherever ``invisible`` is False.
        square: the crop that stages 1 and 2 saw last.
        beyond: share of the whole person that stage 1 sees beyond the edges of the photo and that
            is cut off, in [0, 1].
    """

    modal: np.ndarray
    amodal: np.ndarray
    probability: np.ndarray
    parsing: np.ndarray | None
    recovered: np.ndarray
    square: Square
    beyond: float

    @property
    def invisible(self) -> np.ndarray:
        """The hidden part, (H, W) bool."""
        return np.asarray(self.amodal & ~self.modal)

    @property
    def hidden_share(self) -> float:
        """Hidden area over whole area within the photo, in [0, 1)."""
        return 1 - float(self.modal.sum()) / float(self.amodal.sum())

    @property
    def box(self) -> Box:
        """Box (left, top, width, height) of ``amodal``."""
        return person_box(self.amodal)

    @property
    def cutout(self) -> np.ndarray:
        """The whole person alone, (h, w, 4) uint8 RGBA of the size of ``box``; black outside."""
        left, top, width, height = self.box
        here = slice(top, top + height), slice(left, left + width)
        inside = self.amodal[here][..., None]
        return np.concatenate([self.recovered[here] * inside, inside * np.uint8(255)], axis=2)
