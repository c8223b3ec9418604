"""The training loop: learns, alternates two optimisers, and survives being killed."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import synth.atomic
from hdeocc import checkpoint, train
from hdeocc.batch import collate
from hdeocc.method import Budget, FitData
from hdeocc.training_log import TrainingLog, read_log
from hdeocc.training_state import State
from synth.errors import InputError
from synth.sample import Sample
from tests.hdeocc.tiny import STEPS, Tiny, fit, one_cpu, people


@pytest.fixture(scope="module", autouse=True)
def _same_threads(one_thread: None) -> None:
    """Trainings of this module are compared to the bit with those of another process."""


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return people()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tiny, Path]:
    """A method whose training nobody disturbed, and its folder."""
    workdir = tmp_path_factory.mktemp("unbroken")
    return fit(workdir=workdir), workdir


def test_learning_lowers_the_error(samples: list[Sample]) -> None:
    batch = collate(samples)
    before = F.binary_cross_entropy(Tiny().predict(batch), batch.amodal)
    after = F.binary_cross_entropy(fit(60).predict(batch), batch.amodal)
    assert after < 0.6 * before


def assert_same_weights(one: Tiny, other: Tiny) -> None:
    for name, tensor in one.nets.state_dict().items():
        assert torch.equal(tensor, other.nets.state_dict()[name]), name


def test_an_interrupted_training_ends_with_the_same_weights(
    unbroken: tuple[Tiny, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, calls = train.train_step, 0

    def dies(*args: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return step(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "train_step", dies)
    with pytest.raises(KeyboardInterrupt):
        fit(workdir=tmp_path)
    found = checkpoint.load_state(tmp_path)
    assert found is not None and found[0] == 7
    monkeypatch.setattr(train, "train_step", step)
    assert_same_weights(unbroken[0], fit(workdir=tmp_path))
    last = checkpoint.load_state(tmp_path)
    assert last is not None and last[0] == STEPS  # kept until the weights are saved


def test_a_training_stopped_on_the_way_goes_on_as_if_it_had_not(
    unbroken: tuple[Tiny, Path], tmp_path: Path
) -> None:
    some = fit(workdir=tmp_path, stop=4 * 5 - 1)
    found = checkpoint.load_state(tmp_path)
    assert found is not None and found[0] == 5, "a step that is begun is finished"
    log, whole = read_log(tmp_path), read_log(unbroken[1])
    assert [one for one in log if "loss" in one] == [one for one in whole if "loss" in one][:5]
    assert not all(
        torch.equal(tensor, unbroken[0].nets.state_dict()[name])
        for name, tensor in some.nets.state_dict().items()
    )
    assert_same_weights(some, fit(stop=20))
    assert_same_weights(unbroken[0], fit(workdir=tmp_path))
    assert read_log(tmp_path) == whole


def test_what_losses_look_through_may_come_and_go_between_two_starts(tmp_path: Path) -> None:
    """It is no part of what is trained, and its weights may be missing on another machine."""

    class WithFeatures(Tiny):
        def prepare(self, data: FitData, budget: Budget) -> None:
            self.nets.features = nn.Conv2d(3, 3, 1)

    def trained(kind: type[Tiny], workdir: Path | None, stop: int | None = None) -> Tiny:
        method, samples = kind(), people()
        budget = Budget(4 * 6, batch=4, lr=5e-3, precision="32-true", stop=stop)
        method.fit(FitData(samples, samples[:2], workdir), budget, one_cpu())
        return method

    whole = trained(Tiny, None)
    for place, kinds in {"gone": (WithFeatures, Tiny), "new": (Tiny, WithFeatures)}.items():
        trained(kinds[0], tmp_path / place, stop=12)
        again = trained(kinds[1], tmp_path / place)
        for name, tensor in whole.nets.state_dict().items():
            assert torch.equal(tensor, again.nets.state_dict()[name]), (place, name)


def test_a_checkpoint_of_other_networks_is_refused(tmp_path: Path) -> None:
    fit(workdir=tmp_path, stop=8)

    class Other(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.nets.discriminator = None

    samples = people()
    with pytest.raises(InputError, match="checkpoint is of other networks; remove the folder"):
        Other().fit(FitData(samples, samples[:2], tmp_path), Budget(48, 4), one_cpu())


def test_a_budget_is_described_as_it_was_before_it_could_stop() -> None:
    """Digests of fits that are kept somewhere go by these words."""
    budget = Budget(samples=10, batch=4)
    assert budget.last_step == budget.steps == 3 and "stop" not in budget.facts()
    short = Budget(samples=10, batch=4, stop=5)
    assert (short.last_step, short.steps) == (2, 3) and short.facts()["stop"] == 5
    assert short.facts() == budget.facts() | {"stop": 5}
    assert Budget(samples=10, batch=4, stop=1000).last_step == 3


def test_nothing_that_watches_a_training_changes_it(unbroken: tuple[Tiny, Path]) -> None:
    """Validation, pictures, logs and checkpoints need a folder; the weights do not know of them."""
    assert_same_weights(unbroken[0], fit())


def slow_training(workdir: Path, checkpoint_seconds: float) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.hdeocc.tiny", str(workdir), str(checkpoint_seconds)]
    return subprocess.Popen(command, stderr=subprocess.DEVNULL)


def wait_for_steps(process: "subprocess.Popen[bytes]", workdir: Path, least: int) -> None:
    """Until the training has a checkpoint of that many steps."""
    for _ in range(600):
        found = sorted(workdir.glob("step-*"))
        if found and int(found[-1].name.removeprefix("step-")) >= least:
            return
        assert process.poll() is None, "the training ended early"
        time.sleep(0.05)
    raise AssertionError("no checkpoint within 30 seconds")


def test_a_training_killed_outright_goes_on_to_the_same_curve_and_weights(
    unbroken: tuple[Tiny, Path], tmp_path: Path
) -> None:
    with slow_training(tmp_path, 0.25) as process:
        wait_for_steps(process, tmp_path, 5)
        time.sleep(0.15)  # a step or two that no checkpoint knows of
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    found = checkpoint.load_state(tmp_path)
    assert found is not None and 5 <= found[0] < STEPS
    before = json.loads((tmp_path / "seconds.json").read_text())["seconds"]
    assert before > 0.5, "the time of what was killed would be forgotten"
    log = tmp_path / "log.jsonl"
    log.write_text(log.read_text() + '{"step": 11, "lo')  # as a kill in the middle of a write
    assert_same_weights(unbroken[0], fit(workdir=tmp_path))
    assert read_log(tmp_path) == read_log(unbroken[1])
    assert json.loads((tmp_path / "seconds.json").read_text())["seconds"] > before


def test_ctrl_c_finishes_the_step_and_keeps_it(tmp_path: Path) -> None:
    """Without any checkpoint by time: the one found was made when the training was told to stop."""
    with slow_training(tmp_path, 1000) as process:
        for _ in range(600):
            if (tmp_path / "pictures").is_dir():  # after the first step
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait() != 0
    found = checkpoint.load_state(tmp_path)
    assert found is not None and 1 <= found[0] < STEPS
    assert [line["step"] for line in read_log(tmp_path) if "loss" in line] == list(
        range(1, found[0] + 1)
    )


def twice_ctrl_c() -> None:
    """What a user does who does not want to wait."""
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)


def assert_as_unbroken(unbroken: tuple[Tiny, Path], workdir: Path) -> None:
    assert_same_weights(unbroken[0], fit(workdir=workdir))
    assert read_log(workdir) == read_log(unbroken[1])
    names = [
        [path.name for path in sorted(one.glob("pictures/*"))] for one in (workdir, unbroken[1])
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("checkpoints", [0.0, 1000.0])
@pytest.mark.parametrize("where", ["measure", "picture", "eval", "log", "png"])
def test_a_second_ctrl_c_during_validation_leaves_an_earlier_state(
    where: str,
    checkpoints: float,
    unbroken: tuple[Tiny, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not the averaged weights in place of those in training, nor a step without validation."""
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", checkpoints)
    place, name = {
        "eval": (nn.Sequential, "eval"),
        "log": (TrainingLog, "validation"),
    }.get(where, (train, where))
    real = getattr(place, name)

    def pressed(*args: Any) -> Any:
        result = real(*args)
        if len(list(tmp_path.glob("pictures/*"))) == 2 and not done:
            done.append(True)
            twice_ctrl_c()
        return result

    done: list[bool] = []
    with monkeypatch.context() as patch:
        patch.setattr(place, name, pressed)
        with pytest.raises(KeyboardInterrupt):
            fit(workdir=tmp_path)
    found = checkpoint.load_state(tmp_path)
    if checkpoints:
        assert found is None
    else:
        assert found is not None and found[0] == 5, "that of step 6, whose validation was to be"
    assert_as_unbroken(unbroken, tmp_path)


