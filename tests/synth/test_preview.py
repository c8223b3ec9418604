"""Sheets: the pictures are where they should be."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from synth.build import build
from synth.occlusion_spec import Initial
from synth.parsing import colourise
from synth.plan import make_plan, make_sample
from synth.preview import contact_sheet, crop_sheet, outlined, sheet, to_png
from synth.sample import Sample
from synth.store import Dataset
from tests.synth.test_plan import recipe
from tests.synth.tiny import FakeOccluders, FakePeople, tiny_recipe, write_tiny


def read_png(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    plan = make_plan(recipe(size=128), [FakePeople("a", 20)], [FakeOccluders("b", 20)])
    return [make_sample(plan, index) for index in range(3)]


def test_a_row_shows_image_clean_amodal_modal_parsing(samples: list[Sample]) -> None:
    picture = sheet(samples)
    height = picture.shape[0] - 3 * 132
    assert picture.shape == (height + 3 * 132, 5 * 132, 3)
    for row, sample in enumerate(samples):
        top = height + row * 132
        tiles = [picture[top : top + 128, c * 132 : c * 132 + 128] for c in range(5)]
        assert np.array_equal(tiles[0], sample.image)
        assert sample.clean is not None
        assert np.array_equal(tiles[1], sample.clean)
        assert np.array_equal(tiles[2][..., 0] > 0, sample.amodal)
        assert np.array_equal(tiles[3][..., 2] > 0, sample.modal)
        assert sample.parsing is not None
        assert np.array_equal(tiles[4], colourise(sample.parsing))
    assert (picture[:height] < 128).any()


def test_a_faulty_initial_mask_stands_beside_the_true_one(samples: list[Sample]) -> None:
    jittered = recipe(size=128, initial=Initial(kind="jitter"))
    faulty = make_sample(make_plan(jittered, [FakePeople("a", 20)], [FakeOccluders("b", 20)]), 0)
    picture = sheet([samples[0], faulty])
    assert picture.shape[1] == 6 * 132
    top = picture.shape[0] - 132
    tiles = [picture[top : top + 128, c * 132 : c * 132 + 128] for c in (3, 4)]
    assert np.array_equal(tiles[0][..., 0] > 0, faulty.modal)
    assert np.array_equal(tiles[1][..., 0], np.rint(faulty.initial * 255))
    assert not np.array_equal(tiles[0], tiles[1])


def test_unknown_parsing_is_left_blank(samples: list[Sample]) -> None:
    from dataclasses import replace

    picture = sheet([replace(samples[0], parsing=None)])
    assert len(np.unique(picture[30:140, 4 * 132 : 4 * 132 + 128])) == 1


def test_outline_runs_around_the_hidden_part(samples: list[Sample]) -> None:
    sample = samples[0]
    before = sample.image.copy()
    drawn = (outlined(sample, 128) != sample.image).any(axis=2)
    near = cv2.dilate(sample.invisible.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    core = cv2.erode(sample.invisible.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert drawn.any()
    assert not (drawn & ~near).any()
    assert not (drawn & core).any()
    assert (sample.image == before).all()


def test_png_keeps_red_red() -> None:
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert read_png(to_png(red))[0, 0].tolist() == [255, 0, 0]


def test_contact_sheet_of_every_split(tmp_path: Path) -> None:
    data = write_tiny(tmp_path / "data")
    build(tiny_recipe(), tmp_path / "out", data, progress=False)
    picture = contact_sheet(Dataset.open(tmp_path / "out"))
    assert picture == (tmp_path / "out/contact_sheet.png").read_bytes()
    assert "![contact sheet](contact_sheet.png)" in (tmp_path / "out/README.md").read_text()
    assert read_png(picture).shape[1] == 6 * 2 * 132


def test_a_sheet_of_people_fills_its_rows() -> None:
    people = FakePeople("a", 5)
    rng = np.random.default_rng(0)
    crops = [people.load(identifier, 40, rng) for identifier in people.ids()]
    plain = crop_sheet(crops, 4, labels=False)
    assert plain.shape == (2 * 44, 4 * 44, 3)
    assert np.array_equal(plain[44:84, :40], crops[4].image)
    assert (plain[44:, 44:] == 255).all()
    labelled = crop_sheet(crops, 4, labels=True)
    assert labelled.shape == (3 * 44, 2 * 3 * 44, 3)
    assert np.array_equal(labelled[:40, 44:84, 0] > 0, crops[0].amodal)
    assert crops[0].parsing is not None
    assert np.array_equal(labelled[:40, 88:128], colourise(crops[0].parsing))
