"""The content floors against definitions, and on the masks that a full pipeline may hand them."""

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.restoration import inpaint_biharmonic

from baselines.arrays import from_masks, from_pictures, to_masks, to_pictures
from baselines.content_floors import (
    Biharmonic,
    ContentFloor,
    MeanColour,
    NearestPersonPixel,
    Telea,
    TeleaPerson,
    biharmonic,
)
from tests.fakes import make_sample

FLOORS: list[type[ContentFloor]] = [MeanColour, NearestPersonPixel, Biharmonic, Telea, TeleaPerson]
PERSON_FLOORS: list[type[ContentFloor]] = [MeanColour, NearestPersonPixel, TeleaPerson]
RED, BLUE = np.array([200, 10, 10], np.uint8), np.array([10, 10, 200], np.uint8)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("floor", FLOORS)
def test_only_the_hole_is_painted(floor: type[ContentFloor], rng: np.random.Generator) -> None:
    sample = make_sample(0, 48, rng)
    hole = sample.invisible
    recovered = floor().recover(sample.image, sample.modal, hole)
    assert recovered.dtype == np.uint8 and recovered.shape == sample.image.shape
    assert np.array_equal(recovered[~hole], sample.image[~hole])
    assert not np.array_equal(recovered[hole], sample.image[hole])


@pytest.mark.parametrize("floor", FLOORS)
def test_a_hole_in_a_flat_picture_is_filled_flat(floor: type[ContentFloor]) -> None:
    image = np.full((40, 40, 3), RED)
    visible, hole = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    visible[4:36, 10:30] = True
    hole[12:24, 12:28] = True
    image[hole] = BLUE
    recovered = floor().recover(image, visible & ~hole, hole)
    assert np.abs(recovered.astype(int) - RED).max() <= 1


@pytest.mark.parametrize("floor", [Telea, TeleaPerson])
def test_a_deep_hole_does_not_drift(floor: type[ContentFloor]) -> None:
    """Telea at 8 bits brightens this one by about 20 levels."""
    image = np.full((128, 128, 3), np.array([200, 100, 30], np.uint8))
    hole = np.zeros((128, 128), bool)
    hole[:, 8:] = True
    assert np.abs(floor().recover(image, ~hole, hole).astype(int) - image).max() <= 1


@pytest.mark.parametrize("floor", PERSON_FLOORS)
def test_person_floors_take_nothing_from_outside_the_person(
    floor: type[ContentFloor], rng: np.random.Generator
) -> None:
    sample = make_sample(1, 48, rng)
    other = sample.image.copy()
    other[~sample.modal] = rng.integers(0, 256, (int((~sample.modal).sum()), 3))
    hole = sample.invisible
    one, two = (floor().recover(i, sample.modal, hole)[hole] for i in (sample.image, other))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("floor", [Biharmonic, Telea])
def test_plain_floors_mix_in_what_surrounds_the_person(floor: type[ContentFloor]) -> None:
    """The flaw that Telea over person pixels mends: half red person, half blue background."""
    image = np.full((40, 40, 3), BLUE)
    image[:, :20] = RED
    hole = np.zeros((40, 40), bool)
    hole[10:30, 10:30] = True
    visible = np.zeros((40, 40), bool)
    visible[:, :20] = True
    visible &= ~hole
    assert floor().recover(image, visible, hole)[20, 28, 2] > 100
    assert TeleaPerson().recover(image, visible, hole)[20, 28, 2] < 20


@pytest.mark.parametrize("floor", PERSON_FLOORS)
def test_without_a_visible_person_the_mean_colour_of_the_known_is_painted(
    floor: type[ContentFloor],
) -> None:
    image = np.full((20, 20, 3), RED)
    image[:, 10:] = BLUE
    hole = np.zeros((20, 20), bool)
    hole[5:15, 8:12] = True
    recovered = floor().recover(image, np.zeros_like(hole), hole)
    middle = (RED.astype(int) + BLUE) // 2
    assert np.abs(recovered[hole].astype(int) - middle).max() <= 1


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("corner", [(0, 0), (0, 19), (7, 11)])
def test_one_known_pixel_is_enough(floor: type[ContentFloor], corner: tuple[int, int]) -> None:
    image = np.full((20, 20, 3), RED)
    hole = np.ones((20, 20), bool)
    hole[corner] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recovered = floor().recover(image, ~hole, hole)
    assert np.abs(recovered.astype(int) - RED).max() <= 1


