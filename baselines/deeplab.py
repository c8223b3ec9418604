"""DeepLabv3 (Chen et al., 2017) of torchvision's parts, with and without the initial mask.

    image                   (B, 3, H, W) -> amodal mask (B, 1, H, W)   row "image only"
    image and initial mask  (B, 4, H, W) -> amodal mask (B, 1, H, W)

A dilated ResNet of bottlenecks, atrous spatial pyramid pooling (ASPP) and a second head on the
third stage, which takes part in training only. Scores of two classes, background and person, are
upsampled bilinearly; the loss is their cross-entropy, and half of the second head's. With the image
alone the network cannot be told which person is meant: it is the one the picture is centred on.

Nothing is pre-trained. At 256 pixels the dilation rates are 6, 12 and 18, the original's for an
output stride of 16 (its 12, 24 and 36 at 8 reach past a map of 32 pixels). The smaller presets
leave out the max-pool behind the first convolution, so that the output stride is 4 in place of 8:
128 pixels give the same maps as 256 do at full size, 64 give maps of half that side and have half
the rates. They have fewer and narrower bottlenecks and a narrower head.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc.across import world_size
from hdeocc.batch import Batch
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track
from metrics import torchvision_compat  # noqa: F401  (must come before torchvision)

# isort: split
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.resnet import Bottleneck
from torchvision.models.segmentation.deeplabv3 import ASPP, ASPPPooling
from torchvision.models.segmentation.fcn import FCNHead


@dataclass(frozen=True)
class DeepLabConfig:
    """Sizes and loss; the defaults are torchvision's on a ResNet-50, with rates for 256 pixels.

    width: channels of the first convolution; a stage gives 4, 8, 16 and 32 times as many.
    blocks: bottlenecks of each of the four stages.
    pool: the max-pool behind the first convolution; the output stride is 8 with it, 4 without.
    rates: dilation of ASPP's three 3x3 convolutions.
    head: channels of ASPP and of the convolution behind it.
    auxiliary: weight of the second head's cross-entropy; 0 leaves the head out.
    """

    width: int = 64
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    pool: bool = True
    rates: tuple[int, ...] = (6, 12, 18)
    head: int = 256
    auxiliary: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))
        object.__setattr__(self, "rates", tuple(self.rates))
        if len(self.blocks) != 4:
            raise ValueError(f"blocks {self.blocks}: one number for each of the four stages")


DEEPLAB_PRESETS: dict[Preset, DeepLabConfig] = {
    "quick": DeepLabConfig(8, (1, 1, 1, 1), pool=False, rates=(3, 6, 9), head=32),
    "small": DeepLabConfig(16, (2, 2, 2, 2), pool=False, head=96),
    "full": DeepLabConfig(),
}


def trunk(
    inputs: int,
    width: int,
    blocks: Sequence[int],
    *,
    pool: bool,
    dilated: bool,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
) -> nn.Sequential:
    """torchvision's ResNet up to its last stage, of any width: (B, inputs, H, W) -> maps.

    Layers "layer1" to "layer4" give 4, 8, 16 and 32 times ``width`` channels at strides 4, 8, 16
    and 32, or half of that without the max-pool. ``dilated``: the last two stages keep the second
    one's stride. torchvision's own class has a fixed width of 64, which this equals there.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = nn.Conv2d(inputs, width, 7, 2, 3, bias=False)
    layers["bn1"] = norm(width)
    layers["relu"] = nn.ReLU(inplace=True)
    if pool:
        layers["maxpool"] = nn.MaxPool2d(3, 2, 1)
    channels = width
    for i, count in enumerate(blocks):
        # The first bottleneck of a dilated stage still has the dilation of the stage before.
        before, after = (2 ** max(0, i - 2), 2 ** max(0, i - 1)) if dilated else (1, 1)
        stride = 2 if i > 0 and before == after else 1
        layers[f"layer{i + 1}"] = _stage(
            channels, width * 2**i, count, stride, (before, after), norm
        )
        channels = 4 * width * 2**i
    network = nn.Sequential(layers)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return network


def _stage(
    inputs: int,
    planes: int,
    count: int,
    stride: int,
    dilations: tuple[int, int],
    norm: Callable[[int], nn.Module],
) -> nn.Sequential:
    """Bottlenecks, the first of them with a stride, its own dilation and a projection."""
    shortcut = nn.Sequential(nn.Conv2d(inputs, 4 * planes, 1, stride, bias=False), norm(4 * planes))
    first = Bottleneck(inputs, planes, stride, shortcut, dilation=dilations[0], norm_layer=norm)
    others = [
        Bottleneck(4 * planes, planes, dilation=dilations[1], norm_layer=norm)
        for _ in range(count - 1)
    ]
    return nn.Sequential(first, *others)


