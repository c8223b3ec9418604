"""Data sets whose initial masks come from networks: the same by every way, never of others."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synth.build import build
from synth.check import check
from synth.errors import InputError
from synth.plan import make_sample, open_plan
from synth.recipe import Recipe, parse_recipe
from synth.segmenter.starter import FromNetworks
from tests.synth.segmenters import MODAL, TINY, trained, with_networks
from tests.synth.tiny import ROOT, write_tiny


@pytest.fixture(scope="module")
def networks(data: Path) -> Path:
    """Inside the data root, so that a recipe can name them relative to it."""
    trained(data / "networks", data)
    return data / "networks"


def recipe(networks: object) -> Recipe:
    return parse_recipe(with_networks(networks), "tiny.toml")


def fingerprint(recipe: Recipe, out: Path, data: Path, workers: int = 1) -> str:
    dataset = build(recipe, out, data, workers, progress=False)
    assert dataset is not None
    return dataset.fingerprint


class Spy(FromNetworks):
    """Remembers what it was asked."""

    def __call__(self, image: np.ndarray, modal: np.ndarray, person: str, *_: Any) -> np.ndarray:
        self.asked = image, modal, person
        return super().__call__(image, modal, person, *_)


def test_a_data_set_differs_in_its_initial_masks_alone(networks: Path, data: Path) -> None:
    plan, exact = open_plan(recipe(networks), data), open_plan(parse_recipe(MODAL, "x"), data)
    plan.starter = spy = Spy(networks)
    for index in range(len(plan)):
        sample, other = make_sample(plan, index), make_sample(exact, index)
        for name in ("image", "amodal", "modal", "occluder"):
            np.testing.assert_array_equal(getattr(sample, name), getattr(other, name))
        assert sample.person_id == other.person_id and sample.meta == other.meta
        steps = np.rint(sample.initial * 255)
        assert sample.initial.dtype == np.float32 and 0 <= steps.min() <= steps.max() <= 255
        assert (steps.astype(np.float32) / np.float32(255) == sample.initial).all()
        assert (sample.initial != sample.modal).any() and sample.initial.any()
        image, modal, person = spy.asked  # the occluded picture, for one
        assert (image == sample.image).all() and (modal == sample.modal).all()
        assert person == sample.person_id


def test_every_way_to_build_gives_one_fingerprint(
    networks: Path, data: Path, tmp_path: Path
) -> None:
    first = fingerprint(recipe(networks), tmp_path / "a", data)
    assert check(tmp_path / "a") == []
    moved = shutil.copytree(networks, tmp_path / "moved")
    assert fingerprint(recipe("networks"), tmp_path / "b", data, workers=2) == first
    assert fingerprint(recipe(moved), tmp_path / "c", data) == first
    assert fingerprint(parse_recipe(MODAL, "x"), tmp_path / "d", data) != first


@pytest.mark.parametrize("other", ["splits", "people"])
def test_networks_of_others_are_refused(
    other: str, networks: Path, data: Path, tmp_path: Path
) -> None:
    """They may have seen those whose masks they are to give."""
    changed = with_networks(networks)
    if other == "splits":
        changed = changed.replace("test = 0.2", "test = 0.2\nseed = 1")
    else:
        data = write_tiny(tmp_path / "data", people=11)
    with pytest.raises(InputError, match="other people, occluders or splits.*train for") as caught:
        build(parse_recipe(changed, "tiny.toml"), tmp_path / "out", data, progress=False)
    assert caught.value.message.startswith(f"{networks}: ") and "\n" not in caught.value.message
    assert not (tmp_path / "out").exists()


def test_networks_serve_other_occlusion_of_the_same_people(networks: Path, data: Path) -> None:
    plan = open_plan(recipe(networks).with_changes(seed=3, count=40, preset="hard"), data)
    sample = make_sample(plan, 0)
    assert sample.initial.any() and (sample.initial != sample.modal).any()


def test_no_networks_and_unfinished_ones_are_refused(
    networks: Path, data: Path, tmp_path: Path
) -> None:
    half = Path(shutil.copytree(networks, tmp_path / "half"))
    card = (half / "segmenter.json").read_text()
    (half / "segmenter.json").write_text(card[: card.index(',\n "iou"')] + "}")
    for folder, words in ((half, "is not finished"), (tmp_path / "none", "holds no networks")):
        with pytest.raises(InputError, match=words) as caught:
            build(recipe(folder), tmp_path / "out", data, progress=False)
        assert caught.value.message.startswith(f"{folder}: ")
    assert not (tmp_path / "out").exists()


def test_networks_that_changed_between_parts_are_refused(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "networks"
    trained(folder, data, TINY.model_copy(update={"steps": 2}))
    build(recipe(folder), tmp_path / "out", data, part=(1, 2), progress=False)
    shutil.rmtree(folder)
    trained(folder, data, TINY.model_copy(update={"steps": 3}))
    with pytest.raises(InputError, match="source of initial masks has changed"):
        build(recipe(folder), tmp_path / "out", data, part=(2, 2), progress=False)


def test_a_starter_travels_to_other_processes(networks: Path, data: Path) -> None:
    sample = make_sample(open_plan(parse_recipe(MODAL, "x"), data), 0)
    given = sample.image, sample.modal, sample.person_id
    starter = FromNetworks(networks)
    mask = starter(*given, np.random.default_rng(1))
    assert (starter(*given, np.random.default_rng(2)) != mask).any()
    sent = pickle.dumps(starter)
    assert len(sent) < 20_000  # the networks stay where they are
    np.testing.assert_array_equal(pickle.loads(sent)(*given, np.random.default_rng(1)), mask)
    assert pickle.loads(sent).digest == starter.digest
    nobody = starter(sample.image, np.zeros_like(sample.modal), "a:0", np.random.default_rng(1))
    assert nobody.dtype == np.float32 and not nobody.any()


def test_masks_leave_the_threads_of_torch_alone(networks: Path, data: Path) -> None:
    sample = make_sample(open_plan(parse_recipe(MODAL, "x"), data), 0)
    given = sample.image, sample.modal, sample.person_id
    before, masks = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            masks.append(FromNetworks(networks)(*given, np.random.default_rng(1)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*masks)


def test_torch_is_imported_for_networks_alone() -> None:
    code = "import sys, synth.initial, synth.segmenter.starter, synth.segmenter.train\n"
    code += "import synth.cli_segmenter, synth.segmenter.measure; assert 'torch' not in sys.modules"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0
