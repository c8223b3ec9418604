"""SeGAN's mask completion (Ehsani et al., CVPR 2018).

A ResNet-18 looks at the image and the visible mask; its features are max-pooled over the visible
mask's box, grown on every side, and one convolution turns them into a coarse mask of that box:

    image and initial mask (B, 4, H, W) in [-1, 1]  -> features (B, 8 * width, cells, cells)
    features and box                                -> 6x6 cells -> S x S logits (B, 1, S, S)
    S x S probabilities and box                     -> amodal mask (B, 1, H, W), 0 outside the box

The original enlarges the picture to 500 pixels, where stride 32 leaves 16 cells a side and the 7x7
average pool 10: ``frame=500, stride=32, pool=7``. By default pictures keep their size and the late
strides are left out, which costs no parameter: 26 cells a side at 128 and 256 pixels, 14 at 64. A
grown box thus has six cells or more where it spans a quarter of the frame (3/7 at 64 pixels); a
smaller one repeats cells, as every RoI pooling does.

The side of the mask is no width, and is not made smaller with the network: people of 128 pixels who
go in and out of 28 places a side keep an IoU of 0.91, of 58 one of 0.96. What is hidden outside the
grown box stays lost, as in the original.

Other departures: no pre-trained weights; trained by the loop of all methods instead of SGD with
batch 1; without the texture network's gradient, which the original adds when both stand.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.pix2pix import mask_input
from baselines.segan_boxes import Boxes, crop, paste, roi_max_pool, visible_boxes
from hdeocc.batch import Batch
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track
from metrics import torchvision_compat  # noqa: F401  (must come before torchvision)

BINS = 6  # cells a side that a box is pooled to
ORIGINAL_SIDE = 58  # of the mask that the normalisers are meant for
REGIONS = ("background", "visible", "invisible")


@dataclass(frozen=True)
class SeganMaskConfig:
    """Sizes and loss of SeGAN's mask network; the defaults are ``full``.

    width: channels of the first layer of the ResNet-18, a 64 of the original.
    side: of the predicted mask, 58 in the original.
    frame: side that image and mask are resized to; 0 keeps their size. 500 in the original.
    stride: of the features, 4, 8, 16 or 32 (original).
    pool: side of the average pool (stride 1, no padding) behind the last layer; 1 leaves it out.
    grow: share of the box's size that each of its sides moves out by.
    jitter: in training that share is drawn for every side from grow - jitter to grow + jitter.
    weights, normalisers: of the summed cross-entropy over background, visible and invisible part,
        in this order (the indices 0, 1, 2 of the original's code; its help text has another). The
        normalisers hold for 58x58 masks and are rescaled by area for others.
    """

    width: int = 64
    side: int = 58
    frame: int = 0
    stride: int = 8
    pool: int = 7
    grow: float = 0.2
    jitter: float = 0.1
    weights: tuple[float, ...] = (1.0, 5.0, 3.0)
    normalisers: tuple[float, ...] = (37000.0, 27000.0, 12000.0)

    def __post_init__(self) -> None:
        if self.stride not in (4, 8, 16, 32):
            raise ValueError(f"stride {self.stride}: 4, 8, 16 or 32")
        for name in ("weights", "normalisers"):
            if len(getattr(self, name)) != len(REGIONS):
                raise ValueError(f"{name} {getattr(self, name)}: one for each of {REGIONS}")

    @property
    def pixel_weights(self) -> tuple[float, ...]:
        """What one pixel of the predicted mask weighs, by region."""
        area = (self.side / ORIGINAL_SIDE) ** 2
        return tuple(w / (n * area) for w, n in zip(self.weights, self.normalisers, strict=True))


SEGAN_MASK_PRESETS: dict[Preset, SeganMaskConfig] = {
    "quick": SeganMaskConfig(width=8, side=28, stride=4, pool=3),
    "small": SeganMaskConfig(width=16, stride=4),
    "full": SeganMaskConfig(),
}


def resnet18_features(width: int, stride: int) -> nn.Sequential:
    """ResNet-18 with four input channels and without its end: (B, 4, H, W) -> (B, 8w, ...).

    Layers are named as in torchvision. The last ones lose their stride until ``stride`` is met.
    """
    first = nn.Conv2d(4, width, 7, 2, 3, bias=False)
    layers: dict[str, nn.Module] = {"conv1": first, "bn1": nn.BatchNorm2d(width)}
    layers |= {"relu": nn.ReLU(inplace=True), "maxpool": nn.MaxPool2d(3, 2, 1)}
    layers["layer1"] = _stage(width, width, 1)
    for i in (1, 2, 3):
        step = 2 if 2 ** (i + 2) <= stride else 1
        layers[f"layer{i + 1}"] = _stage(width * 2 ** (i - 1), width * 2**i, step)
    network = nn.Sequential(OrderedDict(layers))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Two of torchvision's residual blocks."""
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if inputs != outputs:
        conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
        shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))
    return nn.Sequential(
        BasicBlock(inputs, outputs, stride, shortcut), BasicBlock(outputs, outputs)
    )


