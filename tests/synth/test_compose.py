"""Composition: the invariants of a sample, and the hidden share that was asked for."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.compose import Composite, Stage, _goal, _targets, compose
from synth.histogram import Aim
from synth.initial import make_initial
from synth.occlude import Occluders, describe
from synth.occlusion_spec import Initial, Occlusion
from synth.sources.base import Cutout, PersonCrop
from tests.synth.tiny import cutout, person_crop

OCCLUSIONS = st.builds(
    lambda low, width, blend, erode: Occlusion(
        hidden=(low, min(0.8, low + width)), blend=blend, erode=erode, tries=40
    ),
    st.floats(0.01, 0.55),
    st.floats(0.1, 0.4),
    st.sampled_from(["hard", "feather"]),
    st.integers(0, 2),
)


def case(seed: int, count: int, size: int = 64) -> tuple[PersonCrop, list[Cutout]]:
    rng = np.random.default_rng(seed)
    sides = rng.integers(24, 64, (count, 2))
    things = [cutout(int(h), int(w), rng, bool(rng.integers(2))) for h, w in sides]
    return person_crop(size, rng, border=int(rng.integers(0, 6))), things


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), OCCLUSIONS)
def test_invariants_and_share(seed: int, count: int, occlusion: Occlusion) -> None:
    person, things = case(seed, count)
    made = compose(person, things, occlusion, np.random.default_rng(seed))
    hidden = made.amodal & ~made.modal
    assert not (made.modal & ~made.amodal).any()
    assert not (hidden & ~made.occluder).any()
    assert (made.image == made.clean)[~made.occluder].all()
    assert (made.clean == person.image).all()
    assert made.got == pytest.approx(hidden.sum() / made.amodal.sum())
    assert occlusion.hidden_range[0] <= made.got <= occlusion.hidden_range[1]
    assert len(made.placements) == count


def test_the_same_generator_gives_the_same_picture() -> None:
    person, things = case(3, 2)
    one, two = (compose(person, things, Occlusion(), np.random.default_rng(5)) for _ in range(2))
    other = compose(person, things, Occlusion(), np.random.default_rng(6))
    assert (one.image == two.image).all()
    assert one.placements == two.placements
    assert (one.image != other.image).any()


def test_shares_are_roughly_uniform() -> None:
    occlusion = Occlusion(hidden=(0.1, 0.7))
    made = [
        compose(*case(seed, 1 + seed % 2), occlusion, np.random.default_rng(seed))
        for seed in range(150)
    ]
    counts, _ = np.histogram([one.got for one in made], np.linspace(0.1, 0.7, 6))
    assert counts.min() >= 15
    assert np.mean([one.miss[1] for one in made]) < 0.03


def test_black_borders_stay_black() -> None:
    rng = np.random.default_rng(0)
    person = person_crop(64, rng, border=8)
    for seed in range(20):
        things = [cutout(60, 60, rng)]
        made = compose(person, things, Occlusion(scale=(0.8, 1)), np.random.default_rng(seed))
        assert not made.image[:, :8].any()
        assert not made.occluder[:, :8].any()


def test_an_asked_share_is_honoured() -> None:
    person, things = case(1, 1, size=128)
    for asked in (0.1, 0.35, 0.6):
        aim = Aim(asked, 0.05, 0.7)
        made = compose(person, things, Occlusion(), np.random.default_rng(2), aim)
        assert made.aim is aim and not made.missed
        assert made.got == pytest.approx(asked, abs=0.04)


def test_people_as_occluders_do_not_float() -> None:
    rng = np.random.default_rng(0)
    person = person_crop(96, rng)
    rows = np.flatnonzero(person.amodal.any(axis=1))
    for seed in range(20):
        feet, torso = cutout(60, 25, rng), cutout(40, 30, rng, round_shape=False)
        for other, least in ((feet, rows[-1] - 3), (torso, 94)):
            standing = replace(other, category="person")
            made = compose(person, [standing], Occlusion(), np.random.default_rng(seed))
            assert np.flatnonzero(made.occluder.any(axis=1))[-1] >= least


def test_what_cannot_be_reached_is_said() -> None:
    person = person_crop(64, np.random.default_rng(0))
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[:, ::16] = 255  # a fence of thin wires
    occlusion = Occlusion(hidden=(0.6, 0.7), tries=20, blend="hard")
    made = compose(person, [Cutout(rgba, "fence")], occlusion, np.random.default_rng(0))
    assert made.got < 0.6
    assert made.miss[0] == pytest.approx(0.6 - made.got) and made.missed
    assert describe(Stage(person), made, Occluders(("a:1",), ()))["missed"] is True


def test_not_being_in_front_of_the_part_is_a_miss() -> None:
    person, things = case(1, 1)
    made = compose(person, things, Occlusion(), np.random.default_rng(0))
    assert not made.missed
    beside = replace(made, focused=False)
    assert beside.missed and beside.miss > made.miss


@pytest.mark.parametrize("count", [3, 6])
@pytest.mark.parametrize("high", [0.1, 0.35, 0.7, 0.95])
def test_the_last_cutout_alone_must_reach_the_range(count: int, high: float) -> None:
    aim = Aim(None, high - 0.05, high)
    targets = _targets(aim, 0.0, 0.0, count, np.random.default_rng(0))
    goals = [_goal(aim, target, 0.0) for target in targets]
    assert goals[-1][0] - goals[-1][1] == pytest.approx(aim.low)
    assert all(middle - width < aim.low for middle, width in goals[:-1])


def test_rejection_takes_any_share_in_the_range_and_asks_for_none() -> None:
    shares = []
    for seed in range(60):
        person, things = case(seed, 1 + seed % 2, size=96)
        occlusion = Occlusion(preset="pcnet", hidden=(0.1, 0.9), tries=50)
        made = compose(person, things, occlusion, np.random.default_rng(seed))
        meta = describe(Stage(person), made, Occluders(("a:1",), tuple(things)))
        assert meta["asked_share"] is None and meta["asked_range"] == [0.1, 0.9]
        assert made.missed or 0.1 <= made.got <= 0.9
        assert not any(note["rescaled"] for note in made.placements)
        shares.append(made.got)
    assert np.std(shares) > 0.12  # not steered to anything


def test_each_of_several_hides_something_where_no_share_is_asked() -> None:
    for seed in range(20):
        person, things = case(seed, 3, size=96)
        occlusion = Occlusion(preset="pcnet", occluders=(3, 3))
        made = compose(person, things, occlusion, np.random.default_rng(seed))
        after = [note["share_after"] for note in made.placements]
        assert made.missed or 0 < after[0] < after[1] < after[2]


def test_no_cutouts_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        compose(
            person_crop(32, np.random.default_rng(0)), [], Occlusion(), np.random.default_rng(0)
        )


def jittered(seed: int, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    person, things = case(seed, 1, size=96)
    made: Composite = compose(person, things, Occlusion(), np.random.default_rng(seed))
    settings_ = Initial(kind="jitter", strength=strength)
    return made.modal, make_initial(made.modal, settings_, np.random.default_rng(seed))


def test_initial_modal_is_exact() -> None:
    modal = person_crop(32, np.random.default_rng(0)).amodal
    exact = make_initial(modal, Initial(), np.random.default_rng(0))
    assert exact.dtype == np.float32
    assert (exact == modal).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999), st.floats(0.3, 4))
def test_jitter_is_storable_and_repeats(seed: int, strength: float) -> None:
    modal, soft = jittered(seed, strength)
    assert soft.dtype == np.float32
    assert soft.shape == modal.shape
    assert soft.min() >= 0 and soft.max() <= 1
    steps = np.rint(soft * 255).astype(np.uint8)
    assert (steps.astype(np.float32) / np.float32(255) == soft).all()
    assert (jittered(seed, strength)[1] == soft).all()
    assert (soft >= 0.5).any()


def test_jitter_is_wrong_by_about_its_strength() -> None:
    def iou(seed: int, strength: float) -> float:
        modal, soft = jittered(seed, strength)
        return float(((soft >= 0.5) & modal).sum() / ((soft >= 0.5) | modal).sum())

    mild = [iou(seed, 0.5) for seed in range(40)]
    usual = [iou(seed, 1.0) for seed in range(40)]
    strong = [iou(seed, 3.0) for seed in range(40)]
    assert np.mean(mild) > np.mean(usual) > np.mean(strong)
    assert 0.75 < np.mean(usual) < 0.97
