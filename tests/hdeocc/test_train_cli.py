"""`hdeocc train`: one command makes a model that says what it is, and goes on after any stop."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

import hdeocc.method
import hdeocc.train
from hdeocc import fitted
from hdeocc.cli import main
from hdeocc.fitted import load_fitted
from hdeocc.method import SIZES
from hdeocc.model_card import card
from hdeocc.provenance import device_name, library_versions
from hdeocc.train_cli import train
from hdeocc.training_log import read_log
from hdeocc.training_plan import BUDGETS, MADE_OF
from hdeocc.validation import measure
from synth.errors import InputError
from synth.live import Live
from synth.plan import open_plan
from synth.recipe import load_recipe
from synth.store import Dataset
from tests.hdeocc.tiny import Tiny, TinyPainter, TinyPainterPreset, registry
from tests.synth.tiny import RECIPE, write_tiny


@pytest.fixture(scope="module", autouse=True)
def _same_threads(one_thread: None) -> None:
    """Trainings of this module are compared to the bit with those of another process."""


@pytest.fixture(autouse=True)
def tiny_methods(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hdeocc.method, "_entries", registry)
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "no-weights"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and a recipe of them that stores no train samples."""
    folder = write_tiny(tmp_path_factory.mktemp("photos"))
    (folder / "tiny.toml").write_text(RECIPE.format(train=0, shard_size=8))
    return folder


def arguments(photos: Path, out: Path, *more: str, method: str = "tiny") -> list[str]:
    given = ["--data", str(photos / "tiny.toml"), "--photos", str(photos), "--out", str(out)]
    fast = ["--samples", "24", "--batch", "4", "--precision", "32-true", "--workers", "0"]
    return ["train", method, *given, *fast, "--accelerator", "cpu", *more]


def run(*given: Any, **options: Any) -> Result:
    return CliRunner().invoke(main, arguments(*given, **options), prog_name="hdeocc")


def refused(*given: Any, **options: Any) -> str:
    """The one line of a run that is refused."""
    result = run(*given, **options)
    assert result.exit_code == 2, result.output
    [line] = result.output.strip().splitlines()
    return line


