"""Where an occluder goes: draws of position and scale, steered to an asked hidden share.

The draws follow PCNet's placer (Zhan et al., CVPR 2020, appendix): the boxes of occluder and
person overlap by a uniform fraction, and a placement counts when the hidden share is in range.
Plain rejection gives mostly small shares, so each placement is steered towards a share drawn
beforehand: draws are tried on a small grid, and where they miss, the best one is rescaled.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from synth.occlusion_spec import Occlusion

KINDS = ("below", "side", "across", "anywhere")
_KIND_ODDS = (0.35, 0.3, 0.15, 0.2)
GRID = 96
_DRAWS_A_ROUND = 8
_BISECTIONS = 7
# Longest side over the person's longest side that rescaling may reach, whatever was drawn.
_SMALLEST, _LARGEST = 0.08, 2.0

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Pose:
    """A cut-out's box in pixels of the crop (left, top, width, height), and how it came about."""

    left: float
    top: float
    width: float
    height: float
    kind: str
    flip: bool

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


@dataclass(frozen=True)
class Found:
    """A pose, the share of the person then hidden (measured on the grid), and its cost."""

    pose: Pose
    share: float
    draws: int
    rescaled: bool


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Tight box (left, top, width, height) of a (H, W) bool mask; ValueError when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("the mask is empty")
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def photo_box(image: np.ndarray) -> tuple[int, int, int, int]:
    """The part (left, top, width, height) of a letterboxed (H, W, 3) crop that shows the photo."""
    lit = np.asarray(image.any(axis=2))
    return mask_box(lit) if lit.any() else (0, 0, image.shape[1], image.shape[0])


class Scene:
    """A person on a small grid, on which placements are measured quickly.

    Args:
        amodal: (S, S) bool, the whole person, not empty.
        hidden: (S, S) bool, what earlier occluders hide.
        frame: photo's box in the crop; nothing is pasted outside it.
    """

    def __init__(self, amodal: np.ndarray, hidden: np.ndarray, frame: tuple[int, int, int, int]):
        side = amodal.shape[0]
        grid = min(GRID, side)
        self._zoom = grid / side
        shrink = (grid, grid)
        small = cv2.resize(amodal.astype(np.float32), shrink, interpolation=cv2.INTER_AREA)
        shown = cv2.resize(
            (amodal & ~hidden).astype(np.float32), shrink, interpolation=cv2.INTER_AREA
        )
        shown[_outside(frame, self._zoom, grid)] = 0
        self._visible = shown
        self._whole = float(small.sum())
        self._before = float((amodal & hidden).sum() / amodal.sum())
        self.box: Box = mask_box(amodal)

    def share(self, pose: Pose, alpha: np.ndarray) -> float:
        """Hidden share in [0, 1] with a cut-out of ``alpha`` (h, w) uint8 placed at ``pose``."""
        z = self._zoom
        scaled = replace(
            pose, left=pose.left * z, top=pose.top * z, width=pose.width * z, height=pose.height * z
        )
        left, top, width, height = scaled.pixels()
        grid = self._visible.shape[0]
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, grid), min(top + height, grid)
        if x0 >= x1 or y0 >= y1:
            return self._before
        shape = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        if pose.flip:
            shape = shape[:, ::-1]
        covers = shape[y0 - top : y1 - top, x0 - left : x1 - left] >= 128
        return self._before + float(self._visible[y0:y1, x0:x1][covers].sum()) / self._whole


def _outside(frame: tuple[int, int, int, int], zoom: float, grid: int) -> np.ndarray:
    left, top, width, height = frame
    outside = np.ones((grid, grid), bool)
    rows = slice(int(top * zoom), int(np.ceil((top + height) * zoom)))
    outside[rows, int(left * zoom) : int(np.ceil((left + width) * zoom))] = False
    return outside


