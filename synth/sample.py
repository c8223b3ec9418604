"""One sample: an occluded person, the truth behind the occluder, and the invariants it holds."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from synth.parsing import NUM_LABELS


@dataclass(frozen=True, eq=False)
class Sample:
    """One occluded person in a square crop of H = W pixels.

    Attributes:
        sample_id: six digits, the sample's index in its data set.
        split: "train", "val" or "test".
        image: occluded photo, (H, W, 3) uint8 RGB, letterboxed with black.
        clean: the same crop without occluder, (H, W, 3) uint8; None where nobody knows it.
        amodal: the whole person, (H, W) bool.
        modal: the visible part, (H, W) bool, inside ``amodal``.
        occluder: union of the pasted occluders, (H, W) bool.
        parsing: LIP-20 label of every amodal pixel, (H, W) uint8, 0 outside; None if unlabelled.
        initial: the imperfect modal mask a method gets, (H, W) float32 in [0, 1].
        person_id: "source:id" of the person; splits are made by it.
        occluder_ids: "source:id" of each occluder, back to front.
        meta: JSON-able extras (licence, source url, categories, hidden share ...).
    """

    sample_id: str
    split: str
    image: np.ndarray
    clean: np.ndarray | None
    amodal: np.ndarray
    modal: np.ndarray
    occluder: np.ndarray
    parsing: np.ndarray | None
    initial: np.ndarray
    person_id: str
    occluder_ids: tuple[str, ...]
    meta: dict[str, Any] = field(default_factory=dict)

    @property
    def invisible(self) -> np.ndarray:
        """The hidden part of the person, (H, W) bool."""
        return self.amodal & ~self.modal

    @property
    def hidden_share(self) -> float:
        """Hidden area over whole area, in [0, 1]; 0 for an empty person."""
        whole = int(self.amodal.sum())
        return float(self.invisible.sum() / whole) if whole else 0.0


def violations(sample: Sample) -> list[str]:
    """Every broken invariant of a sample, one line each; empty when it is sound."""
    return _shape_faults(sample) or _content_faults(sample)


def _shape_faults(sample: Sample) -> list[str]:
    height, width = sample.amodal.shape
    wanted: dict[str, tuple[tuple[int, ...], type]] = {
        "image": ((height, width, 3), np.uint8),
        "amodal": ((height, width), np.bool_),
        "modal": ((height, width), np.bool_),
        "occluder": ((height, width), np.bool_),
        "initial": ((height, width), np.float32),
    }
    if sample.clean is not None:
        wanted["clean"] = ((height, width, 3), np.uint8)
    if sample.parsing is not None:
        wanted["parsing"] = ((height, width), np.uint8)
    faults = []
    for name, (shape, dtype) in wanted.items():
        array = getattr(sample, name)
        if array.shape != shape or array.dtype != dtype:
            got = f"{array.shape} {array.dtype}"
            faults.append(f"{name} is {got}, not {shape} {np.dtype(dtype)}")
    return faults


def _content_faults(sample: Sample) -> list[str]:
    faults = []
    if not sample.amodal.any():
        faults.append("the amodal mask is empty")
    if (sample.modal & ~sample.amodal).any():
        faults.append("modal pixels outside the amodal mask")
    if (sample.invisible & ~sample.occluder).any():
        faults.append("hidden pixels that no occluder covers")
    if sample.clean is not None:
        changed = (sample.image != sample.clean).any(axis=2)
        if (changed & ~sample.occluder).any():
            faults.append("image and clean differ outside the occluders")
    if sample.parsing is not None:
        if int(sample.parsing.max()) >= NUM_LABELS:
            faults.append(f"parsing label {int(sample.parsing.max())} is not in LIP-20")
        if ((sample.parsing > 0) & ~sample.amodal).any():
            faults.append("parsing labels outside the amodal mask")
    if not (float(sample.initial.min()) >= 0.0 and float(sample.initial.max()) <= 1.0):
        faults.append("initial mask outside [0, 1]")
    return faults
