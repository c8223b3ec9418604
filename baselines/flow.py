"""Flow matching of the whole mask and the person's colours together (Lipman et al., ICLR 2023).

Not of the paper: a row for readers of today. What is hidden can be guessed in more than one way, so
this network draws guesses instead of averaging them. A guess x (B, 4, H, W) in [-1, 1] holds the
amodal mask and the person's colours, grey around the person. On the straight way from noise n to
the truth y, x_t = (1 - t) n + t y, the network tells where the way ends, which gives the velocity
(y - x_t) / (1 - t); told the velocity itself, small networks spend themselves on the noise in it:

    x_t (B, 4, H, W), t (B,), condition (B, 6, H, W) -> y (B, 4, H, W)

    condition: image (3), initial mask, told mask, and 1 where the whole mask is told

Where the whole mask is told (content track, and a share of the training samples), the hole of the
image is grey. What the condition tells of a guess stands in it from the start without noise, and is
no part of the loss: the colours that are visible; and where the whole mask is told, all of it, and
the grey around the person. Guesses are drawn by Euler's steps from noise that is the same for every
sample.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.borrowed import Borrowed
from baselines.signed import by_sample, mean_over, signed
from hdeocc.batch import Batch
from hdeocc.blocks import conv3x3
from hdeocc.content_recovery import hole_of
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track

MASK = "mask.flow"
GREY = 0.5
STATE, CONDITION = 4, 6
FREQUENCIES = 16
# A hole is a few hundredths of the frame: in the mean over all of it, its colours hardly count and
# stay grey. What a greater weight gives to them, it takes from the mask, which shares the network.
HOLE_WEIGHT = 0.3


@dataclass(frozen=True)
class FlowConfig:
    """Size of the network, and how it draws.

    channels: of the levels going down; a multiple of ``groups`` each.
    groups: of the group norms, which look at one sample alone.
    steps: Euler's steps of a guess.
    guesses: how many are drawn of one sample.
    told: share of the training samples that are told their whole mask.
    shift: how far the times of training and of drawing are moved towards the noise; 1 leaves them
        even. The larger a picture, the sooner its shape is seen through the noise, by averaging
        over neighbours, so that even times hardly ever ask a network to guess (Hoogeboom et al.,
        ICML 2023). So it grows with the side of the pictures (Esser et al., ICML 2024, eq. 23).
    """

    channels: tuple[int, ...]
    groups: int = 8
    steps: int = 16
    guesses: int = 8
    told: float = 0.5
    shift: float = 16.0

    def __post_init__(self) -> None:
        if any(width % self.groups for width in self.channels) or len(self.channels) < 2:
            raise ValueError(f"channels {self.channels}: two or more multiples of {self.groups}")
        if min(self.steps, self.guesses) < 1:
            raise ValueError("steps and guesses: at least 1")
        if self.shift <= 0:
            raise ValueError("shift: above 0")


# Down to maps of 8 pixels each, where a network sees the whole person.
FLOW_PRESETS: dict[Preset, FlowConfig] = {
    "quick": FlowConfig((8, 16, 32, 48), steps=4, guesses=4, shift=8),
    "small": FlowConfig((32, 64, 128, 128, 128), steps=8),
    "full": FlowConfig((128, 256, 384, 384, 384, 384), shift=32),
}


def embedded(time: Tensor) -> Tensor:
    """Times (B,) in [0, 1] as sines and cosines (B, 32) of geometric frequencies."""
    exponents = torch.linspace(0, math.log(1000), FREQUENCIES, device=time.device)
    angles = time[:, None] * exponents.exp()
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def shifted(even: Tensor, shift: float) -> Tensor:
    """Times in [0, 1], moved towards 0, the noise: t / (1 - t) is divided by ``shift``."""
    left = 1 - even
    return 1 - shift * left / (1 + (shift - 1) * left)


class TimedBlock(nn.Module):
    """Residual block of two 3x3 convolutions, scaled and shifted between them by the time."""

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.before = nn.Sequential(conv3x3(inputs, outputs), nn.GroupNorm(groups, outputs))
        self.time = nn.Linear(2 * FREQUENCIES, 2 * outputs)
        self.after = nn.Sequential(nn.SiLU(), conv3x3(outputs, outputs))
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time)[..., None, None].chunk(2, dim=1)
        return F.silu(self.skip(x) + self.after(self.before(x) * (1 + scale) + shift))


class Goal(nn.Module):
    """A U-Net that is told the time."""

    def __init__(self, channels: Sequence[int], groups: int) -> None:
        super().__init__()
        self.first = TimedBlock(STATE + CONDITION, channels[0], groups)
        self.down = nn.ModuleList(TimedBlock(i, o, groups) for i, o in pairwise(channels))
        upwards = list(pairwise(reversed(channels)))
        self.up = nn.ModuleList(TimedBlock(i + o, o, groups) for i, o in upwards)
        self.last = conv3x3(channels[0], STATE)

    def forward(self, state: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        at = embedded(time)
        levels = [self.first(torch.cat([state, condition], dim=1), at)]
        for block in self.down:
            levels.append(block(F.avg_pool2d(levels[-1], 2, ceil_mode=True), at))
        x = levels.pop()
        for block in self.up:
            skip = levels.pop()
            grown = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = block(torch.cat([skip, grown], dim=1), at)
        return self.last(x)


def noise(guess: int, like: Tensor) -> Tensor:
    """Where guess number ``guess`` starts: (1, 4, H, W), for pictures (B, C, H, W) on a device."""
    draw = torch.Generator().manual_seed(guess)
    shape = (1, STATE, *like.shape[-2:])
    return torch.randn(shape, generator=draw).to(like.device, like.dtype)


def untold(image: Tensor, initial: Tensor) -> Tensor:
    """The condition (B, 6, H, W) where the whole mask is to be found."""
    nothing = torch.zeros_like(initial)
    return torch.cat([image, initial, nothing, nothing], dim=1)


def told(image: Tensor, modal: Tensor, amodal: Tensor) -> Tensor:
    """The condition (B, 6, H, W) where the whole mask is known, and its hole to be painted."""
    seen = image.masked_fill(hole_of(modal, amodal), GREY)
    masks = [(mask >= 0.5).to(image.dtype) for mask in (modal, amodal)]
    return torch.cat([seen, *masks, torch.ones_like(modal)], dim=1)


def known_of(condition: Tensor) -> tuple[Tensor, Tensor]:
    """What the condition (B, 6, H, W) tells of a guess (B, 4, H, W): where (bool), and the values.

    Initial masks err, so what is visible is not taken for a part of the mask that is to be found.
    """
    image, visible, whole, tells = condition.split((3, 1, 1, 1), dim=1)
    visible, whole, tells = visible >= 0.5, whole >= 0.5, tells >= 0.5
    colours = visible | (tells & ~whole)
    where = torch.cat([tells.expand_as(whole), colours.expand(-1, 3, -1, -1)], dim=1)
    values = torch.cat([whole.to(image.dtype), torch.where(visible, image, GREY)], dim=1)
    return where, signed(values)


class Flow(nn.Module):
    """Draws guesses: condition (B, 6, H, W) -> mask and colours (guesses, B, 4, H, W) in [0, 1]."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.goal = Goal(config.channels, config.groups)
        self.config = config

    def forward(self, condition: Tensor) -> Tensor:
        # Passes forward with none back take a fifth less time on a CPU with colours side by side.
        condition = condition.contiguous(memory_format=torch.channels_last)
        known, values = known_of(condition)
        numbers = range(self.config.guesses)
        return torch.stack([self._guess(k, condition, known, values) for k in numbers])

    def _guess(self, number: int, condition: Tensor, known: Tensor, values: Tensor) -> Tensor:
        state = torch.where(known, values, noise(number, condition))
        state = state.contiguous(memory_format=torch.channels_last)
        times = shifted(torch.linspace(0, 1, self.config.steps + 1), self.config.shift)
        for now, then in pairwise(times.tolist()):
            time = torch.full((len(condition),), now, device=condition.device)
            end = torch.where(known, values, self.goal(state, time, condition).float())
            state = state + (end - state) * ((then - now) / (1 - now))
        return ((state + 1) / 2).clamp(0, 1)


