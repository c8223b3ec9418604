"""The best template: the whole person is the known shape that fits the visible part best.

A floor that knows what people look like, and nothing else. The templates are the cluster centres
of whole training people in the crop frame, as stage 1 uses them (METHODS 3.2):

    initial mask (B, 1, H, W) in [0, 1] -> amodal probability (B, 1, H, W) in [0, 1]

Every template is tried at every shift of a small range. What it shares with the visible part
counts for it; visible pixels that it misses, and pixels that it adds, count against it (Tversky's
index). What it adds may be hidden, so that may count less. How much less, and how far a template
may be moved, is chosen on val. The prediction is the chosen template, shifted, united with the
visible part.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hdeocc.batch import Batch, collate
from hdeocc.checkpoint import load_tensors, save_tensors
from hdeocc.method import Budget, FitData, Method, Preset, Track
from hdeocc.stream import endless
from hdeocc.templates import fit_templates
from hdeocc.validation import spread
from synth.errors import InputError
from synth.sample import Sample

if TYPE_CHECKING:
    from lightning_fabric import Fabric

WEIGHTS = "weights.safetensors"
# What an added pixel may cost, beside the 1 of a visible pixel that the template misses, and how
# far a template may be moved each way, in shares of the frame.
COSTS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5)
SHIFTS = (0.0, 1 / 32, 1 / 16)
BATCH = 32


@dataclass(frozen=True)
class BestTemplateConfig:
    """Sizes of the search.

    templates: shapes to choose from.
    size: pixels of a template's side.
    samples: training people that the templates are clustered from.
    chosen_on: people of val that the cost of an added pixel and the shift are chosen on.
    """

    templates: int = 64
    size: int = 64
    samples: int = 2000
    chosen_on: int = 150


BEST_TEMPLATE_PRESETS: dict[Preset, BestTemplateConfig] = {
    "quick": BestTemplateConfig(templates=32, size=32),
    "small": BestTemplateConfig(),
    "full": BestTemplateConfig(),
}


class BestTemplate(Method):
    """The known shape that fits the initial mask best, at its best shift."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Best template"
    consumes: ClassVar[frozenset[str]] = frozenset({"initial"})
    learned: ClassVar[bool] = True
    spends: ClassVar[bool] = False
    presets: ClassVar[Mapping[Preset, BestTemplateConfig]] = BEST_TEMPLATE_PRESETS

    def __init__(self, preset: Preset = "quick", sizes: BestTemplateConfig | None = None) -> None:
        super().__init__(preset)
        self.sizes = sizes or BEST_TEMPLATE_PRESETS[preset]
        self.templates = torch.zeros(self.sizes.templates, self.sizes.size, self.sizes.size)
        self.cost, self.shift = torch.tensor(COSTS[-1]), torch.tensor(0)

    def fit(self, data: FitData, budget: Budget, fabric: "Fabric") -> None:
        """Cluster training people; choose the cost and the shift on val, if there is any."""
        count = min(len(data.train), self.sizes.samples)
        source = endless(data.train) or data.train
        masks = (source[i].amodal for i in range(count))
        shapes = fit_templates(masks, self.sizes.templates, self.sizes.size, budget.seed)
        self.templates = torch.from_numpy(shapes)
        samples = spread(data.val, self.sizes.chosen_on)
        if samples:
            cost, shift = self._best(samples)
            self.cost, self.shift = torch.tensor(cost), torch.tensor(shift)

    def _best(self, samples: list[Sample]) -> tuple[float, int]:
        """The cost and the shift with the highest mean IoU; of equals the first."""
        shifts = sorted({round(share * self.sizes.size) for share in SHIFTS})
        choices = list(product(COSTS, shifts))
        scores = np.zeros(len(choices))
        for start in range(0, len(samples), BATCH):
            batch = collate(samples[start : start + BATCH])
            for i, choice in enumerate(choices):
                scores[i] += float(
                    _iou(self._completed(batch.initial, *choice), batch.amodal).sum()
                )
        return choices[int(scores.argmax())]

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Tensor:
        initial = batch.initial.detach().float().cpu()
        return self._completed(initial, float(self.cost), int(self.shift))

    def _completed(self, initial: Tensor, cost: float, shift: int) -> Tensor:
        """The initial mask (B, 1, H, W) united with its template, an empty one with none."""
        seen = F.adaptive_avg_pool2d(initial, self.sizes.size)
        chosen = fitting(seen[:, 0], self.templates, shift, cost)
        shifted = torch.stack([_shifted(self.templates[k], y, x) for k, y, x in chosen.tolist()])
        there = (seen.amax(dim=(1, 2, 3)) > 0).float()
        large = F.interpolate(shifted[:, None], initial.shape[-2:], mode="bilinear")
        return torch.maximum(initial, large * there[:, None, None, None]).clamp(0, 1)

    def save(self, folder: Path) -> None:
        tensors = {"templates": self.templates, "cost": self.cost, "shift": self.shift}
        save_tensors(folder / WEIGHTS, tensors)
        self.sign(folder)

    def load(self, folder: Path) -> None:
        path = folder / WEIGHTS
        found = load_tensors(path)
        shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
        if shapes != {"templates": tuple(self.templates.shape), "cost": (), "shift": ()}:
            raise InputError(
                f"{path}: not the templates of {type(self).__name__} at preset {self.preset}; fit "
                "again"
            )
        self.templates, self.cost, self.shift = (
            found[name] for name in ("templates", "cost", "shift")
        )


def fitting(seen: Tensor, templates: Tensor, shift: int, cost: float) -> Tensor:
    """The best template and shift for each visible part: (B, 3) int64 of number, down, right.

    seen (B, t, t) and templates (K, t, t) in [0, 1]. The score of a template T, shifted within
    the frame, for a visible part p is s / (|p| + cost * (|T| - s)), with s = sum(p * T).
    """
    overlap = F.conv2d(seen[:, None], templates[:, None], padding=shift)
    area = F.conv2d(torch.ones_like(seen[:1, None]), templates[:, None], padding=shift)
    part = seen.sum(dim=(1, 2))[:, None, None, None]
    score = overlap / (part + cost * (area - overlap)).clamp_min(1e-6)
    best = score.flatten(1).argmax(dim=1)
    side = 2 * shift + 1
    return torch.stack([best // side**2, best // side % side - shift, best % side - shift], dim=1)


def _shifted(shape: Tensor, down: int, right: int) -> Tensor:
    """A shape (t, t) moved within its frame; what comes in is empty."""
    size = shape.shape[-1]
    room = max(abs(down), abs(right))
    padded = F.pad(shape, (room,) * 4)
    return padded[room - down : room - down + size, room - right : room - right + size]


def _iou(found: Tensor, truth: Tensor) -> Tensor:
    one, other = found[:, 0] > 0.5, truth[:, 0] > 0.5
    either = (one | other).sum(dim=(1, 2)).clamp_min(1)
    return (one & other).sum(dim=(1, 2)) / either