def test_a_second_ctrl_c_before_a_step_is_in_the_log_leaves_an_earlier_state(
    unbroken: tuple[Tiny, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    step = train.train_step

    def pressed(state: State, *rest: Any) -> dict[str, float]:
        terms = step(state, *rest)
        if state.step == 4:
            twice_ctrl_c()
        return terms

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train, "train_step", pressed)
        fit(workdir=tmp_path)
    found = checkpoint.load_state(tmp_path)
    assert found is not None and found[0] == 3
    assert_as_unbroken(unbroken, tmp_path)


def test_the_log_holds_every_step_and_some_validation(unbroken: tuple[Tiny, Path]) -> None:
    lines = read_log(unbroken[1])
    curve = [line for line in lines if "loss" in line]
    assert [line["step"] for line in curve] == list(range(1, STEPS + 1))
    assert set(curve[0]["loss"]) == {"mask", "adversarial", "discriminator"}
    assert curve[-1]["loss"]["mask"] < curve[0]["loss"]["mask"]
    measured = {line["step"]: line["val"] for line in lines if "val" in line}
    assert list(measured) == [1, 3, 6, 9, 12]
    assert set(measured[STEPS]) == {"iou", "invisible_iou", "l1"}


@pytest.mark.parametrize(
    "torn", [b'{"step": 3, "lo', b"\xff\xfe\x00{}\n", b'{"step": 3, "\x80": 1}\n']
)
def test_what_is_torn_ends_a_log(torn: bytes, tmp_path: Path) -> None:
    whole = [{"step": step, "lr": 0.1, "loss": {"l1": 1.0}} for step in (1, 2)]
    lines = [json.dumps(line).encode() + b"\n" for line in whole]
    (tmp_path / "log.jsonl").write_bytes(b"".join(lines) + torn + lines[0])
    assert read_log(tmp_path) == whole
    TrainingLog(tmp_path, 2).close()
    assert (tmp_path / "log.jsonl").read_bytes() == b"".join(lines)


def test_the_weights_that_are_kept_are_averaged_over_the_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the formula, from what the weights were after every step."""
    step, seen = train.train_step, []

    def weights(state: State) -> dict[str, torch.Tensor]:
        return {name: w.clone() for name, w in state.nets.generator.state_dict().items()}

    def watched(state: State, *rest: Any) -> dict[str, float]:
        if not seen:
            seen.append(weights(state))
        terms = step(state, *rest)
        seen.append(weights(state))
        return terms

    monkeypatch.setattr(train, "train_step", watched)
    kept = fit(6).nets.generator.state_dict()
    average, *later = seen
    for number, now in enumerate(later, 1):
        decay = min(Budget(samples=4).ema, (1 + number) / (10 + number))
        average = {k: decay * w + (1 - decay) * now[k] for k, w in average.items()}
    apart = 0.0
    for name, weight in kept.items():
        if weight.is_floating_point():
            torch.testing.assert_close(weight, average[name], atol=1e-5, rtol=0)
            apart = max(apart, float((weight - later[-1][name]).abs().max()))
        else:
            assert torch.equal(weight, later[-1][name])
    assert len(later) == 6 and apart > 1e-3, "the last weights are no average"


class Asking(Tiny):
    """One with other wishes than the usual."""

    generator_betas = (0.3, 0.8)
    discriminator_betas = (0.1, 0.7)
    discriminator_lr = 0.25
    weight_decay = 0.02


def test_each_network_is_optimised_as_its_method_asks() -> None:
    budget = Budget(samples=40, batch=4, lr=4e-3, precision="32-true")
    state = State.start(Asking(), budget, one_cpu())
    for state.step in (0, 3, 9):
        state.set_learning_rate(budget)
        assert state.discriminator_optimiser is not None
        [generator] = state.generator_optimiser.param_groups
        [discriminator] = state.discriminator_optimiser.param_groups
        rate = train.learning_rate(state.step, 10, 4e-3)
        assert [g["lr"] for g in (generator, discriminator)] == pytest.approx([rate, rate / 4])
        assert [g["betas"] for g in (generator, discriminator)] == [(0.3, 0.8), (0.1, 0.7)]
        assert [g["weight_decay"] for g in (generator, discriminator)] == [0.02, 0]


@pytest.mark.parametrize("clip", [1e-3, 1e3])
def test_gradients_are_clipped_to_the_budget_s_norm(clip: float, samples: list[Sample]) -> None:
    budget = Budget(samples=8, batch=8, precision="32-true", clip=clip)
    state = State.start(Tiny(), budget, one_cpu())
    train.train_step(state, collate(samples), budget, one_cpu())
    for network in (state.nets.generator, state.nets.discriminator):
        assert network is not None
        grads = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
        norm = float(torch.cat(grads).norm())
        assert norm == pytest.approx(1e-3, rel=1e-2) if clip < 1 else 2e-3 < norm < clip


def test_the_last_validation_is_of_the_weights_that_are_kept(
    unbroken: tuple[Tiny, Path], samples: list[Sample]
) -> None:
    method, workdir = unbroken
    last = [line["val"] for line in read_log(workdir) if "val" in line][-1]
    batch = collate(samples[:2])
    found, truth = method.predict(batch) >= 0.5, batch.amodal > 0.5
    iou = (found & truth).sum((1, 2, 3)) / (found | truth).sum((1, 2, 3))
    assert last["iou"] == pytest.approx(float(iou.mean()), abs=0.01)


def test_pictures_show_input_prediction_and_truth(unbroken: tuple[Tiny, Path]) -> None:
    pictures = sorted((unbroken[1] / "pictures").glob("*.png"))
    assert [path.stem for path in pictures] == [f"step-{s:08d}" for s in (1, 3, 6, 9, 12)]
    shown = [cv2.imread(str(path)) for path in pictures]
    assert shown[0].shape == (2 * 32, 3 * 32, 3)
    truths = [picture[:, 64:] for picture in shown]
    assert all(np.array_equal(truth, truths[0]) for truth in truths)
    assert not np.array_equal(shown[0][:, 32:64], shown[-1][:, 32:64])


def test_tensorboard_gets_scalars_and_pictures(unbroken: tuple[Tiny, Path]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(unbroken[1] / "log"), {"images": 0}).Reload()
    assert "val/iou" in events.Tags()["scalars"]
    assert [event.step for event in events.Images("val")] == [1, 3, 6, 9, 12]


def test_the_pace_of_a_training_is_kept(unbroken: tuple[Tiny, Path]) -> None:
    facts = json.loads((unbroken[1] / "pace.json").read_text())
    assert facts["steps"] == STEPS and facts["batch"] == 4 and facts["processes"] == 1
    step = facts["step_ms"]
    assert 0 < step["p10"] <= step["median"] <= step["p90"]
    assert facts["waited_ms"] < step["p90"] and facts["peak_memory_bytes"] > 1 << 20


def test_a_training_that_diverges_says_so(samples: list[Sample]) -> None:
    budget = Budget(samples=12, batch=4, lr=float("inf"), precision="32-true")
    with pytest.raises(InputError, match="diverged in step") as caught:
        Tiny().fit(FitData(samples, samples[:2]), budget, one_cpu())
    assert "lower learning rate" in caught.value.message and "\n" not in caught.value.message


class Narrow(Tiny):
    """One whose batch norm sees one number a channel and sample."""

    def __init__(self) -> None:
        super().__init__()
        self.nets.generator = nn.Sequential(
            nn.Conv2d(4, 8, 1), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8), nn.Conv2d(8, 1, 1),
            nn.Upsample(32),
        )  # fmt: skip


def test_a_batch_that_batch_norm_cannot_compare_is_one_line(samples: list[Sample]) -> None:
    Narrow().fit(FitData(samples, samples[:2]), Budget(2, batch=2), one_cpu())
    with pytest.raises(InputError, match="a batch of 1 at 32 pixels leaves batch norm one value a "
                                         "channel.*give a larger batch") as caught:  # fmt: skip
        Narrow().fit(FitData(samples, samples[:2]), Budget(1, batch=1), one_cpu())
    assert "\n" not in caught.value.message


def test_a_kill_while_a_state_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoint.save_state(tmp_path, 3, {"a": torch.zeros(2)}, [])
    unfinished = tmp_path / ".step-00000005.tmp"
    unfinished.mkdir()
    (unfinished / "networks.safetensors").write_bytes(b"half")
    found = checkpoint.load_state(tmp_path)
    assert found is not None and found[0] == 3
    checkpoint.save_state(tmp_path, 6, {"a": torch.ones(2)}, [])
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000006"]


class Full:
    """A file on a disk with little room."""

    def __init__(self, file: Any) -> None:
        self._file, self._room = file, 50_000

    def write(self, content: bytes) -> int:
        self._room -= len(content)
        if self._room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._file.write(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.mark.parametrize("large", ["networks", "optimisers"])
def test_a_full_disk_is_one_line_and_leaves_the_state_before(
    large: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save_state(tmp_path, 3, {"a": torch.zeros(2)}, [])
    monkeypatch.setattr(synth.atomic, "open", lambda *given: Full(open(*given)), raising=False)  # noqa: SIM115
    tensors, states = {"a": torch.zeros(2)}, list[dict[str, torch.Tensor]]()
    if large == "networks":
        tensors["b"] = torch.zeros(200_000)
    else:
        states.append({"x": torch.zeros(200_000)})
    with pytest.raises(InputError, match=f"{large}.*No space left on device.*make room") as caught:
        checkpoint.save_state(tmp_path, 5, tensors, states)
    assert "\n" not in caught.value.message
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000003"]


def test_half_precision_weights_are_read_as_full_ones(tmp_path: Path) -> None:
    tensors = {"a": torch.rand(3).half(), "b": torch.rand(3).bfloat16(), "n": torch.tensor(7)}
    checkpoint.save_tensors(tmp_path / "w.safetensors", tensors)
    again = checkpoint.load_tensors(tmp_path / "w.safetensors")
    assert again["a"].dtype == again["b"].dtype == torch.float32 and again["n"] == 7
    assert torch.equal(again["a"], tensors["a"].float())


@pytest.mark.parametrize("name", ["state.json", "optimisers.pt", "networks.safetensors"])
def test_a_damaged_state_of_training_is_named(name: str, tmp_path: Path) -> None:
    checkpoint.save_state(tmp_path, 3, {"a": torch.zeros(2)}, [{"x": torch.ones(1)}])
    assert checkpoint.load_state(tmp_path) is not None
    path = tmp_path / "step-00000003" / name
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"not this"):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=r"step-00000003.*(damaged|not a safetensors)"
        ) as caught:
            checkpoint.load_state(tmp_path)
        assert "\n" not in caught.value.message


def test_saved_weights_predict_the_same(samples: list[Sample], tmp_path: Path) -> None:
    method = fit(3)
    method.save(tmp_path)
    again = Tiny()
    again.load(tmp_path)
    assert torch.equal(method.predict(collate(samples)), again.predict(collate(samples)))


@pytest.mark.parametrize("content", [b"", b"not a model", b"\xff" * 64])
def test_a_file_that_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="weights.safetensors: not a safetensors file"):
        Tiny().load(tmp_path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    checkpoint.save_tensors(tmp_path / "weights.safetensors", {"0.weight": torch.zeros(3)})
    with pytest.raises(InputError, match="not weights of Tiny at preset quick"):
        Tiny().load(tmp_path)


def test_learning_rate_rises_then_falls() -> None:
    rates = [train.learning_rate(step, 100, 1.0) for step in range(100)]
    peak = int(np.argmax(rates))
    assert rates[0] < 0.5 and peak <= 5 and max(rates) == pytest.approx(1.0)
    assert all(a >= b for a, b in zip(rates[peak:], rates[peak + 1 :], strict=False))
    assert rates[-1] < 0.02
