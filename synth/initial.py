"""The mask a method starts from: the true modal mask, or one as a segmenter might give it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from synth.jitter import jitter, jitter_to
from synth.occlusion_spec import Initial

if TYPE_CHECKING:
    from synth.plan import Plan


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


def open_initial(
    settings: Initial, data_root: str | os.PathLike[str] | None, plan: Plan
) -> Starter:
    """What a recipe asks for.

    Args:
        settings: the recipe's table ``[initial]``.
        data_root: what a relative ``networks`` starts from; see ``synth.sources.open.data_root``.
        plan: whose people the masks are for: networks must have been trained for these people and
            splits.

    Raises:
        InputError: the networks are missing, damaged, unfinished, or trained for other people.
    """
    if settings.kind != "segmenter" or settings.networks is None:
        return FromModal(settings)
    from synth.segmenter.starter import FromNetworks
    from synth.sources import open as sources

    folder = Path(settings.networks)
    starter = FromNetworks(
        folder if folder.is_absolute() else sources.data_root(data_root) / folder
    )
    starter.check(plan)
    return starter


def make_initial(modal: np.ndarray, settings: Initial, rng: np.random.Generator) -> np.ndarray:
    """A mask (H, W) float32 in [0, 1], in steps of 1/255, from the modal mask (H, W) bool.

    Raises:
        ValueError: the settings ask for a segmenter, which needs the picture and its networks.
    """
    if settings.kind == "segmenter":
        raise ValueError("a segmenter's mask does not come from the true one; use open_initial")
    if settings.kind == "modal" or not modal.any():
        return modal.astype(np.float32)
    if settings.iou is not None:
        return jitter_to(modal, float(rng.uniform(*settings.iou)), rng, settings.leak)
    if settings.strength == 0:
        return modal.astype(np.float32)
    return jitter(modal, settings.strength, rng, settings.leak)
