"""Every invariant of a sample: a sound one has no fault, and each that is broken is named."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from synth.sample import Sample, violations
from tests.fakes import make_samples


@pytest.fixture
def sound() -> Sample:
    return make_samples(1, 24, np.random.default_rng(0))[0]


def changed(sample: Sample, name: str, where: np.ndarray, value: Any) -> Sample:
    """The sample with another value at one pixel, the first of some."""
    array = getattr(sample, name).copy()
    array[tuple(np.argwhere(where)[0])] = value
    return replace(sample, **{name: array})


def test_a_sound_sample_has_no_fault_whatever_is_unknown(sound: Sample) -> None:
    assert violations(sound) == []
    assert violations(replace(sound, clean=None, parsing=None)) == []


def test_each_broken_invariant_is_named_alone(sound: Sample) -> None:
    assert sound.clean is not None and sound.parsing is not None
    beside, behind = ~sound.amodal & ~sound.occluder, sound.invisible
    other = sound.image[tuple(np.argwhere(beside)[0])] ^ 255
    nothing = np.zeros_like(sound.amodal)
    broken = {
        "the amodal mask is empty": replace(
            sound, amodal=nothing, modal=nothing, parsing=np.zeros_like(sound.parsing)
        ),
        "modal pixels outside the amodal mask": changed(sound, "modal", beside, True),
        "hidden pixels that no occluder covers": changed(sound, "occluder", behind, False),
        "image and clean differ outside the occluders": changed(sound, "image", beside, other),
        "parsing label 20 is not in LIP-20": changed(sound, "parsing", sound.amodal, 20),
        "parsing labels outside the amodal mask": changed(sound, "parsing", beside, 5),
        "initial mask outside [0, 1]": changed(sound, "initial", beside, 1.5),
    }
    # What lies behind no occluder differs from the clean picture there, too.
    also = {"hidden pixels that no occluder covers": "image and clean differ outside the occluders"}
    for fault, sample in broken.items():
        assert set(violations(sample)) - {also.get(fault)} == {fault}
    for value in (-0.1, np.nan):
        assert violations(changed(sound, "initial", beside, value)) == [
            "initial mask outside [0, 1]"
        ]


@pytest.mark.parametrize(
    "name", ["image", "clean", "amodal", "modal", "occluder", "parsing", "initial"]
)
def test_arrays_of_another_type_or_size_are_named(sound: Sample, name: str) -> None:
    array = getattr(sound, name)
    (fault,) = violations(replace(sound, **{name: array.astype(np.float64)}))
    assert fault.startswith(f"{name} is ") and "float64, not " in fault
    faults = violations(replace(sound, **{name: array[:-1]}))
    # All others are compared with the amodal mask.
    assert len(faults) == (6 if name == "amodal" else 1)
    assert name == "amodal" or faults[0].startswith(f"{name} is (23, 24")
