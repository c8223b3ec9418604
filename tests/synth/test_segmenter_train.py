"""Training the segmenter: it learns, and leaves the same bytes whatever interrupts it."""

import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from synth.errors import InputError
from synth.occlusion_spec import Occlusion
from synth.plan import make_plan, make_sample, open_plan
from synth.segmenter import learn
from synth.segmenter.composites import Composites, make_composites, training_recipe
from synth.segmenter.folder import Card, Training
from synth.segmenter.network import read_network
from synth.segmenter.starter import FromNetworks
from tests.synth.scenarios import files_of
from tests.synth.segmenters import NETWORKS, TINY, trained, watch_batches
from tests.synth.tiny import ellipse, leftovers, tiny_recipe, write_tiny

_SECONDS = 60


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("networks")
    trained(folder, data)
    return folder


def test_a_training_leaves_a_card_folds_and_networks(finished: Path, data: Path) -> None:
    assert sorted(files_of(finished)) == [*NETWORKS, "people.json", "segmenter.json"]
    card = Card.model_validate_json((finished / "segmenter.json").read_bytes())
    assert (card.recipe, card.training) == ("tiny", TINY)
    assert [network.file for network in card.networks] == list(NETWORKS)
    assert not read_network(finished / NETWORKS[0]).training
    assert card.iou is not None
    assert {split: found.count for split, found in card.iou.items()} == {"train": 14, "val": 4}


def test_the_same_arguments_give_the_same_bytes(finished: Path, data: Path, tmp_path: Path) -> None:
    for number in range(2):
        trained(tmp_path / str(number), data)
        assert files_of(tmp_path / str(number)) == files_of(finished)


