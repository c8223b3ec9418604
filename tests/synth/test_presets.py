"""Presets: what each promises, on made-up people and on real photos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from synth.errors import InputError
from synth.occlusion_spec import BODY_PARTS, KNOWN_PLACEMENTS, PRESETS, Occlusion
from synth.parts import part_region
from synth.plan import Plan, make_plan, make_sample, open_plan
from synth.recipe import Recipe, load_recipe
from synth.sample import Sample, violations
from synth.sources.base import PersonCrop
from tests.synth.test_plan import plan, recipe

NAMES = (*PRESETS, *(f"part:{part}" for part in BODY_PARTS))


@pytest.mark.parametrize("name", NAMES)
def test_a_preset_survives_being_stored_and_loses_to_what_is_given(name: str) -> None:
    whole = Occlusion(preset=name)
    assert Occlusion.model_validate(whole.model_dump(mode="json")) == whole
    other = Occlusion(preset=name, hidden=(0.3, 0.4), occluders=(2, 3))
    assert other.hidden == (0.3, 0.4) and other.occluders == (2, 3)
    assert other.placement == whole.placement and other.reach == whole.reach


def test_a_preset_of_the_command_line_replaces_and_leaves() -> None:
    base = recipe(occlusion=Occlusion(hidden=(0.1, 0.2), truncate=0.3, shadow=0.5))
    hard = base.with_changes(preset="hard").occlusion
    assert hard.hidden == (0.5, 0.85) and hard.truncate == 0.3 and hard.shadow == 0.5
    frozen = base.model_copy(update={"splits": base.splits.model_copy(update={"per_person": 1})})
    assert frozen.with_changes(preset="ahp-valid").splits.per_person == 3
    assert frozen.with_changes(preset="hard").splits.per_person == 1
    with pytest.raises(InputError, match="--preset hrd: .*no 'hrd'; did you mean hard"):
        base.with_changes(preset="hrd")


@pytest.mark.parametrize("name", NAMES)
def test_samples_of_a_preset_keep_its_range(name: str) -> None:
    made = plan(recipe(size=64).with_changes(preset=name))
    low, high = made.recipe.occlusion.hidden_range
    samples = [make_sample(made, index) for index in range(len(made))]
    for sample in samples:
        assert violations(sample) == []
        assert sample.meta.get("missed", False) or low <= sample.hidden_share <= high
    assert sum(s.meta.get("missed", False) for s in samples) <= 0.1 * len(samples)


FEW = 50  # photos of CCP; to look at all of them takes seconds


@pytest.fixture(scope="module")
def photos(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan of some CCP people and all COCO people under COCO objects, 64 pixels."""
    folder = tmp_path_factory.mktemp("photos")
    for name in ("coco_people", "coco_occluders"):
        (folder / name).symlink_to(real_data / name)
    for name in ("photos", "annotations/pixel-level"):
        (folder / "ccp" / name).mkdir(parents=True)
        for file in sorted((real_data / "ccp" / name).iterdir())[:FEW]:
            (folder / "ccp" / name / file.name).symlink_to(file)
    (folder / "ccp" / "label_list.mat").symlink_to(real_data / "ccp" / "label_list.mat")
    return open_plan(load_recipe("photos-small").model_copy(update={"size": 64}), folder)


def of(photos: Plan, occlusion: Occlusion, count: int) -> list[Sample]:
    chosen: Recipe = photos.recipe.model_copy(update={"occlusion": occlusion})
    made = make_plan(chosen, photos.person_sources, photos.occluder_sources)
    return [make_sample(made, index) for index in range(count)]


def counted(shares: Sequence[float], edges: Sequence[float]) -> np.ndarray:
    return np.histogram(shares, edges)[0]


def test_a_declared_histogram_is_reached_on_photos(photos: Plan) -> None:
    """Asked within 2 a bin, got within 2 more, and nearly every share in the bin it was asked."""
    edges, shares = (0.05, 0.15, 0.3, 0.5, 0.6, 0.8), np.array([30, 25, 25, 0, 20])
    samples = of(photos, Occlusion(hidden={"edges": edges, "shares": tuple(shares)}), 200)
    wanted = 200 * shares / shares.sum()
    asked = counted([s.meta["asked_share"] for s in samples], edges)
    got = counted([s.hidden_share for s in samples], edges)
    missed = sum(s.meta.get("missed", False) for s in samples)
    assert np.abs(asked - wanted).max() <= 2
    assert np.abs(got - wanted).max() <= 2 + missed
    # Pearson's statistic of counts drawn at random has mean 3 here; of these it is far below.
    assert (((got - wanted)[wanted > 0]) ** 2 / wanted[wanted > 0]).sum() < 1
    assert missed <= 6
    for sample in samples:
        low, high = sample.meta["asked_range"]
        assert sample.meta.get("missed", False) != (low <= sample.hidden_share <= high)


@pytest.mark.parametrize("part", ["head", "torso", "legs", "feet"])
def test_in_front_of_a_part_of_real_people(photos: Plan, part: str) -> None:
    of_part, of_rest, found = [], [], set()
    for sample in of(photos, Occlusion(preset=f"part:{part}"), 24):
        assert sample.clean is not None
        person = PersonCrop(sample.clean, sample.amodal, sample.parsing, sample.meta["person"])
        region = part_region(person, part)
        rest = sample.amodal & ~region.mask
        of_part.append((sample.invisible & region.mask).sum() / region.mask.sum())
        of_rest.append((sample.invisible & rest).sum() / rest.sum())
        found.add(sample.meta["placements"][0]["part_from"])
    assert np.mean(of_part) >= 3 * np.mean(of_rest)
    assert {"parsing", "keypoints"} <= found


def test_every_placement_works_on_photos(photos: Plan) -> None:
    for kind in KNOWN_PLACEMENTS:
        for sample in of(photos, Occlusion(placement=kind, hidden=(0.02, 0.5)), 3):
            assert violations(sample) == []
            kinds = {note["kind"] for note in sample.meta["placements"]}
            assert kinds <= {kind, "anywhere"}
