"""One network learns: AdamW, cosine schedule, averaged weights; it goes on after a kill."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from synth.errors import InputError
from synth.segmenter.composites import Composites
from synth.segmenter.folder import Training
from synth.segmenter.network import UNet, load_tensors, save_tensors

_PEAK, _DECAY, _WARMUP, _AVERAGE = 3e-3, 1e-2, 50, 0.995
SAVE_SECONDS = 20.0


def learn(
    composites: Composites,
    among: np.ndarray,
    training: Training,
    fold: int,
    state_path: Path,
    advance: Callable[[int], None],
) -> dict[str, Tensor]:
    """The averaged weights of network ``fold`` after its steps on the composites ``among``.

    Step s is a function of (seed, fold, s) and the weights before it, so a training that was
    killed and goes on from the state at ``state_path`` ends with the same weights.

    Args:
        composites: what there is to learn from.
        among: numbers of those that this network may see, not empty.
        training: how long, and from which seed.
        fold: whose network it is.
        state_path: where the state is kept meanwhile.
        advance: called with the number of steps done since it was last called.

    Raises:
        InputError: the state is damaged, or cannot be written.
    """
    state = _State.start(training, fold)
    if state_path.exists():
        state.resume(state_path)
        advance(state.step)
    saved = time.monotonic()
    while state.step < training.steps:
        key = np.random.SeedSequence(training.seed, spawn_key=(1, fold, state.step))
        batch = composites.batch(among, training.batch, np.random.default_rng(key))
        state.learn_from(torch.from_numpy(batch), training.steps)
        advance(1)
        if time.monotonic() - saved > SAVE_SECONDS:
            state.save(state_path)
            saved = time.monotonic()
    return state.average


@dataclass
class _State:
    network: UNet
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    step: int = 0

    @classmethod
    def start(cls, training: Training, fold: int) -> "_State":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(training.seed * 1009 + fold)
            network = UNet()
        for weight in network.parameters():  # fastest so on processors
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(network.parameters(), _PEAK, weight_decay=_DECAY)
        average = {name: value.clone() for name, value in network.state_dict().items()}
        return cls(network.train(), optimiser, average)

    def learn_from(self, batch: Tensor, steps: int) -> None:
        """One step; ``batch`` (B, 4, SIDE, SIDE): RGB and the share of person."""
        for group in self.optimiser.param_groups:
            group["lr"] = _rate(self.step, steps)
        pixels = batch[:, :3].contiguous(memory_format=torch.channels_last)
        loss = _loss(self.network(pixels), batch[:, 3:])
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.step += 1
        self._take_into_average()

    @torch.no_grad()
    def _take_into_average(self) -> None:
        keep = min(_AVERAGE, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - keep)
            else:
                self.average[name].copy_(value)

    def save(self, path: Path) -> None:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.items()}
        for number, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{number}.{name}": value for name, value in moments.items()}
        save_tensors(path, tensors, {"step": self.step})

    def resume(self, path: Path) -> None:
        tensors, notes = load_tensors(path)
        adam: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("adam.", tensors).items():
            number, _, moment = name.partition(".")
            adam.setdefault(int(number), {})[moment] = value
        groups = self.optimiser.state_dict()["param_groups"]
        try:
            self.network.load_state_dict(_under("network.", tensors))
            self._check_moments(adam)
            self.optimiser.load_state_dict({"state": adam, "param_groups": groups})
            average = _under("average.", tensors)
            for name, value in self.average.items():
                value.copy_(average[name])
            if not all(bool(value.isfinite().all()) for value in tensors.values()):
                raise ValueError("a weight is no number")
            self.step = int(str(notes["step"]))
        except (RuntimeError, KeyError, ValueError):
            raise InputError(f"{path}: holds another training; remove it and train again") from None

    def _check_moments(self, adam: Mapping[int, Mapping[str, Tensor]]) -> None:
        """ValueError unless the optimiser's moments fit the weights; it does not look itself."""
        shapes = {i: weight.shape for i, weight in enumerate(self.network.parameters())}
        for number, moments in adam.items():
            for name, value in moments.items():
                if value.shape not in ((), shapes.get(number)):
                    raise ValueError(f"{name} of weight {number} does not fit")


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}


def _rate(step: int, steps: int) -> float:
    """Learning rate: a short rise, then half a cosine down to 1 % of the peak."""
    warmup = min(1.0, (step + 1) / min(_WARMUP, max(1, steps // 10)))
    return _PEAK * min(warmup, 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def _loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """Cross-entropy by pixel and, so that small people count as much, Dice by picture."""
    guess = logits.sigmoid()
    both, sizes = (guess * wanted).sum((1, 2, 3)), (guess + wanted).sum((1, 2, 3))
    dice = 1 - (2 * both + 1) / (sizes + 1)
    return F.binary_cross_entropy_with_logits(logits, wanted) + dice.mean()
