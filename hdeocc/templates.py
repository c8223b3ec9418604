"""Shape templates of whole people: how they are found, and how stage 1 weighs them.

The paper clusters amodal masks and lets the predicted visible mask choose among the cluster
centres (section 3, supplement). The released code compares raw sums of products, so that fat
templates win and the softmax is a hard choice; here the scores are normalised.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.blocks import conv3x3

TemplateScore = Literal["cosine", "coverage", "raw"]
EMPTY = 1e-3  # a template with a smaller mean holds no shape
NEVER = -1e4  # the score of an empty template: no weight beside any real one
START_TEMPERATURE = 10.0


def tight_box(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of a non-empty mask inside its bounding box."""
    rows = np.flatnonzero(mask.any(axis=1))
    columns = np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _sample_shapes(
    masks: Iterable[NDArray[np.bool_]], size: int, tight: bool, limit: int, seed: int
) -> NDArray[np.float32]:
    """At most `limit` non-empty masks (a reservoir sample), shrunk to size x size, flattened."""
    rng = np.random.default_rng(seed)
    shapes: list[NDArray[np.float32]] = []
    seen = 0
    for mask in masks:
        mask = np.asarray(mask, dtype=bool)
        if not mask.any():
            continue
        seen += 1
        place = len(shapes) if len(shapes) < limit else int(rng.integers(seen))
        if place >= limit:
            continue
        shape = (tight_box(mask) if tight else mask).astype(np.float32)
        small = cv2.resize(shape, (size, size), interpolation=cv2.INTER_AREA).reshape(-1)
        shapes[place : place + 1] = [small.astype(np.float32)]
    return np.stack(shapes) if shapes else np.zeros((0, size * size), np.float32)


def fit_templates(
    masks: Iterable[NDArray[np.bool_]],
    k: int,
    size: int,
    seed: int,
    *,
    tight: bool = False,
    limit: int = 20_000,
) -> NDArray[np.float32]:
    """Cluster whole-person masks into `k` soft templates (k, size, size), float32 in [0, 1].

    masks: bool (H, W) each, in the network's crop frame, so that a template lines up with the
        person in the crop. Empty masks are left out; at most `limit` masks are kept, a seeded
        sample of all.
    tight: crop every mask to its bounding box first, as the released script does (ablation).

    With fewer masks than `k` every mask is a template and the rest are all zero;
    `TemplateReweighting` never chooses those. Raises ValueError when no mask holds a person.
    """
    shapes = _sample_shapes(masks, size, tight, limit, seed)
    if not len(shapes):
        raise ValueError("no mask with a person in it: templates need at least one")
    centres = np.zeros((k, size * size), np.float32)
    if len(shapes) <= k:
        centres[: len(shapes)] = shapes
    else:
        clusters = MiniBatchKMeans(k, batch_size=5000, n_init=3, random_state=seed)
        with threadpool_limits(1):  # more threads would change the order of float sums
            centres[:] = clusters.fit(shapes).cluster_centers_
    return centres.reshape(k, size, size).clip(0, 1)


class TemplateReweighting(nn.Module):
    """Weigh the templates by how well they agree with the visible mask, then mix them.

    probability (B, 1, H, W) in [0, 1] -> features (B, outputs, H, W). The score of a template is
    its cosine with the mask times a learnable temperature, or the share of the mask it covers
    minus `beta` times its mean, or the raw sum of products of the released code. No gradient
    flows into `probability`. Scores and the mixing convolution are computed at template size.

    hard: threshold the templates at 0.5 instead of using them soft.
    """

    templates: Tensor

    def __init__(
        self,
        count: int,
        size: int,
        outputs: int,
        score: TemplateScore = "cosine",
        *,
        beta: float = 1.0,
        hard: bool = False,
    ) -> None:
        super().__init__()
        if score not in ("cosine", "coverage", "raw"):
            raise ValueError(f"template score {score!r}: one of cosine, coverage, raw")
        self.score, self.beta, self.hard = score, beta, hard
        self.register_buffer("templates", torch.zeros(count, size, size))
        if score != "raw":
            self.temperature = nn.Parameter(torch.tensor(START_TEMPERATURE))
        self.mix = conv3x3(count, outputs)

    def set_templates(self, templates: NDArray[np.float32]) -> None:
        """Take (K, t, t) templates in [0, 1]; raises ValueError on another shape or range."""
        if templates.shape != tuple(self.templates.shape):
            raise ValueError(
                f"templates of shape {templates.shape}, expected {tuple(self.templates.shape)}"
            )
        if not (np.isfinite(templates).all() and 0 <= templates.min() <= templates.max() <= 1):
            raise ValueError("templates must lie in [0, 1]")
        with torch.no_grad():
            self.templates.copy_(torch.as_tensor(np.asarray(templates, np.float32)))

    def used_templates(self) -> Tensor:
        """The (K, t, t) templates as the network sees them."""
        return (self.templates >= 0.5).to(self.templates.dtype) if self.hard else self.templates

    def scores(self, probability: Tensor) -> Tensor:
        """(B, 1, H, W) in [0, 1] -> scores (B, K), float32."""
        templates = self.used_templates().float()
        frame = probability.shape[-2] * probability.shape[-1]
        with torch.autocast(probability.device.type, enabled=False):
            small = F.adaptive_avg_pool2d(probability.detach().float(), templates.shape[-1])
            shape, flat = small.flatten(1), templates.flatten(1)
            overlap = shape @ flat.T
            if self.score == "raw":
                scores = overlap * (frame / flat.shape[1])
            elif self.score == "cosine":
                norms = shape.norm(dim=1, keepdim=True) * flat.norm(dim=1)
                scores = self.temperature * overlap / norms.clamp_min(1e-6)
            else:
                covered = overlap / shape.sum(dim=1, keepdim=True).clamp_min(1e-6)
                scores = self.temperature * (covered - self.beta * flat.mean(dim=1))
        return scores.masked_fill(flat.mean(dim=1) < EMPTY, NEVER)

    def forward(self, probability: Tensor) -> Tensor:
        weights = self.scores(probability).softmax(dim=1)
        weighted = weights[:, :, None, None] * self.used_templates()
        size = probability.shape[-2:]
        return F.interpolate(self.mix(weighted), size=size, mode="bilinear", align_corners=False)
