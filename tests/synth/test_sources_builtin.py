"""Built-in people and cut-outs as sources."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from synth.errors import InputError
from synth.source_specs import BuiltinOccluders, BuiltinPeople
from synth.sources import builtin

SIZE = 48
DRAWN = 8  # on either kind of processor below, some of these differed when OpenCV chose its code
DRAW = f"""
import hashlib
import numpy as np
from synth.source_specs import BuiltinOccluders, BuiltinPeople
from synth.sources import builtin
people = builtin.BuiltinPeople(BuiltinPeople(source="builtin", pool={DRAWN}))
things = builtin.BuiltinOccluders(BuiltinOccluders(source="builtin", pool={DRAWN}))
for name in people.ids():
    person, thing = (one.load(name, 64, np.random.default_rng(0)) for one in (people, things))
    print(hashlib.sha256(person.image.tobytes() + person.parsing.tobytes()).hexdigest())
    print(hashlib.sha256(thing.rgba.tobytes()).hexdigest())
"""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def people(pool: int = 20, seed: int = 0) -> builtin.BuiltinPeople:
    return builtin.BuiltinPeople(BuiltinPeople(source="builtin", pool=pool, seed=seed))


def occluders(share: float, pool: int = 20) -> builtin.BuiltinOccluders:
    spec = BuiltinOccluders(source="builtin", pool=pool, people_share=share)
    return builtin.BuiltinOccluders(spec)


def drawn_elsewhere(extra: dict[str, str]) -> list[str]:
    """Hashes of people and cut-outs, drawn by another process with more in its environment."""
    done = subprocess.run(
        [sys.executable, "-c", DRAW], env=os.environ | extra, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "extra",
    [{"OPENCV_CPU_DISABLE": "AVX2,FP16,AVX,FMA3"}, {"OPENCV_IPP": "disabled"}],
    ids=["a lesser processor", "without IPP"],
)
def test_every_processor_draws_the_same_bytes(extra: dict[str, str]) -> None:
    there, here = drawn_elsewhere(extra), drawn_elsewhere({})
    assert len(set(here)) == len(here) == 2 * DRAWN
    assert there == here


def test_ids_are_numbers_of_one_width_sorted_and_stable_under_growth() -> None:
    assert people(3).ids() == ["000000", "000001", "000002"]
    assert people(12000).ids()[:3] == people(3).ids()
    assert people(12000).ids() == sorted(people(12000).ids())


def test_a_built_in_person_is_one_whatever_the_pool_and_no_cut_out() -> None:
    one, grown, other = people(3), people(9), people(3, seed=1)
    grown.name = "builtin-2"
    assert [one.photo(i) for i in one.ids()] == [grown.photo(i) for i in one.ids()]
    things = occluders(1.0)
    found = [source.photo("000001") for source in (one, other, things)]
    assert len(set(found)) == 3
    assert all("photo" not in s.load("000001", SIZE, rng()).meta for s in (one, things))


def test_person_is_the_ids_and_background_the_generators() -> None:
    source = people()
    one, same, other = (source.load("000004", SIZE, rng(s)) for s in (0, 0, 1))
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.amodal, other.amodal)
    np.testing.assert_array_equal(one.parsing, other.parsing)
    assert (one.image[~one.amodal] != other.image[~one.amodal]).any()
    backgrounds = [crop.meta.pop("background") for crop in (one, same, other)]
    assert one.meta == other.meta and backgrounds[0] == backgrounds[1]
    assert all(facts["licence"].startswith("generated") for facts in backgrounds)
    different = source.load("000005", SIZE, rng(0))
    assert (one.amodal != different.amodal).any()
    assert (people(seed=1).load("000004", SIZE, rng()).amodal != one.amodal).any()


def test_draws_come_from_the_documented_seed_sequences() -> None:
    from synth.people.render import render_person

    own = np.random.default_rng(np.random.SeedSequence(3, spawn_key=(1, 4)))
    crop = people(seed=3).load("000004", SIZE, rng())
    whole = render_person(own, SIZE, framing="full")  # amodal truth is of whole people
    np.testing.assert_array_equal(crop.amodal, whole.alpha >= 128)
    shares = [
        np.random.default_rng(np.random.SeedSequence(0, spawn_key=(2, k))).random()
        for k in range(4)
    ]
    drawn = [occluders(0.5).load(f"{k:06d}", SIZE, rng()).category for k in range(4)]
    assert [name == "person" for name in drawn] == [share < 0.5 for share in shares]


def test_person_keeps_the_contract() -> None:
    source = people()
    for identity in source.ids()[:3]:
        crop = source.load(identity, SIZE, rng())
        assert crop.image.shape == (SIZE, SIZE, 3) and crop.image.dtype == np.uint8
        assert crop.amodal.dtype == np.bool_ and crop.amodal.any()
        assert crop.parsing is not None and crop.parsing.dtype == np.uint8
        np.testing.assert_array_equal(crop.parsing > 0, crop.amodal)
        assert len(crop.meta["keypoints"]) == 17
        json.dumps(crop.meta)


def test_cut_outs_are_tight_and_of_the_asked_kind() -> None:
    for share in (0.0, 1.0):
        source = occluders(share)
        for identity in source.ids()[:3]:
            drawn = source.load(identity, SIZE, rng(0))
            assert (drawn.category == "person") == (share == 1.0)
            alpha = drawn.rgba[:, :, 3] > 0
            assert alpha[0].any() and alpha[-1].any() and alpha[:, 0].any() and alpha[:, -1].any()
            assert max(drawn.rgba.shape[:2]) <= SIZE
            again = source.load(identity, SIZE, rng(7))
            np.testing.assert_array_equal(drawn.rgba, again.rgba)


@pytest.mark.parametrize("identity", ["000020", "-1", "x", ""])
def test_unknown_ids_are_refused(identity: str) -> None:
    with pytest.raises(InputError, match="no such id"):
        people(20).load(identity, SIZE, rng())