@pytest.mark.parametrize("floor", FLOORS)
def test_the_empty_and_the_whole_hole(floor: type[ContentFloor], rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    nothing = np.zeros((16, 16), bool)
    assert np.array_equal(floor().recover(image, ~nothing, nothing), image)
    assert np.unique(floor().recover(image, nothing, ~nothing)).tolist() == [128]


def test_nearest_person_pixel_is_the_nearest(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (24, 24, 3)).astype(np.uint8)
    visible = rng.random((24, 24)) < 0.05
    hole = ~visible & (rng.random((24, 24)) < 0.5)
    recovered = NearestPersonPixel().recover(image, visible, hole)
    people = np.argwhere(visible)
    for row, column in np.argwhere(hole):
        distances = ((people - (row, column)) ** 2).sum(1)
        nearest = people[distances == distances.min()]
        assert any((recovered[row, column] == image[r, c]).all() for r, c in nearest)


def test_mean_colour_is_the_mean(rng: np.random.Generator) -> None:
    sample = make_sample(2, 48, rng)
    recovered = MeanColour().recover(sample.image, sample.modal, sample.invisible)
    mean = sample.image[sample.modal].astype(float).mean(0)
    assert np.abs(recovered[sample.invisible] - mean).max() <= 0.51


@pytest.mark.parametrize("index", range(4))
def test_biharmonic_on_a_crop_is_biharmonic_on_the_picture(index: int) -> None:
    """scikit-image clips to the range of what it is shown; there alone the two may differ."""
    sample = make_sample(index, 64, np.random.default_rng(index))
    hole = sample.invisible
    recovered = Biharmonic().recover(sample.image, sample.modal, hole)[hole] / 255
    whole = inpaint_biharmonic(sample.image / 255, hole, channel_axis=-1)[hole]
    rows, columns = np.nonzero(hole)
    box = np.s_[
        max(0, rows.min() - 2) : rows.max() + 3, max(0, columns.min() - 2) : columns.max() + 3
    ]
    around = sample.image[box][~hole[box]] / 255
    assert np.abs(recovered - whole.clip(around.min(0), around.max(0))).max() <= 0.5 / 255 + 1e-9


def test_a_hole_too_large_to_solve_is_solved_smaller() -> None:
    ramp = np.linspace(20, 220, 96)
    image = np.broadcast_to(ramp[None, :, None], (96, 96, 3)).round().astype(np.uint8)
    hole = np.zeros((96, 96), bool)
    hole[16:80, 16:80] = True
    for limit in (10**6, 500):
        error = np.abs(biharmonic(image, hole, limit).astype(int) - image)[hole]
        assert error.max() <= 12 and error.mean() < 4, limit


@pytest.mark.parametrize(("size", "hole_at", "limit", "factor"), [
    (515, slice(48, 504), 65536, 2),
    (129, slice(12, 116), 700, 4),
])  # fmt: skip
def test_what_is_solved_smaller_stays_at_its_place(
    size: int, hole_at: slice, limit: int, factor: int
) -> None:
    """The sides are no whole number of blocks: a grid stretched over them moves the picture."""
    columns, rows = np.meshgrid(*[np.linspace(0, 255, size)] * 2)
    image = np.stack([columns, rows, (columns + rows) / 2], axis=-1).round().astype(np.uint8)
    hole = np.zeros((size, size), bool)
    hole[hole_at, hole_at] = True
    assert int(np.ceil(np.sqrt(hole.sum() / limit))) == factor
    error = (biharmonic(image, hole, limit) - image.astype(float))[hole]
    assert np.abs(error).max() <= 2 and abs(error.mean()) < 0.2


def test_tensors_and_arrays_are_the_same_pictures(rng: np.random.Generator) -> None:
    pictures = rng.integers(0, 256, (2, 9, 7, 3)).astype(np.uint8)
    masks = rng.random((2, 9, 7)) < 0.5
    assert from_pictures(list(pictures)).shape == (2, 3, 9, 7)
    assert np.array_equal(to_pictures(from_pictures(list(pictures))), pictures)
    assert np.array_equal(to_masks(from_masks(list(masks))), masks)
    assert to_masks(torch.tensor([0.5, 0.51]).view(2, 1, 1, 1)).ravel().tolist() == [False, True]


def test_on_real_people_the_person_aware_floor_is_best(real_data: Path) -> None:
    """Photos of clothes with a square hole in the person: person pixels beat the whole picture."""
    errors: dict[str, list[float]] = {floor.title: [] for floor in FLOORS}
    for image, person, hole in _photos(real_data):
        for floor in FLOORS:
            recovered = floor().recover(image, person & ~hole, hole)
            difference = np.abs(recovered[hole].astype(float) - image[hole])
            errors[floor.title].append(float(difference.mean()))
    means = {title: float(np.mean(values)) for title, values in errors.items()}
    assert means[TeleaPerson.title] < 0.95 * means[Telea.title]
    assert means[TeleaPerson.title] < 0.95 * means[MeanColour.title]
    assert means[TeleaPerson.title] < means[Biharmonic.title]


def _photos(real_data: Path) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    from scipy.io import loadmat

    found = []
    for number in range(1, 21):
        stem = f"{number:04d}"
        labels = loadmat(real_data / "ccp/annotations/pixel-level" / f"{stem}.mat")["groundtruth"]
        with Image.open(real_data / "ccp/photos" / f"{stem}.jpg") as photo:
            image = np.asarray(photo.convert("RGB").reduce(5))
        person = labels[::5, ::5][: len(image)] > 0
        person = person[:, : image.shape[1]]
        rows, columns = np.nonzero(person)
        row, column = int(np.quantile(rows, 0.35)), int(np.median(columns))
        hole = np.zeros_like(person)
        hole[row - 16 : row + 16, column - 4 : column + 28] = True
        found.append((image, person, hole & person))
    return found
