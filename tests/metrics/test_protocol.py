import math
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from metrics import pixels, protocol
from metrics.protocol import COUNTS, TRACKS, aggregate, binarise, paste, to_uint8

SIZE = (16, 14)


@pytest.fixture
def sample():
    """A random photo, its clean version, and a person of 96 pixels of which 36 are hidden."""
    rng = np.random.default_rng(7)
    image, clean, filling = rng.integers(0, 256, (3, *SIZE, 3)).astype(np.uint8)
    amodal, modal = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    amodal[2:14, 3:11] = modal[2:14, 3:8] = True
    return {"image": image, "clean": clean, "amodal": amodal, "modal": modal}, filling


@given(hnp.arrays(np.float32, SIZE, elements=st.floats(0, 1, width=32)))
def test_a_probability_and_its_stored_picture_are_thresholded_alike(probability):
    np.testing.assert_array_equal(binarise(probability), binarise(to_uint8(probability)))
    clear = np.abs(probability * 255 - 127.5) > 1e-3
    np.testing.assert_array_equal(binarise(probability)[clear], (probability * 255 > 127.5)[clear])


def test_the_threshold_is_128_of_255():
    np.testing.assert_array_equal(
        binarise(np.array([[0, 127, 128, 255]], np.uint8)), [[False, False, True, True]]
    )
    np.testing.assert_array_equal(binarise(np.array([[False, True]])), [[False, True]])


@pytest.mark.parametrize("mask", [np.array([[2.0]]), np.array([[np.nan]]), np.array([[1]])])
def test_what_is_no_mask_is_refused(mask):
    with pytest.raises(ValueError, match="mask"):
        binarise(mask)


def test_a_perfect_mask(sample):
    masks = {name: sample[0][name] for name in ("amodal", "modal")}
    scores = protocol.score_mask(masks["amodal"], **masks)
    assert scores == {
        "iou": 1,
        "invisible_iou": 1,
        "l1": 0,
        "intersection": 96,
        "union": 96,
        "hidden_pixels": 36,
    }


def test_the_visible_part_alone_finds_nothing_hidden(sample):
    masks = {name: sample[0][name] for name in ("amodal", "modal")}
    scores = protocol.score_mask(masks["modal"], **masks)
    assert scores["iou"] == 60 / 96 and scores["invisible_iou"] == 0
    assert scores["l1"] == pytest.approx(36 / (SIZE[0] * SIZE[1]))


def test_content_scores_use_the_colours_in_the_hole_only(sample):
    truth, filling = sample
    hole = truth["amodal"] & ~truth["modal"]
    scores = protocol.score_content(filling, **truth)
    assert protocol.score_content(paste(filling, 255 - filling, hole), **truth) == scores
    assert scores["l1_hole"] == pixels.l1_hole(filling, truth["clean"], hole)
    assert scores["l1"] == pytest.approx(scores["l1_hole"] * hole.mean())


def test_the_true_colours_are_perfect_and_psnr_stays_finite(sample):
    truth, _ = sample
    scores = protocol.score_content(truth["clean"], **truth)
    assert scores["l1"] == scores["l1_hole"] == 0
    assert scores["psnr"] == scores["psnr_hole"] == protocol.PSNR_CAP
    assert scores["ssim"] == pytest.approx(1)


def test_full_with_true_masks_is_content_plus_mask(sample):
    truth, filling = sample
    full = protocol.score_full(filling, truth["amodal"], initial=truth["modal"], **truth)
    assert full["iou"] == 1 and full["mask_l1"] == 0
    content = protocol.score_content(filling, **truth)
    assert {name: full[name] for name in content} == content


def test_full_fills_what_it_believes_hidden_and_is_scored_in_the_true_hole(sample):
    truth, _ = sample
    hole = truth["amodal"] & ~truth["modal"]
    nothing = np.zeros(SIZE, np.uint8)
    scores = protocol.score_full(truth["clean"], nothing, initial=truth["modal"], **truth)
    assert scores["l1_hole"] == pixels.l1_hole(truth["image"], truth["clean"], hole) > 0
    # All pixels believed to be hidden person: the hole is right, the rest is now wrong.
    everything = np.ones(SIZE, np.float32)
    spilled = protocol.score_full(truth["clean"], everything, initial=nothing, **truth)
    assert spilled["l1_hole"] == 0 and spilled["l1"] > 0


def test_nothing_hidden_has_no_hole_numbers(sample):
    truth, filling = sample
    truth["modal"] = truth["amodal"]
    scores = protocol.score_content(filling, **truth)
    assert math.isnan(scores["l1_hole"]) and math.isnan(scores["psnr_hole"])
    assert scores["l1"] == 0 and scores["hidden_pixels"] == 0


def test_shapes_that_do_not_fit_are_refused(sample):
    truth, filling = sample
    with pytest.raises(ValueError, match="one shape"):
        protocol.score_content(filling[:8], **truth)
    with pytest.raises(ValueError, match=r"\(16, 14\)"):
        protocol.score_mask(np.ones((8, 8), bool), truth["amodal"], truth["modal"])


def test_every_number_of_a_track_is_made_and_no_other(sample):
    truth, filling = sample
    masks = {name: truth[name] for name in ("amodal", "modal")}
    made = {
        "mask": protocol.score_mask(truth["amodal"], **masks),
        "content": protocol.score_content(filling, **truth),
        "full": protocol.score_full(filling, truth["amodal"], initial=truth["modal"], **truth),
    }
    for track, specs in TRACKS.items():
        expected = {spec.name for spec in specs if spec.per_sample and spec.needs is None}
        assert made[track].keys() - set(COUNTS) == expected
        assert protocol.HEADLINE[track] in expected


records = st.lists(
    st.fixed_dictionaries(
        {
            "iou": st.floats(0, 1),
            "l1_hole": st.one_of(st.just(math.nan), st.floats(0, 1)),
            "intersection": st.integers(0, 9),
            "union": st.integers(10, 20),
        }
    ),
    min_size=1,
    max_size=12,
)


@given(records, st.integers(0, 99))
def test_aggregate_leaves_nan_out_counts_and_ignores_order(samples, seed):
    totals = aggregate(samples)
    counted = [s["l1_hole"] for s in samples if not math.isnan(s["l1_hole"])]
    assert totals["l1_hole"]["n"] == len(counted)
    if counted:
        assert totals["l1_hole"]["value"] == pytest.approx(sum(counted) / len(counted))
    else:
        assert math.isnan(totals["l1_hole"]["value"])
    pooled = sum(s["intersection"] for s in samples) / sum(s["union"] for s in samples)
    assert totals["pooled_iou"] == {"value": pytest.approx(pooled), "n": len(samples)}
    assert not totals.keys() & set(COUNTS)
    shuffled = samples.copy()
    random.Random(seed).shuffle(shuffled)
    np.testing.assert_equal(aggregate(shuffled), totals)


def test_the_protocol_does_not_import_torch():
    code = (
        "import sys, metrics.protocol, metrics.scoring, metrics.cli;"
        "print([name for name in ('torch', 'lpips', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
