"""The half of the contract that learned methods share: networks, steps, weights on disk."""

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from hdeocc import checkpoint
from hdeocc.batch import Batch
from hdeocc.method import Budget, FitData, Method
from synth.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Terms = dict[str, Tensor]


class Adversarial(nn.Module):
    """The networks of a learned method: the one that predicts and, if any, its adversary.

    The two steps are methods of this module, so that Fabric can wrap them (several devices).
    A step returns its already weighted loss terms by name; their sum is minimised.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        """Loss terms of the generator, and what the discriminator's step needs of its output.

        The discriminator's parameters are frozen during this step.
        """
        raise NotImplementedError

    def discriminator_step(self, batch: Batch, made: Terms) -> Terms:
        """Loss terms of the discriminator; ``made`` comes detached from the generator's step."""
        return {}


class Learned(Method):
    """A method with weights, trained by :func:`hdeocc.train.train`.

    Subclasses build ``self.nets`` in ``__init__`` and predict with ``self.nets.generator``.
    """

    learned: ClassVar[bool] = True
    # Adam's betas, and the learning rate as a multiple of the generator's.
    generator_betas: ClassVar[tuple[float, float]] = (0.9, 0.999)
    discriminator_betas: ClassVar[tuple[float, float]] = (0.5, 0.999)
    discriminator_lr: ClassVar[float] = 1.0
    weight_decay: ClassVar[float] = 1e-4

    nets: Adversarial

    def prepare(self, data: FitData, budget: Budget) -> None:
        """Work before the first step that needs the training set (templates, upstream weights)."""

    def fit(self, data: FitData, budget: Budget, fabric: "Fabric") -> None:
        from hdeocc.train import train

        train(self, data, budget, fabric)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Tensor:
        self.nets.generator.eval()
        device = next(self.nets.generator.parameters()).device
        return self.infer(batch.to(device)).float().clamp(0, 1).cpu()

    @abstractmethod
    def infer(self, batch: Batch) -> Tensor:
        """:meth:`predict` on the network's device, in eval mode, without gradients."""

    def parameters_used(self) -> int:
        return sum(p.numel() for p in self.nets.generator.parameters())

    def networks(self) -> nn.Module:
        return self.nets

    def save(self, folder: Path) -> None:
        checkpoint.save_tensors(folder / "weights.safetensors", self.nets.generator.state_dict())
        self.sign(folder)

    def load(self, folder: Path) -> None:
        path = folder / "weights.safetensors"
        tensors = checkpoint.load_tensors(path)
        try:
            self.nets.generator.load_state_dict(tensors)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"{path}: not weights of {type(self).__name__} at preset {self.preset}: {reason}"
            ) from None
