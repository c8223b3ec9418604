import math

import numpy as np
import pytest

from metrics import protocol
from metrics.scoring import Networks, SetScorer, load_networks

COUNT = 6


@pytest.fixture(scope="module")
def networks(installed_weights) -> Networks:
    return load_networks()


@pytest.fixture(scope="module")
def samples(real_photos) -> dict[str, dict]:
    """Real photos; person and occluder are boxes; the first person is not occluded."""
    samples = {}
    for i in range(COUNT):
        clean = real_photos[i]
        amodal, modal = np.zeros((2, *clean.shape[:2]), bool)
        amodal[20:120, 30:70] = modal[20:120, 30:70] = True
        modal[60 : 60 + 8 * i] = False
        image = np.where((amodal & ~modal)[..., None], 255 - clean, clean)
        samples[f"p{i}"] = {
            "pred_rgb": real_photos[-1 - i],
            "image": image,
            "clean": clean,
            "amodal": amodal,
            "modal": modal,
        }
    return samples


def _scored(samples, networks, order, **options):
    scorer = SetScorer("content", networks, **options)
    for name in order:
        scorer.add_content(name, **samples[name])
    return scorer


def _assert_same(a, b):
    assert a.per_sample.keys() == b.per_sample.keys() and a.totals.keys() == b.totals.keys()
    for name, record in a.per_sample.items():
        assert record == pytest.approx(b.per_sample[name], abs=1e-6, nan_ok=True)
    for name, total in a.totals.items():
        assert total["n"] == b.totals[name]["n"]
        assert total["value"] == pytest.approx(b.totals[name]["value"], abs=1e-4)


def test_batches_order_and_processes_do_not_matter(samples, networks):
    names = sorted(samples)
    once = _scored(samples, networks, names, batch_size=4).finish()
    assert once.missing == {} and once.truth.n == COUNT
    assert once.totals.keys() == {spec.name for spec in protocol.TRACKS["content"]}
    first = _scored(samples, networks, names[:1:-1], batch_size=1)
    second = _scored(samples, networks, names[:2], batch_size=3)
    first.merge(second)
    _assert_same(first.finish(), once)
    cached = _scored(samples, networks, names, truth=once.truth).finish()
    _assert_same(cached, once)


def test_numbers_are_those_of_the_protocol_and_what_is_hidden_nowhere_is_not_counted(samples):
    score = _scored(samples, None, samples).finish()
    for name, sample in samples.items():
        np.testing.assert_equal(score.per_sample[name], protocol.score_content(**sample))
    assert score.totals["l1_hole"]["n"] == COUNT - 1
    assert score.totals["l1"]["n"] == COUNT
    assert math.isnan(score.per_sample["p0"]["psnr_hole"])


def test_missing_networks_leave_their_numbers_out_with_the_reason(samples, tmp_path, monkeypatch):
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path))
    score = _scored(samples, load_networks(), samples).finish()
    assert score.missing.keys() == {"lpips", "lpips_hole", "fid"}
    assert all("hdeocc weights" in reason for reason in score.missing.values())
    assert not score.totals.keys() & score.missing.keys() and score.truth is None


def test_the_full_track_and_the_mask_track(samples):
    full, mask = SetScorer("full"), SetScorer("mask")
    for name, sample in samples.items():
        pred_amodal = np.where(sample["amodal"], 0.9, 0.1)
        full.add_full(name, pred_amodal=pred_amodal, initial=sample["modal"], **sample)
        mask.add_mask(name, pred_amodal, sample["amodal"], sample["modal"])
    assert mask.finish().totals["pooled_iou"] == {"value": 1.0, "n": COUNT}
    assert mask.finish().missing == {}
    content = _scored(samples, None, samples).finish().totals
    assert full.finish().totals | content == full.finish().totals
    assert full.finish().totals["invisible_iou"] == {"value": 1.0, "n": COUNT - 1}


def test_mistakes_name_the_sample_and_leave_no_trace(samples):
    scorer = SetScorer("content")
    scorer.add_content("p1", **samples["p1"])
    with pytest.raises(ValueError, match="p1 was scored twice"):
        scorer.add_content("p1", **samples["p1"])
    with pytest.raises(ValueError, match="sample p2: .*one shape"):
        scorer.add_content("p2", **samples["p2"] | {"pred_rgb": samples["p2"]["clean"][:9]})
    with pytest.raises(ValueError, match="p2.*for content"):
        scorer.add_mask("p2", samples["p2"]["amodal"], samples["p2"]["amodal"], None)
    with pytest.raises(ValueError, match="p1 was scored twice"):
        scorer.merge(_scored(samples, None, ["p1"]))
    with pytest.raises(ValueError, match="unknown track"):
        SetScorer("colour")
    assert scorer.finish().per_sample.keys() == {"p1"}
