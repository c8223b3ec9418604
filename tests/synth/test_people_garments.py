"""Cutting, layering and colouring of garments."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.parsing import LIP_LABELS
from synth.people.assets import load_assets
from synth.people.colours import cloth_colour, skin_colour
from synth.people.cuts import Cut, clip, cut_field, cut_patch
from synth.people.garments import COAT_GAP, SHIRT_GAP, Wardrobe, dress
from synth.people.parts import pose_surface
from synth.people.person import OUTFITS, sample_person

CUTS = [
    Cut("top", sleeve=0.4, neck="v"),
    Cut("top", sleeve=0.97, neck="crew", gap=0.05, grow=0.01),
    Cut("legs", hem=0.215, length=0.6),
    Cut("overall", sleeve=0.3),
    Cut("skirt", "skirt", hem=-0.3),
    Cut("foot", hem=-0.7, grow=1.0),
    Cut("scarf_loop"),
]


def _area(points: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (points[faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.shape)
def test_patch_lies_where_its_field_is_positive(cut: Cut) -> None:
    patch = cut_patch(cut)
    values = patch.gather(cut_field(cut))
    assert len(patch.faces) > 20
    assert values.min() > -1e-5
    np.testing.assert_allclose(values[len(patch.kept) :], 0, atol=1e-5)
    assert patch.faces.max() < len(values)
    assert len(patch.region) == len(patch.faces)


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.6, 0.6), st.sampled_from([0, 2]))
def test_the_two_sides_of_a_cut_make_the_whole(level: float, axis: int) -> None:
    surface = load_assets().surfaces["tights"]
    field = (surface.fields.rest[:, axis] - np.float32(level)).astype(np.float32)
    field[np.abs(field) < 1e-4] = 1e-4
    sides = [clip(surface.faces, surface.fields, sign * field) for sign in (1, -1)]
    points = surface.fields.rest
    areas = [_area(side.gather(points), side.faces) for side in sides]
    assert sum(areas) == pytest.approx(_area(points, surface.faces), rel=1e-4)


def _wardrobe(seed: int, **changes: Any) -> Wardrobe:
    assets = load_assets()
    person = replace(sample_person(np.random.default_rng(seed)), **changes)
    rest = assets.model.rest(person.phenotype)
    rig = assets.model.pose(rest, {})
    tights, skirt = (pose_surface(assets, rest, rig, name, 1.0) for name in ("tights", "skirt"))
    return dress(person, tights, skirt, np.zeros(len(tights.points), np.float32))


@pytest.mark.parametrize("seed", range(8))
def test_layers_stay_in_order(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wears trousers, an untucked shirt and a coat: each lies outside of the one below."""
    worn: dict[str, tuple[Cut, np.ndarray]] = {}
    original = Wardrobe.wear

    def spy(self, name, material, cut, offset, *rest, **more):
        if cut.surface == "tights":
            worn[name] = (cut, offset)
        return original(self, name, material, cut, offset, *rest, **more)

    monkeypatch.setattr(Wardrobe, "wear", spy)
    _wardrobe(seed, outfit="trousers", tucked=False, coat="coat", scarf=None)
    (pants, low), (shirt, middle), (coat, high) = (
        worn[name] for name in ("pants", "upper-clothes", "coat")
    )
    both = (cut_field(pants) > 0) & (cut_field(shirt) > 0)
    assert both.any()
    assert (middle - low)[both].min() >= SHIRT_GAP - 1e-6
    both = (cut_field(shirt) > 0) & (cut_field(coat) > 0)
    assert (high - middle)[both].min() >= COAT_GAP - 1e-6


@pytest.mark.parametrize("outfit", OUTFITS)
def test_every_outfit_brings_its_own_label(outfit: str) -> None:
    label = {"trousers": "pants", "shorts": "pants", "jumpsuit": "jumpsuits"}.get(outfit, outfit)
    parts = _wardrobe(3, outfit=outfit, coat="none").parts
    assert label in {LIP_LABELS[i] for part in parts for i in np.unique(part.label)}


def test_shoes_are_labelled_by_side() -> None:
    parts = _wardrobe(1, shoes=sample_person(np.random.default_rng(3)).top).parts
    left, right = LIP_LABELS.index("left-shoe"), LIP_LABELS.index("right-shoe")
    shoes = [part for part in parts if (part.label >= left).all()]
    assert len(shoes) == 1
    x = shoes[0].attributes[shoes[0].faces[:, 0], 0]
    assert (x[shoes[0].label == left] > 0).all()
    assert (x[shoes[0].label == right] < 0).all()


def test_skin_is_warm_at_every_tone() -> None:
    rng = np.random.default_rng(5)
    for tone in np.linspace(0, 9, 40):
        red, green, blue = skin_colour(rng, float(tone))
        assert red > 1.1 * green > blue * 1.1  # never grey


def test_cloth_colours_are_valid_and_varied() -> None:
    rng = np.random.default_rng(1)
    colours = np.stack([cloth_colour(rng) for _ in range(300)])
    assert colours.min() > 0 and colours.max() < 1
    assert colours.std(0).min() > 0.1
