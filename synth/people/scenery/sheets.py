"""Noise cropped from a few fixed sheets.

A sheet is made once per process from constants, so keeping it changes no result.
"""

from functools import cache

import cv2
import numpy as np

from synth.people.plain_opencv import plain_opencv

_SIDE = 512
# Spectral slope of each isotropic noise sheet: 0 is white, larger is smoother.
_SLOPES = {"white": 0.0, "fine": 0.7, "rough": 1.2, "cloud": 1.75, "smooth": 2.6}
_STREAKS = {"brushed": (1, 96), "grain": (3, 160), "fibre": (1, 24)}


@cache
@plain_opencv()
def noise_sheet(kind: str) -> np.ndarray:
    """A tileable (512, 512) float32 noise field with mean 0 and standard deviation 1."""
    order = sorted({**_SLOPES, **_STREAKS})
    white = np.random.default_rng((20260, order.index(kind))).standard_normal((_SIDE, _SIDE))
    if kind in _STREAKS:
        tall, wide = _STREAKS[kind]
        field = cv2.blur(np.pad(white, wide, mode="wrap"), (2 * wide - 1, 2 * tall - 1))
        field = field[wide:-wide, wide:-wide]
    else:
        radius = np.hypot(np.fft.fftfreq(_SIDE)[:, None], np.fft.rfftfreq(_SIDE)[None])
        radius[0, 0] = np.inf
        field = np.fft.irfft2(np.fft.rfft2(white) * radius ** -_SLOPES[kind], s=white.shape)
    field = ((field - field.mean()) / field.std()).astype(np.float32)
    field.setflags(write=False)
    return field


def noise(
    rng: np.random.Generator, height: int, width: int, kind: str = "cloud", zoom: float = 1.0
) -> np.ndarray:
    """Crop noise at random: (height, width) float32, mean about 0, deviation about 1.

    `zoom` is how many output pixels one pixel of the sheet covers.
    """
    sheet = noise_sheet(kind)
    tall = min(_SIDE, max(2, round(height / zoom)))
    wide = min(_SIDE, max(2, round(width / zoom)))
    top = int(rng.integers(0, _SIDE - tall + 1))
    left = int(rng.integers(0, _SIDE - wide + 1))
    crop = sheet[top : top + tall, left : left + wide]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    if crop.shape != (height, width):
        crop = cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR)
    return crop.astype(np.float32)


def smoothstep(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map `low`..`high` to 0..1 with soft ends, same shape as `value`."""
    ramp = np.clip((value - low) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)
