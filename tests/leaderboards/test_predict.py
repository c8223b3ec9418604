"""Predictions: made once, gone on with where they stopped, by benchmark or by command."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.pix2pix import Pix2PixMask
from hdeocc.batch import Batch, collate
from hdeocc.cli import main
from hdeocc.fitted import Fitted, unfitted
from hdeocc.two_stage_mask import TwoStageMask
from leaderboards import folder as folders
from leaderboards.cost import count_macs, macs_of
from leaderboards.folder import Folder, resumed_folder
from leaderboards.pictures import read_png
from leaderboards.predict import masks_of, predict_content, predict_masks
from leaderboards.score_folder import faults_of
from leaderboards.score_pictures import Pictures
from synth.atomic import temporary
from synth.errors import InputError
from synth.recipe import load_recipe
from synth.store import Dataset
from tests.fakes import make_samples
from tests.leaderboards import fakes


class Dies(fakes.FakeIdentity):
    """Is killed after some predictions."""

    left: int = 1 << 30

    def predict(self, batch: Batch) -> Tensor:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().predict(batch)


class Parses(fakes.FakeIdentity):
    """Calls every pixel of the person hair."""

    def predict_parsing(self, batch: Batch) -> Tensor | None:
        return (batch.initial[:, 0] >= 0.5).long() * 2


@pytest.fixture
def test_split() -> Any:
    return fakes.FakeDataset(load_recipe("people-quick")).split("test")


def fitted(method: Any) -> Fitted:
    return Fitted(method, "dies", "key", None, {})


def times(folder: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in folder.glob("*.png")}


def test_a_killed_prediction_goes_on_and_ends_the_same(test_split: Any, tmp_path: Path) -> None:
    method = Dies("quick")
    method.left = 4
    with pytest.raises(KeyboardInterrupt):
        predict_masks(tmp_path / "out", fitted(method), test_split, again=False)
    assert not (tmp_path / "out").exists()
    before = times(tmp_path / ".out.part")
    assert len(before) == 4
    method.left = 2 + 30  # what is missing, and the timing
    made = predict_masks(tmp_path / "out", fitted(method), test_split, again=False)
    after = times(made.folder)
    assert len(after) == 6 and {k: after[k] for k in before} == before
    straight = predict_masks(tmp_path / "straight", fitted(Dies("quick")), test_split, False)
    for name in after:
        assert (made.folder / name).read_bytes() == (straight.folder / name).read_bytes()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_what_another_method_left_is_not_gone_on_with(tmp_path: Path) -> None:
    def left() -> list[str]:
        return sorted(p.name for p in (tmp_path / ".out.part").iterdir())

    with pytest.raises(RuntimeError), resumed_folder(tmp_path / "out", "one") as folder:
        (folder / "a.png").write_bytes(b"a")
        raise RuntimeError
    with pytest.raises(RuntimeError), resumed_folder(tmp_path / "out", "one"):
        assert left() == ["a.png", "part.txt"]
        raise RuntimeError
    with resumed_folder(tmp_path / "out", "two") as folder:
        assert left() == ["part.txt"]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_picture_that_a_kill_broke_off_is_cleaned_away(tmp_path: Path) -> None:
    broken = temporary(Path("a.png")).name
    with pytest.raises(RuntimeError), resumed_folder(tmp_path / "out", "one") as folder:
        (folder / "parsing").mkdir()
        for place in (folder, folder / "parsing"):
            (place / broken).write_bytes(b"a")
        raise RuntimeError
    with resumed_folder(tmp_path / "out", "one"):
        pass
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["parsing"]


@pytest.mark.parametrize("swapped", [False, True])
def test_who_is_killed_at_the_very_end_loses_nothing(
    swapped: bool, test_split: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_place, out = folders.take_place, tmp_path / "out"

    def killed(unfinished: Path, final: Path) -> None:
        if swapped:
            take_place(unfinished, final)
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "take_place", killed)
    with pytest.raises(KeyboardInterrupt):
        predict_masks(out, fitted(Dies("quick")), test_split, again=False)
    monkeypatch.undo()
    before = times(out if swapped else tmp_path / ".out.part")
    assert len(before) == 6
    made = predict_masks(out, fitted(Dies("quick")), test_split, again=False)
    assert times(made.folder) == before
    assert faults_of(Pictures(masks=out), test_split).none
    predict_masks(out, fitted(Dies("quick")), test_split, again=True)
    assert not (out / "part.txt").exists()


def test_what_is_known_of_predictions_lies_beside_them(test_split: Any, tmp_path: Path) -> None:
    made = predict_masks(tmp_path / "out", fitted(Dies("quick")), test_split, again=False)
    about = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert about["fingerprint"] == "c" * 64 and about["samples"] == 6
    assert (about["method"], about["track"], about["consumes"]) == ("dies", "mask", ["initial"])
    assert about["milliseconds"] == made.milliseconds and about["macs"] is None


def test_the_full_track_knows_the_initial_mask_and_not_the_true_one(
    test_split: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is seen of the person is a truth that only the content track gives."""
    monkeypatch.setattr(fakes.FakeMask, "seen", [])
    samples = [
        replace(one, initial=np.roll(one.modal, 3, axis=1).astype(np.float32))
        for one in test_split.samples
    ]
    split: Any = fakes.FakeSplit(samples, "d" * 64)
    everything = fakes.FakeMask("quick")
    everything.constant = 0.6
    masks = predict_masks(tmp_path / "masks", fitted(everything), split, again=False)
    fakes.FakeMask.seen.clear()
    painter = Fitted(fakes.FakeContent("quick"), "paint", "key", None, {})
    made = predict_content(tmp_path / "photos", painter, split, False, masks)
    seen = list(fakes.FakeMask.seen)
    assert len(seen) >= len(samples)
    for sample, given in zip(samples, seen, strict=False):
        initial = sample.initial > 0.5
        assert not np.array_equal(initial, sample.modal)
        assert np.array_equal(given["modal"][0, 0].numpy() > 0.5, initial)
        assert bool((given["amodal"] == 1).all()), "the fake says so of the whole frame"
        photo = made.picture(sample, 3)
        assert photo is not None and (photo[~initial] == 64).all()
        assert np.array_equal(photo[initial], sample.image[initial])


