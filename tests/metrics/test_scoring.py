import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from metrics import protocol, samples
from metrics.feature_file import FeatureFile
from metrics.scoring import Networks, SetScore, SetScorer, load_networks, no_networks
from metrics.truth import STRICT, Prediction, Rules, Truth
from tests.metrics.cases import real_cases, real_truth

COUNT = 7
VGG = {"lpips_vgg", "lpips_vgg_hole"}


@pytest.fixture(scope="module")
def networks(installed_weights) -> Networks:
    return load_networks()


@pytest.fixture(scope="module")
def cases(real_photos):
    return real_cases(real_photos, COUNT)


def _scorer(cases, networks, order, track="full", **options) -> SetScorer:
    scorer = SetScorer(track, networks, **options)
    for name in order:
        scorer.add(*cases[name])
    return scorer


def _score_elsewhere(cases, order) -> SetScorer:
    return _scorer(cases, load_networks(), order, batch_size=2)


def _assert_same(a: SetScore, b: SetScore) -> None:
    assert list(a.per_sample) == list(b.per_sample) and a.missing == b.missing
    for name, record in a.per_sample.items():
        assert record == pytest.approx(b.per_sample[name], abs=1e-6, nan_ok=True)
    _assert_same_totals(a.totals, b.totals)
    _assert_same_totals(a.floor, b.floor)
    for bin_a, bin_b in zip(a.bins, b.bins, strict=True):
        assert (bin_a.low, bin_a.high) == (bin_b.low, bin_b.high)
        _assert_same_totals(bin_a.totals, bin_b.totals)


def _assert_same_totals(a: dict[str, protocol.Total], b: dict[str, protocol.Total]) -> None:
    assert a.keys() == b.keys()
    for name, total in a.items():
        assert total.n == b[name].n
        for side in ("value", "low", "high"):
            assert getattr(total, side) == pytest.approx(getattr(b[name], side), abs=1e-4)


@pytest.fixture(scope="module")
def once(cases, networks) -> SetScore:
    return _scorer(cases, networks, sorted(cases), batch_size=3).finish()


def test_every_metric_of_the_track_has_a_value(once, cases):
    assert once.missing.keys() == VGG
    parts = {"invisible_recall@legs", "l1_hole@legs"}
    expected = {spec.name for spec in protocol.TRACKS["full"]} | parts
    assert once.totals.keys() == expected - VGG
    assert once.totals["fid"].n == COUNT and once.floor.keys() == {"fid", "kid"}
    assert sum(b.totals["pooled_iou"].n for b in once.bins) == COUNT
    for name in ("fid", "kid", "parsing_miou"):
        assert once.totals[name].low <= once.totals[name].value <= once.totals[name].high
    assert once.totals["iou"].low is None


def test_vgg_is_there_where_it_was_asked_for(once, cases, installed_weights):
    networks = load_networks(vgg=True)
    networks.inception = None
    score = _scorer(cases, networks, ["s02", "s03"]).finish()
    for record in score.per_sample.values():
        assert 0 < record["lpips_vgg"] < record["lpips_vgg_hole"]
    names = ("lpips", "lpips_hole")
    for key, record in score.per_sample.items():
        assert [record[n] for n in names] == pytest.approx([once.per_sample[key][n] for n in names])


def test_neither_batches_nor_order_nor_merging_matter(once, cases, networks):
    names = sorted(cases)
    first = _scorer(cases, networks, names[:1:-1], batch_size=1)
    first.merge(_scorer(cases, networks, names[:2], batch_size=16))
    _assert_same(first.finish(), once)


def test_two_processes_equal_one(once, cases, networks):
    names = sorted(cases)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        there = pool.submit(_score_elsewhere, cases, names[:3])
        here = _scorer(cases, networks, names[3:])
        other = there.result()
    here.merge(other)
    _assert_same(here.finish(), once)
    with pytest.raises(ValueError, match="another process"):
        other.add(*cases[names[5]])


def test_kept_features_of_the_truth_give_the_same_score(once, cases, networks, tmp_path):
    path = tmp_path / "truth.safetensors"
    once.truth.save(path)
    kept = FeatureFile.load(path)
    again = _scorer(cases, networks, reversed(sorted(cases)), truth=kept).finish()
    _assert_same(again, once)
    assert again.truth is kept
    foreign = SetScorer("full", networks, truth=FeatureFile())
    with pytest.raises(ValueError, match="s00.*of other samples"):
        foreign.add(*cases["s00"])


class _Colours:
    """Stands for Inception: a photo's features are its mean colours, in each of the 2048."""

    def features(self, photos: np.ndarray) -> np.ndarray:
        return np.resize(photos.mean((1, 2)).T, (2048, len(photos))).T


def _small_cases(sizes) -> dict[str, tuple[Truth, Prediction]]:
    """Random photos of the given sizes, each with another as what was predicted."""
    rng, cases = np.random.default_rng(4), {}
    for number, size in enumerate(sizes):
        clean, photo = rng.integers(0, 256, (2, *size, 3)).astype(np.uint8)
        truth = real_truth(1 + number, clean)
        cases[truth.sample_id] = (truth, Prediction(truth.amodal, photo, truth.parsing))
    return cases


def test_photos_of_several_sizes_are_scored_as_each_alone():
    cases = _small_cases([(130, 80), (130, 80), (128, 96), (130, 80)])
    networks = Networks(inception=_Colours())
    together = _scorer(cases, networks, cases, batch_size=16).finish()
    alone = _scorer(cases, networks, cases, batch_size=1).finish()
    _assert_same(together, alone)
    for name, case in cases.items():
        one = _scorer({name: case}, networks, [name]).finish()
        assert one.per_sample[name] == pytest.approx(together.per_sample[name], nan_ok=True)


