"""One occlusion: cut-outs placed over a whole person, with the truth kept beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.histogram import Aim, draw_aim
from synth.occlusion_spec import Occlusion
from synth.parts import Region, part_region
from synth.paste import Canvas, lay, prepare
from synth.place import UNFOCUSED, Found, Scene, find_pose, mask_box, photo_box
from synth.sources.base import Cutout, PersonCrop
from synth.truncate import FRAME, Cut

_ROUNDS = 4
_WIDE_FOOT = 0.45
# How far from the asked share a placement may end: absolute, and relative to what it should add
# and to the width of the range that counts.
_TOLERANCE, _OF_THE_STEP, _OF_THE_RANGE = 0.02, 0.25, 0.25
# What each occluder of several must add where no share is asked.
_LEAST_STEP = 0.001


@dataclass(frozen=True, eq=False)
class Stage:
    """A person before any occluder.

    Attributes:
        cut: where the edge of the photo cuts the person, if it does.
        regions: the parts of the body that occluders are placed before, by kind of placement.
    """

    person: PersonCrop
    cut: Cut | None = None
    regions: Mapping[str, Region] = field(default_factory=dict)

    def canvas(self) -> Canvas:
        """The scene that occluders are laid onto: black beyond a cut, which hides like one."""
        person, nothing = self.person, np.zeros_like(self.person.amodal)
        if self.cut is None:
            frame = photo_box(person.image)
            return Canvas(person.image, person.image, nothing, person.amodal, frame)
        image = np.where(self.cut.band[..., None], np.uint8(0), person.image)
        return Canvas(image, person.image, self.cut.band, person.amodal, self.cut.frame)


def set_stage(person: PersonCrop, occlusion: Occlusion, cut: Cut | None = None) -> Stage:
    """The stage of a person, with the regions of the parts that ``occlusion`` names."""
    kinds = [kind for kind in occlusion.placement if kind.startswith("part:")]
    regions = {kind: part_region(person, kind.removeprefix("part:")) for kind in kinds}
    return Stage(person, cut, regions)


@dataclass(frozen=True, eq=False)
class Composite:
    """An occluded person and its truth; see ``synth.sample`` for the words.

    Attributes:
        image, clean: (S, S, 3) uint8; equal wherever ``occluder`` is False.
        amodal, modal, occluder: (S, S) bool.
        aim: the hidden share that was asked, and the range that counts.
        got: the hidden share in [0, 1] that was reached.
        placements: one JSON-able dict a cut-out: kind, box, share after it, draws, rescaled; in
            front of a part also how that was found and how much of it is hidden then. A cut by
            the edge of the photo comes first, its kind is "frame".
        focused: False where an occluder before a part hides too much of the rest.
    """

    image: np.ndarray
    clean: np.ndarray
    amodal: np.ndarray
    modal: np.ndarray
    occluder: np.ndarray
    aim: Aim
    got: float
    placements: list[dict[str, Any]]
    focused: bool = True

    @property
    def miss(self) -> tuple[float, float]:
        """How far the share lies outside its range, and off the asked share; less is better."""
        outside, off = self.aim.miss(self.got)
        return outside + (0.0 if self.focused else UNFOCUSED), off

    @property
    def missed(self) -> bool:
        """Whether the range, or the part of the body, was not reached."""
        return self.miss[0] > 0


def compose(
    stage: Stage | PersonCrop,
    cutouts: Sequence[Cutout],
    occlusion: Occlusion,
    rng: np.random.Generator,
    aim: Aim | None = None,
) -> Composite:
    """Place all ``cutouts``, back to front, so that together they hide the asked share.

    The aim is drawn from ``occlusion.hidden`` unless given; the cut-outs split it at random,
    after what a cut of the stage hides already. A composite outside its range is tried anew;
    after that the closest one is returned (a fence can never hide half a person), and says so in
    ``missed``.

    Raises:
        ValueError: no cut-outs, or an empty person.
    """
    if not cutouts:
        raise ValueError("compose needs at least one cut-out")
    if isinstance(stage, PersonCrop):
        stage = set_stage(stage, occlusion)
    aim = draw_aim(occlusion, rng) if aim is None else aim
    ready = [prepare(cutout, occlusion) for cutout in cutouts]
    start = stage.canvas()
    best: Composite | None = None
    correction = 0.0  # the grid that poses are measured on errs a little, mostly the same way
    for _ in range(_ROUNDS):
        new = _attempt(stage, start, ready, aim, correction, occlusion, rng)
        correction += 0.0 if aim.share is None else aim.share - new.got
        if best is None or new.miss < best.miss:
            best = new
        if not best.missed:
            break
    assert best is not None
    return best


def _attempt(
    stage: Stage,
    canvas: Canvas,
    ready: Sequence[Cutout],
    aim: Aim,
    correction: float,
    occlusion: Occlusion,
    rng: np.random.Generator,
) -> Composite:
    amodal = canvas.amodal
    parts = {kind: region.mask for kind, region in stage.regions.items()}
    placements = [] if stage.cut is None else [_cut_note(stage.cut)]
    targets = _targets(aim, correction, _share(canvas), len(ready), rng)
    focused = True
    for cutout, share in zip(ready, targets, strict=True):
        # Blended pixels show neither person nor occluder: they count as hidden.
        scene = Scene(amodal, amodal & canvas.occluder, canvas.frame, parts)
        target, tolerance = _goal(aim, share, _share(canvas))
        ground = _ground(cutout, amodal, canvas.frame, occlusion, rng)
        alpha = cutout.rgba[..., 3]
        found = find_pose(scene, alpha, target, tolerance, occlusion, rng, ground)
        canvas = lay(canvas, cutout.rgba, found.pose.pixels(), found.pose.flip, occlusion, rng)
        placements.append(_note(found, canvas, stage.regions))
        focused &= found.focused
    return Composite(
        image=canvas.image,
        clean=canvas.clean,
        amodal=amodal,
        modal=amodal & ~canvas.occluder,
        occluder=canvas.occluder,
        aim=aim,
        got=_share(canvas),
        placements=placements,
        focused=focused,
    )


def _share(canvas: Canvas) -> float:
    """Hidden area over whole area."""
    return float((canvas.amodal & canvas.occluder).sum() / canvas.amodal.sum())


def _ground(
    cutout: Cutout,
    amodal: np.ndarray,
    frame: tuple[int, int, int, int],
    occlusion: Occlusion,
    rng: np.random.Generator,
) -> float | None:
    """Where another person's lower edge belongs; None for things, which may be anywhere.

    Whoever has feet stands about where the person stands; whoever was cut off by the edge of a
    photo (a wide lower edge) is cut off by the edge of this one too. PCNet's draw has no ground.
    """
    if cutout.category != "person" or set(occlusion.placement) == {"squares"}:
        return None
    lowest = cutout.rgba[-2:, :, 3].max(axis=0) >= 128
    if lowest.mean() > _WIDE_FOOT:
        return float(frame[1] + frame[3] + rng.uniform(0, 0.05) * frame[3])
    _, top, _, height = mask_box(amodal)
    return top + height * float(rng.uniform(0.97, 1.2))


def _targets(
    aim: Aim, correction: float, before: float, count: int, rng: np.random.Generator
) -> list[float]:
    """Rising shares after each cut-out, the last one the aim; none adds next to nothing.

    Where no share is asked they are the most that may be hidden then, in equal steps.
    """
    if aim.share is None:
        # The last is the aim itself: high * count / count may differ from it in the last bit.
        return [*(aim.high * number / count for number in range(1, count)), aim.high]
    last = min(max(aim.share + correction, 0.0), 1.0)
    steps = rng.uniform(0.5, 1.5, count)
    return [float(s) for s in before + max(last - before, 0.0) * np.cumsum(steps) / steps.sum()]


def _goal(aim: Aim, target: float, now: float) -> tuple[float, float]:
    """The share to search for after one more cut-out, and how far off it may be."""
    if aim.share is not None:
        step = _OF_THE_STEP * max(target - now, 0.02)
        return target, min(_TOLERANCE, step, _OF_THE_RANGE * (aim.high - aim.low))
    least = aim.low if target == aim.high else 0.0
    low = min(max(least, now + _LEAST_STEP), target)
    return (low + target) / 2, (target - low) / 2


def _note(found: Found, canvas: Canvas, regions: Mapping[str, Region]) -> dict[str, Any]:
    note = {
        "kind": found.pose.kind,
        "box": list(found.pose.pixels()),
        "flip": found.pose.flip,
        "share_after": round(_share(canvas), 4),
        "draws": found.draws,
        "rescaled": found.rescaled,
    }
    region = regions.get(found.pose.kind)
    if region is not None:
        note["part_from"] = region.known_from
        hidden = float((region.mask & canvas.occluder).sum() / region.mask.sum())
        note["part_hidden"] = round(hidden, 4)
    return note


def _cut_note(cut: Cut) -> dict[str, Any]:
    box = list(mask_box(cut.band))
    return {"kind": FRAME, "box": box, "side": cut.side, "share_after": round(cut.share, 4)}