class ImagePooling(ASPPPooling):
    """ASPP's branch that sees the mean of the map: (B, inputs, h, w) -> (B, outputs, h, w).

    Its batch norm has one number a sample and channel. In training a single sample has no variance,
    so its norm falls back on the running statistics, as in eval mode, and leaves them alone.
    """

    def forward(self, x: Tensor) -> Tensor:
        pool, conv, norm, relu = self
        mean = conv(pool(x))
        if self.training and len(x) * world_size() == 1:
            norm = cast(nn.BatchNorm2d, norm)
            mean = F.batch_norm(
                mean, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps
            )
        else:
            mean = norm(mean)
        return relu(mean).expand(-1, -1, *x.shape[-2:])


def head(inputs: int, channels: int, rates: Sequence[int]) -> nn.Sequential:
    """torchvision's DeepLabHead of any width: (B, inputs, h, w) -> scores (B, 2, h, w)."""
    pyramid = ASPP(inputs, rates, channels)
    pyramid.convs[-1] = ImagePooling(inputs, channels)
    return nn.Sequential(
        pyramid,
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, 2, 1),
    )


class Scores(NamedTuple):
    """Raw scores of background and person, float32, at the size of the picture."""

    main: Tensor  # (B, 2, H, W)
    auxiliary: Tensor | None  # the same of the second head; None in eval mode


class DeepLab(nn.Module):
    """(B, inputs, H, W) in [-1, 1] -> scores of two classes; layers are named as torchvision's."""

    def __init__(self, inputs: int, config: DeepLabConfig) -> None:
        super().__init__()
        body = trunk(inputs, config.width, config.blocks, pool=config.pool, dilated=True)
        # The getter keeps layers up to the last one it is asked for.
        self.backbone = IntermediateLayerGetter(body, {"layer3": "aux", "layer4": "out"})
        self.classifier = head(32 * config.width, config.head, config.rates)
        self.aux_classifier = FCNHead(16 * config.width, 2) if config.auxiliary else None

    def forward(self, x: Tensor) -> Scores:
        maps = self.backbone(x)
        size = x.shape[-2:]
        main = _upsampled(self.classifier(maps["out"]), size)
        if self.aux_classifier is None or not self.training:
            return Scores(main, None)
        return Scores(main, _upsampled(self.aux_classifier(maps["aux"]), size))


def _upsampled(scores: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(scores.float(), size=size, mode="bilinear", align_corners=False)


class DeepLabNets(Adversarial):
    """The network and its loss; there is no adversary."""

    def __init__(self, inputs: Sequence[str], config: DeepLabConfig) -> None:
        super().__init__(DeepLab(3 + ("initial" in inputs), config))
        self.inputs, self.weight = inputs, config.auxiliary

    def scores(self, batch: Batch) -> Scores:
        """The network's answer to the inputs of its row, which it sees in [-1, 1]."""
        given = torch.cat([getattr(batch, name) for name in self.inputs], dim=1)
        return cast(Scores, self.generator(given * 2 - 1))

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        scores = self.scores(batch)
        whole = (batch.amodal[:, 0] >= 0.5).long()
        terms = {"amodal_ce": F.cross_entropy(scores.main, whole)}
        if scores.auxiliary is not None:
            terms["auxiliary_ce"] = self.weight * F.cross_entropy(scores.auxiliary, whole)
        return terms, {}


class _DeepLab(Learned):
    """What the two rows share; a subclass names its inputs in the order of the channels."""

    track: ClassVar[Track] = "mask"
    presets: ClassVar[Mapping[Preset, DeepLabConfig]] = DEEPLAB_PRESETS
    inputs: ClassVar[tuple[str, ...]]

    def __init__(self, preset: Preset = "quick", sizes: DeepLabConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = DeepLabNets(self.inputs, sizes or DEEPLAB_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        return cast(DeepLabNets, self.nets).scores(batch).main.softmax(dim=1)[:, 1:]

    def parameters_used(self) -> int:
        """All but those of the second head, which only helps to train."""
        names = self.nets.generator.named_parameters()
        return sum(p.numel() for name, p in names if not name.startswith("aux_classifier."))


class DeepLabImageMask(_DeepLab):
    """DeepLabv3 that sees the image alone and finds the person that it is centred on."""

    title: ClassVar[str] = "DeepLabv3, image only"
    consumes: ClassVar[frozenset[str]] = frozenset({"image"})
    inputs: ClassVar[tuple[str, ...]] = ("image",)


class DeepLabMask(_DeepLab):
    """DeepLabv3 whose first convolution sees the initial mask as a fourth channel."""

    title: ClassVar[str] = "DeepLabv3"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    inputs: ClassVar[tuple[str, ...]] = ("image", "initial")
