"""Scores that compare two photos pixel by pixel; photos are (H, W, 3) uint8 RGB.

`hole` is an (H, W) bool mask of the pixels that count. Where it is empty the score is nan, which
means "not counted" (see `protocol.aggregate`). PSNR of identical pixels is +inf by definition.

SSIM is that of Wang et al. 2004: Gaussian window of sigma 1.5 (11 x 11 pixels), K1 = 0.01,
K2 = 0.03, population covariance, data range 255, mean over the three channels and over the pixels
at least 5 from the border. scikit-image says the same with
`structural_similarity(a, b, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5,
use_sample_covariance=False)`; it is done here with OpenCV because that is several times faster.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Mask = NDArray[np.bool_]

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5
SSIM_C1 = (0.01 * 255) ** 2
SSIM_C2 = (0.03 * 255) ** 2


def check_photos(**photos: Photo) -> None:
    """Raise ValueError unless all the named photos are (H, W, 3) uint8 and of one shape."""
    for name, photo in photos.items():
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
            raise ValueError(f"{name} must be (H, W, 3) uint8, got {photo.shape} {photo.dtype}")
    if len({photo.shape for photo in photos.values()}) > 1:
        shapes = ", ".join(f"{name} {photo.shape}" for name, photo in photos.items())
        raise ValueError(f"photos must have one shape, got {shapes}")


def _difference(pred: Photo, true: Photo, hole: Mask | None) -> NDArray[np.float64]:
    """pred - true in grey levels, (H, W, 3), or (N, 3) with the N pixels of the hole."""
    check_photos(pred=pred, true=true)
    if hole is None:
        return pred.astype(np.float64) - true
    if hole.shape != pred.shape[:2] or hole.dtype != np.bool_:
        raise ValueError(
            f"hole must be {pred.shape[:2]} bool like the photos, got {hole.shape} {hole.dtype}"
        )
    return pred[hole].astype(np.float64) - true[hole]


def l1_frame(pred: Photo, true: Photo) -> float:
    """Mean absolute difference over all pixels and channels, as a share of 255, in [0, 1]."""
    return float(np.abs(_difference(pred, true, None)).mean() / 255)


def l1_hole(pred: Photo, true: Photo, hole: Mask) -> float:
    """Mean absolute difference over the hole's pixels and channels, in [0, 1]; nan if empty."""
    difference = _difference(pred, true, hole)
    return float(np.abs(difference).mean() / 255) if difference.size else float("nan")


def psnr(pred: Photo, true: Photo, hole: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB with peak 255, over the frame or over the hole.

    +inf where the pixels are identical, nan where the hole is empty.
    """
    difference = _difference(pred, true, hole)
    if not difference.size:
        return float("nan")
    mean_square = float(np.square(difference).mean())
    return float(10 * np.log10(255**2 / mean_square)) if mean_square else float("inf")


def _gaussian_mean(values: NDArray[np.float64], kernel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian-weighted local mean, cropped to the pixels whose window lies in the frame."""
    r = SSIM_RADIUS
    mean = cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel)[r:-r, r:-r]
    return np.asarray(mean, dtype=np.float64)


def ssim(pred: Photo, true: Photo) -> float:
    """Structural similarity over the frame, in [-1, 1]; settings in the module's docstring.

    Raises ValueError for photos under 11 x 11 pixels.
    """
    check_photos(pred=pred, true=true)
    if min(pred.shape[:2]) <= 2 * SSIM_RADIUS:
        raise ValueError(f"SSIM needs at least 11 x 11 pixels, got {pred.shape}")
    offsets = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    kernel = np.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    kernel /= kernel.sum()
    x, y = pred.astype(np.float64), true.astype(np.float64)
    mean_x, mean_y = _gaussian_mean(x, kernel), _gaussian_mean(y, kernel)
    # Energy and cross term are all that SSIM needs of the second moments: four filters, not five.
    energy = _gaussian_mean(x * x + y * y, kernel)
    cross = _gaussian_mean(x * y, kernel)
    mean_energy, mean_cross = mean_x**2 + mean_y**2, mean_x * mean_y
    luminance = (2 * mean_cross + SSIM_C1) / (mean_energy + SSIM_C1)
    structure = (2 * (cross - mean_cross) + SSIM_C2) / (energy - mean_energy + SSIM_C2)
    return float((luminance * structure).mean())
