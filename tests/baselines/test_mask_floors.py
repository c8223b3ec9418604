"""The mask floors against definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial import ConvexHull as ReferenceHull

from baselines.mask_floors import ConvexHull, Identity, convex_hull
from hdeocc.batch import Batch

masks = arrays(np.bool_, (12, 17), elements=st.booleans())


def inside_reference(mask: np.ndarray, margin: float) -> np.ndarray:
    """Pixel centres within the exact hull of a mask's pixel centres, grown by ``margin``."""
    hull = ReferenceHull(np.argwhere(mask))
    rows, columns = np.indices(mask.shape)
    centres = np.stack([rows.ravel(), columns.ravel()], 1)
    signed = centres @ hull.equations[:, :2].T + hull.equations[:, 2]
    return (signed <= margin).all(1).reshape(mask.shape)


@settings(max_examples=60, deadline=None)
@given(masks)
def test_the_hull_holds_the_mask_and_is_its_own_hull(mask: np.ndarray) -> None:
    hull = convex_hull(mask)
    assert (hull | ~mask).all()
    assert hull.any() == mask.any()
    rows, columns = np.nonzero(mask)
    if len(rows):
        outside = hull.copy()
        outside[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] = False
        assert not outside.any(), "the hull leaves the bounding box"


@pytest.mark.parametrize("seed", range(20))
def test_the_hull_is_the_geometric_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((60, 80), bool)
    mask[rng.integers(5, 55, 6), rng.integers(5, 75, 6)] = True
    hull = convex_hull(mask)
    assert not (inside_reference(mask, -0.75) & ~hull).any()
    assert not (hull & ~inside_reference(mask, 0.75)).any()


def test_identity_is_the_initial_mask() -> None:
    initial = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Identity().predict(Batch("ab", {"initial": initial})), initial)


def test_a_soft_initial_mask_is_cut_at_one_half() -> None:
    initial = torch.full((1, 1, 9, 9), 0.4)
    initial[..., 2, 2] = initial[..., 2, 6] = initial[..., 6, 2] = 0.9
    hull = ConvexHull().predict(Batch("a", {"initial": initial}))
    assert hull[0, 0, 3, 3] == 1 and hull[0, 0, 7, 7] == 0 and hull.sum() < 20
