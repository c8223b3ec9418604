"""Pictures show what is scored: of a whole photo only what the rules of its protocol compare."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leaderboards import gallery, scored_photo
from leaderboards.folder import Folder
from leaderboards.page_data import pictures_of, table_data
from leaderboards.page_pictures import draw_pictures
from leaderboards.pictures import encode_png
from leaderboards.records import Protocol, Record
from leaderboards.score_pictures import Pictures, truth_of
from leaderboards.tables import make_tables
from metrics.samples import make_pair, score_pair
from metrics.truth import Prediction, Rules, RulesName
from synth.sample import Sample
from tests.fakes import make_samples
from tests.leaderboards.fakes import content_record

SIZE = 48
RULES: tuple[RulesName, ...] = ("strict", "official")


@pytest.fixture
def sample() -> Sample:
    [one] = make_samples(1, SIZE, np.random.default_rng(0), split="test")
    return one


@pytest.fixture
def whole(sample: Sample) -> np.ndarray:
    """What a foreign program hands in: a photo of its own, everywhere."""
    drawn = np.random.default_rng(1).integers(0, 256, sample.image.shape)
    return np.asarray(drawn, np.uint8)


def stored(folder: Folder, whole: np.ndarray, sample: Sample, track: str = "content") -> None:
    """The photo, and for the full track masks that claim the left half of the frame."""
    name = f"{sample.sample_id}.png"
    left = np.zeros(sample.amodal.shape, np.uint8)
    left[:, : SIZE // 2] = 255
    pictures = {folder.predictions(track, "paint", 0): whole}
    if track == "full":
        pictures[folder.predictions("full", "paint", 0) / "masks"] = left
    for place, picture in pictures.items():
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(encode_png(picture))


def result(rules: RulesName, **changes: Any) -> Record:
    return content_record("paint", (0.1,), protocol=Protocol(name=rules), **changes)


def test_strict_shows_the_prediction_in_the_hole_and_the_input_elsewhere(
    tmp_path: Path, sample: Sample, whole: np.ndarray
) -> None:
    stored(Folder(tmp_path), whole, sample)
    shown = scored_photo.recovered(result("strict"), Folder(tmp_path), sample)
    assert shown is not None and sample.invisible.any()
    assert (shown[sample.invisible] == whole[sample.invisible]).all()
    assert (shown[~sample.invisible] == sample.image[~sample.invisible]).all()


def test_official_shows_the_true_photo_outside_the_person(
    tmp_path: Path, sample: Sample, whole: np.ndarray
) -> None:
    stored(Folder(tmp_path), whole, sample)
    shown = scored_photo.recovered(result("official"), Folder(tmp_path), sample)
    assert shown is not None and sample.clean is not None
    assert (shown[sample.invisible] == whole[sample.invisible]).all()
    assert (shown[~sample.amodal] == sample.clean[~sample.amodal]).all()
    truth = scored_photo.reference("content", Protocol(name="official"), sample)
    assert (truth[~sample.amodal] == shown[~sample.amodal]).all()


def test_the_full_track_shows_the_prediction_in_its_own_hole(
    tmp_path: Path, sample: Sample, whole: np.ndarray
) -> None:
    stored(Folder(tmp_path), whole, sample, "full")
    shown = scored_photo.recovered(result("strict", track="full"), Folder(tmp_path), sample)
    claimed = np.zeros(sample.amodal.shape, bool)
    claimed[:, : SIZE // 2] = True
    claimed &= sample.initial < 0.5
    assert shown is not None and (shown[claimed] == whole[claimed]).all()
    assert (shown[~claimed] == sample.image[~claimed]).all()


@pytest.mark.parametrize("track", ["content", "full"])
@pytest.mark.parametrize("rules", RULES)
def test_the_error_that_is_seen_is_the_error_that_is_scored(
    rules: RulesName, track: str, tmp_path: Path, sample: Sample, whole: np.ndarray
) -> None:
    place = Folder(tmp_path)
    stored(place, whole, sample, track)
    shown = scored_photo.recovered(result(rules, track=track), place, sample)
    truth = scored_photo.reference(track, Protocol(name=rules), sample)
    photos = place.predictions(track, "paint", 0)
    pictures = Pictures(masks=photos / "masks" if track == "full" else None, photos=photos)
    prediction = pictures.of(sample)
    assert shown is not None and prediction is not None
    pair = make_pair(track, truth_of(sample, track), prediction, Rules(rules))
    seen = np.abs(shown.astype(float) - truth).mean() / 255
    assert seen == pytest.approx(score_pair(pair)["l1"], abs=1e-9) and seen > 0


def test_nothing_is_shown_without_the_masks_it_was_scored_with(
    tmp_path: Path, sample: Sample, whole: np.ndarray
) -> None:
    stored(Folder(tmp_path), whole, sample, "full")
    (tmp_path / "predictions/full/paint/seed-0/masks" / f"{sample.sample_id}.png").unlink()
    record = result("strict", track="full")
    assert scored_photo.recovered(record, Folder(tmp_path), sample) is None


def test_page_and_figures_show_each_protocol_its_own_pictures(
    tmp_path: Path, sample: Sample, whole: np.ndarray
) -> None:
    place = Folder(tmp_path)
    stored(place, whole, sample)
    tables = make_tables([result(rules) for rules in RULES])
    assert [pictures_of(table) for table in tables] == ["content", "content.official"]
    [chunk] = draw_pictures(tables, place, [sample]).chunks
    tracks = json.loads(chunk.text)["tracks"]
    seen = {}
    for table in tables:
        name = table_data(table, "t", gallery.Cases((sample,), ()))["pictures"]
        patch = tracks[name]["methods"]["paint"]
        opened = Image.open(io.BytesIO(base64.b64decode(patch[5]))).convert("RGBA")
        seen[name] = np.count_nonzero(np.asarray(opened)[..., 3])
        [strip] = gallery.strips(table, place, [sample], SIZE)
        rules = table.first.protocol
        shown = next(shot.picture for shot in strip.shots if shot.kind == "method")
        assert (shown == scored_photo.recovered(result(rules.name), place, sample)).all()
        truth = next(shot.picture for shot in strip.shots if shot.kind == "truth")
        assert (truth == scored_photo.reference("content", rules, sample)).all()
    assert seen["content"] < SIZE * SIZE / 2 and seen["content"] < seen["content.official"]


def test_a_border_band_shows_the_truth(tmp_path: Path, sample: Sample, whole: np.ndarray) -> None:
    place = Folder(tmp_path)
    stored(place, whole, sample)
    rules = Protocol(border_band=2)
    record = content_record("paint", (0.1,), protocol=rules)
    [table] = make_tables([record])
    assert pictures_of(table) == "content.band-2"
    shown = scored_photo.recovered(record, place, sample)
    truth = scored_photo.reference("content", rules, sample)
    prediction = Prediction(photo=np.asarray(whole, np.uint8))
    pair = make_pair("content", truth_of(sample, "content"), prediction, Rules("strict", 2))
    assert pair.counted is not None and shown is not None
    assert (shown[~pair.counted] == truth[~pair.counted]).all()
