"""The edge of the photo moved inwards, so that it cuts the person."""

from dataclasses import dataclass

import numpy as np

from synth.histogram import Aim
from synth.occlusion_spec import Occlusion
from synth.place import mask_box, photo_box
from synth.sources.base import PersonCrop

# Stands for the edge among the ids of the occluders, their classes and kinds of placement.
FRAME = "frame"
# Photos cut people off below far more often than at the side, and seldom above.
_ODDS = {"bottom": 0.6, "left": 0.16, "right": 0.16, "top": 0.08}
# Of the asked share, so that the occluders have something left to hide.
_MOST_OF_ASKED = 0.75


@dataclass(frozen=True, eq=False)
class Cut:
    """What the moved edge takes away.

    Attributes:
        side: "bottom", "left", "right" or "top".
        band: (S, S) bool, the part of the photo beyond the edge; black in ``image``.
        frame: (left, top, width, height) of what is left of the photo.
        share: share of the person in the band.
    """

    side: str
    band: np.ndarray
    frame: tuple[int, int, int, int]
    share: float


def draw_cut(
    person: PersonCrop, occlusion: Occlusion, aim: Aim, rng: np.random.Generator
) -> Cut | None:
    """A cut of one sample, or None: ``occlusion.truncate`` of the samples have one.

    It takes the drawn share of the person as near as whole rows or columns can, but at most three
    quarters of the asked share (of the upper end, where none is asked): the occluders add up to
    the rest. None too where the person is too small in pixels for such a band.
    """
    if rng.random() >= occlusion.truncate:
        return None
    side = str(rng.choice(list(_ODDS), p=list(_ODDS.values())))
    most = _MOST_OF_ASKED * (aim.high if aim.share is None else aim.share)
    low, high = occlusion.truncated
    share = float(rng.uniform(min(low, most), min(high, most)))
    return cut_at(person, side, share, most)


def cut_at(person: PersonCrop, side: str, share: float, most: float = 1.0) -> Cut | None:
    """The cut at one side that takes about ``share`` of the person, more than 0, at most ``most``.

    None where no whole row or column does.
    """
    upright = side in ("top", "bottom")
    counts = person.amodal.sum(axis=1 if upright else 0)
    from_end = side in ("bottom", "right")
    taken = np.cumsum(counts[::-1] if from_end else counts) / counts.sum()
    fits = np.flatnonzero((taken > 0) & (taken <= most))
    if not len(fits):
        return None
    depth = int(fits[np.argmin(np.abs(taken[fits] - share))]) + 1
    line = len(counts) - depth if from_end else depth
    kept = slice(0, line) if from_end else slice(line, None)
    left, top, width, height = photo_box(person.image)
    photo = person.amodal.copy()
    photo[top : top + height, left : left + width] = True
    rest = np.zeros_like(photo)
    box = (kept, slice(None)) if upright else (slice(None), kept)
    rest[box] = photo[box]
    return Cut(side, photo & ~rest, mask_box(rest), float(taken[depth - 1]))