def test_methods_that_parse_leave_their_labels(test_split: Any, tmp_path: Path) -> None:
    made = predict_masks(tmp_path / "out", fitted(Parses("quick")), test_split, again=False)
    for sample in test_split:
        labels, mask = made.parsing(sample), made.picture(sample, 1)
        assert labels is not None and mask is not None
        assert np.array_equal(labels == 2, mask >= 128) and set(np.unique(labels)) == {0, 2}
    plain = predict_masks(tmp_path / "plain", fitted(Dies("quick")), test_split, again=False)
    assert plain.parsing(test_split[0]) is None


def test_multiply_adds_are_those_of_the_layers() -> None:
    batch = collate(make_samples(1, 64, np.random.default_rng(0)))
    method = Pix2PixMask("quick")
    counted = 0

    def count(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal counted
        kernel = layer.kernel_size[0] * layer.kernel_size[1]
        if isinstance(layer, nn.ConvTranspose2d):
            counted += inputs[0].numel() * layer.out_channels * kernel
        else:
            counted += output.numel() * layer.in_channels * kernel

    for layer in method.nets.generator.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(count)
    given = batch.only(method.consumes)
    method.predict(given)
    by_hand = counted
    assert count_macs(method, given) == by_hand > 1e6
    assert count_macs(fakes.FakeIdentity("quick"), given) is None


def test_multiply_adds_of_attention_are_those_of_its_products() -> None:
    # torch's own layer, and a call of its attention, both of which it fuses where it can.
    places, width, heads = 10, 16, 2
    layer = nn.TransformerEncoderLayer(width, heads, 3 * width, batch_first=True).eval()
    tokens = torch.rand(1, places, width)
    projections = 4 * places * width**2 + 2 * places * width * 3 * width
    products = 2 * places**2 * width

    @torch.inference_mode()
    def encode() -> Tensor:
        return layer(tokens)

    assert macs_of(encode) == projections + products
    split = tokens.view(1, places, heads, width // heads).transpose(1, 2)
    assert macs_of(lambda: F.scaled_dot_product_attention(split, split, split)) == products
    assert torch.backends.mha.get_fastpath_enabled(), "it is as it was"


# The commands, on the built data set of a small run.


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


@pytest.fixture
def data(finished_tiny: Path) -> Iterator[Path]:
    yield finished_tiny / "data"


def test_predicts_with_a_method_that_learns_nothing(
    data: Path, finished_tiny: Path, tmp_path: Path
) -> None:
    done = call("predict", "mask.convex-hull", data, "--out", tmp_path / "hulls")
    assert done.exit_code == 0 and "8 predictions" in done.output, done.output
    ours = Folder(finished_tiny).predictions("mask", "convex-hull", 0)
    for path in ours.glob("*.png"):
        assert (tmp_path / "hulls" / path.name).read_bytes() == path.read_bytes()
    done = call("predict", "mask.convex-hull", data, "--out", tmp_path / "val", "--split", "val")
    assert len(list((tmp_path / "val").glob("*.png"))) == 1


def test_predicts_with_a_fitted_method_on_given_masks(
    data: Path, finished_tiny: Path, tmp_path: Path
) -> None:
    masks = Folder(finished_tiny).predictions("mask", "convex-hull", 0)
    model = finished_tiny / "models" / "content.telea-person" / "seed-0"
    done = call("predict", model, data, "--out", tmp_path / "photos", "--masks", masks)
    assert done.exit_code == 0, done.output
    ours = Folder(finished_tiny).predictions("full", "convex-hull+telea-person", 0)
    for path in ours.glob("*.png"):
        assert (tmp_path / "photos" / path.name).read_bytes() == path.read_bytes()
    foreign = tmp_path / "foreign"
    shutil.copytree(masks, foreign, ignore=shutil.ignore_patterns("*.json"))
    done = call("predict", finished_tiny, data, "--method", "content.telea-person",
                "--masks", foreign, "--out", tmp_path / "more")  # fmt: skip
    assert done.exit_code == 0, done.output
    for path in ours.glob("*.png"):
        assert (tmp_path / "more" / path.name).read_bytes() == path.read_bytes()


def test_a_second_call_computes_nothing(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "hulls"
    call("predict", "mask.convex-hull", data, "--out", out)
    before = times(out)
    assert call("predict", "mask.convex-hull", data, "--out", out).exit_code == 0
    assert times(out) == before


def test_mistakes_are_one_line(data: Path, finished_tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    incomplete = tmp_path / "incomplete"
    shutil.copytree(Folder(finished_tiny).predictions("mask", "identity", 0), incomplete)
    (incomplete / "000004.png").unlink()
    wrong: list[tuple[list[object], str]] = [
        (["mask.convex-hul", data, "--out", tmp_path / "x"], "did you mean mask.convex-hull"),
        (["mask.two-stage", data, "--out", tmp_path / "x"], "has to be fitted first"),
        (["mask.identity", tmp_path, "--out", tmp_path / "x"], "holds no data set"),
        (["mask.identity", data, "--out", tmp_path / "mine"], "holds something else"),
        (["mask.identity", data, "--out", tmp_path / "x", "--masks", incomplete], "leave it out"),
        (
            ["content.telea", data, "--out", tmp_path / "x", "--masks", incomplete],
            "1 predictions are missing (000004.png)",
        ),
    ]
    for arguments, words in wrong:
        done = call("predict", *arguments)
        assert done.exit_code == 2 and words in done.output, done.output
        assert len(done.output.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_the_current_folder_is_no_place_for_predictions(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    for out, words in ((".", "is or holds the current folder"), ("file", "is a file")):
        done = call("predict", "mask.identity", data, "--out", out)
        assert done.exit_code == 2 and words in done.output, done.output
        assert len(done.output.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    done = call("predict", "mask.identity", data, "--out", "new/../new")
    assert done.exit_code == 0 and (tmp_path / "new" / "predictions.json").is_file()


def test_a_learned_method_leaves_its_parsing(data: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    split = Dataset.open(data).split("test")
    made = predict_masks(tmp_path / "out", fitted(TwoStageMask("quick")), split, again=False)
    for one in split.ids:
        assert read_png(made.folder / "parsing" / f"{one}.png", (64, 64)) is not None
    assert made.macs is not None and made.macs > 1e8


def test_content_needs_every_mask(test_split: Any, tmp_path: Path) -> None:
    masks = predict_masks(tmp_path / "masks", fitted(Dies("quick")), test_split, again=False)
    (masks.folder / "000002.png").unlink()
    with pytest.raises(InputError, match=r"000002\.png: this prediction is missing"):
        predict_content(
            tmp_path / "out", unfitted("content.telea", "quick"), test_split, False, masks
        )


def test_masks_of_another_seed_serve_only_where_nothing_was_learned(tmp_path: Path) -> None:
    folder = Folder(tmp_path)

    def lies(method: str, seed: int, learned: bool) -> Path:
        place = folder.predictions("mask", method, seed)
        place.mkdir(parents=True)
        (place / "predictions.json").write_text(json.dumps({"learned": learned}))
        return place

    lies("unet", 0, True)
    own = lies("unet", 1, True)
    assert masks_of(folder, "unet", 1) == own
    assert masks_of(folder, "unet", 2) == folder.predictions("mask", "unet", 2), "are not there"
    lies("hull", 10, False)
    first = lies("hull", 3, False)
    assert masks_of(folder, "hull", 11) == masks_of(folder, "hull", 3) == first
