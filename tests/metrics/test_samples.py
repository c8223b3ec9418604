import math
from dataclasses import replace

import numpy as np
import pytest

from metrics import boundary, pixels, protocol, samples
from metrics.protocol import COUNTS, PART_METRICS, TRACKS, paste
from metrics.truth import STRICT, Prediction, Rules, Truth
from tests.metrics.cases import SIZE, small_truth, unhidden

RNG = np.random.default_rng(3)
FILLING = RNG.integers(0, 256, (*SIZE, 3)).astype(np.uint8)
OFFICIAL = Rules("official")


@pytest.fixture
def truth() -> Truth:
    return small_truth()


def _content(truth: Truth, photo: np.ndarray, rules: Rules = STRICT) -> dict[str, float]:
    prediction = Prediction(photo=photo)
    pair = samples.make_pair("content", truth, prediction, rules)
    return samples.score("content", truth, prediction, pair)


def _full(
    truth: Truth, mask: np.ndarray, photo: np.ndarray, rules: Rules = STRICT
) -> dict[str, float]:
    prediction = Prediction(mask=mask, photo=photo)
    pair = samples.make_pair("full", truth, prediction, rules)
    return samples.score("full", truth, prediction, pair)


def test_a_perfect_mask(truth):
    assert samples.score_mask(truth, Prediction(truth.amodal)) == pytest.approx(
        {
            "iou": 1,
            "invisible_iou": 1,
            "boundary_f": 1,
            "l1": 0,
            "intersection": 96,
            "union": 96,
            "hidden_pixels": 36,
            "invisible_recall@head": 1,
            "invisible_recall@legs": 1,
            "invisible_recall@feet": math.nan,
        },
        nan_ok=True,
    )


def test_the_visible_part_alone_finds_nothing_hidden(truth):
    scores = samples.score_mask(truth, Prediction(truth.modal))
    assert scores["iou"] == 60 / 96 and scores["invisible_iou"] == 0
    assert scores["l1"] == pytest.approx(36 / (SIZE[0] * SIZE[1]))
    assert scores["invisible_recall@legs"] == 0


def test_recall_of_a_part_looks_at_its_hidden_pixels_alone(truth):
    found = truth.modal | (truth.hole & truth.parts["legs"])
    found[12:14, 8:11] = False  # of the 18 hidden pixels of the legs six are missed
    scores = samples.score_mask(truth, Prediction(found))
    assert scores["invisible_recall@legs"] == pytest.approx(12 / 18)
    assert scores["invisible_recall@head"] == 0
    assert math.isnan(scores["invisible_recall@feet"])


def test_an_empty_prediction_scores_nothing(truth):
    scores = samples.score_mask(truth, Prediction(np.zeros(SIZE, np.uint8)))
    assert scores["iou"] == scores["invisible_iou"] == scores["boundary_f"] == 0


def test_masks_of_nobody_follow_the_conventions():
    nobody = np.zeros(SIZE, bool)
    scores = samples.score_mask(Truth("s", "p", 0.0, nobody, nobody), Prediction(nobody))
    assert scores["iou"] == 0 and scores["boundary_f"] == 1
    assert math.isnan(scores["invisible_iou"])


def test_content_scores_use_the_colours_in_the_hole_only(truth):
    scores = _content(truth, FILLING)
    np.testing.assert_equal(_content(truth, paste(FILLING, 255 - FILLING, truth.hole)), scores)
    assert scores["l1_hole"] == pixels.l1(FILLING, truth.clean, truth.hole)
    assert scores["l1"] == pytest.approx(scores["l1_hole"] * truth.hole.mean())
    legs = truth.hole & truth.parts["legs"]
    assert scores["l1_hole@legs"] == pixels.l1(FILLING, truth.clean, legs)
    assert scores["l1_hole"] == pytest.approx((scores["l1_hole@legs"] + scores["l1_hole@head"]) / 2)


def test_the_true_colours_are_perfect_and_psnr_stays_finite(truth):
    scores = _content(truth, truth.clean)
    assert scores["l1"] == scores["l1_hole"] == 0
    assert scores["psnr"] == scores["psnr_hole"] == protocol.PSNR_CAP
    assert scores["ssim"] == scores["ssim_hole"] == 1


def test_full_with_true_masks_is_content_plus_mask(truth):
    full = _full(truth, truth.amodal, FILLING)
    assert full["iou"] == 1 and full["mask_l1"] == 0
    np.testing.assert_equal(
        {name: full[name] for name in _content(truth, FILLING)}, _content(truth, FILLING)
    )


def test_full_fills_what_it_believes_hidden_and_is_scored_in_the_true_hole(truth):
    nothing = np.zeros(SIZE, np.uint8)
    scores = _full(truth, nothing, truth.clean)
    assert scores["l1_hole"] == pixels.l1(truth.image, truth.clean, truth.hole) > 0
    # All pixels believed to be hidden person: the hole is right, the rest is now wrong.
    spilled = _full(replace(truth, initial=nothing), np.ones(SIZE, np.float32), truth.clean)
    assert spilled["l1_hole"] == 0 and spilled["l1"] > 0


def test_full_fills_what_it_believes_hidden_by_the_initial_mask_not_by_the_true_one(truth):
    # A method knows the initial mask alone: who scored by the true one would let the truth leak in.
    initial = np.roll(truth.modal, 2, 1)
    assert (initial & ~truth.modal).any() and (truth.modal & ~initial).any()
    filled = truth.amodal & ~initial
    for rules in (STRICT, OFFICIAL):
        prediction = Prediction(mask=truth.amodal, photo=FILLING)
        pair = samples.make_pair("full", replace(truth, initial=initial), prediction, rules)
        inside = pair.recovered[truth.amodal]
        expected = np.where(filled[..., None], FILLING, truth.image)[truth.amodal]
        np.testing.assert_array_equal(inside, expected)
        np.testing.assert_array_equal(pair.hole, truth.hole)


