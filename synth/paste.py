"""One occluder laid onto a scene: outline, colours, edge, and the mask of what it covers."""

from dataclasses import dataclass, replace

import numpy as np

from synth.blend import erode_outline, feather, harden, onto_canvas, paste, resize_cutout, tone
from synth.occlusion_spec import Occlusion
from synth.sources.base import Cutout

Frame = tuple[int, int, int, int]


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
    box: tuple[int, int, int, int],
    flip: bool,
    occlusion: Occlusion,
    rng: np.random.Generator,
) -> Canvas:
    """The scene with one more cut-out.

    Args:
        canvas: the scene so far.
        rgba: (h, w, 4) uint8, a prepared cut-out.
        box: (left, top, width, height) in pixels of the crop; it may reach beyond the frame.
        flip: mirror the cut-out first.
        occlusion: how to blend.
        rng: draws the change of tone.
    """
    left, top, width, height = box
    rgb, alpha = resize_cutout(rgba[:, ::-1] if flip else rgba, width, height)
    if occlusion.blend == "hard":
        alpha = harden(alpha)
    else:
        alpha = feather(alpha, coarse=occlusion.erode > 0)
    if occlusion.harmonise != "none":
        x, y, w, h = canvas.frame
        rgb = tone(rgb, alpha, canvas.clean[y : y + h, x : x + w].reshape(-1, 3), rng)
    layer = onto_canvas(rgb, alpha, left, top, canvas.image.shape[0], canvas.frame)
    return replace(
        canvas,
        image=paste(canvas.image, layer),
        occluder=canvas.occluder | (layer.alpha > 0),
    )
