"""A premultiplied RGBA canvas addressed in the unit square (x right, y down)."""

from collections.abc import Sequence

import cv2
import numpy as np

from synth.people.scenery.colour import Colour, scale
from synth.people.scenery.outlines import Points, ellipse
from synth.people.scenery.projection import Cuboid, faces_of, project

_FIXED_POINT = 4  # fractional bits of the coordinates handed to OpenCV


class Canvas:
    """A square premultiplied RGBA picture of `n` pixels a side, addressed in the unit square."""

    def __init__(self, rng: np.random.Generator, n: int) -> None:
        self.rng = rng
        self.n = n
        self.rgba = np.zeros((n, n, 4), np.uint8)
        self.light = float(rng.uniform(-0.9, 0.9))  # where light comes from: -1 left, 1 right

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        return np.round(np.asarray(points) * self.n * 2**_FIXED_POINT).astype(np.int32)

    def box_of(self, points: np.ndarray) -> tuple[int, int, int, int]:
        """Pixel box (left, top, right, bottom) of unit points, clipped to the canvas."""
        (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        last = self.n - 1
        left, top = (min(max(int(v * self.n) - 1, 0), last) for v in (x0, y0))
        right, bottom = (min(int(v * self.n) + 3, self.n) for v in (x1, y1))
        return left, top, max(right, left + 1), max(bottom, top + 1)

    def mask_of(self, outline: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
        """The (k, 2) outline filled with 255, (h, w) uint8 over the pixel box."""
        left, top, right, bottom = box
        mask = np.zeros((bottom - top, right - left), np.uint8)
        local = self._fixed(outline - np.array([left, top]) / self.n)
        cv2.fillPoly(mask, [local], 255, cv2.LINE_8, _FIXED_POINT)
        return mask

    def put(self, rgb: np.ndarray, mask: np.ndarray, left: int, top: int) -> None:
        """Paste an opaque (h, w, 3) uint8 picture where the mask is set, from pixel (top, left)."""
        height, width = mask.shape
        view = self.rgba[top : top + height, left : left + width]
        cv2.copyTo(cv2.cvtColor(rgb, cv2.COLOR_RGB2RGBA), mask, view)

    def shape(self, outline: np.ndarray, colour: Colour) -> None:
        """Fill a (k, 2) convex outline with one colour."""
        ink = (*colour, 255.0)
        cv2.fillConvexPoly(self.rgba, self._fixed(outline), ink, cv2.LINE_AA, _FIXED_POINT)

    def line(self, points: np.ndarray, width: float, colour: Colour, closed: bool = False) -> None:
        """Draw a (k, 2) polyline `width` units thick."""
        thick = max(1, round(width * self.n))
        ink = (*colour, 255.0)
        path = [self._fixed(points)]
        cv2.polylines(self.rgba, path, closed, ink, thick, cv2.LINE_AA, _FIXED_POINT)

    def tube(self, points: np.ndarray, width: float, colour: Colour, closed: bool = False) -> None:
        """Draw a polyline as a round bar: dark rim, body, highlight on the lit side."""
        points = np.asarray(points, float)
        side = np.array([self.light, -0.6]) * width * 0.2
        self.line(points, width, scale(colour, 0.55), closed)
        self.line(points + side * 0.5, width * 0.66, colour, closed)
        self.line(points + side, width * 0.22, scale(colour, 1.45), closed)

    def quad(
        self, corners: Points, patch: np.ndarray, shade: float | Sequence[float] | np.ndarray = 1.0
    ) -> None:
        """Map `patch` in perspective onto four corners (from top left, clockwise).

        `shade` is one brightness factor, or one for each corner.
        """
        corners = np.asarray(corners, float)
        box = self.box_of(corners)
        left, top, right, bottom = box
        grid = np.broadcast_to(np.asarray(shade, np.float32), (4,))[[0, 1, 3, 2]].reshape(2, 2)
        # A patch larger than its place costs time and aliases: shrink it first.
        height, width = min(len(patch), bottom - top), min(patch.shape[1], right - left)
        patch = cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA)
        light = cv2.resize(grid.copy(), (width, height), interpolation=cv2.INTER_LINEAR)
        lit = np.clip(patch * light[..., None], 0, 255).astype(np.uint8)
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        target = (corners * self.n - [left, top]).astype(np.float32)
        warp = cv2.getPerspectiveTransform(source, target)
        size = (right - left, bottom - top)
        rgb = cv2.warpPerspective(lit, warp, size, borderMode=cv2.BORDER_REPLICATE)
        self.put(rgb, self.mask_of(corners, box), left, top)

    def area(self, outline: np.ndarray, patch: np.ndarray, puff: float = 0.0) -> None:
        """Fill any (k, 2) outline with `patch` stretched over its box, lit from above.

        `puff` in [0, 1] is how far from the rim (as a share of the box) the surface bulges.
        """
        outline = np.asarray(outline, float)
        box = self.box_of(outline)
        left, top, right, bottom = box
        mask = self.mask_of(outline, box)
        height, width = mask.shape
        rgb = cv2.resize(patch, (width, height), interpolation=cv2.INTER_LINEAR)
        ramp = np.linspace(1.08, 0.88, height, dtype=np.float32)[:, None]
        light = np.repeat(ramp, width, axis=1)
        if puff > 0:
            light += self._bulge(mask, puff)
        lit = np.clip(rgb * light[..., None], 0, 255).astype(np.uint8)
        self.put(lit, mask, left, top)

    def _bulge(self, mask: np.ndarray, puff: float) -> np.ndarray:
        """Shading in about -0.5..0.4 of a cushion with the outline `mask`, at half resolution."""
        height, width = mask.shape
        small = cv2.resize(mask, (max(4, width // 2), max(4, height // 2)))
        small = cv2.copyMakeBorder(small, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
        reach = max(2.0, puff * min(small.shape))
        inside = cv2.distanceTransform((small > 127).astype(np.uint8), cv2.DIST_L2, 3)
        depth = np.minimum(inside / reach, 1)
        dome = cv2.GaussianBlur(np.sqrt(depth * (2 - depth)), (0, 0), max(0.6, reach / 8))
        dy, dx = np.gradient(dome, 1 / reach)
        light = np.clip(0.35 * dy - 0.3 * self.light * dx, -0.55, 0.4)
        return cv2.resize(light[1:-1, 1:-1], (width, height)).astype(np.float32)

    def lathe(
        self, x: float, profile: Sequence[tuple[float, float]], patch: np.ndarray, tilt: float = 0.2
    ) -> None:
        """Draw a turned body: `profile` lists (y, radius) downwards; `tilt` flattens its rings."""
        ys, radii = np.array(profile, float).T
        reach = radii.max()
        low, high = (x - reach, ys[0]), (x + reach, ys[-1] + tilt * reach)
        left, top, right, bottom = self.box_of(np.array([low, high]))
        row = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / self.n)[:, None]
        column = ((np.arange(left, right, dtype=np.float32) + 0.5) / self.n - np.float32(x))[None]
        radius_at = np.interp(np.arange(self.n + 1) / self.n, ys, radii).astype(np.float32)
        radius = np.interp(row, ys, radii).astype(np.float32)
        # A ring at height v shows at v + tilt * its depth; one correction step is enough.
        depth = np.sqrt(np.maximum(radius**2 - column**2, 0))
        height_on = row - np.float32(tilt) * depth
        radius = radius_at[np.clip(height_on * self.n, 0, self.n).astype(np.int32)]
        across = column / np.maximum(radius, 1e-6)
        mask = (np.abs(across) <= 1) & (height_on >= ys[0] - 1e-3) & (height_on <= ys[-1])
        angle = np.arcsin(np.clip(across, -1, 1))
        tall, wide = patch.shape[:2]
        u = angle * np.float32((wide - 1) / np.pi) + np.float32((wide - 1) / 2)
        v = (height_on - np.float32(ys[0])) * np.float32((tall - 1) / (ys[-1] - ys[0]))
        rgb = cv2.remap(patch, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        lit = 0.42 + 0.66 * np.maximum(np.cos(angle - np.float32(self.light)), 0)
        rgb = np.clip(rgb * lit[..., None], 0, 255).astype(np.uint8)
        self.put(rgb, mask.astype(np.uint8) * 255, left, top)

    def ring(self, x: float, y: float, a: float, b: float, colour: Colour) -> None:
        """Fill an ellipse with half axes `a` and `b`."""
        self.shape(ellipse(x, y, a, b), colour)

    def solids(self, blocks: Sequence[Cuboid], yaw: float, pitch: float, far: float = 4.0) -> None:
        """Draw blocks in perspective, fitted to the canvas, far faces first (radians, metres)."""
        low = np.min([b.low for b in blocks], axis=0)
        high = np.max([b.high for b in blocks], axis=0)
        centre, reach = (low + high) / 2, float(np.max(high - low))
        faces = [(face, lit, block.patch) for block in blocks
                 for face, lit in faces_of(block, yaw, pitch)]  # fmt: skip
        corners = np.array([face for face, _, _ in faces]) - centre
        screen, depth = project(corners, yaw, pitch, far * reach)
        a, b = screen[:, 1] - screen[:, 0], screen[:, 3] - screen[:, 0]
        towards_us = a[:, 0] * b[:, 1] > a[:, 1] * b[:, 0]  # clockwise on screen
        shown = screen[towards_us].reshape(-1, 2)
        origin, span = shown.min(axis=0), float(np.ptp(shown, axis=0).max())
        screen = 0.01 + (screen - origin) / span * 0.98
        for k in np.argsort(-depth, kind="stable"):
            if towards_us[k]:
                self.quad(screen[k], faces[k][2], self._face_light(faces[k][1]))

    def _face_light(self, normal: np.ndarray) -> np.ndarray:
        """Brightness at the corners of a face with this camera-space normal (x, toward us, up)."""
        towards = np.array([0.75 * self.light, 0.45, 0.75])
        lit = 0.38 + 0.72 * max(0.0, float(normal @ towards))
        return lit * np.array([1.04, 1.04, 0.86, 0.86])