class SeganMaskNet(nn.Module):
    """Image and visible mask (B, 4, H, W) in [-1, 1], and boxes -> logits (B, 1, side, side)."""

    def __init__(self, config: SeganMaskConfig) -> None:
        super().__init__()
        self.config = config
        self.features = resnet18_features(config.width, config.stride)
        self.pool = nn.AvgPool2d(config.pool, stride=1)
        self.head = nn.Conv2d(8 * config.width, config.side**2, BINS)

    def boxes(self, initial: Tensor) -> Boxes:
        """Boxes of initial masks (B, 1, H, W), jittered in training."""
        growth = torch.full((len(initial), 4), self.config.grow, device=initial.device)
        if self.training:
            growth = growth + self.config.jitter * (2 * torch.rand_like(growth) - 1)
        return visible_boxes(initial, growth)

    def cells(self, given: Tensor) -> Tensor:
        """The features that boxes are pooled from; they are taken to span the whole frame."""
        frame = self.config.frame
        if frame:
            given = F.interpolate(given, (frame, frame), mode="bilinear")
        return self.pool(self.features(given))

    def forward(self, given: Tensor, boxes: Boxes) -> Tensor:
        pooled = roi_max_pool(self.cells(given), boxes, BINS)
        side = self.config.side
        return self.head(pooled).reshape(-1, 1, side, side)


def regions(modal: Tensor, amodal: Tensor) -> Tensor:
    """Indices into ``REGIONS`` of true masks (B, 1, H, W): 0, 1 or 2, float32."""
    whole, seen = amodal >= 0.5, modal >= 0.5
    return whole.float() + (whole & ~seen).float()


def region_losses(logits: Tensor, truth: Tensor, pixel_weights: tuple[float, ...]) -> Terms:
    """Binary cross-entropy summed over each region, weighted, as a mean over the samples.

    logits and truth (indices into ``REGIONS``) are (B, 1, S, S).
    """
    target = (truth > 0).float()
    each = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
    sums = [(each * (truth == index)).sum() / len(truth) for index in range(len(REGIONS))]
    named = zip(REGIONS, pixel_weights, sums, strict=True)
    return {name: weight * total for name, weight, total in named}


class SeganMaskNets(Adversarial):
    """The network and its loss; the mask has no adversary."""

    def __init__(self, config: SeganMaskConfig) -> None:
        super().__init__(SeganMaskNet(config))
        self.config = config

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        boxes = cast(SeganMaskNet, self.generator).boxes(batch.initial)
        logits = self.generator(mask_input(batch), boxes)
        truth = crop(regions(batch.modal, batch.amodal), boxes, self.config.side)
        return region_losses(logits, truth, self.config.pixel_weights), {}


class SeganMask(Learned):
    """SeGAN that turns the image and the initial mask into the amodal mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "SeGAN"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, SeganMaskConfig]] = SEGAN_MASK_PRESETS
    weight_decay: ClassVar[float] = 0.0

    def __init__(self, preset: Preset = "quick", sizes: SeganMaskConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = SeganMaskNets(sizes or SEGAN_MASK_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        net = cast(SeganMaskNet, self.nets.generator)
        boxes = net.boxes(batch.initial)
        probability = net(mask_input(batch), boxes).float().sigmoid()
        return paste(probability, boxes, *batch.image.shape[-2:])
