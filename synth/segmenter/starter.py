"""The masks of a trained segmenter, each from a network that has not seen the person.

Predicting is in double precision and the result is rounded to 1/255: then the last bits, which
differ between processors, numbers of threads and versions of torch, do not reach the mask. (In
single precision they do.) It is not guaranteed: a value may lie within 1e-12 of where rounding
turns. Compare fingerprints when parts of a data set are built on different machines.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.codec import canonical
from synth.errors import InputError
from synth.segmenter.box import cut, paste, shaken_box
from synth.segmenter.folder import check_file, network_path, read_trained
from synth.segmenter.folds import identity

if TYPE_CHECKING:
    from synth.plan import Plan
    from synth.segmenter.network import UNet


class FromNetworks:
    """Masks from the networks in a folder; other processes read that folder themselves.

    Raises:
        InputError: the folder's training is missing, not finished (nor ``measured``) or damaged;
            also when a mask is asked for and the files changed meanwhile.
    """

    def __init__(self, folder: Path, measured: bool = True) -> None:
        self.folder = folder
        self.card, self.folds = read_trained(folder, measured)
        self._networks: dict[int, UNet] = {}

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides the masks."""
        files = [self.card.people, *(network.sha256 for network in self.card.networks)]
        return hashlib.sha256(canonical(files)).hexdigest()

    def check(self, plan: Plan) -> None:
        """Raise InputError where the networks may have seen people of another fold or split."""
        if identity(plan) != self.card.identity:
            raise InputError(
                f"{self.folder}: was trained for other people, occluders or splits "
                f"({self.card.recipe}), so it may have seen whom it is to be tested on; train for "
                f"this recipe: hdeocc synth segmenter {plan.recipe.name} --out DIR"
            )

    def __call__(
        self, image: np.ndarray, modal: np.ndarray, person_id: str, rng: np.random.Generator, /
    ) -> np.ndarray:
        if not modal.any():
            return np.zeros(modal.shape, np.float32)
        box = shaken_box(modal, rng)
        inside = self._predict(self.folds.of(person_id), cut(image, box))
        found = paste(inside, box, *modal.shape)
        return np.rint(np.clip(found, 0, 1) * 255).astype(np.float32) / np.float32(255)

    def _predict(self, fold: int, square: np.ndarray) -> np.ndarray:
        """Probability of the visible person (SIDE, SIDE) float64; ``square`` RGB to 255."""
        import torch

        from synth.segmenter.network import one_thread

        pixels = torch.from_numpy(square.transpose(2, 0, 1)[None] / 127.5 - 1)
        with one_thread(), torch.inference_mode():
            return np.asarray(self._network(fold)(pixels.contiguous()).sigmoid()[0, 0].numpy())

    def _network(self, fold: int) -> UNet:
        from synth.segmenter.network import read_network

        if fold not in self._networks:
            path = network_path(self.folder, fold)
            check_file(path, self.card.networks[fold].sha256)
            self._networks[fold] = read_network(path)
        return self._networks[fold]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_networks": {}}
