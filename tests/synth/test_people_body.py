"""The pure-numpy body against anny's own vertices, and the template's fields."""

import numpy as np
import pytest

from synth.people import assets as assets_module
from synth.people.assets import PACKED, load_assets
from synth.people.body import apply
from synth.people.fields import LEFT_ARM, RIGHT_LEG


@pytest.fixture(scope="module")
def packed() -> dict[str, np.ndarray]:
    with np.load(PACKED) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize("sample", range(4))
def test_vertices_agree_with_the_full_anny_model(
    packed: dict[str, np.ndarray], sample: int
) -> None:
    model = load_assets().model
    labels = [str(name) for name in packed["phenotype_labels"]]
    values = packed["reference_phenotypes"][sample]
    phenotype = dict(zip(labels, map(float, values), strict=True))
    turns = packed["reference_rotations"][sample].astype(float)
    rest = model.rest(phenotype)
    rig = model.pose(rest, {name: turns[i] for name, i in model.index.items()})
    whole = slice(0, len(rest.vertices))
    posed = apply(model.blend(rig, whole), rest.vertices)
    distance = np.linalg.norm(
        posed[packed["reference_index"]] - packed["reference_vertices"][sample], axis=1
    )
    # The packed model keeps 64 of 318 blend shapes in half precision: a fraction of a millimetre.
    assert distance.mean() < 0.6e-3
    assert distance.max() < 4e-3


def test_every_vertex_is_fully_weighted() -> None:
    model = load_assets().model
    total = model.bone_weight(set(model.bones))
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_resting_pose_leaves_the_shape_rigid() -> None:
    model = load_assets().model
    rest = model.rest({"age": 0.67})
    rig = model.pose(rest, {})
    body = load_assets().surfaces["body"].rows
    posed = apply(model.blend(rig, body), rest.vertices[body])
    shift = posed - rest.vertices[body]
    assert np.abs(shift - shift.mean(0)).max() < 0.05


@pytest.mark.parametrize(("low", "high"), [(0.35, 0.67)])
def test_phenotypes_change_the_body_the_way_they_say(low: float, high: float) -> None:
    model, rows = load_assets().model, load_assets().surfaces["body"].rows

    def height(**phenotype: float) -> float:
        return float(np.ptp(model.rest(phenotype).vertices[rows, 2]))

    assert height(age=low) < height(age=high) - 0.2
    assert height(age=0.67, height=0.1) < height(age=0.67, height=0.9) - 0.2
    assert 1.2 < height(age=0.67) < 2.1


def test_fields_know_left_from_right_and_up_from_down() -> None:
    fields = load_assets().fields
    x, _, z = fields.rest.T
    assert (x[fields.region == LEFT_ARM] > 0).all()
    assert (x[fields.region == RIGHT_LEG] < 0).all()
    hands, feet = fields.hand > 0.9, fields.foot > 0.9
    assert fields.arm[hands].min() > 0.9  # the wrist is at 1
    assert fields.leg[feet].min() > 0.9  # the ankle is at 1
    assert z[feet].max() < z[fields.head > 0.9].min()


def test_missing_package_data_is_reported_in_one_line(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "people.npz"
    broken.write_bytes(b"not an archive")
    monkeypatch.setattr(assets_module, "PACKED", broken)
    load_assets.cache_clear()
    try:
        with pytest.raises(assets_module.InputError, match="people.npz.*reinstall"):
            load_assets()
    finally:
        load_assets.cache_clear()
