import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import structural_similarity

from metrics.structure import RADIUS, ssim, ssim_frame_and_hole

photos = hnp.arrays(np.uint8, (13, 12, 3))
holes = hnp.arrays(bool, (13, 12))
BLACK = np.zeros((13, 12, 3), np.uint8)


def _scikit(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """scikit-image's mean and its map, (H, W)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mean, full = structural_similarity(
            a,
            b,
            channel_axis=2,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            full=True,
        )
    return mean, full.mean(2)


@given(photos, photos, st.sampled_from([(13, 12), (12, 13), (11, 11)]))
def test_it_equals_scikit_image_on_any_pixels(a, b, size):
    a, b = np.resize(a, (*size, 3)), np.resize(b, (*size, 3))
    assert ssim(a, b) == pytest.approx(_scikit(a, b)[0], abs=1e-9)


@given(photos, photos, holes, holes)
def test_hole_and_counted_pixels_are_means_of_scikit_images_map(a, b, hole, counted):
    full = _scikit(a, b)[1]
    inner = np.zeros_like(hole)
    inner[RADIUS:-RADIUS, RADIUS:-RADIUS] = True
    found = ssim_frame_and_hole(a, b, hole, counted)
    for value, where in zip(found, (inner & counted, hole), strict=True):
        expected = full[where].mean() if where.any() else math.nan
        assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    "rows, columns", [((60, 90), (20, 60)), ((0, 7), (0, 3)), ((100, 144), (90, 96))]
)
def test_real_photos_that_differ_in_a_window_only(real_photos, rows, columns):
    hole = np.zeros(real_photos.shape[1:3], bool)
    hole[slice(*rows), slice(*columns)] = True
    for a, b in zip(real_photos[:5], real_photos[5:10], strict=True):
        recovered = np.where(hole[..., None], (0.7 * a + 0.3 * b).astype(np.uint8), a)
        mean, full = _scikit(recovered, a)
        frame, inside = ssim_frame_and_hole(recovered, a, hole)
        assert frame == pytest.approx(mean, abs=1e-9)
        assert inside == pytest.approx(full[hole].mean(), abs=1e-9)


@given(photos, photos)
def test_symmetry_and_a_photo_against_itself(a, b):
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-12)
    hole = np.ones(a.shape[:2], bool)
    assert ssim_frame_and_hole(a, a, hole) == (1, 1)


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(BLACK[:10], BLACK[:10])
    with pytest.raises(ValueError, match=r"hole must be \(13, 12\)"):
        ssim_frame_and_hole(BLACK, BLACK, np.ones((12, 13), bool))
    with pytest.raises(ValueError, match="counted"):
        ssim_frame_and_hole(BLACK, BLACK, np.ones((13, 12), bool), np.ones((13, 12)))
