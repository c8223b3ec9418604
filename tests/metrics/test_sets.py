import numpy as np
import pytest

from metrics import fid, jackknife, kid, sets
from metrics.feature_file import FeatureFile
from metrics.parsing import mean_iou, parsing_counts
from metrics.protocol import Total

COUNT = 24
IDS = [f"s{i:02d}" for i in range(COUNT)]
PEOPLE = [f"p{i // 3}" for i in range(COUNT)]


def _file(features: np.ndarray) -> FeatureFile:
    file = FeatureFile(features.shape[1])
    file.append(IDS, features)
    return file


@pytest.fixture
def features() -> sets.Features:
    both = np.random.default_rng(0).normal(size=(2, COUNT, 40)).astype(np.float32)
    return sets.Features(_file(both[0] + 1), _file(both[1]))


@pytest.fixture
def scored() -> sets.Scored:
    rng, scored = np.random.default_rng(1), sets.Scored()
    for i, (key, person) in enumerate(zip(IDS, PEOPLE, strict=True)):
        scored.records[key] = {"intersection": i, "union": 2 * i + 1}
        scored.people[key] = person
        scored.hidden[key] = (i % 4) / 10
        true = rng.integers(0, 4, (6, 6)).astype(np.uint8)
        pred = np.where(rng.random((6, 6)) < 0.7, true, 0).astype(np.uint8)
        scored.parsings[key] = parsing_counts(pred, true)
    return scored


def test_totals_are_those_of_the_modules_with_intervals_over_people(scored, features):
    found = sets.totals(scored, features, IDS)
    a, b = features.recovered.of(IDS), features.reference.of(IDS)
    groups = jackknife.groups_of(PEOPLE)
    for name, module in (("fid", fid), ("kid", kid)):
        value, without = module.distances(a, b, groups, groups)
        assert len(without) == 8  # people, not photos
        low, high = jackknife.interval(value, without)
        assert found[name] == Total(value, COUNT, pytest.approx(low), pytest.approx(high))
        assert low < value < high
    assert found["pooled_iou"] == Total(sum(range(COUNT)) / sum(range(1, 2 * COUNT, 2)), COUNT)


@pytest.mark.parametrize("block", [1, 5, 23])
def test_blocks_in_which_features_are_read_change_nothing(scored, block, monkeypatch):
    # Fewer dimensions than photos, so that FID goes by covariances as with thousands of photos.
    both = np.random.default_rng(0).normal(size=(2, COUNT, 6)).astype(np.float32)
    features = sets.Features(_file(both[0] + 1), _file(both[1]))
    assert isinstance(fid._route(features.recovered.of(IDS), both[1]), fid._Many)
    whole = sets.totals(scored, features, IDS)
    monkeypatch.setattr(fid, "_BLOCK", block)
    monkeypatch.setattr(kid, "BLOCK", block)
    found = sets.totals(scored, features, IDS)
    for name in ("fid", "kid"):
        for side in ("value", "low", "high"):
            expected = getattr(whole[name], side)
            assert getattr(found[name], side) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_parsing_is_pooled_over_the_samples_that_have_one(scored):
    for key in IDS[:6]:
        del scored.parsings[key]
    found = sets.totals(scored, None, IDS)["parsing_miou"]
    assert found.value == mean_iou(sum(scored.parsings.values())) and found.n == COUNT - 6
    assert 0 <= found.low < found.value < found.high <= 1
    scored.parsings.clear()
    assert "parsing_miou" not in sets.totals(scored, None, IDS)


def test_bins_are_the_totals_of_their_samples_and_empty_ones_are_left_out(scored, features):
    bins = sets.bins(scored, features)
    assert [(b.low, b.high) for b in bins] == [(0.7, 0.8), (0.8, 0.9), (0.9, 1.0)]
    for found, hidden in zip(bins, ((0.3,), (0.2,), (0.0, 0.1)), strict=True):
        ids = [key for key in IDS if scored.hidden[key] in hidden]
        assert found.totals == sets.totals(scored, features, ids)
        assert found.totals["fid"].n == len(ids)


def test_bins_of_one_photo_have_no_distance_and_no_interval(scored, features):
    scored.hidden[IDS[3]] = 0.95
    least = sets.bins(scored, features)[0]
    assert (least.low, least.high) == (0.0, 0.1)
    assert least.totals.keys() == {"pooled_iou", "parsing_miou"}
    assert least.totals["parsing_miou"].low is None


def test_the_floor_is_between_halves_of_the_truth_that_share_no_person(scored, features):
    found = sets.floor(scored, features.reference, IDS)
    even = [key for key, person in zip(IDS, PEOPLE, strict=True) if int(person[1:]) % 2 == 0]
    odd = [key for key in IDS if key not in even]
    a, b = features.reference.of(even), features.reference.of(odd)
    assert found["fid"] == Total(pytest.approx(fid.distance(a, b)), COUNT // 2)
    assert found["kid"] == Total(pytest.approx(kid.distance(a, b)), COUNT // 2)
    assert sets.floor(scored, features.reference, IDS[:4]) == {}  # one photo of the second person


def test_identical_sets_are_at_the_least_distance(scored, features):
    same = sets.Features(features.reference, features.reference)
    found = sets.totals(scored, same, IDS)
    assert found["fid"].value == pytest.approx(0, abs=1e-9) and found["fid"].low == 0
    assert found["kid"].value < 0


def test_many_photos_get_fewer_groups(scored, features, monkeypatch):
    asked = []
    original = jackknife.groups_of
    monkeypatch.setattr(sets, "_FID_PHOTOS", 10)
    monkeypatch.setattr(sets, "_FID_GROUPS", 3)
    monkeypatch.setattr(
        jackknife,
        "groups_of",
        lambda people, most=100: asked.append(most) or original(people, most),
    )
    few = sets.totals(scored, features, IDS)["fid"]
    assert 3 in asked and few.low < few.value < few.high
