"""Gradient-domain blending of a cut-out into the scene, in a band along its outline.

Seamless cloning (Perez et al., "Poisson Image Editing", 2003) keeps the gradients of the cut-out
and takes the colours at its outline from the scene; as a correction c that is added to the
cut-out it solves Laplace's equation with c = scene - cut-out on the outline. All of the cut-out
then takes on the scene's colours, and an occluder looks like a ghost. Here the equation is
screened (Bhat et al., "Fourier Analysis of the 2D Screened Poisson Equation", 2008),

    laplace(c) = c / reach^2,

so the correction dies away over ``reach`` pixels, and its value on the outline is bounded, since
a thing in front of another does end with a step.
"""

from dataclasses import replace

import cv2
import numpy as np

from synth.blend.layer import Frame, Layer

_LARGEST = 28.0  # levels; length of the correction's RGB on the outline
_SMOOTHED = 1.5  # px along the outline
_ACCURACY = 0.02  # root mean square of the error over that of the correction


def adapt(layer: Layer, scene: np.ndarray, frame: Frame) -> Layer:
    """The layer with colours that lean towards the scene's along its outline.

    Args:
        layer: what is going to be pasted.
        scene: (S, S, 3) uint8, what it is pasted on.
        frame: (left, top, width, height) of the photo; its border is no outline.
    """
    if not layer.alpha.any():
        return layer
    rows, columns, wide = _widened(layer, frame)
    offset = layer.top - rows.start, layer.left - columns.start
    inner = tuple(slice(o, o + n) for o, n in zip(offset, layer.alpha.shape, strict=True))
    wide.rgb[inner], wide.alpha[inner] = layer.rgb, layer.alpha
    inside = wide.alpha > 0
    if inside.all():
        return layer
    step = _step(wide.rgb, inside, scene[rows, columns])
    change = solve(step, inside, reach_of(scene.shape[0]))[inner]
    return replace(layer, rgb=np.clip(layer.rgb + change, 0, 255))


def reach_of(size: int) -> float:
    """Over how many pixels the correction falls to 1/e in a crop of ``size`` pixels."""
    return max(1.5, size / 80)


def solve(step: np.ndarray, inside: np.ndarray, reach: float) -> np.ndarray:
    """The correction (h, w, 3) float32: ``step`` outside, screened Laplace's equation inside.

    At the border of the array nothing is asked (no flux). Chebyshev's iteration with a fixed
    number of steps; sums in a fixed order, so every machine gets the same. A single pixel may be
    off by a twentieth of the largest step.

    Args:
        step: (h, w, 3) float32; inside it is not read.
        inside: (h, w) bool, False somewhere.
        reach: length over which the solution decays, in pixels.
    """
    weight = (inside / (4 + reach**-2)).astype(np.float32)[..., None]
    weight = np.repeat(weight, 3, axis=2)
    fixed = np.where(inside[..., None], np.float32(0), step)
    radius = 4 / (4 + reach**-2)  # bounds the eigenvalues of one plain (Jacobi) step
    rate = radius / (1 + np.sqrt(1 - radius**2))
    before, now, after = np.empty_like(fixed), fixed.copy(), np.empty_like(fixed)
    omega = 1.0
    for turn in range(int(np.ceil(np.log(_ACCURACY / 2) / np.log(rate)))):
        _neighbours(now, after)
        after *= weight
        after += fixed
        if turn:
            omega = 1 / (1 - radius**2 * omega / (2 if turn == 1 else 4))
            after -= before
            after *= np.float32(omega)
            after += before
        before, now, after = now, after, before
    return now


def _neighbours(field: np.ndarray, total: np.ndarray) -> None:
    """Write the sum of each pixel's four neighbours; beyond the border: the pixel itself."""
    total[1:], total[0] = field[:-1], field[0]
    total[:-1] += field[1:]
    total[-1] += field[-1]
    total[:, 1:] += field[:, :-1]
    total[:, 0] += field[:, 0]
    total[:, :-1] += field[:, 1:]
    total[:, -1] += field[:, -1]


def _widened(layer: Layer, frame: Frame) -> tuple[slice, slice, Layer]:
    """Rows and columns one pixel wider than the layer, as far as the frame goes; zeros there."""
    left, top, width, height = frame
    h, w = layer.alpha.shape
    rows = slice(max(layer.top - 1, top), min(layer.top + h + 1, top + height))
    columns = slice(max(layer.left - 1, left), min(layer.left + w + 1, left + width))
    shape = rows.stop - rows.start, columns.stop - columns.start
    empty = Layer(np.zeros((*shape, 3), np.float32), np.zeros(shape, np.uint8), 0, 0)
    return rows, columns, empty


def _step(rgb: np.ndarray, inside: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """From the cut-out's colour to the scene's, bounded, (h, w, 3); 0 but along the outline."""
    grown = cv2.dilate(inside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    outline = np.nonzero(grown & ~inside)
    other = _local_mean(scene.astype(np.float32), ~inside, outline)
    change = other - _local_mean(rgb, inside, outline)
    length = np.sqrt((change * change).sum(axis=1, keepdims=True))
    step = np.zeros_like(rgb)
    step[outline] = change / np.sqrt(1 + (length / _LARGEST) ** 2)
    return step


def _local_mean(image: np.ndarray, mask: np.ndarray, at: tuple[np.ndarray, ...]) -> np.ndarray:
    """Mean colour (n, 3) of the masked pixels near each of n pixels."""
    weight = mask.astype(np.float32)
    blurred = cv2.GaussianBlur(image * weight[..., None], (0, 0), _SMOOTHED)[at]
    share = cv2.GaussianBlur(weight, (0, 0), _SMOOTHED)[at]
    return blurred / np.maximum(share, 1e-4)[:, None]
