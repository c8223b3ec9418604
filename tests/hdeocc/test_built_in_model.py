"""The model that comes with the package: all of it is there, and it knows more than nothing."""

import hashlib
import importlib.util
import json
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from baselines.content_floors import MeanColour
from hdeocc import model_folder
from hdeocc.batch import Batch, collate
from hdeocc.method import SIZES
from hdeocc.model_folder import BUILT_IN, Pair, load_pair
from hdeocc.pipeline import Deoccluder
from metrics.masks import invisible_iou
from synth.live import Live
from synth.plan import open_plan
from synth.recipe import load_recipe

ROOT = Path(__file__).resolve().parents[2]
TEN_PEOPLE = ROOT / "docs" / "ten_people"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def pair() -> Pair:
    return load_pair(None)


@pytest.fixture(scope="module")
def people() -> Batch:
    """Sixteen drawn people under drawn objects; the model was trained on photos alone."""
    recipe = load_recipe("people-quick").model_copy(update={"size": SIZES["small"]})
    samples = Live(open_plan(recipe, Path()), "test", 16)
    return collate([samples[index] for index in range(16)])


def test_it_is_small_and_in_half_precision() -> None:
    files = [path for path in BUILT_IN.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20 * MEGABYTE
    for track in ("mask", "content"):
        weights = load_file(BUILT_IN / track / "weights.safetensors")
        kinds = {tensor.dtype for tensor in weights.values() if tensor.is_floating_point()}
        assert kinds == {torch.float16}, track


def test_all_of_it_travels_in_the_package() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["hdeocc"]
    package = Path(model_folder.__file__).parent
    carried = {path for pattern in patterns for path in package.glob(pattern)}
    assert carried == {path for path in BUILT_IN.rglob("*") if path.is_file()}


def test_its_card_says_what_it_is_and_on_what_it_was_trained() -> None:
    card = (BUILT_IN / "README.md").read_text()
    about = json.loads((BUILT_IN / "model.json").read_text())
    assert about["preset"] == "small" and about["data"]["name"] in card
    for track in ("mask", "content"):
        content = (BUILT_IN / track / "weights.safetensors").read_bytes()
        digest = about[track]["weights_sha256"]["weights.safetensors"]
        assert hashlib.sha256(content).hexdigest() == digest and digest[:16] in card
        assert about[track]["budget"]["samples"] > 1000
    for said in ("Held-out people", "Licences of the photos", "Intended use and limits"):
        assert said in card


def test_it_finds_hidden_people_that_it_never_saw(pair: Pair, people: Batch) -> None:
    found = pair.mask.method.predict(people)[:, 0].numpy() >= 0.5
    amodal, modal = (field[:, 0].numpy() >= 0.5 for field in (people.amodal, people.modal))
    hidden = [invisible_iou(f, a, m) for f, a, m in zip(found, amodal, modal, strict=True)]
    union = (found | amodal).sum((1, 2))
    whole = (found & amodal).sum((1, 2)) / union
    known = modal.sum((1, 2)) / amodal.sum((1, 2))
    assert np.mean(hidden) > 0.3, "taking the visible part for all has 0"
    assert np.mean(whole) > np.mean(known) + 0.05


def test_it_paints_better_than_one_colour(pair: Pair, people: Batch) -> None:
    hole = (people.amodal >= 0.5) & (people.modal < 0.5)

    def error(painted: torch.Tensor) -> float:
        return float(((painted - people.clean).abs() * hole).sum() / (3 * hole.sum()))

    assert error(pair.content.method.predict(people)) < error(MeanColour().predict(people))


@pytest.mark.parametrize("name", ["walker", "grey", "man"])
def test_it_completes_people_in_photos(pair: Pair, name: str) -> None:
    draw = _draw_program()
    seen = draw.scene(next(person for person in draw.PEOPLE if person.name == name))
    found = Deoccluder(pair.mask.method, pair.content.method)(seen.photo, seen.visible)
    assert invisible_iou(found.amodal, seen.whole, seen.visible) > 0.3
    outside = ~found.invisible
    assert np.array_equal(found.recovered[outside], seen.photo[outside])


def test_the_pictures_of_the_readme_have_a_source() -> None:
    draw, words = _draw_program(), (TEN_PEOPLE / "README.md").read_text()
    assert len(draw.PEOPLE) == 10
    for person in draw.PEOPLE:
        assert f"`{person.name}.jpg`" in words
        seen = draw.scene(person)
        assert seen.clean.shape[:2] == seen.whole.shape
        if person.width:
            hidden = 1 - seen.visible.sum() / seen.whole.sum()
            assert 0.05 < hidden < 0.7, person.name


def _draw_program() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ten_people", TEN_PEOPLE / "draw.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by its name
    spec.loader.exec_module(module)
    return module
