"""OVSR's turns (Yan et al., ICCV 2019), re-derived: completion and recovery help each other.

The first turn is the completion of ``mask.ovsr``. Its mask lets ``content.ovsr`` paint what is
hidden, and a second completion looks at the recovered picture instead of the occluded one:

    first(image, initial) -> mask;  then, turn by turn,
    recovery(image, visible, mask) -> recovered;  again(recovered, initial) -> mask (B, 1, H, W)

Known of the original is that the two take turns. Ours: the first two networks come fitted and stay
as they are, the second completion starts from the first one's weights and is trained at the second
turn, with the losses of ``mask.ovsr``; at test time there is a third turn. Beside ``content.ovsr``
this is OVSR as a full pipeline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from baselines.ovsr_content import (
    OVSR_CONTENT_PRESETS,
    ContentStep,
    OvsrContent,
    OvsrContentConfig,
)
from baselines.ovsr_mask import OVSR_MASK_PRESETS, MaskStep, OvsrMask, OvsrMaskConfig, OvsrMaskNets
from hdeocc.batch import Batch
from hdeocc.learned import Learned
from hdeocc.losses import vgg_features
from hdeocc.method import Budget, FitData, Method, Preset, Track
from synth.errors import InputError

FIRST, RECOVERY = "mask.ovsr", "content.ovsr"


@dataclass(frozen=True)
class TurnsConfig:
    """The completion that looks again, and how often.

    completion: sizes and weights of the terms, those of ``mask.ovsr``.
    recovery: those of ``content.ovsr``.
    turns, trained_turns: completions at test time and in training, the first among them.
    """

    completion: OvsrMaskConfig = OvsrMaskConfig()
    recovery: OvsrContentConfig = OvsrContentConfig()
    turns: int = 3
    trained_turns: int = 2

    def __post_init__(self) -> None:
        if min(self.turns, self.trained_turns) < 2:
            raise ValueError("turns and trained_turns: at least 2, or nothing looks again")


OVSR_TURNS_PRESETS: dict[Preset, TurnsConfig] = {
    preset: TurnsConfig(completion, OVSR_CONTENT_PRESETS[preset])
    for preset, completion in OVSR_MASK_PRESETS.items()
}


class Turns(nn.Module):
    """Completion and recovery in turns; only ``again`` is trained.

    image (B, 3, H, W) and initial mask (B, 1, H, W) -> amodal probability (B, 1, H, W).
    """

    def __init__(self, config: TurnsConfig) -> None:
        super().__init__()
        sizes = config.completion.levels, config.completion.generator_width
        self.first = MaskStep(*sizes).requires_grad_(False)
        self.recovery = ContentStep(config.recovery).requires_grad_(False)
        self.again = MaskStep(*sizes)
        self.config = config

    def train(self, mode: bool = True) -> "Turns":
        """What came fitted stays in eval mode."""
        super().train(mode)
        self.first.eval()
        self.recovery.eval()
        return self

    def forward(self, image: Tensor, initial: Tensor) -> Tensor:
        visible = (initial >= 0.5).to(initial.dtype)
        mask = self.first(image, initial)
        count = self.config.trained_turns if self.training else self.config.turns
        for _ in range(count - 1):
            # A hole is a yes or no of each pixel, which has no gradient: turns are trained apart.
            with torch.no_grad():
                recovered = self.recovery(image, visible, torch.maximum(mask, visible))
            mask = self.again(recovered, initial)
        return mask


class OvsrMaskTurns(Learned):
    """OVSR-style completion that looks again at what the recovery made of its first mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "OVSR-style, iterated (re-derived)"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    upstream: ClassVar[tuple[str, ...]] = (FIRST, RECOVERY)
    holds: ClassVar[tuple[str, ...]] = (FIRST, RECOVERY)
    presets: ClassVar[Mapping[Preset, TurnsConfig]] = OVSR_TURNS_PRESETS
    generator_betas: ClassVar[tuple[float, float]] = OvsrMask.generator_betas
    discriminator_betas: ClassVar[tuple[float, float]] = OvsrMask.discriminator_betas
    weight_decay: ClassVar[float] = OvsrMask.weight_decay

    def __init__(self, preset: Preset = "quick", sizes: TurnsConfig | None = None) -> None:
        super().__init__(preset)
        self.sizes = sizes or OVSR_TURNS_PRESETS[preset]
        self.nets = OvsrMaskNets(self.sizes.completion)
        self.nets.generator = Turns(self.sizes)

    @property
    def net(self) -> Turns:
        """The three networks."""
        return cast(Turns, self.nets.generator)

    def loss_networks(self) -> tuple[str, ...]:
        return ("vgg16",) if self.sizes.completion.perceptual else ()

    def check_upstream(self, upstream: Mapping[str, Method]) -> None:
        """Its own settings say what it predicts with: no weights tell, say, which path is shown."""
        first, recovery = upstream[FIRST], upstream[RECOVERY]
        assert isinstance(first, OvsrMask) and isinstance(recovery, OvsrContent)
        for key, theirs, own in (
            (FIRST, first.sizes, self.sizes.completion),
            (RECOVERY, recovery.sizes, self.sizes.recovery),
        ):
            names = [field.name for field in fields(own)]
            unlike = [name for name in names if getattr(theirs, name) != getattr(own, name)]
            if unlike:
                raise InputError(
                    f"{self.title}: builds on {FIRST} and {RECOVERY} of the settings it was given "
                    f"itself, but {key} has another {', '.join(unlike)}; give all three the same "
                    f"(preset {self.preset})"
                )

    def prepare(self, data: FitData, budget: Budget) -> None:
        self.check_upstream(data.upstream)
        first, recovery = data.upstream[FIRST], data.upstream[RECOVERY]
        assert isinstance(first, OvsrMask) and isinstance(recovery, OvsrContent)
        self.net.first.load_state_dict(first.nets.generator.state_dict())
        self.net.recovery.load_state_dict(recovery.nets.generator.state_dict())
        self.net.again.load_state_dict(first.nets.generator.state_dict())
        if self.loss_networks():
            cast(OvsrMaskNets, self.nets).features = vgg_features()

    def infer(self, batch: Batch) -> Tensor:
        return self.net(batch.image, batch.initial)
