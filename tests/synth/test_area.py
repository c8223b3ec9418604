"""Shrinking by area is OpenCV's, to the bit."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.sources.area import shrink
from synth.sources.crop import Square, cut


def by_opencv(array: np.ndarray, left: int, top: int, side: int, size: int) -> np.ndarray:
    whole = cut(array, Square(left, top, side))
    return np.asarray(cv2.resize(whole, (size, size), interpolation=cv2.INTER_AREA))


def filled(kind: str, height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    if kind == "photo":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "grey":
        return rng.integers(0, 256, (height, width), dtype=np.uint8)
    if kind == "mask":
        return (rng.random((height, width)) < 0.5).astype(np.float32)
    return rng.normal(0, 1, (height, width, 3)).astype(np.float32)


KINDS = ["photo", "grey", "mask", "numbers"]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_square_over_any_picture(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    side = data.draw(st.integers(5, 160))
    size = data.draw(st.integers(2, side - 1).filter(lambda size: side % size))
    left = data.draw(st.integers(1 - side, width - 1))
    top = data.draw(st.integers(1 - side, height - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    array = filled(data.draw(st.sampled_from(KINDS)), height, width, rng)
    small = shrink(array, left, top, side, size)
    assert small.dtype == array.dtype
    np.testing.assert_array_equal(small, by_opencv(array, left, top, side, size))


# Heights about the strips that the rows are gone through in, thin pictures, large squares.
SHAPES = [(255, 40), (256, 40), (257, 40), (513, 1), (1, 513), (600, 401), (1200, 800)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_tall_and_thin_pictures(kind: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(sum(shape))
    array = filled(kind, *shape, rng)
    for side, size in ((max(shape) * 5 // 4 + 3, 128), (max(shape) + 37, 17)):
        left, top = (shape[1] - side) // 2, (shape[0] - side) // 3
        small = shrink(array, left, top, side, size)
        np.testing.assert_array_equal(small, by_opencv(array, left, top, side, size))


def test_a_part_of_a_larger_array_is_shrunk_as_its_copy_is() -> None:
    whole = filled("photo", 300, 200, np.random.default_rng(0))
    for part in (whole[7:281, 3:150], whole[::2], whole[:, ::-1], whole[..., ::-1]):
        small, of_copy = (shrink(a, -20, -30, 401, 96) for a in (part, part.copy()))
        np.testing.assert_array_equal(small, of_copy)


def test_the_input_is_left_alone() -> None:
    array = filled("photo", 100, 80, np.random.default_rng(0))
    before = array.copy()
    shrink(array, -10, -10, 131, 64)
    np.testing.assert_array_equal(array, before)
