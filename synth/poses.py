"""One random pose of an occluder about a person: from below, aside, across, before a part ...

The kinds and their weights are ``Occlusion.placement``. A kind "part:NAME" lays the thickest spot
of the cut-out over a pixel of that part; what is placed before legs or feet stands on the ground.
"squares" is the draw of PCNet (Zhan et al., CVPR 2020, appendix and released code).
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate

import cv2
import numpy as np

from synth.occlusion_spec import Occlusion

Box = tuple[float, float, float, float]

_STANDING_PARTS = ("legs", "left-leg", "right-leg", "feet")
# How far below the feet such things end, and how low a part must reach, in heights of the person.
_IN_FRONT, _AT_THE_GROUND = 0.12, 0.85


@dataclass(frozen=True, slots=True)
class Pose:
    """A cut-out's box in pixels of the crop (left, top, width, height), and how it came about.

    ``spot`` is the point (x, y) of the person that it was laid over, where one was aimed at.
    """

    left: float
    top: float
    width: float
    height: float
    kind: str
    flip: bool
    spot: tuple[float, float] | None = None

    def pixels(self) -> tuple[int, int, int, int]:
        """The box in whole pixels: left, top, width, height; width and height at least 1."""
        left, top = round(self.left), round(self.top)
        return left, top, max(1, round(self.width)), max(1, round(self.height))

    def rescaled(self, factor: float, anchor: tuple[float, float]) -> "Pose":
        """The box grown by ``factor`` about a point (x, y) that stays where it is."""
        x, y = anchor
        return replace(
            self,
            left=x + (self.left - x) * factor,
            top=y + (self.top - y) * factor,
            width=self.width * factor,
            height=self.height * factor,
        )


@dataclass(frozen=True, eq=False)
class Site:
    """What poses are drawn about.

    Attributes:
        box: the person's (left, top, width, height) in the crop.
        side: of the crop, in pixels.
        ground: where the lower edge of a cut-out belongs that nobody would believe to float, such
            as another person; None for those that may be anywhere.
        spots: pixels (n, 2) of x and y, from the top down, of the parts that kinds "part:NAME"
            name, by kind; those of a part that is hidden already are missing.
    """

    box: Box
    side: int
    ground: float | None = None
    spots: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Shape:
    """A cut-out's outline for drawing poses: height over width, and its thickest spot.

    ``heart`` is that spot as fractions (x, y) of width and height.
    """

    aspect: float
    heart: tuple[float, float] = (0.5, 0.5)


def shape_of(alpha: np.ndarray, with_heart: bool = True) -> Shape:
    """The shape of an alpha (h, w) uint8; the heart is searched for only where it is wanted."""
    aspect = alpha.shape[0] / alpha.shape[1]
    if not with_heart:
        return Shape(aspect)
    padded = cv2.copyMakeBorder(alpha, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    depth = cv2.distanceTransform((padded >= 128).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return Shape(aspect, ((x + 0.5) / alpha.shape[1], (y + 0.5) / alpha.shape[0]))


@lru_cache(maxsize=64)
def _odds(weights: tuple[tuple[str, float], ...]) -> tuple[list[str], list[float]]:
    """Kinds, and where in [0, 1) each ends."""
    total = sum(weight for _, weight in weights)
    ends = [end / total for end in accumulate(weight for _, weight in weights)]
    return [kind for kind, _ in weights], ends


def _draw_kind(settings: Occlusion, site: Site, rng: np.random.Generator) -> str:
    if site.ground is not None:
        return "stand"
    kinds, ends = _odds(tuple(settings.placement.items()))
    kind = kinds[min(bisect_right(ends, rng.random()), len(kinds) - 1)]
    return "anywhere" if kind.startswith("part:") and kind not in site.spots else kind


def draw_pose(site: Site, shape: Shape, settings: Occlusion, rng: np.random.Generator) -> Pose:
    """One random pose.

    With a ground (a height in the crop, in pixels) the cut-out's lower edge rests there, its kind
    is "stand", and it is large: for things that nobody would believe to float, such as other
    people. Where nothing of a part is left to hide, "anywhere" takes the place of its kind.
    """
    kind = _draw_kind(settings, site, rng)
    if kind == "squares":
        return _draw_squares(site, shape, settings, rng)
    if kind.startswith("part:"):
        return _draw_before_part(kind, site, shape, settings, rng)
    left, top, person_width, person_height = site.box
    overlap = float(rng.uniform(*settings.overlap))
    flip, high_x, high_y = (bool(bit) for bit in rng.integers(0, 2, 3))
    width, height = _draw_size(kind, site.box, shape.aspect, settings, rng)
    along_x, along_y = _axis_overlaps(kind, overlap, rng)
    x = _axis(left, person_width, width, along_x, high_x, rng)
    y = _axis(top, person_height, height, along_y, kind == "below" or high_y, rng)
    return Pose(x, y if site.ground is None else site.ground - height, width, height, kind, flip)


def _draw_size(
    kind: str, box: Box, aspect: float, settings: Occlusion, rng: np.random.Generator
) -> tuple[float, float]:
    """Width and height; across a person means at least as wide as the person."""
    low, high = settings.scale
    if kind == "stand":
        low = max(low, 0.7 * high)
    side = max(box[2:]) * float(rng.uniform(low, high))
    width = side / max(1.0, aspect)
    if kind == "across":
        width = max(width, box[2] * float(rng.uniform(1.0, 1.4)))
    return width, width * aspect


def _axis_overlaps(kind: str, overlap: float, rng: np.random.Generator) -> tuple[float, float]:
    """Overlap along x and y, as fractions of the shorter side of the two boxes."""
    if kind == "below":
        return float(rng.uniform(0.5, 1.0)), overlap
    if kind in ("side", "stand"):
        return overlap, float(rng.uniform(0.6, 1.0))
    if kind == "across":
        return 1.0, overlap
    along_x = float(rng.uniform(overlap, 1.0))
    return along_x, min(1.0, overlap / max(along_x, 1e-6))


def _axis(
    start: float, length: float, size: float, overlap: float, high: bool, rng: np.random.Generator
) -> float:
    """Where an interval of ``size`` begins that covers ``overlap`` of the shorter of the two.

    It sticks out at the high or the low end of the person; one that overlaps fully may lie
    anywhere along the person.
    """
    common = overlap * min(length, size)
    if overlap >= 1.0:
        end = start + length - size
        return float(rng.uniform(min(start, end), max(start, end)))
    return start + length - common if high else start + common - size


def _draw_squares(site: Site, shape: Shape, settings: Occlusion, rng: np.random.Generator) -> Pose:
    """PCNet's draw: squares around occluder and person, equally large, share ``overlap``.

    The square of a box (w, h) has the side max(sqrt(3wh), 1.1w, 1.1h), that of the person is the
    crop; ``scale`` enlarges the occluder in its own. The offset along x is uniform where the
    overlap allows, that along y follows from both, its sign is drawn.
    """
    overlap = float(rng.uniform(*settings.overlap))
    along_x = float(rng.uniform(overlap - 1, 1 - overlap))
    along_y = 1 - overlap / (1 - abs(along_x)) if overlap > 0 else 1.0
    flip, up = (bool(bit) for bit in rng.integers(0, 2, 2))
    height, width = shape.aspect, 1.0
    square = max((3 * width * height) ** 0.5, 1.1 * width, 1.1 * height)
    unit = site.side * float(rng.uniform(*settings.scale)) / square
    width, height = width * unit, height * unit
    x = site.side * (0.5 + along_x) - width / 2
    y = site.side * (0.5 - along_y if up else 0.5 + along_y) - height / 2
    return Pose(x, y, width, height, "squares", flip)


def _draw_before_part(
    kind: str, site: Site, shape: Shape, settings: Occlusion, rng: np.random.Generator
) -> Pose:
    """The thickest spot over a pixel of the part; before legs and feet, on the ground instead.

    Unless these are up in the air.
    """
    pixels = site.spots[kind]
    x, y = (float(value) + 0.5 for value in pixels[int(rng.integers(len(pixels)))])
    flip = bool(rng.integers(2))
    width, height = _draw_size(kind, site.box, shape.aspect, settings, rng)
    across, down = shape.heart
    left = x - width * (1 - across if flip else across)
    _, top, _, tall = site.box
    upright = pixels[-1, 1] >= top + _AT_THE_GROUND * tall
    if upright and kind.removeprefix("part:") in _STANDING_PARTS:
        bottom = top + tall * (1 + float(rng.uniform(0, _IN_FRONT)))
        return Pose(left, bottom - height, width, height, kind, flip, (x, bottom))
    return Pose(left, y - height * down, width, height, kind, flip, (x, y))


def anchor(pose: Pose, box: Box) -> tuple[float, float]:
    """The point (x, y) that rescaling leaves in place: things that stand stay on their ground."""
    if pose.spot is not None:
        return pose.spot
    left, top, width, height = box
    x = (max(pose.left, left) + min(pose.left + pose.width, left + width)) / 2
    y = (max(pose.top, top) + min(pose.top + pose.height, top + height)) / 2
    if pose.kind in ("below", "side", "stand"):
        y = pose.top + pose.height
    return x, y