def find_pose(
    scene: Scene,
    alpha: np.ndarray,
    target: float,
    tolerance: float,
    settings: Occlusion,
    rng: np.random.Generator,
    ground: float | None = None,
) -> Found:
    """A pose that hides about ``target`` of the person, earlier occluders included.

    Draws poses, at most ``settings.tries``; after every few, the best of these is rescaled
    towards the target. The first within ``tolerance`` is taken, else the closest of all. A
    cut-out with a ``ground`` stands there: see ``draw_pose``.
    """
    shape = _grid_alpha(alpha)
    best: Found | None = None
    of_round: Found | None = None
    for draw in range(1, settings.tries + 1):
        pose = draw_pose(scene.box, alpha.shape[0] / alpha.shape[1], settings, rng, ground)
        of_round = _closer(of_round, Found(pose, scene.share(pose, shape), draw, False), target)
        if abs(of_round.share - target) > tolerance and draw % _DRAWS_A_ROUND == 0:
            of_round = _rescale(scene, shape, of_round, target, draw)
        best = _closer(best, of_round, target)
        if abs(best.share - target) <= tolerance:
            break
        if draw % _DRAWS_A_ROUND == 0:
            of_round = None
    assert best is not None  # tries >= 1
    return replace(best, draws=draw)


def _closer(best: Found | None, new: Found, target: float) -> Found:
    if best is None or abs(new.share - target) < abs(best.share - target):
        return new
    return best


def _grid_alpha(alpha: np.ndarray) -> np.ndarray:
    longest = max(alpha.shape)
    if longest <= GRID:
        return alpha
    height, width = (max(1, round(side * GRID / longest)) for side in alpha.shape)
    return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)


def _rescale(scene: Scene, shape: np.ndarray, best: Found, target: float, draw: int) -> Found:
    """Bisect the scale of a pose for the target share; growing hides more, as good as always."""
    pose, longest = best.pose, max(scene.box[2:])
    size = max(pose.width, pose.height) / longest
    low, high = _SMALLEST / size, max(_LARGEST / size, 1.0)
    anchor = _anchor(pose, scene.box)
    for _ in range(_BISECTIONS):
        factor = float(np.sqrt(low * high))
        trial = pose.rescaled(factor, anchor)
        share = scene.share(trial, shape)
        best = _closer(best, Found(trial, share, draw, True), target)
        low, high = (factor, high) if share < target else (low, factor)
    return best


def _anchor(pose: Pose, box: Box) -> tuple[float, float]:
    """The point that rescaling leaves in place: things that stand stay on their ground."""
    left, top, width, height = box
    x = (max(pose.left, left) + min(pose.left + pose.width, left + width)) / 2
    y = (max(pose.top, top) + min(pose.top + pose.height, top + height)) / 2
    if pose.kind in ("below", "side", "stand"):
        y = pose.top + pose.height
    return x, y


def draw_pose(
    box: Box,
    aspect: float,
    settings: Occlusion,
    rng: np.random.Generator,
    ground: float | None = None,
) -> Pose:
    """One random pose about a person's ``box``; ``aspect`` is the cut-out's height over width.

    With a ``ground`` (a height in the crop, in pixels) the cut-out's lower edge rests there, its
    kind is "stand", and it is large: for things that nobody would believe to float, such as
    other people.
    """
    left, top, person_width, person_height = box
    kind = "stand" if ground is not None else str(rng.choice(KINDS, p=_KIND_ODDS))
    overlap = float(rng.uniform(*settings.overlap))
    flip, high_x, high_y = (bool(bit) for bit in rng.integers(0, 2, 3))
    width, height = _draw_size(kind, max(box[2:]), person_width, aspect, settings, rng)
    along_x, along_y = _axis_overlaps(kind, overlap, rng)
    x = _axis(left, person_width, width, along_x, high_x, rng)
    y = _axis(top, person_height, height, along_y, kind == "below" or high_y, rng)
    return Pose(x, y if ground is None else ground - height, width, height, kind, flip)


def _draw_size(
    kind: str,
    longest: float,
    person_width: float,
    aspect: float,
    settings: Occlusion,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Width and height; across a person means at least as wide as the person."""
    low, high = settings.scale
    if kind == "stand":
        low = max(low, 0.7 * high)
    side = longest * float(rng.uniform(low, high))
    width = side / max(1.0, aspect)
    if kind == "across":
        width = max(width, person_width * float(rng.uniform(1.0, 1.4)))
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
