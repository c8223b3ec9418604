"""Structural similarity of two photos, over the frame and over a hole.

SSIM is that of Wang et al. 2004: Gaussian window of sigma 1.5 (11 x 11 pixels), K1 = 0.01,
K2 = 0.03, population covariance, data range 255, mean over the three channels. The frame's value is
the mean over the pixels at least 5 from the border; the hole's is the mean over all its pixels of
the map, in which photos continue beyond the border as in a mirror. scikit-image says the same with
`structural_similarity(a, b, channel_axis=2, data_range=255, gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, full=True)`.

Two ways in which this is faster: OpenCV filters, and only the pixels near a difference are looked
at, since the map is 1 everywhere else.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from metrics.pixels import Mask, Photo, check_photos, check_where

SIGMA = 1.5
RADIUS = 5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2

_OFFSETS = np.arange(-RADIUS, RADIUS + 1)
_KERNEL = np.exp(-0.5 * (_OFFSETS / SIGMA) ** 2)
_KERNEL /= _KERNEL.sum()

_Values = NDArray[np.float64]
_Window = tuple[slice, slice]


def ssim(pred: Photo, true: Photo) -> float:
    """SSIM over the frame, in [-1, 1]. ValueError for photos under 11 x 11 pixels."""
    return ssim_frame_and_hole(pred, true, np.zeros(pred.shape[:2], bool))[0]


def ssim_frame_and_hole(
    pred: Photo, true: Photo, hole: Mask, counted: Mask | None = None
) -> tuple[float, float]:
    """SSIM over the frame and over the hole, each in [-1, 1]; nan for a hole without pixels.

    `hole` and `counted`, the pixels of the frame that count (None: all), are (H, W) bool.
    Raises ValueError for photos under 11 x 11 pixels and masks of another size.
    """
    check_photos(pred=pred, true=true)
    if min(pred.shape[:2]) <= 2 * RADIUS:
        raise ValueError(f"SSIM needs at least 11 x 11 pixels, got {pred.shape}")
    check_where(hole, pred, "hole")
    frame = np.zeros(hole.shape, bool)
    frame[RADIUS:-RADIUS, RADIUS:-RADIUS] = True
    if counted is not None:
        check_where(counted, pred, "counted")
        frame &= counted
    window = _changed(pred, true)
    loss = None if window is None else 1 - _ssim_map(pred, true, window)
    return _mean(frame, window, loss), _mean(hole, window, loss)


def _mean(where: Mask, window: _Window | None, loss: _Values | None) -> float:
    """Mean of the map over some pixels, from what it lacks of 1 within the window."""
    number = np.count_nonzero(where)
    if not number:
        return float("nan")
    if window is None or loss is None:
        return 1.0
    return float(1 - loss[where[window]].sum() / number)


def _changed(pred: Photo, true: Photo) -> _Window | None:
    """The rows and columns whose SSIM a difference can reach; None where there is none."""
    different = (pred != true).any(2)
    if not different.any():
        return None
    spans = []
    for axis in (1, 0):
        where = np.flatnonzero(different.any(axis))
        spans.append(slice(max(int(where[0]) - RADIUS, 0), int(where[-1]) + 1 + RADIUS))
    return spans[0], spans[1]


def _ssim_map(pred: Photo, true: Photo, window: _Window) -> _Values:
    """SSIM of the pixels of a window, mean over channels, (h, w)."""
    rows, columns = window
    shown = (
        slice(rows.start, rows.stop + 2 * RADIUS),
        slice(columns.start, columns.stop + 2 * RADIUS),
    )
    x, y = (_mirrored(photo)[shown].astype(np.float64) for photo in (pred, true))
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    # Energy and cross term are all that SSIM needs of the second moments: four filters, not five.
    energy, cross = _local_mean(x * x + y * y), _local_mean(x * y)
    mean_energy, mean_cross = mean_x**2 + mean_y**2, mean_x * mean_y
    luminance = (2 * mean_cross + C1) / (mean_energy + C1)
    structure = (2 * (cross - mean_cross) + C2) / (energy - mean_energy + C2)
    return np.asarray((luminance * structure).mean(2))


def _mirrored(photo: Photo) -> Photo:
    edges = (RADIUS, RADIUS, RADIUS, RADIUS)
    return np.asarray(cv2.copyMakeBorder(photo, *edges, cv2.BORDER_REFLECT), np.uint8)


def _local_mean(values: _Values) -> _Values:
    """Gaussian-weighted local mean, cropped to the pixels whose window lies in the array."""
    mean = cv2.sepFilter2D(values, cv2.CV_64F, _KERNEL, _KERNEL)
    return np.asarray(mean[RADIUS:-RADIUS, RADIUS:-RADIUS], np.float64)
