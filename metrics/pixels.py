"""Scores that compare two photos pixel by pixel; photos are (H, W, 3) uint8 RGB.

`where` is an (H, W) bool mask of the pixels that count, None for all of them. Where it is empty the
score is nan, which means "not counted" (see `protocol.aggregate`). PSNR of identical pixels is +inf
by definition. SSIM: `metrics.structure`.
"""

import numpy as np
from numpy.typing import NDArray

Photo = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def check_photos(**photos: Photo) -> None:
    """Raise ValueError unless all the named photos are (H, W, 3) uint8 and of one shape."""
    for name, photo in photos.items():
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
            raise ValueError(f"{name} must be (H, W, 3) uint8, got {photo.shape} {photo.dtype}")
    if len({photo.shape for photo in photos.values()}) > 1:
        shapes = ", ".join(f"{name} {photo.shape}" for name, photo in photos.items())
        raise ValueError(f"photos must have one shape, got {shapes}")


def check_where(where: Mask, photo: Photo, name: str = "where") -> None:
    """Raise ValueError unless the mask is bool and of the photo's height and width."""
    if where.shape != photo.shape[:2] or where.dtype != np.bool_:
        raise ValueError(
            f"{name} must be {photo.shape[:2]} bool like the photos, "
            f"got {where.shape} {where.dtype}"
        )


def _difference(pred: Photo, true: Photo, where: Mask | None) -> NDArray[np.uint8]:
    """|pred - true| in grey levels, (H, W, 3), or (N, 3) with the N pixels that count."""
    check_photos(pred=pred, true=true)
    if where is not None:
        check_where(where, pred)
        pred, true = pred[where], true[where]
    return np.maximum(pred, true) - np.minimum(pred, true)


def l1(pred: Photo, true: Photo, where: Mask | None = None) -> float:
    """Mean absolute difference over pixels and channels, as a share of 255, in [0, 1]."""
    difference = _difference(pred, true, where)
    if not difference.size:
        return float("nan")
    return int(difference.sum(dtype=np.int64)) / difference.size / 255


def psnr(pred: Photo, true: Photo, where: Mask | None = None) -> float:
    """Peak signal-to-noise ratio in dB with peak 255; +inf where the pixels are identical."""
    difference = _difference(pred, true, where).astype(np.float64).ravel()
    if not difference.size:
        return float("nan")
    # Whole numbers, so the sum is exact in any order.
    mean_square = float(difference @ difference) / difference.size
    return float(10 * np.log10(255**2 / mean_square)) if mean_square else float("inf")
