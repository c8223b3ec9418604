"""Scoring stored pictures: the numbers of the protocol, kept truth, and foreign folders by name."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from hdeocc.fitted import Fitted
from hdeocc.folders import digest
from hdeocc.method import Method
from leaderboards import score_pictures
from leaderboards.foreign import pictures_of
from leaderboards.pictures import Picture, encode_png
from leaderboards.predict import Predictions
from leaderboards.records import write_record
from leaderboards.score import Facts, Row, Scorer, pretrained
from leaderboards.score_folder import Faults, faults_of, score_folder
from leaderboards.score_pictures import PART_NAMES, Pictures, PictureScorer, truth_of
from metrics import protocol
from metrics.scoring import Networks, SetScorer, no_networks
from metrics.truth import Prediction, Rules
from synth.atomic import temporary
from synth.errors import InputError
from synth.parsing import label
from synth.sample import Sample
from tests.fakes import make_samples
from tests.leaderboards.fakes import FakeContent, FakeIdentity, FakeSplit, benchmark, data

SIDE = 32
FACTS = Facts(benchmark="fake", method="theirs", title="Theirs", consumes=("initial",))


@pytest.fixture
def test_split() -> Any:
    samples = make_samples(6, SIDE, np.random.default_rng(0), split="test")
    return FakeSplit(samples, "c" * 64)


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "no-weights"))


def _masks(split: FakeSplit) -> dict[str, Picture]:
    rng = np.random.default_rng(1)
    noise = [rng.integers(0, 256, (SIDE, SIDE)) > 200 for _ in split.samples]
    pairs = zip(split.samples, noise, strict=True)
    return {s.sample_id: ((s.amodal ^ n) * 255).astype(np.uint8) for s, n in pairs}


def _photos(split: FakeSplit) -> dict[str, Picture]:
    rng = np.random.default_rng(2)
    return {s.sample_id: rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8) for s in split.samples}


def _written(folder: Path, pictures: dict[str, Picture]) -> Path:
    folder.mkdir()
    for key, picture in pictures.items():
        (folder / f"{key}.png").write_bytes(encode_png(picture))
    return folder


class _Inception:
    """Stands for the network: random projections of small photos; counts what it is shown."""

    def __init__(self) -> None:
        self.shown = 0
        self._matrix = np.random.default_rng(3).normal(0, 1, (48, 2048))

    def features(self, photos: np.ndarray) -> np.ndarray:
        self.shown += len(photos)
        small = [cv2.resize(photo, (4, 4), interpolation=cv2.INTER_AREA) for photo in photos]
        return np.stack(small).reshape(len(photos), -1) / 255 @ self._matrix


@pytest.fixture
def inception(monkeypatch: pytest.MonkeyPatch) -> _Inception:
    """A network that seems to be installed."""
    network = _Inception()
    missing = {k: v for k, v in no_networks().missing.items() if k not in ("fid", "kid")}
    made = Networks(inception=network, missing=missing)  # type: ignore[arg-type]
    monkeypatch.setattr(score_pictures, "load_networks", lambda *_, **__: made)
    there = SimpleNamespace(available=lambda name: (name == "inception", "a test"),
                            sha256=lambda name: "a" * 64)  # fmt: skip
    monkeypatch.setattr(score_pictures, "weights", there)
    return network


@pytest.mark.parametrize("rules", [Rules(), Rules("official"), Rules("strict", 2)])
def test_numbers_are_those_of_the_protocol(tmp_path: Path, test_split: Any, rules: Rules) -> None:
    masks, photos = _masks(test_split), _photos(test_split)
    where = Pictures(_written(tmp_path / "m", masks), _written(tmp_path / "p", photos))
    scored = PictureScorer(test_split).score(where, rules, "x")
    by_hand = SetScorer("full", protocol=rules)
    for sample in test_split:
        key = sample.sample_id
        by_hand.add(truth_of(sample, "full"), Prediction(masks[key], photos[key]))
    expected = by_hand.finish()
    assert [s.id for s in scored.samples] == test_split.ids
    for one in scored.samples:
        assert one.numbers() == pytest.approx(expected.per_sample[one.id], nan_ok=True, abs=0)
    assert {k: t.value for k, t in scored.totals.items() if t.value is not None} == {
        k: t.value for k, t in expected.totals.items() if not math.isnan(t.value)
    }
    assert len(scored.bins) == len(expected.bins) > 0
    assert "hdeocc weights" in scored.empty["fid"]


def test_body_parts_are_scored_where_the_labels_are_known(test_split: Any, tmp_path: Path) -> None:
    truth = {s.sample_id: (s.amodal * 255).astype(np.uint8) for s in test_split.samples}
    where = Pictures(masks=_written(tmp_path / "m", truth))
    scored = PictureScorer(test_split).score(where, Rules(), "x")
    recalls = {k: t.value for k, t in scored.totals.items() if "@" in k}
    assert set(recalls) == {f"invisible_recall@{part}" for part in PART_NAMES.values()}
    assert {value for value in recalls.values() if value is not None} == {1.0}
    assert all(" " not in name and "," not in name for name in PART_NAMES.values())
    unlabelled = FakeSplit([replace(s, parsing=None) for s in test_split.samples], "d" * 64)
    scored = PictureScorer(unlabelled).score(where, Rules(), "x")  # type: ignore[arg-type]
    assert not any("@" in name for name in scored.totals)


def test_parts_are_the_pixels_of_their_labels(test_split: Any) -> None:
    sample: Sample = test_split[0]
    assert sample.parsing is not None
    head = np.isin(sample.parsing, [label(n) for n in ("hat", "hair", "sunglasses", "face")])
    assert np.array_equal(truth_of(sample, "mask").parts["head"], head)


def test_a_stored_parsing_is_scored(test_split: Any, tmp_path: Path) -> None:
    folder = _written(tmp_path / "m", _masks(test_split))
    labels = {s.sample_id: s.parsing for s in test_split.samples}
    where = Pictures(folder, parsing=_written(folder / "parsing", labels))
    scored = PictureScorer(test_split).score(where, Rules(), "x")
    assert scored.totals["parsing_miou"].value == 1.0
    assert "parsing_miou" in PictureScorer(test_split).score(Pictures(folder), Rules(), "x").empty


def test_features_of_the_truth_are_kept_by_split_and_rules(
    test_split: Any, tmp_path: Path, inception: _Inception
) -> None:
    where = Pictures(photos=_written(tmp_path / "p", _photos(test_split)))
    cache = tmp_path / "truth"
    first = PictureScorer(test_split, cache).score(where, Rules(), "x")
    assert inception.shown == 12 and len(list(cache.iterdir())) == 1
    again = PictureScorer(test_split, cache).score(where, Rules(), "x")
    assert inception.shown == 18 and again == first
    assert first.totals["fid"].value is not None and first.floor["fid"].value is not None
    PictureScorer(test_split, cache).score(where, Rules("official"), "x")
    PictureScorer(test_split, cache).score(where, Rules("strict", 1), "x")
    assert inception.shown == 42 and len(list(cache.iterdir())) == 3
    for path in cache.iterdir():
        path.write_bytes(b"damaged")
    assert PictureScorer(test_split, cache).score(where, Rules(), "x") == first


def test_a_partial_run_has_no_totals_and_keeps_no_truth(
    test_split: Any, tmp_path: Path, inception: _Inception
) -> None:
    photos = _photos(test_split)
    del photos["000002"]
    where = Pictures(photos=_written(tmp_path / "p", photos))
    scored = PictureScorer(test_split, tmp_path / "truth").score(where, Rules(), "x")
    assert scored.n_expected == 6 and len(scored.samples) == 5
    assert scored.totals == {} and scored.bins == () and not (tmp_path / "truth").exists()


def test_samples_whose_truth_nobody_knows_are_not_expected(tmp_path: Path, test_split: Any) -> None:
    samples = [replace(test_split[0], clean=None), *test_split.samples[1:]]
    split: Any = FakeSplit(samples, "d" * 64)
    photos = _photos(split)
    del photos["000000"]
    where = Pictures(photos=_written(tmp_path / "p", photos))
    assert faults_of(where, split).none
    assert PictureScorer(split).score(where, Rules(), "x").n_expected == 5


def test_a_foreign_folder_becomes_a_record(test_split: Any, tmp_path: Path) -> None:
    where = Pictures(masks=_written(tmp_path / "m", _masks(test_split)))
    made = score_folder(where, test_split, data(), FACTS, Rules("official", 1))
    assert made.faults.none and made.record.complete
    assert made.record.key == "mask.theirs.seed-0.official"
    assert made.record.protocol.border_band == 1 and made.record.consumes == ("initial",)
    again = score_folder(where, test_split, data(), FACTS, Rules("official", 1))
    assert again.record == made.record
    key = next(iter(_masks(test_split)))
    (tmp_path / "m" / f"{key}.png").write_bytes(encode_png(np.zeros((SIDE, SIDE), np.uint8)))
    other = score_folder(where, test_split, data(), FACTS, Rules("official", 1)).record
    assert other.score_key != made.record.score_key


def test_the_track_follows_from_what_is_given(tmp_path: Path) -> None:
    assert Pictures(masks=tmp_path).track == "mask"
    assert Pictures(photos=tmp_path).track == "content"
    assert Pictures(tmp_path, tmp_path).track == "full"
    with pytest.raises(ValueError, match="neither masks nor photos"):
        _ = Pictures().track


def _refused(folder: Path, split: Any) -> str:
    with pytest.raises(InputError) as caught:
        score_folder(Pictures(masks=folder), split, data(), FACTS)
    assert "\n" not in caught.value.message and caught.value.exit_code == 2
    return caught.value.message


def test_a_missing_prediction_is_named(test_split: Any, tmp_path: Path) -> None:
    folder = _written(tmp_path / "m", _masks(test_split))
    (folder / "000003.png").unlink()
    assert _refused(folder, test_split).startswith(
        f"{folder}: 1 predictions are missing (000003.png)"
    )
    made = score_folder(Pictures(masks=folder), test_split, data(), FACTS, partial=True)
    assert not made.record.complete and made.record.totals == {}
    assert made.faults.lines() == [f"missing: {folder / '000003.png'}"]


@pytest.mark.parametrize("name", ["000099.png", "000001.PNG", "000001.jpg", "1.png"])
def test_an_extra_prediction_is_named(test_split: Any, tmp_path: Path, name: str) -> None:
    folder = _written(tmp_path / "m", _masks(test_split))
    (folder / name).write_bytes((folder / "000001.png").read_bytes())
    (folder / "notes.txt").write_text("do not matter")
    assert f"{name} belong to no sample of the split" in _refused(folder, test_split)


def test_a_picture_of_ours_that_was_broken_off_is_not_extra(
    test_split: Any, tmp_path: Path
) -> None:
    folder = _written(tmp_path / "m", _masks(test_split))
    (folder / temporary(Path("000001.png")).name).write_bytes(b"half a picture")
    assert faults_of(Pictures(masks=folder), test_split).none
    assert pictures_of(folder, None, None).track == "mask"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (encode_png(np.zeros((16, 48), np.uint8)), "is 48x16 pixels, not 32x32"),
        (encode_png(np.zeros((SIDE, SIDE, 3), np.uint8)), "is 8-bit RGB, not 8-bit grey"),
        (encode_png(np.zeros((SIDE, SIDE), np.uint16)), "is 16-bit grey, not 8-bit grey"),
        (b"\x89PNG\r\n\x1a\n", "is not a readable PNG"),
        (b"", "is not a readable PNG"),
        (encode_png(np.zeros((SIDE, SIDE), np.uint8))[:-20], "is not a readable PNG"),
    ],
)
def test_a_wrong_prediction_is_named(
    test_split: Any, tmp_path: Path, content: bytes, message: str
) -> None:
    folder = _written(tmp_path / "m", _masks(test_split))
    for name in ("000002.png", "000004.png"):
        (folder / name).write_bytes(content)
    refused = _refused(folder, test_split)
    assert refused.startswith(f"{folder / '000002.png'}: {message} and 1 more;")


def test_a_missing_folder_is_named(test_split: Any, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert _refused(gone, test_split).startswith(f"{gone}: no such folder")


def test_many_names_are_cut_short() -> None:
    many = tuple(Path(f"p/{i}.png") for i in range(40))
    with pytest.raises(InputError, match=r"0\.png, 1\.png, 2\.png, 3\.png, 4\.png and 35 more"):
        Faults(many, (), {}).refuse()
    assert len(Faults(many, many, {many[0]: "is odd"}).lines()) == 81


def test_protocol_version_is_that_of_the_records(test_split: Any, tmp_path: Path) -> None:
    where = Pictures(masks=_written(tmp_path / "m", _masks(test_split)))
    record = score_folder(where, test_split, data(), FACTS).record
    assert record.protocol.version == protocol.VERSION


def test_a_record_of_an_earlier_version_is_scored_again(tmp_path: Path, test_split: Any) -> None:
    method = FakeIdentity("quick")
    folder = _written(tmp_path / "m", _masks(test_split))
    made = Predictions(folder, "k", 1.5, "a CPU", 7)
    row = Row("mask", "identity", 0, (Fitted(method, "identity", "f", None, {}),), (made,))
    scorer = Scorer(benchmark(["identity"], [], []), data(), test_split)
    record, path = scorer.record(row), tmp_path / "r.json"
    assert (record.macs, record.milliseconds, record.budget) == (7, 1.5, None)
    write_record(path, record)
    assert scorer.stored(path, row) == record and scorer.stored(path, row, "official") is None
    old = {"schema_version": 1}
    path.write_text(json.dumps(old | {"sha256": digest(old)}))
    assert scorer.stored(path, row) is None
    path.write_text(json.dumps(old | {"sha256": "0"}))
    with pytest.raises(InputError, match="was changed after it was written"):
        scorer.stored(path, row)


def test_a_variant_says_what_it_changes_on_every_track(tmp_path: Path, test_split: Any) -> None:
    mask, content = FakeIdentity("quick"), FakeContent("quick")
    mask.options = {"net.width": 2}
    masks = Predictions(_written(tmp_path / "m", _masks(test_split)), "m", 1.0, "a CPU", 7)
    photos = Predictions(_written(tmp_path / "p", _photos(test_split)), "p", None, "a GPU")
    fitted = Fitted(mask, "small", "f", None, {}), Fitted(content, "paint", "g", 3.0, {})
    row = Row("full", "small+paint", 0, fitted, (masks, photos))
    scorer = Scorer(benchmark(["identity"], ["paint"], []), data(), test_split)
    record = scorer.record(row)
    assert record.options == {"mask": {"net.width": 2}}
    assert record.macs is None, "those of the masks alone are not what the row costs"
    assert record.milliseconds is None and record.device == "a CPU and a GPU"
    assert record.budget is not None and set(record.budget) == {"content"}
    assert record.seconds_fit == 3.0


def test_a_row_is_pre_trained_where_one_of_its_methods_is() -> None:
    class There(FakeIdentity):
        pretrained = "Places2"

    class Elsewhere(FakeIdentity):
        pretrained = "FFHQ"

    kinds: list[tuple[type[Method], ...]] = [
        (FakeIdentity,),
        (FakeIdentity, There),
        (There, There),
        (Elsewhere, There),
    ]
    found = [pretrained([kind() for kind in some]) for some in kinds]
    assert found == [None, "Places2", "Places2", "FFHQ and Places2"]
