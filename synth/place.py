"""Where an occluder goes: draws of position and scale, steered to an asked hidden share.

The draws follow PCNet's placer (Zhan et al., CVPR 2020, appendix): the boxes of occluder and
person overlap by a uniform fraction, and a placement counts when the hidden share is in range.
Plain rejection gives mostly small shares, so each placement is steered towards a share drawn
beforehand: draws are tried on a small grid, and where they miss, the best one is rescaled. A
recipe with ``reach = "reject"`` asks for plain rejection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from synth.occlusion_spec import Occlusion
from synth.poses import Box, Pose, Site, anchor, draw_pose, shape_of

GRID = 96
_DRAWS_A_ROUND = 8
_BISECTIONS = 7
# Longest side over the person's longest side that rescaling may reach, whatever was drawn.
_SMALLEST, _LARGEST = 0.08, 2.0
# Hidden share of a part over that of the rest before an occluder counts as in front of the part,
# or this much of what the share to hide allows.
_FOCUS, _OF_POSSIBLE = 3.0, 0.5
# How much of the share a composite may be off rather than not be in front of its part.
UNFOCUSED = 0.1
# A part of which less than this is still seen is no target any more.
_SEEN = 0.1


@dataclass(frozen=True)
class Found:
    """A pose, the share of the person then hidden (measured on the grid), and its cost.

    ``focused`` is False where a pose before a part hides too much of the rest.
    """

    pose: Pose
    share: float
    draws: int
    rescaled: bool
    focused: bool = True


def mask_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Tight box (left, top, width, height) of a (H, W) bool mask; ValueError when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise ValueError("the mask is empty")
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def photo_box(image: np.ndarray) -> tuple[int, int, int, int]:
    """The part (left, top, width, height) of a letterboxed (H, W, 3) crop that shows the photo."""
    lit = cv2.bitwise_not(cv2.inRange(image, (0, 0, 0), (0, 0, 0)))
    left, top, width, height = cv2.boundingRect(lit)
    return (left, top, width, height) if width else (0, 0, image.shape[1], image.shape[0])


class Scene:
    """A person on a small grid, on which placements are measured quickly.

    Args:
        amodal: (S, S) bool, the whole person, not empty.
        hidden: (S, S) bool, what earlier occluders hide.
        frame: photo's box in the crop; nothing is pasted outside it.
        parts: (S, S) bool by kind of placement, where some are in front of parts of the body.
    """

    def __init__(
        self,
        amodal: np.ndarray,
        hidden: np.ndarray,
        frame: tuple[int, int, int, int],
        parts: Mapping[str, np.ndarray] | None = None,
    ):
        self.side = amodal.shape[0]
        grid = min(GRID, self.side)
        self._zoom = grid / self.side
        seen = amodal & ~hidden
        self._visible = _on_grid(seen, grid)
        self._visible[_outside(frame, self._zoom, grid)] = 0
        self._whole = float(_on_grid(amodal, grid).sum())
        self._before = float((amodal & hidden).sum() / amodal.sum())
        self.box: Box = mask_box(amodal)
        # Of each part that can be seen: its share of the whole, and what is visible of it.
        self._parts: dict[str, tuple[float, np.ndarray]] = {}
        self.spots: dict[str, np.ndarray] = {}
        for kind, mask in (parts or {}).items():
            left = mask & seen
            if left.sum() > _SEEN * mask.sum():
                share = float(mask.sum() / amodal.sum())
                self._parts[kind] = share, np.minimum(_on_grid(left, grid), self._visible)
                self.spots[kind] = np.argwhere(left)[:, ::-1]

    def share(self, pose: Pose, alpha: np.ndarray) -> float:
        """Hidden share in [0, 1] with a cut-out of ``alpha`` (h, w) uint8 placed at ``pose``."""
        found = self._cover(pose, alpha)
        if found is None:
            return self._before
        box, covers = found
        return self._before + float(self._visible[box][covers].sum()) / self._whole

    def is_focused(self, pose: Pose, alpha: np.ndarray) -> bool:
        """Whether a pose before a part hides clearly more of it than of the rest.

        That is three times the share, or half as much more as could be with so much hidden.
        """
        found = self._cover(pose, alpha)
        if found is None:
            return False
        whole, seen = self._parts[pose.kind]
        box, covers = found
        added = float(self._visible[box][covers].sum()) / self._whole
        of_part = float(seen[box][covers].sum()) / self._whole
        most = min(added, float(seen.sum()) / self._whole)
        # Shares of part and rest, compared without dividing by a rest that may be nothing.
        rest, least_rest = (added - of_part) * whole, (added - most) * whole
        possible = most * (1 - whole) / max(least_rest, 1e-9)
        enough = min(_FOCUS, _OF_POSSIBLE * possible) * rest
        return of_part > 0 and of_part * (1 - whole) >= enough

    def _cover(
        self, pose: Pose, alpha: np.ndarray
    ) -> tuple[tuple[slice, slice], np.ndarray] | None:
        """Where on the grid a cut-out lies, and which cells there it covers (bool)."""
        z = self._zoom
        left, top = round(pose.left * z), round(pose.top * z)
        width, height = max(1, round(pose.width * z)), max(1, round(pose.height * z))
        grid = self._visible.shape[0]
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, grid), min(top + height, grid)
        if x0 >= x1 or y0 >= y1:
            return None
        shape = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        if pose.flip:
            shape = shape[:, ::-1]
        box = (slice(y0, y1), slice(x0, x1))
        return box, shape[y0 - top : y1 - top, x0 - left : x1 - left] >= 128


def _on_grid(mask: np.ndarray, grid: int) -> np.ndarray:
    """How much of each cell of a (grid, grid) float32 a (S, S) bool mask covers."""
    return cv2.resize(mask.astype(np.float32), (grid, grid), interpolation=cv2.INTER_AREA)


def _outside(frame: tuple[int, int, int, int], zoom: float, grid: int) -> np.ndarray:
    left, top, width, height = frame
    outside = np.ones((grid, grid), bool)
    rows = slice(int(top * zoom), int(np.ceil((top + height) * zoom)))
    outside[rows, int(left * zoom) : int(np.ceil((left + width) * zoom))] = False
    return outside


@dataclass(frozen=True, eq=False)
class _Search:
    """What one search for a pose holds on to: the scene, the outline on its grid, the aim."""

    scene: Scene
    alpha: np.ndarray
    target: float
    tolerance: float

    def measured(self, pose: Pose, draw: int, rescaled: bool) -> Found:
        share = self.scene.share(pose, self.alpha)
        aimed = pose.spot is not None
        focused = not aimed or self.scene.is_focused(pose, self.alpha)
        return Found(pose, share, draw, rescaled, focused)

    def closer(self, best: Found | None, new: Found) -> Found:
        if best is None or self.off(new) < self.off(best):
            return new
        return best

    def off(self, found: Found) -> float:
        """How far off the target, and more where it is not focused."""
        return abs(found.share - self.target) + (0.0 if found.focused else UNFOCUSED)

    def is_good(self, found: Found) -> bool:
        """Whether the search may end with this pose."""
        return found.focused and abs(found.share - self.target) <= self.tolerance


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
    towards the target, unless ``settings.reach`` is "reject". The first within ``tolerance`` is
    taken, else the closest of all. A cut-out with a ``ground`` stands there: see ``draw_pose``.
    """
    search = _Search(scene, _grid_alpha(alpha), target, tolerance)
    site = Site(scene.box, scene.side, ground, scene.spots)
    shape = shape_of(alpha, with_heart=bool(scene.spots))
    steer = settings.reach == "steer"
    best: Found | None = None
    of_round: Found | None = None
    for draw in range(1, settings.tries + 1):
        pose = draw_pose(site, shape, settings, rng)
        of_round = search.closer(of_round, search.measured(pose, draw, False))
        # A last round that ends early is not steered, unless it is the only one.
        whole = draw % _DRAWS_A_ROUND == 0 or draw == settings.tries < _DRAWS_A_ROUND
        if steer and whole and not search.is_good(of_round):
            of_round = _rescale(search, of_round, draw)
        best = search.closer(best, of_round)
        if search.is_good(best):
            break
        if draw % _DRAWS_A_ROUND == 0:
            of_round = None
    assert best is not None  # tries >= 1
    return replace(best, draws=draw)


def _grid_alpha(alpha: np.ndarray) -> np.ndarray:
    longest = max(alpha.shape)
    if longest <= GRID:
        return alpha
    height, width = (max(1, round(side * GRID / longest)) for side in alpha.shape)
    return cv2.resize(alpha, (width, height), interpolation=cv2.INTER_AREA)


def _rescale(search: _Search, best: Found, draw: int) -> Found:
    """Bisect the scale of a pose for the target share; growing hides more, as good as always."""
    pose, longest = best.pose, max(search.scene.box[2:])
    size = max(pose.width, pose.height) / longest
    low, high = _SMALLEST / size, max(_LARGEST / size, 1.0)
    fixed = anchor(pose, search.scene.box)
    for _ in range(_BISECTIONS):
        factor = float(np.sqrt(low * high))
        found = search.measured(pose.rescaled(factor, fixed), draw, True)
        best = search.closer(best, found)
        low, high = (factor, high) if found.share < search.target else (low, factor)
    return best