class FlowNets(Adversarial):
    """The network and its loss: mean squares of where the way ends, of what it is not told.

    Of the mask over the samples that have to find it; of the colours over the frame, and over the
    pixels of the holes once more. Colours of samples whose clean picture is unknown weigh nothing.
    """

    def __init__(self, config: FlowConfig) -> None:
        super().__init__(Flow(config))
        self.config = config

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        flow = cast(Flow, self.generator)
        truth, condition = goal_of(batch), self._condition(batch)
        known, values = known_of(condition)
        time = shifted(torch.rand(len(batch), device=truth.device), self.config.shift)
        at = by_sample(time)
        way = torch.where(known, values, (1 - at) * torch.randn_like(truth) + at * truth)
        found = flow.goal(way, time, condition).float()
        missed = (found - truth).square().masked_fill(known, 0)
        mask, colours = missed[:, :1], missed[:, 1:].mean(dim=1, keepdim=True)
        clean = by_sample(batch.has_clean)
        hole = hole_of(batch.modal, batch.amodal) & clean
        return {
            "mask": mean_over(mask, ~known[:, :1]),
            "colours": mean_over(colours, clean),
            "hole": HOLE_WEIGHT * mean_over(colours, hole),
        }, {}

    def _condition(self, batch: Batch) -> Tensor:
        """Some samples, drawn anew in every step, are told their whole mask."""
        tells = torch.rand(len(batch), device=batch.image.device) < self.config.told
        known = told(batch.image, batch.modal, batch.amodal)
        return torch.where(by_sample(tells), known, untold(batch.image, batch.initial))


