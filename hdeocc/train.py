"""The one training loop: every learned method, ours and the baselines', goes through it."""

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from hdeocc import checkpoint
from hdeocc.augment import Augmentation
from hdeocc.batch import Batch
from hdeocc.discriminators import frozen
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Budget, FitData
from hdeocc.stream import Cached, training_batches

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CHECKPOINT_SECONDS = 60.0
WARMUP_SHARE = 0.03
AUGMENTATION = Augmentation()


def train(
    method: Learned,
    data: FitData,
    budget: Budget,
    fabric: "Fabric",
    augmentation: Augmentation = AUGMENTATION,
) -> None:
    """Train ``method.nets`` on ``data.train``; afterwards they hold the averaged weights.

    With ``data.workdir`` the state is kept there: a training that was killed goes on where it
    stopped, with the batches and draws it would have had, and ends with the same weights.
    """
    torch.manual_seed(budget.seed)
    method.prepare(data, budget)
    state = _State.start(method, budget, fabric)
    state.resume(data.workdir)
    samples = Cached(data.train)
    log = _Log(data.workdir, fabric.is_global_zero)
    steps = range(state.step, budget.steps)
    bar = tqdm(
        training_batches(samples, budget.batch, budget.seed, steps, augmentation),
        total=budget.steps,
        initial=state.step,
        desc=f"train {method.track} {method.title}",
        unit="step",
        disable=None if fabric.is_global_zero else True,
        leave=False,
    )
    saved = time.monotonic()
    try:
        for batch in bar:
            terms = train_step(state, batch.to(fabric.device), budget, fabric)
            log.add(state.step, terms, state.learning_rate)
            if state.step % 10 == 0:
                bar.set_postfix_str(f"loss {log.recent:.3f}", refresh=False)
            if data.workdir and time.monotonic() - saved > CHECKPOINT_SECONDS:
                state.save(data.workdir)
                saved = time.monotonic()
    except KeyboardInterrupt:
        if data.workdir:
            state.save(data.workdir)
        raise
    finally:
        bar.close()
        log.close()
    state.finish()
    if data.workdir:
        checkpoint.clear_states(data.workdir)


def train_step(state: "_State", batch: Batch, budget: Budget, fabric: "Fabric") -> dict[str, float]:
    """One step of the generator, then one of the discriminator; returns the loss terms."""
    # Dropout and other draws depend on (seed, step) alone, so that a resumed run repeats them.
    torch.manual_seed(budget.seed * 1_000_003 + state.step)
    state.set_learning_rate(budget)
    nets, wrapped = state.nets, state.wrapped
    nets.train()
    with nullcontext() if nets.discriminator is None else frozen(nets.discriminator):
        terms, made = wrapped.generator_step(batch)
        _update(terms, state.generator_optimiser, nets.generator, budget.clip, fabric)
    if state.discriminator_optimiser is not None and nets.discriminator is not None:
        detached = {name: tensor.detach() for name, tensor in made.items()}
        more = wrapped.discriminator_step(batch, detached)
        _update(more, state.discriminator_optimiser, nets.discriminator, budget.clip, fabric)
        terms = terms | more
    state.step += 1
    state.average(budget.ema)
    return {name: float(value.detach()) for name, value in terms.items()}


def _update(terms: Terms, optimiser: Any, module: nn.Module, clip: float, fabric: "Fabric") -> None:
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(torch.stack([term.float() for term in terms.values()]).sum())
    nn.utils.clip_grad_norm_(module.parameters(), clip, error_if_nonfinite=True)
    optimiser.step()


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over the first 3 % of the steps, then a half cosine to 1 % of the peak."""
    warmup = max(1, round(WARMUP_SHARE * steps))
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


@dataclass
class _State:
    """Everything that changes during a training."""

    nets: Adversarial
    wrapped: Any
    generator_optimiser: Any
    discriminator_optimiser: Any | None
    discriminator_lr: float
    ema: dict[str, Tensor]
    step: int = 0
    learning_rate: float = 0.0

    @classmethod
    def start(cls, method: Learned, budget: Budget, fabric: "Fabric") -> "_State":
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

    def save(self, workdir: Path) -> None:
        tensors = {f"nets.{k}": v for k, v in self.nets.state_dict().items()}
        tensors |= {f"ema.{k}": v for k, v in self.ema.items()}
        checkpoint.save_state(
            workdir, self.step, tensors, [o.state_dict() for o in self._optimisers()]
        )

    def resume(self, workdir: Path | None) -> None:
        found = checkpoint.load_state(workdir) if workdir else None
        if found is None:
            return
        self.step, tensors, optimisers = found
        self.nets.load_state_dict(_under("nets.", tensors))
        for name, value in _under("ema.", tensors).items():
            self.ema[name].copy_(value)
        for optimiser, state in zip(self._optimisers(), optimisers, strict=True):
            optimiser.load_state_dict(state)

    def finish(self) -> None:
        self.nets.generator.load_state_dict(self.ema)
        self.nets.eval()


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


@dataclass
class _Log:
    """Loss terms to TensorBoard, when there is a folder to keep them in."""

    workdir: Path | None
    active: bool
    every: int = 20
    recent: float = 0.0
    _sums: dict[str, float] = field(default_factory=dict)
    _count: int = 0
    _writer: Any = None

    def add(self, step: int, terms: dict[str, float], rate: float) -> None:
        total = sum(terms.values())
        self.recent = total if step <= 1 else 0.95 * self.recent + 0.05 * total
        for name, value in terms.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if step % self.every == 0:
            self._write(step, rate)

    def _write(self, step: int, rate: float) -> None:
        if self.workdir and self.active:
            if self._writer is None:
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(self.workdir / "log"))
            self._writer.add_scalar("learning rate", rate, step)
            for name, value in self._sums.items():
                self._writer.add_scalar(f"loss/{name}", value / self._count, step)
        self._sums, self._count = {}, 0

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
