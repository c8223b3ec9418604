"""The square crop of a person and the outline measures of wholeness."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.sources.crop import (
    Square,
    crop_person,
    cut,
    fill_labels,
    mask_edges,
    person_square,
    resize_labels,
    resize_mask,
)
from synth.sources.shapes import border_contact, dominance, intrusion


@st.composite
def figures(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    """A blocky mask in a photo, and a seed."""
    height, width = draw(st.integers(12, 90)), draw(st.integers(12, 90))
    top, left = draw(st.integers(0, height - 6)), draw(st.integers(0, width - 6))
    bottom, right = draw(st.integers(top + 5, height)), draw(st.integers(left + 5, width))
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask, draw(st.integers(0, 2**32 - 1))


@settings(deadline=None)
@given(figures())
def test_square_holds_the_mask_with_margin_whatever_the_jitter(figure) -> None:
    mask, seed = figure
    square = person_square(mask, np.random.default_rng(seed))
    left, top, right, bottom = mask_edges(mask)
    width, height = right - left, bottom - top
    least = max(np.sqrt(3 * width * height), 1.1 * width, 1.1 * height)
    assert least <= square.side <= max(np.ceil(1.2 * least), max(width, height) + 2, 8)
    margin = min(
        left - square.left, top - square.top,
        square.left + square.side - right, square.top + square.side - bottom,
    )  # fmt: skip
    assert margin >= 0.02 * square.side


def test_jitter_moves_the_frame_and_its_size() -> None:
    mask = np.zeros((200, 100), bool)
    mask[20:180, 30:70] = True
    squares = [person_square(mask, np.random.default_rng(k)) for k in range(200)]
    sides = np.array([s.side for s in squares])
    middles = np.array([s.left + s.side / 2 for s in squares]) - 50
    assert sides.min() < 1.05 * 176 and sides.max() > 1.15 * 176
    assert middles.std() > 0.04 * 176 and abs(middles.mean()) < 0.03 * 176


@settings(deadline=None)
@given(figures(), st.sampled_from([16, 33, 64]))
def test_parsing_and_amodal_agree_to_the_pixel(figure, size: int) -> None:
    mask, seed = figure
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 256, (*mask.shape, 3), dtype=np.uint8)
    parsing = rng.integers(0, 20, mask.shape, dtype=np.uint8)
    parsing[mask_edges(mask)[1], mask_edges(mask)[0]] = 5
    crop = crop_person(image, mask, parsing, size, rng)
    assert crop.image.shape == (size, size, 3) and crop.image.dtype == np.uint8
    assert crop.amodal.shape == (size, size) and crop.amodal.any()
    assert crop.parsing is not None and crop.parsing.dtype == np.uint8
    np.testing.assert_array_equal(crop.parsing > 0, crop.amodal)
    assert set(np.unique(crop.parsing)) <= set(np.unique(parsing)) | {0}


def test_crop_is_a_function_of_its_arguments() -> None:
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (80, 60, 3), dtype=np.uint8)
    mask = np.zeros((80, 60), bool)
    mask[5:75, 20:40] = True
    one, two = (crop_person(image, mask, None, 32, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.amodal, two.amodal)
    other = crop_person(image, mask, None, 32, np.random.default_rng(4))
    assert (one.image != other.image).any()
    assert one.parsing is None


def test_outside_the_photo_is_black_and_inside_is_the_photo() -> None:
    image = np.full((4, 6, 3), 200, np.uint8)
    out = cut(image, Square(-2, -1, 10))
    assert np.nonzero(out)[0].min() == 1 and np.nonzero(out)[1].min() == 2
    assert (out[1:5, 2:8] == 200).all() and out.sum() == image.sum()


def test_person_lies_where_its_pixels_lie() -> None:
    mask = np.zeros((120, 80), bool)
    mask[10:110, 20:60] = True
    mask[50:60, 35:45] = False
    image = np.where(mask[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    crop = crop_person(image, mask, mask.astype(np.uint8) * 5, 96, np.random.default_rng(0))
    np.testing.assert_array_equal(crop.amodal, crop.image[:, :, 0] >= 128)
    assert not crop.amodal[mask_edges(crop.amodal)[1] :].all(), "the hole was filled"
    left, top, side = crop.meta["crop"]
    assert mask_edges(crop.amodal)[0] == pytest.approx((20 - left) * 96 / side, abs=1)
    assert mask_edges(crop.amodal)[1] == pytest.approx((10 - top) * 96 / side, abs=1)


@pytest.mark.parametrize("size", [32, 64, 96])
def test_labels_lie_where_their_pixels_lie(size: int) -> None:
    labels = np.zeros((240, 160), np.uint8)
    labels[20:60, 60:100], labels[60:140, 40:120] = 2, 5
    labels[140:220, 40:80], labels[140:220, 80:120] = 16, 17
    photo = np.repeat(12 * labels[..., None], 3, axis=2)
    for seed in range(6):
        crop = crop_person(photo, labels > 0, labels, size, np.random.default_rng(seed))
        assert crop.parsing is not None
        wanted, square = 12 * crop.parsing, np.ones((3, 3), np.uint8)
        inside = cv2.erode(wanted, square) == cv2.dilate(wanted, square)
        assert set(np.unique(crop.parsing[inside])) == {0, 2, 5, 16, 17}
        np.testing.assert_array_equal(crop.image[..., 0][inside], wanted[inside])


def test_a_huge_square_is_shrunk_before_it_is_padded() -> None:
    mask = np.zeros((40, 6000), bool)
    mask[5:35, 10:5990] = True
    image = np.full((40, 6000, 3), 90, np.uint8)
    crop = crop_person(image, mask, mask.astype(np.uint8), 64, np.random.default_rng(0))
    assert crop.amodal.any() and crop.parsing is not None
    np.testing.assert_array_equal(crop.parsing > 0, crop.amodal)


def test_mask_is_cut_at_half_coverage_and_never_vanishes() -> None:
    mask = np.zeros((40, 40), bool)
    mask[0:10, 0:6] = True
    mask[20:30, 20:24] = True
    small = resize_mask(mask, 4)
    assert small[0, 0] and not small[2, 2] and small.sum() == 1
    dot = np.zeros((40, 40), bool)
    dot[3, 3] = True
    assert resize_mask(dot, 4)[0, 0]
    assert not resize_mask(np.zeros((40, 40), bool), 4).any()


def test_labels_are_voted_and_never_mixed() -> None:
    labels = np.zeros((12, 12), np.uint8)
    labels[:, :4] = 3
    labels[:, 4:6] = 19
    small = resize_labels(labels, 2)
    np.testing.assert_array_equal(small, [[3, 0], [3, 0]])
    assert set(np.unique(resize_labels(labels, 30))) == {0, 3, 19}


def test_bare_pixels_take_the_nearest_label() -> None:
    labels = np.array([[4, 0, 0, 0, 9]], np.uint8)
    amodal = np.array([[True, True, False, True, True]])
    np.testing.assert_array_equal(fill_labels(labels, amodal), [[4, 4, 0, 9, 9]])


def test_border_contact_is_the_share_of_the_outline() -> None:
    inside = np.zeros((50, 50), bool)
    inside[10:30, 10:30] = True
    assert border_contact(inside) == 0
    cut_off = np.zeros((50, 50), bool)
    cut_off[10:30, 0:20] = True
    assert border_contact(cut_off) == pytest.approx(22 / 76)
    assert border_contact(np.ones((50, 50), bool)) == 1
    assert border_contact(np.zeros((50, 50), bool)) == 0


def test_dominance_is_the_share_of_the_largest_piece() -> None:
    mask = np.zeros((20, 20), bool)
    mask[0:6, 0:5] = True
    mask[10:15, 10:12] = True
    assert dominance(mask) == pytest.approx(0.75)
    assert dominance(mask & False) == 0
    assert dominance(np.eye(5, dtype=bool)) == 1, "corners that touch are connected"


def test_intrusion_counts_what_lies_in_the_hull() -> None:
    ring = np.ones((20, 20), bool)
    ring[5:15, 5:15] = False
    assert intrusion(ring, ~ring) == pytest.approx(100 / 300)
    assert intrusion(~ring, ring) == 0
