"""Who is whole: the checks that all readers of photos with masks share.

A reason says what is the matter with one person or thing; a reader counts those it leaves out.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from synth.sources.shapes import border_contact, dominance


class Limits(Protocol):
    """What a mask must keep to; see `synth.source_specs.Selection`."""

    @property
    def min_area(self) -> float: ...

    @property
    def max_border_contact(self) -> float: ...

    @property
    def min_piece(self) -> float: ...


@dataclass(frozen=True)
class AreaLimit:
    """Only the size counts, in pixels."""

    min_area: float
    max_border_contact: float = 1.0
    min_piece: float = 0.0


def shape_fault(mask: np.ndarray, limits: Limits) -> str | None:
    """Why a mask (H, W) bool shows nothing that is whole and large enough, or None."""
    return (
        area_fault(float(mask.sum()), limits.min_area)
        or edge_fault(mask, limits.max_border_contact)
        or piece_fault(mask, limits.min_piece)
    )


def area_fault(area: float, least: float) -> str | None:
    """Why a mask of ``area`` pixels is too small; at least one pixel is always needed."""
    return f"smaller than {least:g} px" if area < max(least, 1) else None


def edge_fault(mask: np.ndarray, most: float) -> str | None:
    """Whether more than a share ``most`` of the outline lies at the edge of the photo."""
    return "cut off by the edge of the photo" if border_contact(mask) > most else None


def piece_fault(mask: np.ndarray, least: float, joined: np.ndarray | None = None) -> str | None:
    """Whether the largest piece is less than a share ``least``; ``joined`` as in `main_piece`."""
    return "in several pieces" if dominance(mask, joined) < least else None


def hidden_between(thing: np.ndarray, body: np.ndarray) -> int:
    """Pixels of a thing that have the body above and below them: in front of it, not beside it."""
    above = np.logical_or.accumulate(body, axis=0)
    below = np.logical_or.accumulate(body[::-1], axis=0)[::-1]
    return int((above & below & thing).sum())
