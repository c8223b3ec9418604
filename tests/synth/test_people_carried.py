"""What hangs on people: bags and long hair, and the armholes of sleeveless tops."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from synth.parsing import LIP_LABELS
from synth.people.assets import load_assets
from synth.people.bags import carry, outermost
from synth.people.cuts import Cut, cut_patch
from synth.people.figure import build_figure
from synth.people.garments import Wardrobe, dress
from synth.people.geometry import vertex_normals
from synth.people.head import head_frame
from synth.people.parts import Part, Posed, body_scale, pose_surface
from synth.people.person import BAGS, OUTFITS, sample_person
from synth.people.pose import sample_pose
from synth.people.shoulders import shoulders_of


@cache
def _dressed(seed: int, **changes: Any) -> Wardrobe:
    assets = load_assets()
    person = replace(sample_person(np.random.default_rng([21, seed])), **changes)
    rest = assets.model.rest(person.phenotype)
    rig = assets.model.pose(rest, {})
    scale = body_scale(assets, rest)
    tights, skirt = (pose_surface(assets, rest, rig, name, scale) for name in ("tights", "skirt"))
    return dress(person, tights, skirt, np.zeros(len(tights.points), np.float32))


def _height_over(points: np.ndarray, tights: Posed, under: np.ndarray) -> np.ndarray:
    """Metres (n,) of points above torso and legs with cloth under (n,) on them, along normals."""
    surface = tights.skin(under)
    normals = vertex_normals(surface, tights.surface.faces)
    solid = ~tights.surface.fields.is_arm
    _, nearest = cKDTree(surface[solid]).query(points)
    return np.asarray(
        np.einsum("ij,ij->i", points - surface[solid][nearest], normals[solid][nearest])
    )


def _carried(seed: int, **changes: Any) -> tuple[Wardrobe, list[Part]]:
    wardrobe = _dressed(seed, **changes)
    before = len(wardrobe.parts)
    carry(wardrobe)
    parts = wardrobe.parts[before:]
    del wardrobe.parts[before:]
    return wardrobe, parts


@pytest.mark.parametrize("bag", BAGS[1:])
@pytest.mark.parametrize("coat", ["none", "coat"])
def test_bags_lie_on_the_clothes_and_not_in_them(bag: str, coat: str) -> None:
    for seed in range(4):
        wardrobe, (strap, sack) = _carried(seed, bag=bag, coat=coat)
        worn = wardrobe.tights, wardrobe.under
        assert (_height_over(strap.vertices, *worn) < -0.005).mean() < 0.06
        height = _height_over(sack.vertices, *worn)
        assert height.max() > 0.05
        assert (height < -0.03).mean() < 0.25


def test_a_strap_runs_unbroken_from_the_shoulder_to_the_hip() -> None:
    for seed in range(4):
        _, (strap, _) = _carried(seed, bag="sling")
        height = strap.attributes[:, 2]
        assert height.max() > 0.65 and height.min() < 0.16
        steps = np.diff(np.unique(np.round(height, 3)))
        assert steps.max() < 0.06


def test_nobody_without_a_bag_carries_one() -> None:
    assert _carried(0, bag="none")[1] == []


@pytest.mark.parametrize("outfit", OUTFITS)
@pytest.mark.parametrize("coat", ["none", "coat"])
def test_a_bag_takes_the_label_of_the_garment_below_it(outfit: str, coat: str) -> None:
    wardrobe, parts = _carried(1, outfit=outfit, coat=coat, bag="backpack")
    labels = {LIP_LABELS[i] for part in parts for i in np.unique(part.label)}
    assert labels == {outermost(wardrobe)}
    worn = {LIP_LABELS[i] for part in wardrobe.parts for i in np.unique(part.label)}
    assert labels <= worn


def test_seated_people_have_taken_their_backpack_off() -> None:
    rng = np.random.default_rng(5)
    person = replace(sample_person(rng), bag="backpack")
    for kind, bag in (("sit", "none"), ("floor", "none"), ("walk", "backpack")):
        made = build_figure(load_assets(), person, sample_pose(rng, kind))
        assert made.person.bag == bag
        assert any(part.material is person.bag_cloth for part in made.parts) == (bag != "none")


@pytest.mark.parametrize("style", ["long", "bob", "tail"])
@pytest.mark.parametrize("coat", ["none", "coat"])
def test_hair_lies_on_the_shoulders_and_not_in_them(style: str, coat: str) -> None:
    assets = load_assets()
    for seed in range(3):
        rng = np.random.default_rng([22, seed])
        person = replace(sample_person(rng), hair_style=style, coat=coat, hat="none", scarf=None)
        made = build_figure(assets, person, sample_pose(rng, "stand"))
        strands = [part.vertices for part in made.parts if part.material.kind == "strand"]
        rest = assets.model.rest(person.phenotype)
        tights = pose_surface(assets, rest, made.rig, "tights", body_scale(assets, rest))
        points = np.concatenate(strands)
        neck = tights.skin(0.0)[tights.surface.fields.rest[:, 2] > 0.6][:, 2].max()
        low = points[points[:, 2] < neck - 0.02]
        if len(low) > 50:  # compared with the skin: cloth adds to the height
            height = _height_over(low, tights, np.zeros(len(tights.points)))
            assert (height < -0.003).mean() < 0.01
            assert style == "tail" or np.median(height) < 0.09
    assert strands


def test_pushing_out_of_the_shoulders_leaves_nothing_inside() -> None:
    assets, wardrobe = load_assets(), _dressed(2)
    rest = assets.model.rest(wardrobe.person.phenotype)
    frame = head_frame(assets, rest, assets.model.pose(rest, {}))
    shoulders = shoulders_of(wardrobe.tights, wardrobe.under, frame)
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.2, -0.15, 0.4], [0.2, 0.15, 0.8], (2000, 3))
    room = np.full(len(points), 0.01)
    once = shoulders.push_out(points, room)
    moved = np.linalg.norm(once - points, axis=1)
    assert 0.2 < (moved > 1e-3).mean() < 0.95
    again = shoulders.push_out(once, room)
    assert np.quantile(np.linalg.norm(again - once, axis=1), 0.95) < 0.03
    far = points + [0, 0, 1.0]
    np.testing.assert_allclose(shoulders.push_out(far, room), far)


def test_armholes_are_smooth() -> None:
    """The rim of a sleeveless top's armholes is hardly longer than a smooth loop around it."""
    patch = cut_patch(Cut("top", sleeve=0.07, hem=0.15, neck="crew"))
    points = patch.attributes[len(patch.kept) :, :3]
    hole = (points[:, 0] > 0.10) & (points[:, 2] > 0.4)
    edges = patch.rim[hole[patch.rim].all(1)]
    length = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1).sum()
    around = points[hole] - points[hole].mean(0)
    radius = np.linalg.norm(around, axis=1).max()
    assert 0.3 < length < 2 * np.pi * radius
