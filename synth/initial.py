"""The mask a method starts from: the true modal mask, or one as a segmenter might give it."""

import os
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from synth.occlusion_spec import Initial


class Starter(Protocol):
    """What gives the mask that a method starts from."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the files it reads; empty where it reads none."""
        ...

    def __call__(
        self, image: np.ndarray, modal: np.ndarray, person_id: str, rng: np.random.Generator, /
    ) -> np.ndarray:
        """A mask (H, W) float32 in [0, 1], in steps of 1/255.

        Args:
            image: (H, W, 3) uint8, the occluded photo.
            modal: (H, W) bool, the true visible part.
            person_id: "source:id"; a segmenter must not have seen this person.
            rng: every draw comes from here.
        """
        ...


@dataclass(frozen=True)
class FromModal:
    """The true modal mask, or a jittered one; it reads no file, so its digest is empty."""

    settings: Initial
    digest: str = ""

    def __call__(
        self, image: np.ndarray, modal: np.ndarray, person_id: str, rng: np.random.Generator, /
    ) -> np.ndarray:
        return make_initial(modal, self.settings, rng)


def open_initial(settings: Initial, data_root: str | os.PathLike[str] | None = None) -> Starter:
    """What a recipe asks for; InputError where a segmenter's networks cannot be read."""
    return FromModal(settings)


def make_initial(modal: np.ndarray, settings: Initial, rng: np.random.Generator) -> np.ndarray:
    """A mask (H, W) float32 in [0, 1], in steps of 1/255, from the modal mask (H, W) bool."""
    if settings.kind == "modal" or settings.strength == 0 or not modal.any():
        return modal.astype(np.float32)
    return jitter(modal, settings.strength, rng)


def jitter(modal: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """A faulty version of a mask: grown or shrunk, ragged border, sometimes a piece missing.

    Args:
        modal: (H, W) bool, not empty.
        strength: 1 moves the border by about 2 % of the person's size; 0 not at all.
        rng: every draw comes from here.

    Returns:
        (H, W) float32 in [0, 1] in steps of 1/255, soft at the border.
    """
    depth = _signed_depth(modal)
    size = float(np.sqrt(modal.sum()))
    shift = float(rng.normal(0, 0.02)) * strength * size
    ragged = _smooth_noise(modal.shape, size, rng) * (0.025 * strength * size)
    depth = depth + np.float32(shift) + ragged
    if rng.random() < min(0.9, 0.4 * strength):
        depth = np.minimum(depth, _dropped_blob(modal, strength, size, rng))
    soft = np.clip(0.5 + depth / 2, 0, 1)
    faulty = np.rint(soft * 255).astype(np.uint8)
    if not (faulty >= 128).any():
        return modal.astype(np.float32)
    return faulty.astype(np.float32) / np.float32(255)


def _signed_depth(mask: np.ndarray) -> np.ndarray:
    """Distance in pixels to the border, positive inside, (H, W) float32."""
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    # A mask that fills the frame has no outside, and the transform then returns a huge constant.
    limit = np.float32(max(mask.shape))
    return np.clip(inside - outside, -limit, limit)


def _smooth_noise(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> np.ndarray:
    """Noise (H, W) float32 of about unit deviation whose bumps measure a tenth of ``size``."""
    cell = max(2.0, 0.1 * size)
    coarse = rng.standard_normal((int(shape[0] / cell) + 2, int(shape[1] / cell) + 2))
    wide = (shape[1], shape[0])
    return cv2.resize(coarse.astype(np.float32), wide, interpolation=cv2.INTER_CUBIC)


def _dropped_blob(
    modal: np.ndarray, strength: float, size: float, rng: np.random.Generator
) -> np.ndarray:
    """Signed distance (H, W) float32 to a disc about a person pixel; negative inside the disc."""
    rows, columns = np.nonzero(modal)
    pick = int(rng.integers(len(rows)))
    radius = float(rng.uniform(0.08, 0.2)) * min(strength, 2.0) * size
    y, x = np.ogrid[: modal.shape[0], : modal.shape[1]]
    return (np.hypot(y - rows[pick], x - columns[pick]) - radius).astype(np.float32)
