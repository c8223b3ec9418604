"""Into the square as in training, and back to the right pixels of the photo."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdeocc import crops
from hdeocc.crops import Square
from synth.sources.crop import crop_person


def photo_and_mask(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise that varies slowly and fast, and an ellipse near an edge."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (7, 5, 3)).astype(np.uint8)
    photo = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    photo = np.clip(photo + rng.normal(0, 20, photo.shape), 0, 255).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    middle = (round(width * 0.4), round(height * 0.7))
    cv2.ellipse(mask, middle, (max(width // 6, 2), max(height // 4, 3)), 10, 0, 360, 1, -1)
    return photo, mask.astype(bool)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(300, 200, 64), (90, 70, 64), (60, 40, 128), (24, 20, 64)]
)
def test_the_square_holds_what_training_saw(height: int, width: int, size: int) -> None:
    photo, mask = photo_and_mask(height, width)
    sides = set()
    for seed in range(12):
        crop = crop_person(photo, mask, None, size, np.random.default_rng(seed))
        square = Square(*crop.meta["crop"])
        sides.add(square.side % size == 0)
        np.testing.assert_array_equal(crops.in_square(photo, square, size), crop.image)
        np.testing.assert_array_equal(crops.mask_in_square(mask, square, size), crop.amodal)


def test_whole_multiples_shrink_as_in_training() -> None:
    photo, mask = photo_and_mask(300, 200)
    square = Square(-10, 90, 256)
    padded = np.zeros((256, 256, 3), np.uint8)
    padded[:210, 10:210] = photo[90:]
    wanted = cv2.resize(padded, (64, 64), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(crops.in_square(photo, square, 64), wanted)
    assert crops.mask_in_square(mask, square, 64).any()


def test_a_square_too_large_to_lay_out_is_shrunk_alike() -> None:
    photo, mask = photo_and_mask(2500, 3000)
    square = Square(-900, -1000, 4608)  # a multiple of the size, too
    padded = np.zeros((4608, 4608, 3), np.uint8)
    padded[1000:3500, 900:3900] = photo
    wanted = cv2.resize(padded, (128, 128), interpolation=cv2.INTER_AREA)
    made = crops.in_square(photo, square, 128)
    assert np.abs(made.astype(int) - wanted).max() <= 1
    outline = np.zeros((4608, 4608), np.float32)
    outline[1000:3500, 900:3900] = mask
    soft = cv2.resize(outline, (128, 128), interpolation=cv2.INTER_AREA)
    assert (crops.mask_in_square(mask, square, 128) != (soft >= 0.5)).sum() <= 2


@given(
    left=st.integers(0, 500),
    top=st.integers(0, 500),
    width=st.integers(1, 800),
    height=st.integers(1, 800),
    room=st.floats(1, 2),
)
def test_a_square_holds_its_box_in_the_middle(
    left: int, top: int, width: int, height: int, room: float
) -> None:
    square = crops.square_about((left, top, width, height), room)
    before = left - square.left, top - square.top
    behind = (square.side - width - before[0], square.side - height - before[1])
    assert min(before + behind) >= 1
    assert abs(before[0] - behind[0]) <= 1 and abs(before[1] - behind[1]) <= 1
    assert square.side >= 1.09 * max(width, height) * room - 1


@settings(deadline=None, max_examples=40)
@given(
    side=st.integers(8, 400),
    left=st.integers(-60, 60),
    top=st.integers(-60, 60),
    height=st.integers(70, 200),
    width=st.integers(70, 200),
)
def test_values_come_back_to_their_places(
    side: int, left: int, top: int, height: int, width: int
) -> None:
    square = Square(left, top, side)
    if left + side <= 0 or top + side <= 0:
        return
    window = crops.window_of(square, (height, width))
    # A ramp over the square: each pixel of the photo must get the value of its place.
    across = (np.arange(64, dtype=np.float32) + 0.5) / 64
    ramp = np.broadcast_to(across, (64, 64))
    made = crops.enlarge_soft(np.ascontiguousarray(ramp), square, window)
    columns = np.arange(window[1].start, window[1].stop)
    wanted = (columns + 0.5 - left) / side
    inner = (wanted > 4 / min(side, 64)) & (wanted < 1 - 4 / min(side, 64))
    assert made.shape == (window[0].stop - window[0].start, len(columns))
    np.testing.assert_allclose(made[:, inner], np.tile(wanted[inner], (len(made), 1)), atol=0.006)


def test_at_equal_size_nothing_changes() -> None:
    rng = np.random.default_rng(0)
    small = rng.random((64, 64)).astype(np.float32)
    square, window = Square(3, -5, 64), (slice(0, 50), slice(3, 60))
    np.testing.assert_allclose(
        crops.enlarge_soft(small, square, window), small[5:55, :57], atol=1e-6
    )
    colours = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    made = crops.enlarge_colours(colours, np.ones((64, 64), bool), square, window)
    np.testing.assert_array_equal(made, colours[5:55, :57])


@pytest.mark.parametrize("side", [30, 64, 500])
def test_unknown_colours_never_bleed(side: int) -> None:
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:] = (0, 255, 0)  # an occluder in loud green
    known = np.zeros((64, 64), bool)
    known[10:40, 20:30] = True
    colours[known] = (200, 0, 40)
    square = Square(0, 0, side)
    made = crops.enlarge_colours(colours, known, square, crops.window_of(square, (side, side)))
    assert (made == (200, 0, 40)).all()


def test_labels_come_back_smooth_and_everywhere() -> None:
    small = np.zeros((64, 64), np.uint8)
    y, x = np.indices((64, 64))
    small[(x - 32) ** 2 + (y - 32) ** 2 < 20**2] = 9
    small[(x - 32) ** 2 + (y - 32) ** 2 < 10**2] = 13
    square = Square(0, 0, 640)
    made = crops.enlarge_labels(small, square, crops.window_of(square, (640, 640)))
    assert set(np.unique(made)) == {9, 13}, "every pixel has a label, and no new one"
    yy, xx = np.indices((640, 640)) + 0.5
    disc = (xx - 325) ** 2 + (yy - 325) ** 2 < 100**2
    assert ((made == 13) & disc).sum() / ((made == 13) | disc).sum() > 0.94
    none = crops.enlarge_labels(np.zeros((8, 8), np.uint8), square, (slice(0, 9), slice(0, 9)))
    assert not none.any()
