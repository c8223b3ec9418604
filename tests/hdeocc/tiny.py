"""A method small enough to be trained in a test, and a program that trains it."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc import train
from hdeocc.batch import Batch
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import GROUP, Budget, FitData, Preset, Track
from synth.sample import Sample
from tests.fakes import make_samples

STEPS = 12


class TinyNets(Adversarial):
    """A two-layer completer with a one-layer adversary and dropout, so that draws matter."""

    def __init__(self, dropout: float = 0.1) -> None:
        body = nn.Sequential(
            nn.Conv2d(4, 8, 5, padding=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(dropout),
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
    """Completes masks, badly."""

    track: ClassVar[Track] = "mask"
    title = "tiny"
    consumes = frozenset({"image", "initial"})

    def __init__(self, preset: Preset = "quick", dropout: float = 0.1) -> None:
        super().__init__(preset)
        torch.manual_seed(0)
        self.nets = TinyNets(dropout)

    def infer(self, batch: Batch) -> Tensor:
        return torch.sigmoid(self.nets.generator(torch.cat([batch.image, batch.initial], 1)))


class TinyPainterNets(Adversarial):
    """Paints by one convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(nn.Sequential(nn.Conv2d(4, channels, 3, padding=1), nn.ReLU(),
                                       nn.Conv2d(channels, 3, 3, padding=1)))  # fmt: skip

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        made = self.generator(torch.cat([batch.image, batch.modal], 1)).float()
        return {"l1": (made - batch.clean).abs().mean()}, {}


@dataclass(frozen=True)
class TinyPainterPreset:
    """Its one setting."""

    channels: int = 4


class TinyPainter(Learned):
    """Paints, badly; needs the masks of Tiny."""

    track: ClassVar[Track] = "content"
    title = "tiny painter"
    consumes = frozenset({"image", "modal"})
    upstream: ClassVar[tuple[str, ...]] = ("mask.tiny",)
    presets: ClassVar[Mapping[Preset, TinyPainterPreset]] = {"quick": TinyPainterPreset()}

    def __init__(self, preset: Preset = "quick", sizes: TinyPainterPreset | None = None) -> None:
        super().__init__(preset)
        self.nets = TinyPainterNets((sizes or TinyPainterPreset()).channels)

    def prepare(self, data: FitData, budget: Budget) -> None:
        assert isinstance(data.upstream["mask.tiny"], Tiny)

    def infer(self, batch: Batch) -> Tensor:
        return self.nets.generator(torch.cat([batch.image, batch.modal], 1))


def registry() -> dict[str, EntryPoint]:
    """Stands for the installed entry points: these two, and one that learns nothing."""
    where = {
        "mask.tiny": "tests.hdeocc.tiny:Tiny",
        "mask.identity": "baselines.mask_floors:Identity",
        "content.tiny": "tests.hdeocc.tiny:TinyPainter",
    }
    return {name: EntryPoint(name, value, GROUP) for name, value in sorted(where.items())}


def people() -> list[Sample]:
    """Eight samples of 32 pixels."""
    return make_samples(8, 32, np.random.default_rng(0))


def one_cpu() -> Fabric:
    """One process in full precision."""
    return Fabric(accelerator="cpu", devices=1, precision="32-true")


def fit(steps: int = STEPS, workdir: Path | None = None, stop: int | None = None) -> Tiny:
    """A method trained for so many steps of four samples; ``stop``: samples to stop after."""
    method, samples = Tiny(), people()
    budget = Budget(samples=4 * steps, batch=4, lr=5e-3, precision="32-true", stop=stop)
    method.fit(FitData(samples, samples[:2], workdir), budget, one_cpu())
    return method


def main() -> None:
    """Train slowly in the folder of the command line, with a checkpoint after every step or so."""
    torch.set_num_threads(1)
    step = train.train_step

    def slowly(*args: object) -> dict[str, float]:
        time.sleep(0.1)
        return step(*args)  # type: ignore[arg-type]

    train.train_step = slowly  # type: ignore[assignment]
    train.CHECKPOINT_SECONDS = float(sys.argv[2])
    fit(workdir=Path(sys.argv[1]))


if __name__ == "__main__":
    main()