@pytest.fixture(scope="module")
def model(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A model of both methods, and what the command printed."""
    out = tmp_path_factory.mktemp("model") / "m"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hdeocc.method, "_entries", registry)
        result = run(photos, out)
    assert result.exit_code == 0, result.output
    return out, result.stdout


def test_a_model_says_what_it_is(model: tuple[Path, str], photos: Path) -> None:
    out, printed = model
    facts = json.loads((out / "model.json").read_text())
    assert facts["preset"] == "quick" and facts["name"] == "tiny"
    assert facts["data"]["name"] == "tiny" and facts["data"]["made"] == "while training"
    assert facts["data"]["recipe"]["counts"]["train"] == 0
    live = Live(open_plan(load_recipe(photos / "tiny.toml"), photos))
    assert facts["data"]["train_fingerprint"] == live.fingerprint
    for track in ("mask", "content"):
        one = facts[track]
        assert one["budget"]["samples"] == 24 and one["seconds"] > 0
        assert one["pace"]["step_ms"]["median"] > 0 and one["pace"]["peak_memory_bytes"] > 0
        assert set(one["weights_sha256"]) == {"weights.safetensors"}
        assert one["bytes"] == (out / track / "weights.safetensors").stat().st_size
        assert f"{one['method']}: " in printed
    assert set(facts["mask"]["val"]) == {"iou", "invisible_iou", "l1"}
    assert set(facts["content"]["val"]) == {"l1_hole", "psnr_hole"}
    versions = facts["versions"]
    assert versions["torch"] == torch.__version__ and {"hdeocc", "safetensors"} <= versions.keys()
    assert library_versions().items() <= versions.items(), "as a record of a benchmark says it"
    assert facts["mask"]["pace"]["device"] == device_name("cpu")


def test_the_size_of_the_samples_is_kept_and_one_that_is_not_the_presets_is_said(
    model: tuple[Path, str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [load_fitted(model[0] / track).size for track in ("mask", "content")] == [32, 32]
    result = run(photos, tmp_path / "m", "--samples", "4", method="mask.tiny")
    words = "mask: the samples are 32 pixels, but --preset quick is made for 64; trained all"
    assert words in result.stderr and words not in result.stdout
    monkeypatch.setitem(SIZES, "quick", 32)
    result = run(photos, tmp_path / "n", "--samples", "4", method="mask.tiny")
    assert result.exit_code == 0 and "made for" not in result.output


def test_the_numbers_are_those_of_the_kept_weights_on_val(
    model: tuple[Path, str], photos: Path
) -> None:
    out, _ = model
    facts = json.loads((out / "model.json").read_text())
    val = Live(open_plan(load_recipe(photos / "tiny.toml"), photos), "val")
    for track in ("mask", "content"):
        again = measure(load_fitted(out / track).method, list(val))
        assert facts[track]["val"] == pytest.approx(again)


def test_the_card_names_data_licences_numbers_limits_and_how_to_load(
    model: tuple[Path, str],
) -> None:
    out, _ = model
    text = (out / "README.md").read_text()
    facts = json.loads((out / "model.json").read_text())
    for words in ("## Licences", "## Intended use and limits", "hdeocc predict", "val samples"):
        assert words in text
    assert f"{facts['content']['val']['l1_hole']:.4f}" in text
    assert facts["photos"]["people"][0]["licence"] in text
    assert facts["photos"]["samples_looked_at"] > 0


def test_the_same_command_again_trains_nothing(
    model: tuple[Path, str], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, printed = model
    monkeypatch.setattr(hdeocc.train, "train_step", None)
    before = (out / "model.json").read_bytes()
    again = run(photos, out)
    assert again.exit_code == 0 and again.stdout == printed
    assert (out / "model.json").read_bytes() == before


def test_other_settings_in_the_same_folder_are_named(model: tuple[Path, str], photos: Path) -> None:
    out, _ = model
    line = refused(photos, out, "--lr", "0.5", "--seed", "3", method="mask.tiny")
    assert "was begun with content.batch 4 and not nothing" in line
    line = refused(photos, out, "--lr-content", "0.5")
    assert line.endswith(f"{out}: was begun with content.lr 0.001 and not 0.5; give another --out")
    assert "half False and not True" in refused(photos, out, "--half")


def stopped_after(step: int, patch: pytest.MonkeyPatch) -> None:
    """Let a training be told to stop when so many steps are done."""
    real = hdeocc.train.train_step

    def stops(state: Any, *rest: Any) -> dict[str, float]:
        terms = real(state, *rest)
        if state.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return terms

    patch.setattr(hdeocc.train, "train_step", stops)


def forgets(out: Path) -> None:
    """Make train.json what earlier versions wrote."""
    settings = json.loads((out / "train.json").read_text())
    for track in settings.keys() & {"mask", "content"}:
        for name in MADE_OF:
            settings[track].pop(name, None)
    (out / "train.json").write_text(json.dumps(settings))


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("stop", [2, None])
@pytest.mark.parametrize("earlier", [False, True])
def test_what_a_version_or_network_changes_deletes_nothing(
    stop: int | None, earlier: bool, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command, when weights were fetched in between: half-way, and after the end."""
    out = tmp_path / "m"
    monkeypatch.setattr(Tiny, "loss_networks", lambda _: ("vgg16",))
    with monkeypatch.context() as patch:
        if stop is not None:
            stopped_after(stop, patch)
        assert run(photos, out, method="mask.tiny").exit_code == (0 if stop is None else 130)
    if earlier:
        forgets(out)
    before = everything(out)
    with monkeypatch.context() as patch:
        patch.setattr(fitted, "available", lambda _: (True, "here"))
        patch.setattr(hdeocc.train, "train_step", None)
        line = refused(photos, out, method="mask.tiny")
    if earlier and stop is not None:
        assert f"{out}/training/mask: holds an unfinished training (step 2) that was" in line
    else:
        assert "trained_without vgg16 and not nothing; give another --out" in line
    assert everything(out) == before
    assert run(photos, out, method="mask.tiny").exit_code == 0, "the very same goes on"
    assert [one["step"] for one in read_log(out / "training" / "mask") if "loss" in one] == [
        *range(1, 7)
    ]


def test_what_a_preset_meant_is_named(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "m"
    assert run(photos, out, "--samples", "4").exit_code == 0
    monkeypatch.setitem(TinyPainter.presets, "quick", TinyPainterPreset(channels=8))
    line = refused(photos, out, "--samples", "4")
    assert line.endswith("begun with content.settings.channels 4 and not 8; give another --out")
    line = refused(photos, out, "--samples", "4", "--set", "content.channels=2")
    assert line.endswith(
        "begun with content.options.channels nothing and not 2; give another --out"
    )


def test_two_trainings_in_one_folder_do_not_meet(photos: Path, tmp_path: Path) -> None:
    """They would tear each other's checkpoints."""
    out = tmp_path / "m"
    with program(arguments(photos, out, method="mask.tiny"), 0.3) as process:
        for _ in range(600):
            if any((out / "training" / "mask").glob("step-*")):
                break
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        try:
            line = refused(photos, out, method="mask.tiny")
        finally:
            process.send_signal(signal.SIGCONT)
        assert line.endswith(
            "another process trains here already; wait for it or give another --out"
        )
        assert process.wait() == 0
    assert run(photos, out, method="mask.tiny").exit_code == 0, "the lock went with its holder"


def test_a_folder_of_something_else_is_left_alone(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "holds something else" in refused(photos, out)
    assert "is a file" in refused(photos, out / "mine.txt")
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("method", "more", "words"),
    [
        ("mask.tinny", [], "no method 'mask.tinny'; did you mean mask.tiny"),
        ("identity", [], "mask.identity: learns nothing"),
        ("tiny", ["--set", "channels=2"], "--set channels=2: give mask.OPTION=VALUE or content."),
        ("tiny", ["--set", "content.chanels=2"], "no option 'chanels'; did you mean channels"),
        ("tiny", ["--set", "content.channels=many"], "give a whole number"),
        ("tiny", ["--set", "content.channels=-1"], "cannot be made with channels = -1 ("),
        ("tiny", ["--set", "content.channels=0"], "has layers of no size with channels = 0"),
        (
            "tiny",
            ["--set", "content.channels=2", "--set", "content.channels=3"],
            "--set content.channels=3: sets channels of content a second time; keep one",
        ),
        ("tiny", ["--devices", "3"], "a batch of 4 cannot be shared by 3 processes"),
        ("tiny", ["--seed", "4294967296"], "4294967296 is not in the range 0<=x<=4294967295"),
        ("tiny", ["--seed", "20000000000000"], "is not in the range"),
        ("tiny", ["--lr", "nan"], "'--lr': nan is not a finite number"),
        ("tiny", ["--lr-content", "inf"], "'--lr-content': inf is not a finite number"),
        ("content.tiny", ["--upstream", "nowhere"], "nowhere: holds no fitted method"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(
    method: str, more: list[str], words: str, photos: Path, tmp_path: Path
) -> None:
    assert words in refused(photos, tmp_path / "m", *more, method=method)
    assert not (tmp_path / "m").exists()


def test_what_cannot_be_built_on_is_refused_before_it_is_trained(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(method: TinyPainter, upstream: dict[str, Any]) -> None:
        assert method.nets.generator[0].out_channels == 2
        assert upstream["mask.tiny"].title == "tiny"
        raise InputError("its masks are all too small")

    monkeypatch.setattr(TinyPainter, "check_upstream", refuse)
    found = refused(photos, tmp_path / "m", "--set", "content.channels=2")
    assert "its masks are all too small" in found
    assert not (tmp_path / "m").exists()


def test_an_option_that_changes_nothing_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyPainter, "decided", {"channels": "net.channels"})
    line = refused(photos, tmp_path / "m", "--set", "content.channels=2")
    assert line.endswith("option channels changes nothing by itself; set net.channels")
    assert not (tmp_path / "m").exists()


def test_an_accelerator_that_is_not_there_is_one_line(photos: Path, tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    line = refused(photos, tmp_path / "m", "--accelerator", "cuda")
    assert "no training on 1 x cuda here (" in line and "give another --accelerator" in line
    assert not (tmp_path / "m").exists()


def test_a_card_says_that_people_with_faulty_masks_stay_as_they_were_built(
    model: tuple[Path, str],
) -> None:
    facts = json.loads((model[0] / "model.json").read_text())
    words = "The visible masks are faulty ones (jitter), so nobody was laid under the occluder of"
    assert facts["data"]["recipe"]["initial"]["kind"] == "jitter" and words in card(facts)
    facts["data"]["recipe"]["initial"]["kind"] = "modal"
    assert words not in card(facts)


def test_a_card_says_which_losses_were_left_out(
    model: tuple[Path, str], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Trained without" not in (model[0] / "README.md").read_text()
    monkeypatch.setattr(Tiny, "loss_networks", lambda _: ("vgg16",))
    assert run(photos, tmp_path / "m", method="mask.tiny").exit_code == 0
    text = (tmp_path / "m" / "README.md").read_text()
    assert "Trained without the losses that look through vgg16: not installed." in text


def test_data_that_is_nothing_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["train", "tiny", "--data", "peple-quick", "--out", str(tmp_path / "m")]
    )
    said = "peple-quick: no such folder, and no recipe of that name; did you mean people-quick"
    assert result.exit_code == 2 and said in result.output
    assert not (tmp_path / "m").exists()


def test_the_help_says_what_a_preset_spends() -> None:
    rows = [line.split() for line in str(train.help).splitlines()]
    for preset, budgets in BUDGETS.items():
        mask, content = budgets["mask"], budgets["content"]
        assert mask.batch == content.batch
        spent = f"{mask.samples:,}", f"{content.samples:,}", str(mask.batch)
        assert [preset, *spent, f"{mask.lr:g}", f"{content.lr:g}"] in rows


def test_options_change_the_method_and_are_kept(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "m"
    assert run(photos, out, "--set", "content.channels=2", "--samples-mask", "4").exit_code == 0
    made = load_fitted(out / "content")
    assert made.method.options == {"channels": 2} and made.method.parameters_used() == 131
    mask = json.loads((out / "mask" / "fitted.json").read_text())
    assert mask["budget"]["samples"] == 4 and "options" not in mask


def test_a_method_may_build_on_a_fitted_one(
    model: tuple[Path, str], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    upstream = str(model[0] / "mask")
    assert run(photos, out, "--upstream", upstream, method="content.tiny").exit_code == 0
    assert not (out / "mask").exists()
    one, other = (json.loads((p / "content" / "fitted.json").read_text()) for p in (out, model[0]))
    assert one["key"] == other["key"] and one["weights_sha256"] == other["weights_sha256"]


def test_a_method_may_build_on_a_row_of_a_benchmark_that_is_a_variant(
    model: tuple[Path, str], photos: Path, tmp_path: Path
) -> None:
    row = tmp_path / "row"
    shutil.copytree(model[0] / "mask", row)
    about = json.loads((row / "fitted.json").read_text())
    about |= {"method": "mask.mine", "base": "mask.tiny", "key": "k" * 64}
    (row / "fitted.json").write_text(json.dumps(about))
    out = tmp_path / "m"
    assert run(photos, out, "--upstream", str(row), method="content.tiny").exit_code == 0
    assert not (out / "mask").exists(), "another one was trained in its place"
    made = json.loads((out / "content" / "fitted.json").read_text())
    assert made["upstream"] == {"mask.tiny": "k" * 64}


@pytest.mark.parametrize(
    ("method", "given", "words"),
    [
        ("content.tiny", ["mask", "mask"], "is a second mask.tiny; give one of them"),
        ("content.tiny", ["mask", "content"], "nothing is left to train; leave it out"),
        ("mask.tiny", ["content"], "holds content.tiny, but what is left of mask.tiny to train bui"
                                   "lds on none; leave it out"),
        ("mask.tiny", ["mask"], "mask.tiny: --upstream holds it already, so nothing is left"),
        ("tiny", ["mask", "content"], "tiny: --upstream holds it already, so nothing is left"),
    ],
)  # fmt: skip
def test_a_given_method_that_nothing_builds_on_is_refused(
    method: str,
    given: list[str],
    words: str,
    model: tuple[Path, str],
    photos: Path,
    tmp_path: Path,
) -> None:
    more = [text for track in given for text in ("--upstream", str(model[0] / track))]
    assert words in refused(photos, tmp_path / "m", *more, method=method)
    assert not (tmp_path / "m").exists()


def test_half_precision_is_half_as_large_and_loads(
    model: tuple[Path, str], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m"
    result = run(photos, out, "--half", method="mask.tiny")
    assert "MB of weights (float16)" in result.output
    kept = load_file(out / "mask" / "weights.safetensors")
    assert {t.dtype for t in kept.values() if t.is_floating_point()} == {torch.float16}
    whole, half = load_fitted(model[0] / "mask"), load_fitted(out / "mask")
    assert isinstance(whole.method, Tiny) and isinstance(half.method, Tiny)
    for name, tensor in whole.method.nets.generator.state_dict().items():
        other = half.method.nets.generator.state_dict()[name]
        assert other.dtype == tensor.dtype
        torch.testing.assert_close(other, tensor, atol=1e-3, rtol=1e-3)
    assert whole.key != half.key


def test_a_built_data_set_will_do(photos: Path, tmp_path: Path) -> None:
    from synth.build import build

    recipe = load_recipe(photos / "tiny.toml")
    counts = recipe.counts.model_copy(update={"train": 6})
    build(recipe.model_copy(update={"counts": counts}), tmp_path / "d", photos, progress=False)
    out = tmp_path / "m"
    given = ["--data", str(tmp_path / "d")]
    assert run(photos, out, *given, method="mask.tiny").exit_code == 0
    facts = json.loads((out / "model.json").read_text())["data"]
    assert facts["made"] == "before"
    assert facts["fingerprint"] == Dataset.open(tmp_path / "d").fingerprint


def program(given: list[str], seconds: float) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.hdeocc.tiny_cli", str(seconds), *given]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_killed_outright_the_same_command_ends_with_the_same_model(
    model: tuple[Path, str], photos: Path, tmp_path: Path
) -> None:
    """Killed in the second of the two methods, after a checkpoint."""
    out = tmp_path / "m"
    with program(arguments(photos, out), 0.1) as process:
        for _ in range(600):
            if any((out / "training" / "content").glob("step-*")):
                break
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert not (out / "model.json").exists() and not (out / "content").exists()
    assert run(photos, out).exit_code == 0
    for track in ("mask", "content"):
        one, other = (json.loads((p / track / "fitted.json").read_text()) for p in (out, model[0]))
        assert one["weights_sha256"] == other["weights_sha256"]
        curves = [read_log(p / "training" / track) for p in (out, model[0])]
        assert curves[0] == curves[1] and len(curves[0]) > 6
        assert not list((out / "training" / track).glob("step-*")), "unfinished states are left"


def test_two_devices_train_one_model(photos: Path, tmp_path: Path) -> None:
    """Two processes on the CPU, started by the command itself."""
    out = tmp_path / "m"
    given = arguments(photos, out, "--devices", "2", method="mask.tiny")
    command = [sys.executable, "-m", "tests.hdeocc.tiny_cli", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    facts = json.loads((out / "model.json").read_text())
    assert facts["mask"]["pace"]["processes"] == 2
    assert done.stdout.count("mask.tiny: iou") == 1
    steps = [line["step"] for line in read_log(out / "training" / "mask") if "loss" in line]
    assert steps == list(range(1, 7))
    line = refused(photos, out, "--batch", "3", method="mask.tiny")
    assert "mask.batch 4 and not 3" in line
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "mine.txt").write_text("mine")
    given = arguments(photos, tmp_path / "others", "--devices", "2", method="mask.tiny")
    command = [sys.executable, "-m", "tests.hdeocc.tiny_cli", *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and done.stderr.count("holds something else") == 1
    assert "Traceback" not in done.stderr
