"""A person hidden as asked: composites of one stage, with other occluders while these miss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.compose import Composite, Stage, compose
from synth.histogram import Aim
from synth.occlusion_spec import Occlusion
from synth.sources.base import Cutout
from synth.truncate import FRAME

_REDRAWS = 6
_CLOSE = 0.05  # a share this near the asked one is taken


@dataclass(frozen=True, eq=False)
class Occluders:
    """Cut-outs of one composite, back to front, and the "source:id" of each."""

    ids: tuple[str, ...]
    cutouts: tuple[Cutout, ...]


def occlude(
    stage: Stage,
    occlusion: Occlusion,
    aim: Aim,
    draw: Callable[[], Occluders],
    rng: np.random.Generator,
) -> tuple[Composite, Occluders]:
    """The first composite close to its aim, else the closest of a few, each with new occluders."""
    best: tuple[Composite, Occluders] | None = None
    for _ in range(_REDRAWS):
        occluders = draw()
        made = compose(stage, occluders.cutouts, occlusion, rng, aim)
        if best is None or made.miss < best[0].miss:
            best = made, occluders
        outside, off = best[0].miss
        if outside == 0 and off <= _CLOSE:
            break
    assert best is not None
    return best


def describe(stage: Stage, made: Composite, occluders: Occluders) -> dict[str, Any]:
    """The ``meta`` of a sample.

    "asked_share" is None where any share in "asked_range" will do; that range is there too where
    it is a bin of a declared histogram. "missed" is there, and true, only where the composite is
    outside its range or not in front of the part of the body that was named.
    """
    cut = [] if stage.cut is None else [{"category": FRAME}]
    things = [{"category": cutout.category, **cutout.meta} for cutout in occluders.cutouts]
    meta: dict[str, Any] = {
        "asked_share": None if made.aim.share is None else round(made.aim.share, 4),
        "person": stage.person.meta,
        "occluders": cut + things,
        "placements": made.placements,
    }
    if made.aim.declared:
        meta["asked_range"] = [made.aim.low, made.aim.high]
    if made.missed:
        meta["missed"] = True
    return meta
