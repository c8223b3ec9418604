"""What one sample is scored with: its truth, a prediction of it, and the rules of the comparison.

Words: `amodal` is the whole person, `modal` the visible part, `amodal & ~modal` the hidden part
("the hole"); `image` is the occluded photo, `clean` the same photo without the occluder.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from metrics.masks import Mask, check_masks
from metrics.pixels import Photo

RulesName = Literal["strict", "official"]
NAMES: tuple[RulesName, ...] = ("strict", "official")

PARSING_LABELS = 20  # LIP's, with the background as label 0


@dataclass(frozen=True)
class Rules:
    """Which pixels of the photos are compared; see the docstring of `metrics.protocol`.

    `border_band`: pixels on either side of the true amodal outline that no content score counts,
    for outlines known only roughly. ValueError for an unknown name or a negative band.
    """

    name: RulesName = "strict"
    border_band: int = 0

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"unknown rules {self.name!r}, known are {', '.join(NAMES)}")
        if self.border_band < 0:
            raise ValueError(f"the border band must be 0 pixels or more, got {self.border_band}")


STRICT = Rules()


@dataclass(frozen=True, eq=False)
class Truth:
    """One sample of a benchmark; what its track does not need may be None.

    Masks are (H, W) bool, photos (H, W, 3) uint8 RGB, all of one size. `hidden_share` is the
    hidden share of the amodal mask, in [0, 1]. `initial`, (H, W) uint8, bool or float in [0, 1],
    is the imperfect visible mask that methods of the full track are given. `parsing` holds LIP-20
    labels of the person, (H, W) uint8; `parts` body parts by name. Raises ValueError where a
    shape, type or range is another.
    """

    sample_id: str
    person_id: str
    hidden_share: float
    amodal: Mask
    modal: Mask
    initial: NDArray | None = None
    image: Photo | None = None
    clean: Photo | None = None
    parsing: NDArray[np.uint8] | None = None
    parts: Mapping[str, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_masks(amodal=self.amodal, modal=self.modal, **self.parts)
        if not 0 <= self.hidden_share <= 1:
            raise ValueError(f"the hidden share must lie in [0, 1], got {self.hidden_share}")
        if self.parsing is not None:
            check_parsing(self.parsing, self.amodal.shape)

    @property
    def hole(self) -> Mask:
        """The hidden part, (H, W) bool."""
        return self.amodal & ~self.modal


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method made of one sample; what its track does not need may be None.

    `mask`: the amodal mask, (H, W) uint8, bool or float in [0, 1] (mask and full tracks); `photo`:
    (H, W, 3) uint8 RGB (content and full tracks); `parsing`: (H, W) uint8 LIP-20 labels, scored on
    the mask and full tracks where the true ones are known.
    """

    mask: NDArray | None = None
    photo: Photo | None = None
    parsing: NDArray[np.uint8] | None = None


def check_parsing(parsing: NDArray, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the labels are uint8, of that (H, W) shape and below 20."""
    if parsing.shape != shape or parsing.dtype != np.uint8:
        raise ValueError(f"parsing must be {shape} uint8, got {parsing.shape} {parsing.dtype}")
    if parsing.size and parsing.max() >= PARSING_LABELS:
        raise ValueError(f"parsing must be below {PARSING_LABELS}, got {parsing.max()}")