def goal_of(batch: Batch) -> Tensor:
    """The truth (B, 4, H, W) in [-1, 1]: the whole mask, and the person's colours on grey."""
    whole = (batch.amodal >= 0.5).to(batch.image.dtype)
    seen = batch.image.masked_fill(hole_of(batch.modal, batch.amodal), GREY)
    person = torch.where(by_sample(batch.has_clean), batch.clean, seen)
    return signed(torch.cat([whole, torch.where(whole > 0, person, GREY)], dim=1))


class FlowMask(Learned):
    """The mean over guesses of the whole mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Flow matching, mean of guesses"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, FlowConfig]] = FLOW_PRESETS

    def __init__(self, preset: Preset = "quick", sizes: FlowConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = FlowNets(sizes or FLOW_PRESETS[preset])

    def guesses(self, batch: Batch) -> Tensor:
        """Every guess of the whole mask, (guesses, B, 1, H, W) in [0, 1]."""
        return self.nets.generator(untold(batch.image, batch.initial))[:, :, :1]

    def infer(self, batch: Batch) -> Tensor:
        return self.guesses(batch).mean(dim=0)


class FlowMaskBest(Borrowed):
    """Of all guesses the one nearest to the truth, which this row is told: a bound, not a rival."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Flow matching, best guess (told which)"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial", "amodal"})
    lender: ClassVar[type[Learned]] = FlowMask
    upstream: ClassVar[tuple[str, ...]] = (MASK,)
    holds: ClassVar[tuple[str, ...]] = (MASK,)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Tensor:
        flow, batch = _ready(self.lent, batch)
        guesses = flow.guesses(batch)
        found, truth = guesses >= 0.5, batch.amodal >= 0.5
        dims = (2, 3, 4)
        iou = (found & truth).sum(dim=dims) / (found | truth).sum(dim=dims).clamp_min(1)
        best = iou.argmax(dim=0)
        return guesses[best, torch.arange(len(batch), device=best.device)].float().cpu()


class FlowContent(Borrowed):
    """The mean over guesses of the person's colours, pasted into the hole."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "Flow matching, mean of guesses"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "modal", "amodal"})
    lender: ClassVar[type[Learned]] = FlowMask
    upstream: ClassVar[tuple[str, ...]] = (MASK,)
    holds: ClassVar[tuple[str, ...]] = (MASK,)

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Tensor:
        flow, seen = _ready(self.lent, batch)
        made = flow.nets.generator(told(seen.image, seen.modal, seen.amodal))[:, :, 1:].mean(dim=0)
        hole = hole_of(batch.modal, batch.amodal)
        return torch.where(hole, made.float().cpu(), batch.image.cpu())


def _ready(lent: Learned, batch: Batch) -> tuple[FlowMask, Batch]:
    """The lent networks, not training, and the batch where they compute."""
    assert isinstance(lent, FlowMask)
    lent.nets.generator.eval()
    return lent, batch.to(next(lent.nets.parameters()).device)
