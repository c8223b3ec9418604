"""Sharpness and noise of a cut-out made like the scene's.

A cut-out enlarged from a small photo is smoother than the scene, one shrunk a lot is crisper.
Sharpness is estimated where edges are strongest, from how much they lose when blurred once more
(Zhuo and Sim, "Defocus map estimation from a single image", 2011); noise where the picture is
calmest (Immerkaer, "Fast Noise Variance Estimation", 1996). Both steps are bounded.
"""

import cv2
import numpy as np

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_SHARPEST_EDGES, _FAINTEST_EDGE = 0.95, 4.0
_CALMEST = 0.1
_FEWEST = 20  # pixels or edges; estimates from fewer are not trusted
_MOST_BLUR, _MOST_SHARPENING, _MOST_NOISE = 1.5, 1.0, 2.5
_OF_COLOUR = 0.2  # noise of a channel alone over noise of brightness
_LAPLACIANS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6


def match_grain(
    rgb: np.ndarray, alpha: np.ndarray, scene: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The cut-out's colours, blurred or sharpened, and with noise, as much as the scene has.

    Args:
        rgb: (h, w, 3) float32 in [0, 255]; alpha: (h, w) uint8.
        scene: (H, W, 3) uint8, what lies around the place of the cut-out.
        rng: draws the noise.
    """
    if not scene.size:
        return rgb
    inner = _inner(alpha >= 250)
    everywhere = _inner(np.asarray(scene.any(axis=2)))
    wanted = estimate_blur(scene, everywhere), estimate_noise(scene, everywhere)
    own = estimate_blur(rgb, inner)
    if own is not None and wanted[0] is not None:
        rgb = _refocused(rgb, alpha, own, wanted[0])
    noise = estimate_noise(rgb, inner)
    if noise is None or wanted[1] is None or noise >= wanted[1]:
        return rgb
    lacking = min(float(np.sqrt(wanted[1] ** 2 - noise**2)), _MOST_NOISE)
    return _with_noise(rgb, lacking, rng)


def estimate_blur(rgb: np.ndarray, mask: np.ndarray) -> float | None:
    """Sigma in pixels of the blur of the sharpest edges of a (h, w, 3) image within a mask.

    At most 10; None where there are too few edges to tell.
    """
    grey = rgb.astype(np.float32) @ _LUMA
    slope = _slope(grey)
    within = slope[mask]
    if within.size < _FEWEST:
        return None
    edges = mask & (slope >= max(np.quantile(within, _SHARPEST_EDGES), _FAINTEST_EDGE))
    if edges.sum() < _FEWEST:
        return None
    again = _slope(cv2.GaussianBlur(grey, (0, 0), 1.0))
    loss = float(np.median(slope[edges] / np.maximum(again[edges], 1e-3)))
    return float(1 / np.sqrt(max(loss**2 - 1, 0.01)))


def estimate_noise(rgb: np.ndarray, mask: np.ndarray) -> float | None:
    """Sigma in levels of the noise of brightness of a (h, w, 3) image within a mask.

    None where the mask holds too little to tell.
    """
    grey = rgb.astype(np.float32) @ _LUMA
    rough = cv2.blur(np.abs(cv2.filter2D(grey, cv2.CV_32F, _LAPLACIANS)), (7, 7))
    whole = cv2.blur(mask.astype(np.float32), (7, 7), borderType=cv2.BORDER_CONSTANT) > 0.99
    if whole.sum() < _FEWEST:
        return None
    return float(np.quantile(rough[whole], _CALMEST) * np.sqrt(np.pi / 2))


def _inner(mask: np.ndarray) -> np.ndarray:
    """The mask without its outermost two pixels, whose neighbours lie outside."""
    kernel = np.ones((5, 5), np.uint8)
    eroded = cv2.erode(mask.astype(np.uint8), kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(eroded > 0)


def _slope(grey: np.ndarray) -> np.ndarray:
    """Length of the gradient, per pixel."""
    along_x = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8)
    along_y = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.sqrt(along_x * along_x + along_y * along_y)


def _refocused(rgb: np.ndarray, alpha: np.ndarray, own: float, wanted: float) -> np.ndarray:
    """A blur of sigma ``own`` turned into one of ``wanted``, as far as the bounds allow."""
    lacking = wanted**2 - own**2
    if lacking > 0:
        return _blurred(rgb, alpha, min(float(np.sqrt(lacking)), _MOST_BLUR))
    # To first order, a blur of variance v is undone by adding v times what a unit blur takes.
    amount = min(-lacking, _MOST_SHARPENING)
    return np.clip(rgb + np.float32(amount) * (rgb - _blurred(rgb, alpha, 1.0)), 0, 255)


def _blurred(rgb: np.ndarray, alpha: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred colours; what lies outside the outline does not bleed in."""
    if sigma < 0.2:
        return rgb
    weight = alpha.astype(np.float32) / 255
    blurred = cv2.GaussianBlur(rgb * weight[..., None], (0, 0), sigma)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    return np.where(share > 1e-3, blurred / np.maximum(share, 1e-3), rgb)


def _with_noise(rgb: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    bright = rng.standard_normal((*rgb.shape[:2], 1), dtype=np.float32)
    single = rng.standard_normal(rgb.shape, dtype=np.float32)
    return np.clip(rgb + np.float32(sigma) * (bright + np.float32(_OF_COLOUR) * single), 0, 255)
