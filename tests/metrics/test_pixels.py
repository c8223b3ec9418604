import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from skimage import metrics as reference

from metrics.pixels import l1, psnr

photos = hnp.arrays(np.uint8, (13, 12, 3))
holes = hnp.arrays(bool, (13, 12))
BLACK = np.zeros((13, 12, 3), np.uint8)


@given(photos, photos)
def test_symmetry(a, b):
    assert l1(a, b) == l1(b, a)
    assert psnr(a, b) == psnr(b, a)


@given(photos)
def test_a_photo_against_itself(a):
    assert l1(a, a) == 0
    assert psnr(a, a) == math.inf


def test_l1_spans_zero_to_one_without_wrapping_around():
    white = np.full_like(BLACK, 255)
    assert l1(BLACK, white) == l1(white, BLACK) == 1
    assert l1(BLACK, np.full_like(BLACK, 51)) == pytest.approx(0.2)


@given(photos, photos, holes)
def test_only_the_pixels_that_count_are_looked_at(a, b, hole):
    elsewhere = a.copy()
    elsewhere[~hole] = 255 - elsewhere[~hole]
    np.testing.assert_equal(l1(elsewhere, b, hole), l1(a, b, hole))
    np.testing.assert_equal(psnr(elsewhere, b, hole), psnr(a, b, hole))


@given(photos, photos)
def test_all_pixels_and_none(a, b):
    everything, nothing = np.ones(a.shape[:2], bool), np.zeros(a.shape[:2], bool)
    assert l1(a, b, everything) == l1(a, b)
    assert psnr(a, b, everything) == psnr(a, b)
    assert math.isnan(l1(a, b, nothing)) and math.isnan(psnr(a, b, nothing))


@given(photos, photos)
def test_l1_is_the_mean_of_absolute_differences(a, b):
    assert l1(a, b) == pytest.approx(np.abs(a.astype(float) - b).mean() / 255, abs=1e-12)


def test_psnr_equals_scikit_image_on_real_photos(real_photos):
    for a, b in zip(real_photos[:10], real_photos[10:20], strict=True):
        blend = (0.8 * a + 0.2 * b).astype(np.uint8)
        expected = reference.peak_signal_noise_ratio(a, blend, data_range=255)
        assert psnr(blend, a) == pytest.approx(expected, abs=1e-9)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"\(13, 12, 3\).*\(12, 12, 3\)"):
        l1(BLACK, BLACK[:12])
    with pytest.raises(ValueError, match="float64"):
        psnr(BLACK / 255, BLACK)
    with pytest.raises(ValueError, match=r"where must be \(13, 12\)"):
        l1(BLACK, BLACK, np.ones((12, 13), bool))
