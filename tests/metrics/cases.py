"""Samples for the tests of scoring: boxes as people, over whatever photos are given."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metrics.truth import Prediction, Truth

SIZE = (16, 14)


def small_truth(seed: int = 7) -> Truth:
    """Random photos, a person of 96 pixels of which 36 are hidden, half of the hidden ones legs."""
    image, clean = np.random.default_rng(seed).integers(0, 256, (2, *SIZE, 3)).astype(np.uint8)
    amodal, modal, legs = np.zeros((3, *SIZE), bool)
    amodal[2:14, 3:11] = modal[2:14, 3:8] = True
    legs[8:14, 3:11] = True
    parts = {"head": amodal & ~legs, "legs": legs, "feet": np.zeros(SIZE, bool)}
    parsing = np.where(amodal, np.where(legs, 9, 5), 0).astype(np.uint8)
    return Truth("s", "p", 36 / 96, amodal, modal, modal, image, clean, parsing, parts)


def unhidden(truth: Truth) -> Truth:
    """The same person with nothing in front."""
    return replace(truth, modal=truth.amodal, hidden_share=0.0)


def real_truth(number: int, clean: np.ndarray, people: int = 6) -> Truth:
    """A box of a person in a photo, of whom `8 * number` rows are hidden, none of number 0."""
    amodal, modal = np.zeros((2, *clean.shape[:2]), bool)
    amodal[20:120, 30:70] = modal[20:120, 30:70] = True
    modal[60 : 60 + 8 * (number % 6)] = False
    image = np.where((amodal & ~modal)[..., None], 255 - clean, clean)
    legs = amodal & (np.arange(len(clean)) > 75)[:, None]
    return Truth(
        sample_id=f"s{number:02d}",
        person_id=f"person{number % people}",
        hidden_share=1 - modal.sum() / amodal.sum(),
        amodal=amodal,
        modal=modal,
        initial=modal,
        image=image,
        clean=clean,
        parsing=np.where(amodal, np.where(legs, 9, 5), 0).astype(np.uint8),
        parts={"legs": legs},
    )


def real_cases(photos: Sequence[np.ndarray], count: int) -> dict[str, tuple[Truth, Prediction]]:
    """Samples by id, each with another photo of the list as what was predicted."""
    cases = {}
    for number in range(count):
        truth = real_truth(number, photos[number])
        assert truth.parsing is not None
        prediction = Prediction(
            mask=np.where(np.roll(truth.amodal, number, 0), 0.9, 0.1),
            photo=photos[-1 - number],
            parsing=np.roll(truth.parsing, number, 1),
        )
        cases[truth.sample_id] = (truth, prediction)
    return cases
