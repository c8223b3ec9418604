"""A mask as one polygon that loses nothing.

COCO's polygons are drawn filled, and a region with holes or in several pieces has no outline of
its own. But ``pycocotools`` fills by the even-odd rule and finds corners of pixels exactly. So a
polygon that runs along the edges of the pixels, round every piece and every hole, and from one to
the next and back on the same way, gives exactly the mask again.
"""

from collections import defaultdict

import numpy as np

Point = tuple[int, int]


def outline(mask: np.ndarray) -> list[int]:
    """The polygon [x, y, x, y, ...] of a mask (H, W) bool, in corners of pixels; [] if it is empty.

    ``pycocotools`` decodes it to the same mask. Programs that draw the outline itself as well
    (``cv2.fillPoly``) get a pixel more on the right and lower side, and thin lines between pieces.
    """
    path: list[Point] = []
    anchors: list[Point] = []
    for loop in _loops(mask):
        corners = _corners(loop)
        if anchors:
            # Along one axis only at a time: a slanted way would not cancel itself out.
            turn = (corners[0][0], anchors[-1][1])
            path.append(turn)
            anchors.append(turn)
        path += [*corners, corners[0]]
        anchors.append(corners[0])
    path += anchors[-2::-1]
    return [number for point in path for number in point]


def _loops(mask: np.ndarray) -> list[list[Point]]:
    """Closed ways along the edges between mask and rest, the mask on the right-hand side."""
    onward = _edges(np.pad(mask, 1).astype(np.int8))
    loops = []
    while onward:
        start = at = next(iter(onward))
        loop: list[Point] = []
        while not loop or at != start:
            loop.append(at)
            ends = onward[at]
            following = ends.pop()
            if not ends:
                del onward[at]
            at = following
        loops.append(loop)
    return loops


def _edges(padded: np.ndarray) -> dict[Point, list[Point]]:
    """The end of each edge of a pixel that divides mask from rest, by its start."""
    onward: dict[Point, list[Point]] = defaultdict(list)
    across = np.diff(padded, axis=0)[:, 1:-1]
    for y, x in np.argwhere(across).tolist():
        start, end = ((x, y), (x + 1, y)) if across[y, x] > 0 else ((x + 1, y), (x, y))
        onward[start].append(end)
    along = np.diff(padded, axis=1)[1:-1]
    for y, x in np.argwhere(along).tolist():
        start, end = ((x, y + 1), (x, y)) if along[y, x] > 0 else ((x, y), (x, y + 1))
        onward[start].append(end)
    return onward


def _corners(loop: list[Point]) -> list[Point]:
    """The points of a closed way at which it turns."""
    turns = []
    for before, here, after in zip([loop[-1], *loop], loop, [*loop[1:], loop[0]], strict=False):
        if not (before[0] == here[0] == after[0] or before[1] == here[1] == after[1]):
            turns.append(here)
    return turns
