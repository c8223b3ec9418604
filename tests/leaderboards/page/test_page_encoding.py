"""Pictures as the page stores them: laid over each other they show what was predicted."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from leaderboards import overlay, page_pictures
from leaderboards.folder import Folder
from leaderboards.page_pictures import STEPS, draw_pictures
from leaderboards.pictures import encode_indexed, encode_webp, read_png
from leaderboards.records import read_records
from leaderboards.tables import make_tables
from synth.sample import Sample
from tests.fakes import make_samples

SIZE = 48


def opened(content: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))


def laid_over(photo: str, patch: list[Any]) -> np.ndarray:
    """(H, W, 3) float of a photo under a patch, as a browser composes them."""
    under = opened(photo)[..., :3].astype(np.float64)
    side = len(under)
    left, top, width, height = (round(part * side / 100) for part in patch[:4])
    over = opened(patch[5]).astype(np.float64)
    if over.shape[:2] != (height, width):
        over = cv2.resize(over, (width, height), interpolation=cv2.INTER_AREA)
    opacity = over[..., 3:] / 255
    place = under[top : top + height, left : left + width]
    place[:] = place * (1 - opacity) + over[..., :3] * opacity
    return under


def error(shown: np.ndarray, wanted: np.ndarray, sample: Sample) -> float:
    """Mean difference in the hole, in 0 to 255: small noisy pictures lose much to the encoder."""
    return float(np.abs(shown.astype(float) - wanted)[sample.invisible].mean())


def filled(folder: Folder, track: str, method: str, sample: Sample) -> np.ndarray:
    """The pixels that are a method's by the strict rules: the hole, on the full track its own."""
    if track == "content":
        return sample.invisible
    path = folder.predictions("mask", method.partition("+")[0], 0) / f"{sample.sample_id}.png"
    mask = read_png(path, sample.amodal.shape)
    assert mask is not None
    return (mask >= 128) & ~(sample.initial >= 0.5)


@pytest.fixture(scope="module")
def chunks(site: Path, samples: list[Sample]) -> dict[str, Any]:
    tables = make_tables(read_records(site.parent / "results"))
    made = draw_pictures(tables, Folder(site.parent), samples[:5])
    return {chunk.sample_id: json.loads(chunk.text) for chunk in made.chunks}


@pytest.mark.parametrize("track", ["content", "full"])
def test_photo_and_patch_show_the_prediction(
    chunks: dict[str, Any], samples: list[Sample], site: Path, track: str
) -> None:
    for sample in samples[:5]:
        chunk = chunks[sample.sample_id]
        for method, patch in chunk["tracks"][track]["methods"].items():
            path = Folder(site.parent).predictions(track, method, 0) / f"{sample.sample_id}.png"
            photo = read_png(path, sample.image.shape)
            assert photo is not None
            hole = filled(Folder(site.parent), track, method, sample)
            wanted = np.where(hole[..., None], photo, sample.image)
            shown = laid_over(chunk["photo"], patch)
            # A sliver is all edge, which the encoder blurs.
            assert hole.sum() < 100 or np.abs(shown - wanted)[hole].mean() < 18
            assert np.abs(shown - wanted).mean() < 12


def test_the_truth_is_the_reference(chunks: dict[str, Any], samples: list[Sample]) -> None:
    for sample in samples[:5]:
        chunk = chunks[sample.sample_id]
        shown = laid_over(chunk["photo"], chunk["tracks"]["content"]["truth"])
        assert sample.clean is not None
        wanted = np.where(sample.invisible[..., None], sample.clean, sample.image).astype(float)
        assert error(shown, wanted, sample) < 14 < error(sample.image, wanted, sample)


def test_nothing_visible_is_painted_over(chunks: dict[str, Any], samples: list[Sample]) -> None:
    sample = samples[0]
    patch = chunks[sample.sample_id]["tracks"]["content"]["methods"]["identity"]
    side, over = len(sample.image), opened(patch[5])
    opacity = np.zeros((side, side))
    left, top = (round(part * side / 100) for part in patch[:2])
    opacity[top : top + len(over), left : left + over.shape[1]] = over[..., 3]
    away = cv2.dilate(sample.invisible.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    assert opacity[away].max() == 0 and opacity[sample.invisible].min() == 255


def test_a_mask_layer_colours_what_is_right_and_what_is_wrong(samples: list[Sample]) -> None:
    sample = samples[0]
    everything = np.full((SIZE, SIZE), 255, np.uint8)
    layer = overlay.mask_layer(sample, everything, SIZE)
    assert (layer == overlay.FOUND).sum() == sample.invisible.sum()
    assert (layer == overlay.SPILLED).sum() == (~sample.amodal).sum()
    assert (layer[sample.modal] == overlay.CLEAR).all()
    nothing = overlay.mask_layer(sample, np.zeros((SIZE, SIZE), np.uint8), SIZE)
    assert (nothing == overlay.LOST).sum() == sample.amodal.sum()
    assert not (nothing == overlay.FOUND).any()


def test_indexed_layers_keep_every_pixel() -> None:
    rng = np.random.default_rng(0)
    layer = rng.integers(0, len(overlay.PALETTE), (33, 21)).astype(np.uint8)
    back = np.asarray(
        Image.open(io.BytesIO(encode_indexed(layer, overlay.PALETTE))).convert("RGBA")
    )
    assert (back == np.array(overlay.PALETTE, np.uint8)[layer]).all()


def test_webp_keeps_transparency() -> None:
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:, 4:] = (200, 30, 60, 255)
    back = np.asarray(Image.open(io.BytesIO(encode_webp(picture, 90))).convert("RGBA"))
    assert (back[..., 3] == picture[..., 3]).all()
    assert np.abs(back[:, 6].astype(int) - picture[:, 6]).max() < 25


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 90),
    side=st.sampled_from([48, 64, 72]),
    data=st.data(),
)
def test_a_span_holds_every_difference(length: int, side: int, data: st.DataObject) -> None:
    places = data.draw(st.sets(st.integers(0, length - 1)))
    differs = np.zeros(length, np.bool_)
    differs[list(places)] = True
    span = page_pictures._span(differs, side)
    assert 0 <= span.start < span.stop <= side and span.start % page_pictures.BLOCK == 0
    for place in places:
        assert span.start <= place * side / length
        assert (place + 1) * side / length <= span.stop


def test_many_pictures_become_smaller(
    site: Path, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = make_tables(read_records(site.parent / "results"))
    large = draw_pictures(tables, Folder(site.parent), samples)
    size = sum(len(chunk.text) for chunk in large.chunks)
    assert large.step == STEPS[0]
    monkeypatch.setattr(page_pictures, "MAX_BYTES", 7 * size // 10)
    small = draw_pictures(tables, Folder(site.parent), samples)
    assert small.step.side < large.step.side
    assert sum(len(chunk.text) for chunk in small.chunks) <= 7 * size // 10
    monkeypatch.setattr(page_pictures, "MAX_BYTES", 10)
    assert draw_pictures(tables, Folder(site.parent), samples).step == STEPS[-1]


def test_a_method_without_a_stored_picture_is_left_out(tmp_path: Path, site: Path) -> None:
    tables = make_tables(read_records(site.parent / "results"))
    [sample] = make_samples(1, SIZE, np.random.default_rng(0), split="test")
    [chunk] = draw_pictures(tables, Folder(tmp_path), [sample]).chunks
    tracks = json.loads(chunk.text)["tracks"]
    assert set(tracks) == {"mask", "content", "full"}
    assert all(track["methods"] == {} for track in tracks.values())