def test_parts_that_were_given_the_features_of_the_truth_merge():
    cases = _small_cases([(128, 80)] * 4)
    networks, names = Networks(inception=_Colours()), sorted(cases)
    whole = _scorer(cases, networks, names).finish()
    first, second = (
        _scorer(cases, networks, some, truth=whole.truth) for some in (names[:1], names[1:])
    )
    first.merge(second)
    _assert_same(first.finish(), whole)
    with pytest.raises(ValueError, match="cannot be merged"):
        first.merge(SetScorer("full", networks))


def test_more_samples_may_be_added_when_it_was_finished_once():
    cases = _small_cases([(128, 80)] * 5)
    networks, names = Networks(inception=_Colours()), sorted(cases)
    scorer = _scorer(cases, networks, names[:3])
    assert scorer.finish().totals["fid"].n == 3
    for name in names[3:]:
        scorer.add(*cases[name])
    _assert_same(scorer.finish(), _scorer(cases, networks, names).finish())


def test_the_truth_itself_is_a_perfect_prediction(cases, networks):
    scorer = SetScorer("full", networks)
    for truth, _ in cases.values():
        scorer.add(truth, Prediction(truth.amodal, truth.clean, truth.parsing))
    score = scorer.finish()
    perfect = {"lpips": 0, "lpips_hole": 0, "l1": 0, "ssim_hole": 1, "iou": 1}
    perfect |= {"psnr_hole": protocol.PSNR_CAP, "boundary_f": 1, "parsing_miou": 1, "mask_l1": 0}
    perfect |= {"invisible_iou": 1, "invisible_recall@legs": 1, "l1_hole@legs": 0}
    for name, value in perfect.items():
        assert score.totals[name].value == pytest.approx(value, abs=1e-9)
    assert score.totals["fid"].value == pytest.approx(0, abs=1e-3)
    assert score.totals["kid"].value < 0  # unbiased: below that of two different sets


def test_numbers_are_those_of_the_protocol_and_what_is_hidden_nowhere_is_not_counted(cases):
    for rules in (STRICT, Rules("official", border_band=2)):
        score = _scorer(cases, None, cases, "content", protocol=rules).finish()
        for name, (truth, prediction) in cases.items():
            pair = samples.make_pair("content", truth, prediction, rules)
            expected = samples.score("content", truth, prediction, pair)
            np.testing.assert_equal(score.per_sample[name], expected)
        assert score.totals["l1_hole"].n == COUNT - 2 and score.totals["l1"].n == COUNT
        assert math.isnan(score.per_sample["s00"]["psnr_hole"])


def test_missing_networks_leave_their_numbers_out_with_the_reason(cases, tmp_path, monkeypatch):
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path))
    score = _scorer(cases, load_networks(), cases, "content").finish()
    assert score.missing.keys() == {"lpips", "lpips_hole", "fid", "kid"} | VGG
    reasons = [reason for name, reason in score.missing.items() if name not in VGG]
    assert all("hdeocc weights" in reason for reason in reasons)
    assert "not asked for" in score.missing["lpips_vgg"]
    assert not score.totals.keys() & score.missing.keys()
    assert score.truth is None and score.floor == {}
    assert no_networks().missing.keys() == score.missing.keys()


def test_what_one_photo_cannot_have_is_missing_with_the_reason(cases, networks):
    score = _scorer(cases, networks, ["s01"], "content").finish()
    assert (
        score.missing.keys() == {"fid", "kid"} | VGG and "2 photos, got 1" in score.missing["kid"]
    )
    truth, prediction = cases["s01"]
    scorer = SetScorer("mask")
    scorer.add(truth, replace(prediction, parsing=None))
    assert scorer.finish().missing.keys() == {"parsing_miou"}


def test_with_true_masks_the_full_track_is_the_other_two_together(cases):
    true = {k: (t, replace(p, mask=t.amodal)) for k, (t, p) in cases.items()}
    tracks = ("mask", "content", "full")
    mask, content, full = (_scorer(true, None, true, track).finish() for track in tracks)
    assert mask.missing == {} and content.missing == full.missing == no_networks().missing
    both = {("mask_l1" if name == "l1" else name): total for name, total in mask.totals.items()}
    assert full.totals == both | content.totals
    assert full.bins == mask.bins and content.bins == []


def test_mistakes_name_the_sample_and_leave_no_trace(cases):
    scorer = SetScorer("content")
    scorer.add(*cases["s01"])
    truth, prediction = cases["s02"]
    with pytest.raises(ValueError, match="s01: it was scored twice"):
        scorer.add(*cases["s01"])
    with pytest.raises(ValueError, match="sample s02: .*one shape"):
        scorer.add(truth, replace(prediction, photo=prediction.photo[:9]))
    with pytest.raises(ValueError, match="sample s02: a predicted photo is missing"):
        scorer.add(truth, Prediction(mask=truth.amodal))
    with pytest.raises(ValueError, match="s01: it was scored twice"):
        scorer.merge(_scorer(cases, None, ["s01"], "content"))
    for other in (SetScorer("full"), SetScorer("content", protocol=Rules("official"))):
        with pytest.raises(ValueError, match="cannot be merged"):
            scorer.merge(other)
    with pytest.raises(ValueError, match="unknown track"):
        SetScorer("colour")
    assert scorer.finish().per_sample.keys() == {"s01"}