def test_the_seed_decides_batches_and_networks(
    finished: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = watch_batches(monkeypatch)
    trained(tmp_path / "same", data)
    trained(tmp_path / "other", data, TINY.model_copy(update={"seed": 1}))
    assert len(batches) == len(set(batches)) == 24  # nor is one step like another
    other, first = files_of(tmp_path / "other"), files_of(finished)
    assert other["people.json"] == first["people.json"]
    assert all(other[name] != first[name] for name in NETWORKS)


def test_a_finished_training_is_only_opened(finished: Path, data: Path) -> None:
    """Also for more samples of it, or with other initial masks: these train nothing else."""
    before = {path: path.stat().st_mtime_ns for path in finished.iterdir()}
    card = Card.model_validate_json((finished / "segmenter.json").read_bytes())
    longer = tiny_recipe(train=90)
    longer = longer.model_copy(update={"initial": longer.initial.model_copy(update={"leak": 0.5})})
    assert trained(finished, data) == trained(finished, data, recipe=longer) == card
    assert {path: path.stat().st_mtime_ns for path in finished.iterdir()} == before


# A file that takes its name, for which time, whether it has it, and how many of 12 steps are left.
MOMENTS = {
    ("segmenter.json", 1, True): 12,
    ("network-0.unfinished", 4, True): 8,
    ("network-0.safetensors", 1, False): 6,
    ("network-0.safetensors", 1, True): 6,
    ("segmenter.json", 2, True): 6,
    ("network-1.unfinished", 2, False): 5,
    ("segmenter.json", 4, False): 0,
}
Moment = tuple[str, int, bool]


def train_with(stop: Callable[[Moment], None], out: Path, data: Path) -> None:
    """Train with the state saved after each step; ``stop`` hears of every moment."""
    rename, seen = os.replace, Counter[str]()

    def renamed(source: Any, target: Any) -> None:
        name = Path(target).name
        seen[name] += 1
        stop((name, seen[name], False))
        rename(source, target)
        stop((name, seen[name], True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", renamed)
        patch.setattr(learn, "SAVE_SECONDS", -1.0)
        trained(out, data)


@pytest.fixture(scope="module")
def snapshots(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Moment, Path]:
    """What lies on the disk at each of these moments, as a kill would leave it."""
    out, found = tmp_path_factory.mktemp("moments"), {}

    def stop(moment: Moment) -> None:
        if moment in MOMENTS:
            found[moment] = out / "kept" / f"{len(found)}"
            shutil.copytree(out / "training", found[moment])

    train_with(stop, out / "training", data)
    return found


def assert_goes_on(
    folder: Path, left: int, data: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="is not finished; run the same hdeocc synth segmenter"):
        FromNetworks(folder)
    batches = watch_batches(monkeypatch)
    trained(folder, data)
    assert len(batches) == left
    assert files_of(folder) == files_of(finished)
    assert leftovers(folder) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_training_goes_on_to_the_same_bytes(
    moment: Moment, snapshots: dict[Moment, Path], data: Path, finished: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert_goes_on(snapshots[moment], MOMENTS[moment], data, finished, monkeypatch)


def _train_and_die(moment: Moment, out: Path, data: Path) -> None:
    def die(now: Moment) -> None:
        if now == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    train_with(die, out, data)


def test_a_killed_training_goes_on_to_the_same_bytes(
    data: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = ("network-1.unfinished", 3, False)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_train_and_die, args=(moment, tmp_path / "out", data))
    process.start()
    process.join(_SECONDS)
    assert process.exitcode == -signal.SIGKILL
    assert_goes_on(tmp_path / "out", 4, data, finished, monkeypatch)


def test_composites_show_enough_of_a_person_at_a_small_size(data: Path) -> None:
    hard = tiny_recipe().model_copy(update={"size": 300, "occlusion": Occlusion(hidden=(0.6, 1))})
    recipe = training_recipe(hard, 30)
    assert (recipe.size, recipe.counts.train, recipe.initial.kind) == (128, 30, "modal")
    plan = open_plan(recipe.model_copy(update={"size": 24}), data)
    samples = [make_sample(plan, index) for index in range(30)]
    seen = [sample for sample in samples if sample.modal.sum() >= 16]
    made = make_composites(plan, progress=False)
    assert 0 < len(seen) < 30
    assert made.people == tuple(sample.person_id for sample in seen)
    for picture, sample in zip(made.pictures, seen, strict=True):
        np.testing.assert_array_equal(picture[..., :3], sample.image)
        np.testing.assert_array_equal(picture[..., 3] == 255, sample.modal)


def test_a_batch_varies_people_and_keeps_their_masks_on_them() -> None:
    """People are brighter than what is around them by as much as they are there."""
    pictures = np.zeros((3, 40, 40, 4), np.uint8)
    for number in range(3):  # left and right differ
        pictures[number, 5:35, 10:20, :] = pictures[number, 15:25, 10:28, :] = 255
        pictures[number, ..., number] = 128
    composites = Composites(pictures, ("a:0", "a:1", "a:2"), ((), (), ()))
    batch = composites.batch(np.array([0, 2]), 40, np.random.default_rng(0))
    assert batch.shape == (40, 4, 64, 64) and batch.dtype == np.float32
    np.testing.assert_array_equal(
        composites.batch(np.array([0, 2]), 40, np.random.default_rng(0)), batch
    )
    share = batch[:, 3]
    assert share.min() == 0 and share.max() == pytest.approx(1)
    tall = (share.max(axis=2) > 0.5).mean(axis=1)
    assert 0.75 < tall.mean() < 0.9 and tall.std() > 0.01  # a box about the person, shaken
    grey = batch[:, :3].std(axis=(2, 3)) < 0.6 * batch[:, 1:2].std(axis=(2, 3))
    assert {int(row.argmax()) for row in grey} == {0, 2}  # nobody else is among them
    lit = batch[:, 1]
    for one, mask in zip(lit, share, strict=True):
        slope, start = np.polyfit(mask.ravel(), one.ravel(), 1)
        np.testing.assert_allclose(one, start + slope * mask, atol=0.3)
        assert 1.3 < slope < 2.7
    sides = share[..., :32].sum((1, 2)) > share[..., 32:].sum((1, 2))
    assert 8 < sides.sum() < 32  # mirrored every other time
    assert len({one.tobytes() for one in lit}) == 40


def write_easy(folder: Path) -> Path:
    """Bright people before dark noise, and dark things."""
    write_tiny(folder, people=16, things=16)
    for path in sorted((folder / "people").iterdir()) + sorted((folder / "things").iterdir()):
        rng = np.random.default_rng(int(path.stem))
        image = rng.integers(0, 90, (60, 48, 3)).astype(np.uint8)
        if path.parent.name == "people":
            mask = np.zeros((60, 48), np.uint8)
            height, width = int(rng.integers(36, 50)), int(rng.integers(16, 24))
            top, left = (60 - height) // 2, (48 - width) // 2
            mask[top : top + height, left : left + width] = 255 * ellipse(height, width)
            image[mask > 0] = (230, 200, 170)
            Image.fromarray(mask).save(folder / "people-masks" / path.name)
        Image.fromarray(image).save(path)
    return folder


def test_networks_learn_whom_they_see_and_not_only_where(tmp_path: Path) -> None:
    data = write_easy(tmp_path / "data")
    asked = Training(folds=2, steps=40, composites=40, batch=8)
    card = trained(tmp_path / "networks", data, asked)
    assert card.iou is not None
    plan = open_plan(tiny_recipe(), data)
    exact = make_plan(tiny_recipe(), plan.person_sources, plan.occluder_sources)
    samples = [make_sample(exact, index) for index in range(plan.counts["train"])]
    whole = np.mean([(s.modal & s.amodal).sum() / (s.modal | s.amodal).sum() for s in samples])
    assert whole < 0.7  # what the shape alone would reach
    assert card.iou["train"].mean > 0.8 and card.iou["val"].mean > 0.75
