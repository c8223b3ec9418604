"""One occlusion: cut-outs placed over a whole person, with the truth kept beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synth.occlusion_spec import Occlusion
from synth.paste import Canvas, lay, prepare
from synth.place import Found, Scene, find_pose, mask_box, photo_box
from synth.sources.base import Cutout, PersonCrop

_ROUNDS = 4
_WIDE_FOOT = 0.45
# How far from the asked share a placement may end, absolute and relative to what it should add.
_TOLERANCE, _OF_THE_STEP = 0.02, 0.25


@dataclass(frozen=True, eq=False)
class Composite:
    """An occluded person and its truth; see ``synth.sample`` for the words.

    Attributes:
        image, clean: (S, S, 3) uint8; equal wherever ``occluder`` is False.
        amodal, modal, occluder: (S, S) bool.
        asked, got: the hidden share in [0, 1] that was drawn, and that was reached.
        placements: one JSON-able dict a cut-out: kind, box, share after it, draws, rescaled.
    """

    image: np.ndarray
    clean: np.ndarray
    amodal: np.ndarray
    modal: np.ndarray
    occluder: np.ndarray
    asked: float
    got: float
    placements: list[dict[str, Any]]

    def miss(self, hidden: tuple[float, float]) -> tuple[float, float]:
        """How far the share lies outside a range, and off the asked share; less is better."""
        outside = max(hidden[0] - self.got, self.got - hidden[1], 0.0) if self.got > 0 else 1.0
        return outside, abs(self.got - self.asked)


def compose(
    person: PersonCrop,
    cutouts: Sequence[Cutout],
    occlusion: Occlusion,
    rng: np.random.Generator,
    asked: float | None = None,
) -> Composite:
    """Place all ``cutouts``, back to front, so that together they hide the asked share.

    ``asked`` is drawn uniformly from ``occlusion.hidden`` unless given; the cut-outs split it at
    random. A composite outside that range is tried anew; after that the closest one is returned
    (a fence can never hide half a person), so a caller that must have the range asks ``miss``.

    Raises:
        ValueError: no cut-outs, or an empty person.
    """
    if not cutouts:
        raise ValueError("compose needs at least one cut-out")
    share = float(rng.uniform(*occlusion.hidden_range)) if asked is None else asked
    ready = [prepare(cutout, occlusion) for cutout in cutouts]
    best: Composite | None = None
    correction = 0.0  # the grid that poses are measured on errs a little, mostly the same way
    for _ in range(_ROUNDS):
        new = _attempt(person, ready, share, correction, occlusion, rng)
        correction += share - new.got
        if best is None or new.miss(occlusion.hidden_range) < best.miss(occlusion.hidden_range):
            best = new
        if best.miss(occlusion.hidden_range)[0] == 0:
            break
    assert best is not None
    return best


def _attempt(
    person: PersonCrop,
    ready: Sequence[Cutout],
    asked: float,
    correction: float,
    occlusion: Occlusion,
    rng: np.random.Generator,
) -> Composite:
    aim = min(max(asked + correction, 0.0), 1.0)
    amodal, frame = person.amodal, photo_box(person.image)
    nothing = np.zeros_like(amodal)
    canvas = Canvas(person.image, person.image, nothing, amodal, frame)
    placements = []
    for cutout, target in zip(ready, _targets(aim, len(ready), rng), strict=True):
        # Blended pixels show neither person nor occluder: they count as hidden.
        hidden = amodal & canvas.occluder
        scene = Scene(amodal, hidden, frame)
        step = target - float(hidden.sum() / amodal.sum())
        tolerance = min(_TOLERANCE, _OF_THE_STEP * max(step, 0.02))
        alpha = cutout.rgba[..., 3]
        ground = _ground(cutout, amodal, frame, rng)
        found = find_pose(scene, alpha, target, tolerance, occlusion, rng, ground)
        canvas = lay(canvas, cutout.rgba, found.pose.pixels(), found.pose.flip, occlusion, rng)
        placements.append(_note(found, _share(canvas)))
    return Composite(
        image=canvas.image,
        clean=canvas.clean,
        amodal=amodal,
        modal=amodal & ~canvas.occluder,
        occluder=canvas.occluder,
        asked=asked,
        got=_share(canvas),
        placements=placements,
    )


def _share(canvas: Canvas) -> float:
    """Hidden area over whole area."""
    return float((canvas.amodal & canvas.occluder).sum() / canvas.amodal.sum())


def _ground(
    cutout: Cutout,
    amodal: np.ndarray,
    frame: tuple[int, int, int, int],
    rng: np.random.Generator,
) -> float | None:
    """Where another person's lower edge belongs; None for things, which may be anywhere.

    Whoever has feet stands about where the person stands; whoever was cut off by the edge of a
    photo (a wide lower edge) is cut off by the edge of this one too.
    """
    if cutout.category != "person":
        return None
    lowest = cutout.rgba[-2:, :, 3].max(axis=0) >= 128
    if lowest.mean() > _WIDE_FOOT:
        return float(frame[1] + frame[3] + rng.uniform(0, 0.05) * frame[3])
    _, top, _, height = mask_box(amodal)
    return top + height * float(rng.uniform(0.97, 1.2))


def _targets(aim: float, count: int, rng: np.random.Generator) -> list[float]:
    """Rising shares after each cut-out, the last one ``aim``; none adds next to nothing."""
    steps = rng.uniform(0.5, 1.5, count)
    return [float(share) for share in aim * np.cumsum(steps) / steps.sum()]


def _note(found: Found, share: float) -> dict[str, Any]:
    return {
        "kind": found.pose.kind,
        "box": list(found.pose.pixels()),
        "flip": found.pose.flip,
        "share_after": round(share, 4),
        "draws": found.draws,
        "rescaled": found.rescaled,
    }
