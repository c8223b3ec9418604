"""The way into a person's box and back: where pixels land, what is averaged, what is zero."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from synth.segmenter.box import SIDE, Box, cut, paste, shaken_box
from tests.synth.tiny import ellipse

HEIGHT, WIDTH = 90, 120
few = settings(max_examples=60, deadline=None)


def boxes(least: float, most: float) -> st.SearchStrategy[Box]:
    """Boxes whose sides are ``least`` to ``most`` pixels, in and across the edges of a picture."""
    start, side = st.floats(-40, 80), st.floats(least, most)
    return st.builds(lambda y, x, h, w: Box(y, y + h, x, x + w), start, start, side, side)


SMALLER, LARGER = boxes(4, SIDE), boxes(SIDE, 4 * SIDE)  # grown by ``cut``, and shrunk


def of_samples(low: float, high: float) -> np.ndarray:
    """The coordinate of the middle of each of the samples of a box; pixel 0 has its at 0."""
    return low + (np.arange(SIDE) + 0.5) * (high - low) / SIDE - 0.5


def in_square(low: float, high: float, length: int) -> np.ndarray:
    """Where the pixels of a picture lie in the square of a box, in pixels of the square."""
    return (np.arange(length) + 0.5 - low) * SIDE / (high - low) - 0.5


def inner(places: np.ndarray, length: int) -> np.ndarray:
    """Which of evenly spaced places see nothing beyond ``length`` pixels."""
    reach = max(1.0, float(places[1] - places[0]))
    return (places >= reach) & (places <= length - 1 - reach)


def ramps(height: int, width: int) -> np.ndarray:
    """A picture (height, width, 2) whose channels are the row and the column."""
    return np.stack(np.mgrid[:height, :width], axis=-1).astype(float)


def standing(size: int) -> np.ndarray:
    """A whole standing ellipse, (size, size) bool."""
    mask = np.zeros((size, size), bool)
    top, left, height, width = size // 8, size // 4, size * 3 // 4, size // 3
    mask[top : top + height, left : left + width] = ellipse(height, width)
    return mask


def test_a_box_that_is_the_picture_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    whole = Box(0, SIDE, 0, SIDE)
    np.testing.assert_array_equal(cut(picture, whole), picture)
    np.testing.assert_array_equal(paste(picture[..., 0], whole, SIDE, SIDE), picture[..., 0])


def test_a_box_moved_by_whole_pixels_shows_them_and_black_beyond() -> None:
    picture = np.random.default_rng(0).integers(1, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    shown = cut(picture, Box(-10, SIDE - 10, WIDTH - 20, WIDTH - 20 + SIDE))
    np.testing.assert_array_equal(shown[10:, :20], picture[: SIDE - 10, -20:])
    assert not shown[:10].any() and not shown[:, 20:].any()


@few
@given(SMALLER | LARGER)
def test_a_constant_picture_stays_constant_and_never_gets_brighter(box: Box) -> None:
    shown = cut(np.full((HEIGHT, WIDTH, 1), 200, np.uint8), box)[..., 0]
    rows = inner(of_samples(box.top, box.bottom), HEIGHT)
    columns = inner(of_samples(box.left, box.right), WIDTH)
    np.testing.assert_allclose(shown[np.ix_(rows, columns)], 200, rtol=1e-12)
    assert shown.min() >= 0 and shown.max() <= 200 * (1 + 1e-12)


@few
@given(SMALLER | LARGER)
def test_a_constant_square_fills_its_box_and_nothing_else(box: Box) -> None:
    found = paste(np.ones((SIDE, SIDE)), box, HEIGHT, WIDTH)
    down = in_square(box.top, box.bottom, HEIGHT)
    along = in_square(box.left, box.right, WIDTH)
    inside = np.ix_(inner(down, SIDE), inner(along, SIDE))
    np.testing.assert_allclose(found[inside], 1, rtol=1e-12)
    assert found.min() >= 0 and found.max() <= 1 + 1e-12
    for places, rows in ((down, found), (along, found.T)):
        step = places[1] - places[0]
        # Beyond one pixel of the picture, or of the square, whichever is larger.
        away = np.maximum(-0.5 - places, places - (SIDE - 0.5)) >= max(1.0, step)
        assert not rows[away].any()


@few
@given(SMALLER)
def test_growing_interpolates_where_the_pixels_are(box: Box) -> None:
    down, along = of_samples(box.top, box.bottom), of_samples(box.left, box.right)
    rows, columns = inner(down, HEIGHT), inner(along, WIDTH)
    assume(rows.any() and columns.any())
    shown = cut(ramps(HEIGHT, WIDTH), box)[np.ix_(rows, columns)]
    np.testing.assert_allclose(shown[..., 0], np.broadcast_to(down[rows, None], shown.shape[:2]))
    np.testing.assert_allclose(shown[..., 1], np.broadcast_to(along[columns], shown.shape[:2]))


@few
@given(LARGER)
def test_growing_back_interpolates_where_the_pixels_were(box: Box) -> None:
    down, along = in_square(box.top, box.bottom, HEIGHT), in_square(box.left, box.right, WIDTH)
    rows, columns = inner(down, SIDE), inner(along, SIDE)
    assume(rows.any() and columns.any())
    row, column = np.moveaxis(ramps(SIDE, SIDE), -1, 0)
    for square, wanted in ((row, down[rows, None]), (column, along[None, columns])):
        found = paste(square, box, HEIGHT, WIDTH)[np.ix_(rows, columns)]
        np.testing.assert_allclose(found, np.broadcast_to(wanted, found.shape), atol=1e-9)


def test_shrinking_averages_fine_stripes() -> None:
    striped = np.zeros((4 * SIDE, 4 * SIDE, 2))
    striped[::4, :, 0] = striped[:, ::4, 1] = 1
    shown = cut(striped, Box(0, 4 * SIDE, 0, 4 * SIDE))
    np.testing.assert_allclose(shown[2:-2, 2:-2], 0.25, rtol=1e-12)
    back = paste(striped[:SIDE, :SIDE, 0], Box(0, SIDE / 4, 0, SIDE / 4), SIDE // 4, SIDE // 4)
    np.testing.assert_allclose(back[1:-1, 1:-1], 0.25, rtol=1e-12)


def test_no_light_is_lost_or_made_at_the_edges() -> None:
    """So a picture fades out over its edge, and a mask over that of its box."""
    light = np.random.default_rng(0).random((HEIGHT, WIDTH, 3))
    shown = cut(light, Box(-50, 4 * SIDE - 50, -23, 4 * SIDE - 23))
    np.testing.assert_allclose(shown.sum((0, 1)) * 16, light.sum((0, 1)))
    square = np.random.default_rng(1).random((SIDE, SIDE))
    found = paste(square, Box(11, 11 + 2 * SIDE, 20, 20 + 3 * SIDE), 150, 230)
    np.testing.assert_allclose(found.sum(), square.sum() * 2 * 3)
    found = paste(square, Box(11, 11 + SIDE / 4, 20, 20 + SIDE / 2), 40, 60)
    np.testing.assert_allclose(found.sum(), square.sum() / 4 / 2)


@pytest.mark.parametrize("size", [32, 128, 400])
def test_a_mask_comes_back_from_its_box(size: int) -> None:
    mask = standing(size)
    for seed in range(20):
        box = shaken_box(mask, np.random.default_rng(seed))
        back = paste(cut(mask[..., None].astype(float), box)[..., 0], box, size, size) > 0.5
        assert (back & mask).sum() / (back | mask).sum() > 0.95


def test_one_seed_shakes_one_way() -> None:
    one, same, other = (shaken_box(standing(64), np.random.default_rng(s)) for s in (5, 5, 6))
    assert one == same
    assert len({one.top, other.top, one.bottom - one.top, other.bottom - other.top}) == 4


def test_edges_shake_apart_about_a_tenth_of_context() -> None:
    mask = np.zeros((200, 200), bool)
    mask[50:150, 80:120] = True  # 100 by 40 pixels
    found = [shaken_box(mask, np.random.default_rng(seed)) for seed in range(400)]
    edges = np.array([[b.top, b.bottom, b.left, b.right] for b in found])
    sides = np.array([100, 100, 40, 40])
    out = (edges - [50, 150, 80, 120]) * [-1, 1, -1, 1] / sides
    np.testing.assert_allclose(out.mean(axis=0), 0.1, atol=0.006)
    np.testing.assert_allclose(out.std(axis=0), 0.03, atol=0.004)
    assert np.abs(np.corrcoef(out.T) - np.eye(4)).max() < 0.2


class Wild(np.random.Generator):
    """Draws as far off as nobody sees in a lifetime."""

    def __init__(self, moves: tuple[float, ...]) -> None:
        super().__init__(np.random.PCG64(0))
        self.moves = np.array(moves)

    def normal(self, *_: object, **__: object) -> np.ndarray:  # type: ignore[override]
        return self.moves


@few
@given(
    st.tuples(*[st.integers(0, 39)] * 2, *[st.integers(1, 40)] * 2),
    st.tuples(*[st.sampled_from([-99.0, 0.0, 99.0])] * 4),
)
def test_the_middle_of_a_person_never_leaves_the_box(
    place: tuple[int, ...], moves: tuple[float, ...]
) -> None:
    top, left, height, width = place
    mask = np.zeros((80, 80), bool)
    mask[top : top + height, left : left + width] = ellipse(height, width)
    mask[top + height // 2, left + width // 2] = True
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = shaken_box(mask, Wild(moves))
    for first, last, low, high in (
        (rows[0], rows[-1] + 1, box.top, box.bottom),
        (columns[0], columns[-1] + 1, box.left, box.right),
    ):
        side = last - first
        assert low < first + side * 0.05 and last - side * 0.05 < high
        # The person fills more than half of the box.
        assert first - 0.25 * side < low and high < last + 0.25 * side
