"""A fitted method as a folder: whole or not there, checked when it is read."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import hdeocc.method
from hdeocc import checkpoint, fitted, train
from hdeocc.fitted import describe, fit_into, is_fitted, load_fitted
from hdeocc.folders import digest, file_digests
from hdeocc.method import Budget, FitData
from synth.errors import InputError
from tests.hdeocc.tiny import Tiny, TinyPainter, TinyPainterPreset, one_cpu, people, registry

BUDGET = Budget(samples=8, batch=4, precision="32-true")


class Known:
    """Samples of some fingerprint."""

    fingerprint = "f" * 64


@pytest.fixture(autouse=True)
def tiny_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdeocc.method, "_entries", registry)


def fit(folder: Path, workdir: Path | None = None, half: bool = False) -> dict[str, Any]:
    method = Tiny()
    about = describe(method, "mask.tiny", BUDGET, Known(), Known(), {})
    data = FitData(people(), people()[:1], workdir)
    fit_into(folder, method, about, data, BUDGET, one_cpu(), half)
    return dict(about)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fit(tmp_path / "mask")
    return tmp_path / "mask"


def test_it_is_known_by_what_it_depends_on(tmp_path: Path) -> None:
    about = fit(tmp_path / "mask", tmp_path / "work")
    assert is_fitted(tmp_path / "mask", digest(about))
    assert not is_fitted(tmp_path / "mask", digest(about | {"train": "0" * 64}))
    loaded = load_fitted(tmp_path / "mask")
    assert loaded.key == digest(about) and loaded.name == "tiny"
    assert loaded.size == 32 and "size" not in about, "it follows from the data, whose digest is"
    assert loaded.seconds is not None and loaded.budget is not None
    assert checkpoint.load_state(tmp_path / "work") is None  # nothing unfinished is left behind
    assert not (tmp_path / "work" / "seconds.json").exists()


def test_weights_from_elsewhere_are_named_and_part_of_what_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest(fit(tmp_path / "without"))
    monkeypatch.setattr(Tiny, "outside_weights", lambda _: {"graph": "a" * 64})
    about = fit(tmp_path / "with")
    assert digest(about) != before
    loaded = load_fitted(tmp_path / "with")
    files = file_digests(tmp_path / "with")
    assert files and loaded.weights == files | {"graph": "a" * 64}
    monkeypatch.setattr(Tiny, "outside_weights", lambda _: {"graph": "b" * 64})
    assert digest(fit(tmp_path / "other")) not in (before, digest(about))


def test_what_was_trained_without_its_losses_is_another_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "no-weights"))
    before = digest(fit(tmp_path / "asks-for-none"))
    monkeypatch.setattr(Tiny, "loss_networks", lambda _: ("vgg16",))
    assert digest(fit(tmp_path / "without")) != before
    assert load_fitted(tmp_path / "without").trained_without == ("vgg16",)
    monkeypatch.setattr(fitted, "available", lambda _: (True, "here"))
    assert digest(fit(tmp_path / "with")) == before, "as it was before this was asked"
    assert load_fitted(tmp_path / "with").trained_without == ()


def test_weights_do_not_outlive_what_a_preset_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version may give a preset other settings; what an earlier one trained is not its."""

    def key() -> str:
        return digest(describe(TinyPainter(), "content.tiny", BUDGET, Known(), Known(), {}))

    before = key()
    assert key() == before
    monkeypatch.setitem(TinyPainter.presets, "quick", TinyPainterPreset(channels=8))
    assert key() != before


def test_what_was_trained_is_not_lost_when_it_could_not_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(Tiny, "save", full_disk)
        fit(tmp_path / "mask", tmp_path / "work")
    assert not (tmp_path / "mask").exists()
    monkeypatch.setattr(train, "train_step", None)
    fit(tmp_path / "mask", tmp_path / "work")
    other = tmp_path / "other"
    monkeypatch.undo()
    fit(other)
    assert file_digests(tmp_path / "mask") == file_digests(other)


def test_a_training_of_something_else_is_not_gone_on_with_which_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "training.json").write_text('{"key": "another"}')
    checkpoint.save_state(work, 1, {"a": torch.zeros(1)}, [])
    fit(tmp_path / "mask", work)
    assert is_fitted(tmp_path / "mask", json.loads((work / "training.json").read_text())["key"])
    said = f"{work}: the unfinished training there (step 1) was of other settings"
    assert said in capsys.readouterr().err
    fit(tmp_path / "mask", work)
    assert not capsys.readouterr().err, "nothing is lost by it"


def rewritten(folder: Path, **changes: Any) -> None:
    path = folder / "fitted.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "mask.gone"}, "names method mask.gone at preset quick, which is not installed"),
        ({"preset": "huge"}, "at preset huge, which is not installed"),
        ({"key": None}, "fit again"),
        ({"weights_sha256": {}}, "the weights are not those that were fitted"),
    ],
)
def test_a_changed_folder_is_refused(folder: Path, changes: dict[str, Any], words: str) -> None:
    rewritten(folder, **changes)
    with pytest.raises(InputError, match=words) as caught:
        load_fitted(folder)
    assert "\n" not in caught.value.message and str(folder) in caught.value.message


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no weights", b"\xff" * 40])
def test_weights_that_are_no_weights_are_refused(folder: Path, content: bytes) -> None:
    (folder / "weights.safetensors").write_bytes(content)
    rewritten(folder, weights_sha256=file_digests(folder))
    with pytest.raises(InputError, match="weights.safetensors: not a safetensors file"):
        load_fitted(folder)


def test_weights_of_another_width_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "content"
    method = TinyPainter("quick")
    about = {"key": "k", "method": "content.tiny", "preset": "quick"}
    fitted._save(folder, method, about, 1.0, half=False)
    load_fitted(folder)
    TinyPainter.variant("quick", {"channels": 7}).save(folder)
    rewritten(folder, weights_sha256=file_digests(folder))
    with pytest.raises(InputError, match="not weights of TinyPainter at preset quick") as caught:
        load_fitted(folder)
    assert "\n" not in caught.value.message


def test_options_that_are_none_are_refused(folder: Path) -> None:
    path = folder / "fitted.json"
    for options, words in (("wide", "options are no table"), ({"width": -1}, "has no options")):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"options": options}))
        with pytest.raises(InputError, match=words):
            load_fitted(folder)


def test_a_folder_without_a_method_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no fitted method"):
        load_fitted(tmp_path)


def test_numbers_that_half_precision_does_not_reach_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    checkpoint.save_tensors(path, {"a": torch.tensor([1e6])})
    with pytest.raises(InputError, match="a is out of the range of half precision"):
        checkpoint.halve(path)
    assert float(checkpoint.load_tensors(path)["a"]) == 1e6
