"""A trained pair of stages as a folder: what is a model, and what is said of what is none."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hdeocc import model_folder
from hdeocc.batch import Batch
from hdeocc.folders import file_digests
from hdeocc.learned import Learned
from hdeocc.method import Preset
from hdeocc.pipeline import Deoccluder
from hdeocc.two_stage_content import TwoStageContent
from hdeocc.two_stage_mask import TwoStageMask
from synth.errors import InputError
from tests.fakes import make_sample


def save_fitted(folder: Path, method: Learned, claimed: Preset | None = None) -> None:
    """A fitted folder as a training leaves it; ``claimed`` is the preset it says it has."""
    method.save(folder)
    about = {
        "key": "0" * 64,
        "method": f"{method.track}.two-stage",
        "preset": claimed or method.preset,
        "weights_sha256": file_digests(folder),
        "title": method.title,
    }
    (folder / "fitted.json").write_text(json.dumps(about))


@pytest.fixture(scope="module")
def stages() -> tuple[TwoStageMask, TwoStageContent]:
    torch.manual_seed(0)
    mask, content = TwoStageMask("quick"), TwoStageContent("quick")
    with torch.no_grad():
        mask.net.amodal_mask[-1].bias.copy_(torch.tensor([0.0, 0.1]))
    return mask, content


@pytest.fixture
def model(stages: tuple[TwoStageMask, TwoStageContent], tmp_path: Path) -> Path:
    folder = tmp_path / "my-model"
    for method in stages:
        save_fitted(folder / method.track, method)
    return folder


def test_a_model_from_disk_is_the_one_that_was_saved(
    stages: tuple[TwoStageMask, TwoStageContent], model: Path
) -> None:
    sample = make_sample(0, 96, np.random.default_rng(0))
    saved = Deoccluder(*stages)(sample.image, sample.modal)
    loaded = Deoccluder.from_pretrained(model, "cpu")(sample.image, sample.modal)
    # Not to the bit: what is loaded is made fast, so that sums are rounded elsewhere.
    np.testing.assert_allclose(loaded.probability, saved.probability, atol=1e-5)
    apart = np.abs(loaded.recovered.astype(int) - saved.recovered.astype(int))
    assert apart.max() <= 1
    assert saved.invisible.any()


def test_each_stage_looks_in_the_pixels_it_was_trained_at(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An earlier version did not keep them: then in those that the preset is made for."""
    asked: dict[str, int] = {}
    whole = TwoStageMask.predict_with_parsing

    def seen(method: TwoStageMask, batch: Batch) -> Any:
        asked["mask"] = batch.image.shape[-1]
        return whole(method, batch)

    def painted(method: TwoStageContent, batch: Batch) -> torch.Tensor:
        asked["content"] = batch.image.shape[-1]
        return batch.image

    monkeypatch.setattr(TwoStageMask, "predict_with_parsing", seen)
    monkeypatch.setattr(TwoStageContent, "predict", painted)
    sample = make_sample(0, 96, np.random.default_rng(0))
    Deoccluder.from_pretrained(model, "cpu")(sample.image, sample.modal)
    assert asked == {"mask": 64, "content": 64}
    for track, size in (("mask", 48), ("content", 80)):
        path = model / track / "fitted.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"size": size}))
    Deoccluder.from_pretrained(model, "cpu")(sample.image, sample.modal)
    assert asked == {"mask": 48, "content": 80}


def test_the_output_of_a_benchmark_is_a_model(model: Path, tmp_path: Path) -> None:
    run = tmp_path / "out"
    for track in ("mask", "content"):
        (run / "models" / f"{track}.two-stage").mkdir(parents=True)
        (model / track).rename(run / "models" / f"{track}.two-stage" / "seed-0")
    pair = model_folder.load_pair(run)
    assert (pair.mask.method.track, pair.content.method.track, pair.name) == (
        "mask",
        "content",
        "out",
    )


def _no_content(model: Path) -> Path:
    (model / "content").rename(model / "contents")
    return model


def _exchanged(model: Path) -> Path:
    (model / "mask").rename(model / "x")
    (model / "content").rename(model / "mask")
    (model / "x").rename(model / "content")
    return model


def _without_json(model: Path) -> Path:
    (model / "mask" / "fitted.json").unlink()
    return model


def _other_numbers(model: Path) -> Path:
    path = model / "mask" / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    return model


def _no_weights_at_all(model: Path) -> Path:
    """A file of no numbers, as consistent as can be."""
    folder = model / "content"
    (folder / "weights.safetensors").write_text("these are no weights")
    about = json.loads((folder / "fitted.json").read_text())
    about["weights_sha256"] = file_digests(folder)
    (folder / "fitted.json").write_text(json.dumps(about))
    return model


def _other_width(model: Path) -> Path:
    save_fitted(model / "mask", TwoStageMask("small"), claimed="quick")
    return model


def _unknown_method(model: Path) -> Path:
    path = model / "mask" / "fitted.json"
    path.write_text(path.read_text().replace("mask.two-stage", "mask.three-stage"))
    return model


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda model: model / "mask" / "weights.safetensors", "is a file; give a folder"),
        (lambda model: model / "nothing", "no such folder; give a folder with mask/ and content/"),
        (_no_content, "holds no model"),
        (_exchanged, "exchange the two folders"),
        (_without_json, "no fitted.json"),
        (_other_numbers, "the weights are not those that were fitted"),
        (_no_weights_at_all, "not a safetensors file"),
        (_other_width, "not weights of TwoStageMask at preset quick"),
        (_unknown_method, "names method mask.three-stage"),
    ],
)
def test_what_is_no_model_is_said_in_a_line(
    model: Path, spoil: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        model_folder.load_pair(spoil(model))
    assert words in caught.value.message and str(model) in caught.value.message
    assert "\n" not in caught.value.message


def test_the_built_in_model_is_taken_when_there_is_one(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_folder, "BUILT_IN", tmp_path / "none")
    with pytest.raises(InputError, match="no model is built in; train one with `hdeocc train"):
        model_folder.load_pair(None)
    monkeypatch.setattr(model_folder, "BUILT_IN", model)
    assert model_folder.load_pair(None).name == "built-in my-model"


def test_a_name_on_the_hub_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match=r"someone/model: .* install hdeocc\[hub\]"):
        model_folder.load_pair("someone/model")


def test_a_name_on_the_hub_is_fetched_as_data(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, object]] = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        if name == "someone/gone":
            raise OSError("404: no such\nrepository")
        return str(model)

    hub, errors = types.ModuleType("huggingface_hub"), types.ModuleType("huggingface_hub.errors")
    hub.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    errors.HfHubHTTPError = errors.HFValidationError = OSError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    assert model_folder.load_pair("someone/model").name == "someone/model"
    assert asked == [("someone/model", ["*.json", "*.safetensors"])]
    with pytest.raises(InputError, match="cannot be fetched from the Hugging Face hub .404: no"):
        model_folder.load_pair("someone/gone")
