"""Everything that changes during a training: networks, optimisers, averaged weights, the step."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hdeocc import checkpoint
from hdeocc.learned import Adversarial, Learned
from hdeocc.method import Budget
from synth.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WARMUP_SHARE = 0.03


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first 3 % of the steps, then a half cosine to 1 % of the peak."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass
class State:
    """The state of one training.

    Attributes:
        nets, wrapped: the networks, and the same as Fabric wraps them (processes).
        ema: averaged weights of the generator, by name.
        step: optimiser steps that are done.
        saved: the step whose state is on disk; -1 for none.
        whole: False while a step is under way or is not yet in the log and validated: the state is
            then that of no step that a training could go on from.
    """

    nets: Adversarial
    wrapped: Any
    generator_optimiser: Any
    discriminator_optimiser: Any | None
    discriminator_lr: float
    ema: dict[str, Tensor]
    step: int = 0
    learning_rate: float = 0.0
    saved: int = -1
    whole: bool = True

    @classmethod
    def start(cls, method: Learned, budget: Budget, fabric: "Fabric") -> "State":
        """The state before the first step."""
        nets = method.nets
        for module in nets.modules():  # oneDNN and cuDNN are fastest on channels-last weights
            for weight in module.parameters(recurse=False):
                if weight.dim() == 4:
                    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        generator = torch.optim.AdamW(
            [p for p in nets.generator.parameters() if p.requires_grad],
            budget.lr,
            method.generator_betas,
            weight_decay=method.weight_decay,
        )
        optimisers: list[Any] = [generator]
        if nets.discriminator is not None:
            rate = budget.lr * method.discriminator_lr
            optimisers.append(
                torch.optim.Adam(nets.discriminator.parameters(), rate, method.discriminator_betas)
            )
        wrapped, *optimisers = fabric.setup(nets, *optimisers)
        wrapped.mark_forward_method("generator_step")
        wrapped.mark_forward_method("discriminator_step")
        ema = {k: v.detach().clone() for k, v in nets.generator.state_dict().items()}
        other = optimisers[1] if len(optimisers) > 1 else None
        return cls(nets, wrapped, optimisers[0], other, method.discriminator_lr, ema)

    def _optimisers(self) -> list[Any]:
        return [
            o for o in (self.generator_optimiser, self.discriminator_optimiser) if o is not None
        ]

    def set_learning_rate(self, budget: Budget) -> None:
        """Give both optimisers the learning rate of the coming step."""
        self.learning_rate = learning_rate(self.step, budget.steps, budget.lr)
        for optimiser, factor in zip(
            self._optimisers(), (1.0, self.discriminator_lr), strict=False
        ):
            for group in optimiser.param_groups:
                group["lr"] = self.learning_rate * factor

    @torch.no_grad()
    def average(self, decay: float) -> None:
        """Move the average towards the weights; short runs start with a faster average."""
        decay = min(decay, (1 + self.step) / (10 + self.step))
        for name, value in self.nets.generator.state_dict().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value, 1 - decay)
            else:
                self.ema[name].copy_(value)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within the block the generator holds the averaged weights and is in eval mode.

        A block that is interrupted leaves a state that is not ``whole``, wherever it was.
        """
        generator = self.nets.generator
        before, self.whole = self.whole, False
        kept = {k: v.detach().clone() for k, v in generator.state_dict().items()}
        try:
            generator.load_state_dict(self.ema)
            generator.eval()
            yield
        finally:
            generator.load_state_dict(kept)
            self.nets.train()
        self.whole = before

    def save(self, workdir: Path) -> None:
        """Keep it on disk, unless a step is under way: then an earlier one stays the newest."""
        if not self.whole or self.saved == self.step:
            return
        tensors = {f"nets.{k}": v for k, v in _trained(self.nets.state_dict()).items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.items()}
        checkpoint.save_state(
            workdir, self.step, tensors, [o.state_dict() for o in self._optimisers()]
        )
        self.saved = self.step

    def resume(self, workdir: Path | None) -> None:
        """Go on from the newest state on disk, if there is one."""
        found = checkpoint.load_state(workdir) if workdir else None
        if found is None:
            return
        self.step, tensors, optimisers = found
        self.saved = self.step
        before = _trained(_under("nets.", tensors))
        if before.keys() != _trained(self.nets.state_dict()).keys():
            raise InputError(f"{workdir}: its checkpoint is of other networks; remove the folder")
        self.nets.load_state_dict(before, strict=False)
        for name, value in _under("ema.", tensors).items():
            self.ema[name].copy_(value)
        for optimiser, state in zip(self._optimisers(), optimisers, strict=True):
            optimiser.load_state_dict(state)

    def finish(self) -> None:
        """Leave the averaged weights in the networks."""
        self.nets.generator.load_state_dict(self.ema)
        self.nets.eval()


def _trained(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without the network that losses look through: it never changes, and may be missing."""
    return {k: v for k, v in state.items() if not k.startswith("features.")}


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
