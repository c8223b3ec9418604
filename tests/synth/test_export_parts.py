"""What exports are made of: polygons that lose nothing, keypoints that know what hides them."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from synth.errors import InputError
from synth.export import export
from synth.export.coco import keypoints
from synth.export.outline import outline
from synth.recipe import parse_recipe
from synth.store import Dataset
from tests.fakes import make_samples


def drawn(polygons: list[list[int]], shape: tuple[int, ...]) -> np.ndarray:
    if not polygons:
        return np.zeros(shape, bool)
    code = coco_mask.merge(coco_mask.frPyObjects(polygons, *shape))
    return np.asarray(coco_mask.decode(code)).astype(bool)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_an_outline_loses_nothing(seed: int, height: int, width: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < share
    polygon = outline(mask)
    assert np.array_equal(drawn([polygon] if polygon else [], mask.shape), mask)


def test_outlines_have_few_points_and_keep_rings_and_pieces() -> None:
    box = np.zeros((20, 30), bool)
    box[3:9, 4:20] = True
    assert len(outline(box)) == 2 * 5
    box[5:7, 6:9] = False
    box[15:18, 25:30] = True
    assert np.array_equal(drawn([outline(box)], box.shape), box)
    assert outline(np.zeros((3, 3), bool)) == []


def test_keypoints_under_an_occluder_are_hidden() -> None:
    [sample] = make_samples(1, 32, np.random.default_rng(0))
    covered = np.argwhere(sample.occluder)[0][::-1]
    free = np.argwhere(~sample.occluder)[0][::-1]
    points: list[list[float]] = [[0, 0, 0]] * 17
    points[0] = [float(covered[0]), float(covered[1]), 2]
    points[1] = [float(free[0]), float(free[1]), 2]
    points[2] = [float(free[0]), float(free[1]), 1]
    points[3] = [40.0, 5.0, 2]
    sample.meta["person"] = {"keypoints": points}
    flags = keypoints(sample)[2::3]
    assert flags[:5] == [1, 2, 1, 0, 0]
    assert keypoints(sample)[3:5] == [float(free[0]), float(free[1])]
    sample.meta["person"] = {}
    assert keypoints(sample) == [0.0] * 51


def test_parquet_without_its_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = parse_recipe(
        'name = "p"\nsize = 32\ncounts = {train = 1, val = 0, test = 0}\n'
        '[[people]]\nsource = "builtin"\npool = 1\n[[occluders]]\nsource = "builtin"\npool = 1\n',
        "p",
    )
    info = {"fingerprint": "", "counts": {"train": 1}, "split_fingerprints": {"train": ""}}
    made = Dataset(tmp_path, recipe, info)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'hdeocc\[parquet\]'"):
        export(made, "parquet", tmp_path / "out", ["train"], progress=False)
    assert not (tmp_path / "out").exists()
