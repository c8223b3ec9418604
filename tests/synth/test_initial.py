"""The initial mask from the true one: exact, or with faults of a strength or an IoU."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from synth.errors import InputError
from synth.initial import FromModal, make_initial
from synth.jitter import draw_faults, iou, jitter, jitter_to
from synth.occlusion_spec import Initial
from synth.recipe import parse_recipe
from tests.synth.tiny import RECIPE, ellipse, person_crop

STRENGTHS = st.floats(0.1, 4)


def person(size: int = 96) -> np.ndarray:
    """A standing ellipse with a bite out of it, (size, size) bool."""
    mask = np.zeros((size, size), bool)
    mask[size // 8 : size // 8 + size // 4 * 3, size // 3 : size // 3 * 2] = ellipse(
        size // 4 * 3, size // 3 * 2 - size // 3
    )
    mask[size // 2 :, : size // 2] = False
    return mask


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_jitter_draws_as_it_always_did() -> None:
    """Data sets with jittered masks keep their fingerprints."""
    digest = hashlib.sha256()
    for seed in range(20):
        soft = jitter(person(), 0.25 * (1 + seed % 8), rng(seed))
        digest.update(np.rint(soft * 255).astype(np.uint8).tobytes())
    assert digest.hexdigest()[:16] == "3f7cec638818bb3c"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), STRENGTHS, st.floats(0, 1))
def test_faulty_masks_are_storable_and_never_empty(seed: int, strength: float, leak: float) -> None:
    for soft in (
        jitter(person(), strength, rng(seed), leak),
        jitter_to(person(), 0.05 + 0.95 * strength / 4, rng(seed), leak),
    ):
        steps = np.rint(soft * 255).astype(np.uint8)
        assert soft.dtype == np.float32 and soft.shape == (96, 96)
        assert (steps.astype(np.float32) / np.float32(255) == soft).all()
        assert (soft > 0.5).any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.floats(0.55, 1))
def test_the_iou_asked_for_is_met(seed: int, wanted: float) -> None:
    mask = person()
    worst = iou(jitter_to(mask, 1e-3, rng(seed)), mask)  # what these faults can do at most
    reached = iou(jitter_to(mask, wanted, rng(seed)), mask)
    assert reached == pytest.approx(max(wanted, worst), abs=0.04)
    assert worst < 0.7


def test_an_iou_of_one_is_the_mask_itself() -> None:
    assert (jitter_to(person(), 1.0, rng(0)) == person()).all()


def test_a_range_of_iou_is_filled_evenly() -> None:
    wish = Initial(kind="jitter", iou=(0.6, 0.9))
    found = [iou(make_initial(person(), wish, rng(seed)), person()) for seed in range(300)]
    assert min(found) > 0.56 and max(found) < 0.94
    counts, _ = np.histogram(found, np.linspace(0.6, 0.9, 4))
    assert counts.min() > 70


def test_the_border_moves_out_and_in_about_as_often() -> None:
    moved = [jitter(person(), 0.5, rng(seed), 0.0).sum() / person().sum() for seed in range(200)]
    whole = [draw_faults(person(), rng(seed), 0.2).dropped is None for seed in range(200)]
    kept = [share for share, is_whole in zip(moved, whole, strict=True) if is_whole]
    grown = np.mean(np.array(kept) > 1)
    assert len(kept) > 120
    assert 0.3 < grown < 0.7


def test_a_piece_is_dropped_as_often_as_asked() -> None:
    with_piece = [draw_faults(person(), rng(seed), 0.4) for seed in range(400)]
    assert np.mean([f.dropped is not None for f in with_piece]) == pytest.approx(0.4, abs=0.08)
    for faults in with_piece:
        if faults.dropped is not None:
            assert person()[faults.dropped.row, faults.dropped.column]
            assert 0.08 <= faults.dropped.radius <= 0.2


def test_a_leaked_piece_lies_at_the_border_and_only_adds() -> None:
    mask = person()
    outside = ndimage.distance_transform_edt(~mask)
    for seed in range(50):
        without, with_leak = jitter(mask, 1.0, rng(seed)), jitter(mask, 1.0, rng(seed), leak=1.0)
        faults = draw_faults(mask, rng(seed), 0.4, leak=1.0)
        assert faults.leaked is not None
        assert 0 < outside[faults.leaked.row, faults.leaked.column] < 2
        assert (with_leak >= without).all()
        assert with_leak.sum() > without.sum() or faults.dropped is not None


def test_a_person_who_fills_the_frame_has_no_neighbourhood_to_leak() -> None:
    full = np.ones((32, 32), bool)
    assert draw_faults(full, rng(0), 0.0, leak=1.0).leaked is None
    assert jitter(full, 1.0, rng(0), leak=1.0).shape == (32, 32)


def test_more_strength_means_less_overlap() -> None:
    means = [
        np.mean([iou(jitter(person(), s, rng(seed)), person()) for seed in range(60)])
        for s in (0.25, 0.5, 1, 2, 4)
    ]
    assert means == sorted(means, reverse=True)
    assert means[0] > 0.95 and means[-1] < 0.7


def test_nobody_visible_stays_so() -> None:
    empty = np.zeros((16, 16), bool)
    for wish in (Initial(), Initial(kind="jitter"), Initial(kind="jitter", iou=(0.5, 0.6))):
        assert not make_initial(empty, wish, rng(0)).any()


def test_true_masks_need_no_files() -> None:
    modal = person_crop(32, rng(0)).amodal
    for wish in (Initial(), Initial(kind="jitter", strength=0)):
        starter = FromModal(wish)
        assert starter.digest == ""
        soft = starter(np.zeros((32, 32, 3), np.uint8), modal, "a:0", rng(0))
        assert soft.dtype == np.float32 and (soft == modal).all()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ('kind = "segmenter"', "hdeocc synth segmenter RECIPE --out DIR"),
        ('kind = "jitter"\niou = [0.9, 0.5]', "give \\[low, high\\]"),
        ('kind = "jitter"\niou = [0.0, 0.5]', "within \\(0, 1\\]"),
        ('kind = "modal"\niou = [0.5, 0.9]', "need initial.kind = 'jitter'"),
        ('kind = "modal"\nleak = 0.5', "need initial.kind = 'jitter'"),
    ],
)
def test_settings_that_contradict_are_refused(table: str, words: str) -> None:
    text = RECIPE.format(train=4, shard_size=4).replace('kind = "jitter"', table)
    with pytest.raises(InputError, match=words) as caught:
        parse_recipe(text, "mine.toml")
    assert caught.value.message.startswith("mine.toml: ") and "\n" not in caught.value.message