def test_official_rules_show_true_pixels_outside_the_person(truth):
    pair = samples.make_pair("content", truth, Prediction(photo=FILLING), OFFICIAL)
    for photo in (pair.recovered, pair.reference):
        np.testing.assert_array_equal(photo[~truth.amodal], truth.clean[~truth.amodal])
        np.testing.assert_array_equal(photo[truth.modal], truth.image[truth.modal])
    np.testing.assert_array_equal(pair.recovered[truth.hole], FILLING[truth.hole])
    np.testing.assert_array_equal(pair.reference[truth.hole], truth.clean[truth.hole])


def test_official_rules_forgive_what_is_spilled_beyond_the_person(truth):
    everywhere = replace(truth, initial=truth.modal), np.ones(SIZE, bool), FILLING
    strict, official = _full(*everywhere), _full(*everywhere, OFFICIAL)
    assert official["l1"] < strict["l1"] and official["psnr"] > strict["psnr"]
    hole = ("l1_hole", "psnr_hole", "iou", "invisible_iou")
    assert {name: official[name] for name in hole} == {name: strict[name] for name in hole}
    # With the true masks nothing is spilled, and pixel differences are the same by both rules.
    for name in ("l1", "l1_hole", "psnr", "psnr_hole"):
        assert _content(truth, FILLING, OFFICIAL)[name] == _content(truth, FILLING)[name]


def test_what_a_pipeline_paints_beside_the_person_costs_it_its_rank(truth):
    """A mask that is too large is no worse in the hole, and is in the headline."""
    right = _full(truth, truth.amodal, FILLING)
    wide = _full(truth, truth.amodal | boundary.band(truth.amodal, 2), FILLING)
    assert wide["l1_hole"] == right["l1_hole"]
    assert wide[protocol.HEADLINE["full"]] > right[protocol.HEADLINE["full"]]


@pytest.mark.parametrize("name", ["strict", "official"])
def test_pixels_of_the_border_band_count_nowhere(truth, name):
    rules = Rules(name, border_band=2)
    near = boundary.band(truth.amodal, 2)
    assert (near & truth.hole).any() and not near[truth.hole].all()
    scores = _content(truth, FILLING, rules)
    changed = np.where(near[..., None], 255 - FILLING, FILLING)
    np.testing.assert_equal(_content(truth, changed, rules), scores)
    assert scores["l1_hole"] == pixels.l1(FILLING, truth.clean, truth.hole & ~near)
    recovered = paste(FILLING, truth.clean, truth.hole & ~near)
    assert scores["l1"] == pixels.l1(recovered, truth.clean, ~near)
    assert scores["hidden_pixels"] == 36  # those of the person, not those that were counted
    pair = samples.make_pair("content", truth, Prediction(photo=FILLING), rules)
    np.testing.assert_array_equal(pair.recovered[near], pair.reference[near])
    assert not (pair.hole & near).any() and not (pair.parts["legs"] & near).any()


def test_a_band_does_not_touch_masks_and_may_swallow_the_hole(truth):
    wide = Rules(border_band=20)
    scores = _full(truth, truth.amodal, FILLING, wide)
    assert scores["iou"] == scores["boundary_f"] == 1
    assert math.isnan(scores["l1_hole"]) and math.isnan(scores["l1_hole@legs"])


def test_nothing_hidden_has_no_hole_numbers(truth):
    scores = _content(unhidden(truth), FILLING)
    for name in ("l1_hole", "psnr_hole", "ssim_hole", "l1_hole@legs"):
        assert math.isnan(scores[name])
    assert scores["l1"] == 0 and scores["hidden_pixels"] == 0
    masks = samples.score_mask(unhidden(truth), Prediction(truth.amodal))
    assert math.isnan(masks["invisible_iou"]) and math.isnan(masks["invisible_recall@legs"])


def test_what_is_missing_or_does_not_fit_is_refused(truth):
    with pytest.raises(ValueError, match="one shape"):
        _content(truth, FILLING[:8])
    with pytest.raises(ValueError, match=r"\(16, 14\)"):
        samples.score_mask(truth, Prediction(np.ones((8, 8), bool)))
    with pytest.raises(ValueError, match="a predicted photo is missing"):
        samples.make_pair("content", truth, Prediction(), Rules())
    with pytest.raises(ValueError, match="a predicted mask is missing"):
        samples.make_pair("full", truth, Prediction(photo=FILLING), Rules())
    for name in ("image", "clean"):
        with pytest.raises(ValueError, match=f"{name} .*is missing|{name} is missing"):
            _content(replace(truth, **{name: None}), FILLING)
    with pytest.raises(ValueError, match="initial is missing"):
        _full(replace(truth, initial=None), truth.amodal, FILLING)


def test_every_number_of_a_track_is_made_and_no_other(truth):
    made = {
        "mask": samples.score_mask(truth, Prediction(truth.amodal)),
        "content": _content(truth, FILLING),
        "full": _full(truth, truth.amodal, FILLING),
    }
    for track, specs in TRACKS.items():
        expected = {spec.name for spec in specs if spec.per_sample and spec.needs is None}
        expected |= {f"{name}@{part}" for name in PART_METRICS[track] for part in truth.parts}
        assert made[track].keys() - set(COUNTS) == expected
        assert protocol.HEADLINE[track] in expected
        assert all(type(value) in (int, float) for value in made[track].values())
