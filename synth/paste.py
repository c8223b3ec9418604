"""One occluder laid onto a scene: outline, colours, edge, and the mask of what it covers."""

from dataclasses import dataclass, replace

import numpy as np

from synth.blend.colour import match_colours, tone
from synth.blend.edges import erode_outline, feather, harden, resize_cutout
from synth.blend.grain import match_grain
from synth.blend.layer import Frame, Layer, covered, onto_canvas, paste
from synth.blend.poisson import adapt
from synth.blend.shadow import contact_shadow, darken
from synth.occlusion_spec import Occlusion
from synth.sources.base import Cutout

# How much of the scene around a cut-out's box counts as its surroundings, in sides of the box.
_AROUND = 0.5

Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Canvas:
    """A scene that occluders are laid onto, one after the other.

    Attributes:
        image: (S, S, 3) uint8, with the occluders laid so far.
        clean: (S, S, 3) uint8, without them but under the same light (shadows included).
        occluder: (S, S) bool, union of the occluders; elsewhere image and clean are equal.
        amodal: (S, S) bool, the whole person.
        frame: (left, top, width, height) of the photo in the crop; nothing is laid outside it.
    """

    image: np.ndarray
    clean: np.ndarray
    occluder: np.ndarray
    amodal: np.ndarray
    frame: Frame


def prepare(cutout: Cutout, occlusion: Occlusion) -> Cutout:
    """The cut-out as it is to be laid: a coarse outline is cut back unless blending is hard."""
    if occlusion.blend == "hard" or not occlusion.erode:
        return cutout
    return replace(cutout, rgba=erode_outline(cutout.rgba, occlusion.erode))


def lay(
    canvas: Canvas,
    rgba: np.ndarray,
    box: Box,
    flip: bool,
    occlusion: Occlusion,
    rng: np.random.Generator,
) -> Canvas:
    """The scene with one more cut-out.

    ``hard`` blending pastes as it is: "mild", the usual harmonising, does nothing to it; "full"
    must be asked for.

    Args:
        canvas: the scene so far.
        rgba: (h, w, 4) uint8, a prepared cut-out.
        box: (left, top, width, height) in pixels of the crop; it may reach beyond the frame.
        flip: mirror the cut-out first.
        occlusion: how to blend.
        rng: draws the change of tone, the noise and the shadow, as far as they are asked for.
    """
    left, top, width, height = box
    rgb, alpha = resize_cutout(rgba[:, ::-1] if flip else rgba, width, height)
    if occlusion.blend == "hard":
        alpha = harden(alpha)
    else:
        alpha = feather(alpha, coarse=occlusion.erode > 0)
    rgb = _harmonised(rgb, alpha, canvas, box, occlusion, rng)
    layer = onto_canvas(rgb, alpha, left, top, canvas.image.shape[0], canvas.frame)
    if occlusion.shadow > 0:
        canvas = _shaded(canvas, layer, occlusion.shadow, rng)
    if occlusion.blend == "poisson":
        layer = adapt(layer, canvas.image, canvas.frame)
    return replace(
        canvas,
        image=paste(canvas.image, layer),
        occluder=canvas.occluder | covered(layer, canvas.image.shape[0]),
    )


def _harmonised(
    rgb: np.ndarray,
    alpha: np.ndarray,
    canvas: Canvas,
    box: Box,
    occlusion: Occlusion,
    rng: np.random.Generator,
) -> np.ndarray:
    if occlusion.harmonise == "full":
        around = _surroundings(canvas, box)
        return match_grain(match_colours(rgb, alpha, around, rng), alpha, around, rng)
    if occlusion.harmonise == "mild" and occlusion.blend != "hard":
        x, y, w, h = canvas.frame
        return tone(rgb, alpha, canvas.clean[y : y + h, x : x + w], rng)
    return rgb


def _surroundings(canvas: Canvas, box: Box) -> np.ndarray:
    """The clean scene in and around a box; empty where the box lies far outside the photo."""
    left, top, width, height = box
    x, y, w, h = canvas.frame
    more_x, more_y = round(_AROUND * width), round(_AROUND * height)
    rows = slice(max(top - more_y, y), max(min(top + height + more_y, y + h), 0))
    columns = slice(max(left - more_x, x), max(min(left + width + more_x, x + w), 0))
    return canvas.clean[rows, columns]


def _shaded(canvas: Canvas, layer: Layer, strength: float, rng: np.random.Generator) -> Canvas:
    light = contact_shadow(layer, canvas.amodal, canvas.frame, strength, rng)
    image, clean = darken(canvas.image, light), darken(canvas.clean, light)
    return replace(canvas, image=image, clean=clean)
