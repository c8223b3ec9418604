"""The training loop: learns, alternates two optimisers, and survives being killed."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc import checkpoint, train
from hdeocc.batch import Batch, collate
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Budget, FitData, Preset, Track
from synth.errors import InputError
from synth.sample import Sample
from tests.fakes import make_samples


class TinyNets(Adversarial):
    """A two-layer completer with a one-layer adversary and dropout, so that draws matter."""

    def __init__(self) -> None:
        body = nn.Sequential(
            nn.Conv2d(4, 8, 5, padding=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.1),
            nn.Conv2d(8, 1, 5, padding=2),
        )
        super().__init__(body, nn.Conv2d(1, 1, 5))

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        assert self.discriminator is not None
        assert not any(p.requires_grad for p in self.discriminator.parameters())
        logits = self.generator(torch.cat([batch.image, batch.initial], 1)).float()
        terms = {"mask": F.binary_cross_entropy_with_logits(logits, batch.amodal)}
        terms["adversarial"] = 0.01 * F.softplus(-self.discriminator(logits.sigmoid())).mean()
        return terms, {"mask": logits.sigmoid()}

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        assert self.discriminator is not None and not made["mask"].requires_grad
        real = F.softplus(-self.discriminator(batch.amodal)).mean()
        return {"discriminator": real + F.softplus(self.discriminator(made["mask"])).mean()}


class Tiny(Learned):
    track: ClassVar[Track] = "mask"
    title = "tiny"
    consumes = frozenset({"image", "initial"})

    def __init__(self, preset: Preset = "quick") -> None:
        super().__init__(preset)
        torch.manual_seed(0)
        self.nets = TinyNets()

    def infer(self, batch: Batch) -> Tensor:
        return torch.sigmoid(self.nets.generator(torch.cat([batch.image, batch.initial], 1)))


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return make_samples(8, 32, np.random.default_rng(0))


def _fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1, precision="32-true")


def _fit(samples: list[Sample], steps: int, workdir: Path | None = None) -> Tiny:
    method = Tiny()
    budget = Budget(samples=4 * steps, batch=4, lr=5e-3, precision="32-true")
    method.fit(FitData(samples, samples[:2], workdir), budget, _fabric())
    return method


def test_learning_lowers_the_error(samples: list[Sample]) -> None:
    batch = collate(samples)
    before = F.binary_cross_entropy(Tiny().predict(batch), batch.amodal)
    after = F.binary_cross_entropy(_fit(samples, 60).predict(batch), batch.amodal)
    assert after < 0.6 * before


def test_a_killed_training_ends_with_the_same_weights(
    samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _fit(samples, 12)
    step, calls = train.train_step, 0

    def dies(*args: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KeyboardInterrupt
        return step(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(train, "train_step", dies)
    with pytest.raises(KeyboardInterrupt):
        _fit(samples, 12, tmp_path)
    found = checkpoint.load_state(tmp_path)
    assert found is not None and found[0] == 7
    monkeypatch.setattr(train, "train_step", step)
    resumed = _fit(samples, 12, tmp_path)
    for name, tensor in whole.nets.generator.state_dict().items():
        assert torch.equal(tensor, resumed.nets.generator.state_dict()[name]), name
    assert checkpoint.load_state(tmp_path) is None  # nothing unfinished is left behind


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
    method = _fit(samples, 3)
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
