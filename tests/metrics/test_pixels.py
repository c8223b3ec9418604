import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage import metrics as reference

from metrics.pixels import l1_frame, l1_hole, psnr, ssim

photos = hnp.arrays(np.uint8, (13, 12, 3))
holes = hnp.arrays(bool, (13, 12))
BLACK = np.zeros((13, 12, 3), np.uint8)


@given(photos, photos)
def test_symmetry(a, b):
    assert l1_frame(a, b) == l1_frame(b, a)
    assert psnr(a, b) == psnr(b, a)
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-12)


@given(photos)
def test_a_photo_against_itself(a):
    assert l1_frame(a, a) == 0
    assert psnr(a, a) == math.inf
    assert ssim(a, a) == pytest.approx(1, abs=1e-9)


def test_l1_spans_zero_to_one_without_wrapping_around():
    white = np.full_like(BLACK, 255)
    assert l1_frame(BLACK, white) == l1_frame(white, BLACK) == 1
    assert l1_frame(BLACK, np.full_like(BLACK, 51)) == pytest.approx(0.2)


@given(photos, photos, holes)
def test_hole_scores_do_not_look_outside_the_hole(a, b, hole):
    elsewhere = a.copy()
    elsewhere[~hole] = 255 - elsewhere[~hole]
    np.testing.assert_equal(l1_hole(elsewhere, b, hole), l1_hole(a, b, hole))
    np.testing.assert_equal(psnr(elsewhere, b, hole), psnr(a, b, hole))


@given(photos, photos)
def test_hole_scores_at_the_extremes(a, b):
    everything, nothing = np.ones(a.shape[:2], bool), np.zeros(a.shape[:2], bool)
    assert l1_hole(a, b, everything) == pytest.approx(l1_frame(a, b))
    assert psnr(a, b, everything) == pytest.approx(psnr(a, b))
    assert math.isnan(l1_hole(a, b, nothing)) and math.isnan(psnr(a, b, nothing))


@given(photos, photos, st.sampled_from([(13, 12), (12, 13), (11, 11)]))
def test_ssim_equals_scikit_image_on_any_pixels(a, b, size):
    a, b = np.resize(a, (*size, 3)), np.resize(b, (*size, 3))
    assert ssim(a, b) == pytest.approx(_scikit_ssim(a, b), abs=1e-9)


def test_ssim_and_psnr_equal_scikit_image_on_real_photos(real_photos):
    for a, b in zip(real_photos[:10], real_photos[10:20], strict=True):
        blend = (0.8 * a + 0.2 * b).astype(np.uint8)
        assert ssim(blend, a) == pytest.approx(_scikit_ssim(blend, a), abs=1e-9)
        expected = reference.peak_signal_noise_ratio(a, blend, data_range=255)
        assert psnr(blend, a) == pytest.approx(expected, abs=1e-9)


def _scikit_ssim(a: np.ndarray, b: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reference.structural_similarity(
            a,
            b,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"\(13, 12, 3\).*\(12, 12, 3\)"):
        l1_frame(BLACK, BLACK[:12])
    with pytest.raises(ValueError, match="float64"):
        psnr(BLACK / 255, BLACK)
    with pytest.raises(ValueError, match=r"hole must be \(13, 12\)"):
        l1_hole(BLACK, BLACK, np.ones((12, 13), bool))
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(BLACK[:10], BLACK[:10])
