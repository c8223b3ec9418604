"""Colours of a cut-out moved towards those of the scene: a little, or mean and spread of them.

Mean and spread follow Reinhard et al., "Color Transfer between Images" (2001), in logarithmic
opponent colours; unlike there both steps are partial and bounded, so that nothing looks dyed.
"""

import cv2
import numpy as np

# Brightness, yellow-blue, red-green: rows of an orthonormal basis of log RGB.
_OPPONENT = np.array([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])
_DARKEST = 16.0  # added before the logarithm: differences of blacks count little
_WHITE = np.sqrt(3) * np.log(255 + _DARKEST)  # brightness of white
_BRIGHT = 0.9  # the brightest tenth may clip, no more
_OF_THE_WAY = 0.6
_LARGEST_SHIFT = np.array([0.6, 0.1, 0.1])
_SPREAD = np.array([[0.75, 0.85, 0.85], [1.3, 1.15, 1.15]])
_FURTHER = (0.07, 0.012, 0.012)


def tone(
    rgb: np.ndarray, alpha: np.ndarray, scene: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The cut-out's colours, moved a little towards the scene's brightness and tint.

    Args:
        rgb: (h, w, 3) float32 in [0, 255]; alpha: (h, w) uint8.
        scene: (H, W, 3) uint8, the scene.
        rng: draws a further mild change of brightness and of each channel.
    """
    solid = rgb[alpha >= 128]
    drawn = rng.normal(0, [0.06, 0.02, 0.02, 0.02])
    if not len(solid) or not scene.size:
        return rgb
    own, other = solid.mean(0) + 8, _mean(scene) + 8
    # A quarter of the way in brightness and channel ratio: enough to belong, not to look dyed.
    gain = np.clip((other / own) ** 0.25, 0.75, 1.3) * np.exp(drawn[0] + drawn[1:])
    return np.clip(rgb * gain.astype(np.float32), 0, 255)


def match_colours(
    rgb: np.ndarray, alpha: np.ndarray, scene: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The cut-out's colours with mean and spread moved most of the way to the scene's.

    Args:
        rgb: (h, w, 3) float32 in [0, 255]; alpha: (h, w) uint8.
        scene: (H, W, 3) uint8, what lies around the place of the cut-out.
        rng: draws a further mild change of brightness and tint.
    """
    solid = rgb[alpha >= 128]
    further = rng.normal(0, _FURTHER)
    if not len(solid) or not scene.size:
        return rgb
    own, other = _opponents(solid), _opponents(scene.reshape(-1, 3))
    mean, wanted = own.mean(0), other.mean(0)
    shift = np.clip(_OF_THE_WAY * (wanted - mean), -_LARGEST_SHIFT, _LARGEST_SHIFT) + further
    shift[0] = min(shift[0], max(_WHITE - np.quantile(own[:, 0], _BRIGHT), 0.0))
    ratio = (other.std(0) + 0.02) / (own.std(0) + 0.02)
    spread = np.clip(ratio**_OF_THE_WAY, *_SPREAD)
    moved = (_opponents(rgb) - mean) * spread + mean + shift
    return np.clip(np.exp(moved @ _OPPONENT) - _DARKEST, 0, 255).astype(np.float32)


def _opponents(rgb: np.ndarray) -> np.ndarray:
    """Opponent colours (..., 3) float64 of RGB (..., 3)."""
    # In double precision, so that another machine's logarithm rounds to the same picture.
    opponents: np.ndarray = np.log(rgb.astype(np.float64) + _DARKEST) @ _OPPONENT.T
    return opponents


def _mean(image: np.ndarray) -> np.ndarray:
    """The mean colour (3,) of a (H, W, 3) uint8 image."""
    return np.array(cv2.sumElems(image)[:3]) / (image.shape[0] * image.shape[1])
