"""Every baseline that learns to paint, at a size at which a step takes no time, for tests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from hdeocc.learned import Learned
from hdeocc.method import Method, entries, method_class
from hdeocc.stream import batch_indices
from synth.sample import Sample
from tests.fakes import make_samples

SIZE = 32
UNET = {"levels": 5, "generator_width": 4, "discriminator_width": 4}
PCNET = {"width": 4, "discriminator": 4, "levels": 3, "feature": 0.1, "style": 250.0}
DEEPFILL = {"cnum": 8, "discriminator_width": 4, "halvings": 3}

# What differs from preset "quick", by name.
PAINTERS: Mapping[str, Mapping[str, Any]] = {
    "aot-gan": {"width": 4, "blocks": 1, "discriminator_width": 4, "vgg": True},
    "deepfillv2": DEEPFILL,
    "deepfillv2-amodal": DEEPFILL,
    "lama": {"width": 4, "blocks": 1, "discriminator": 4},
    "ovsr": UNET | {"perceptual": 1.0, "style": 40.0},
    "pcnet": PCNET,
    "pcnet-amodal": PCNET,
    "pix2pix": UNET,
    "segan": UNET,
}


def learned_painters() -> list[str]:
    """Registered methods of the content track, but ours, that train networks of their own."""
    names = [key.partition(".")[2] for key in entries("content") if key != "content.two-stage"]
    return [name for name in names if issubclass(method_class("content", name), Learned)]


def painter(name: str) -> tuple[Learned, dict[str, Method]]:
    """An unfitted painter of preset "quick", narrowed, and what it builds on; always the same.

    Its losses look through averages in place of VGG, which is large and may not be installed.
    """
    kind = method_class("content", name)
    upstream = {}
    for key in kind.upstream:
        torch.manual_seed(3)
        upstream[key] = method_class(*key.split(".", 1))("quick")
    torch.manual_seed(0)
    method = kind.variant("quick", PAINTERS[name])
    assert isinstance(method, Learned)
    method.nets.features = averages  # type: ignore[assignment]
    method.loss_networks = lambda: ()  # type: ignore[method-assign]
    return method, upstream


def averages(picture: Tensor) -> list[Tensor]:
    """Two levels of features (B, 3, h, w) of a picture (B, 3, H, W)."""
    return [F.avg_pool2d(picture.float(), side) for side in (2, 4)]


def people(known: str) -> list[Sample]:
    """One person a letter; those with a "y" have a clean picture.

    The letters are in the order in which the first batch of seed 0, if it holds all, has them.
    """
    rng, found = np.random.default_rng(0), {}
    for place, one in zip(batch_indices(len(known), len(known), 0, 0), known, strict=True):
        [found[place]] = make_samples(1, SIZE, rng, clean=one == "y")
    return [found[place] for place in sorted(found)]
