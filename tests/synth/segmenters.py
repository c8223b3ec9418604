"""A training of the tiny recipe's segmenter that takes half a second, and what tests ask of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synth.recipe import Recipe
from synth.segmenter.composites import Composites
from synth.segmenter.folder import Card, Training
from synth.segmenter.train import train
from tests.synth.tiny import RECIPE, tiny_recipe

TINY = Training(folds=2, steps=6, composites=12, batch=4)
NETWORKS = ("network-0.safetensors", "network-1.safetensors")
# The tiny recipe with true masks.
MODAL = RECIPE.format(train=14, shard_size=4).replace('kind = "jitter"', 'kind = "modal"')


def with_networks(folder: object) -> str:
    """The tiny recipe with masks of these networks."""
    return MODAL.replace('"modal"', f'"segmenter"\nnetworks = "{folder}"')


def trained(out: Path, data: Path, training: Training = TINY, recipe: Recipe | None = None) -> Card:
    """Train, in silence."""
    return train(recipe or tiny_recipe(), out, training, data, progress=False)


def watch_batches(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A list that gets the batch of each step from now on."""
    batches: list[bytes] = []
    batch = Composites.batch

    def watched(self: Composites, *arguments: Any) -> np.ndarray:
        made = batch(self, *arguments)
        batches.append(made.tobytes())
        return made

    monkeypatch.setattr(Composites, "batch", watched)
    return batches
