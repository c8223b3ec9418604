"""Mask R-CNN (He et al., ICCV 2017), torchvision's, trained on whole people from scratch.

    image (B, 3, H, W) -> detections, each a box and a 28x28 mask of a whole person
    detections and initial mask (B, 1, H, W) -> amodal mask (B, 1, H, W)

Boxes and masks of training are amodal, and the network sees the image alone. At test the detection
whose mask (at 0.5) has the best IoU with the initial mask is taken, the one with the best score
where none touches it; its soft mask is pasted into an empty frame, so that a half is the outline.
Nothing found is an empty prediction; the tables tell such masks below them, among all that have no
pixel of the person (``leaderboards.formats.nobody_found``).

Masks go into boxes and out of them by one rule, in which a pixel is an area from edge to edge.
torchvision samples the masks to learn with pixels for points, and pastes into boxes of whole
pixels: of a true mask that goes in and out of 28x28 places, people of 64 pixels keep an IoU of
0.86, and 0.92 at 128 pixels. By the one rule they keep 0.99 and 0.98.

As nothing is pre-trained, the ResNet has group norm in place of frozen batch norm, and so have the
pyramid and the mask head. Pictures are never resized: the anchors are scaled instead, from a
sixteenth of the picture's side to the whole of it. The smaller presets leave out the max-pool
behind the first convolution, which halves all strides, and have fewer and narrower layers.

Choosing proposals is not smooth: rounding may exchange one for another. So that a prediction is the
same in every batch, pictures are looked at one by one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.deeplab import trunk
from baselines.roi_operators import stand_in
from baselines.segan_boxes import Boxes, paste
from hdeocc.batch import Batch
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Preset, Track
from metrics import torchvision_compat  # noqa: F401  (must come before torchvision)

# isort: split
from torchvision.models.detection import MaskRCNN, roi_heads
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform

stand_in()  # else torchvision's networks fail at their first box, where its operators do not fit

BOX_GRID = 7
RATIOS = (0.5, 1.0, 2.0)


@dataclass(frozen=True)
class MaskRCNNConfig:
    """Sizes; the defaults are torchvision's with a ResNet-50, and anchors for 256 pixels.

    width: channels of the first convolution; a stage gives 4, 8, 16 and 32 times as many.
    blocks: bottlenecks of each of the four stages.
    pool: the max-pool behind the first convolution; strides are 4 to 64 with it, 2 to 32 without.
    groups: of group norm, or the most that divide a layer's channels.
    pyramid: channels of the feature pyramid.
    hidden: channels of the box head's two linear layers.
    mask_layers: channels of the mask head's 3x3 convolutions.
    anchors: sides of the anchors of the five levels in pixels.
    box_samples: proposals that the losses of a picture look at.
    proposals: kept of each level before and of a picture after suppression in training; at test
        half of them.
    """

    width: int = 64
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    pool: bool = True
    groups: int = 32
    pyramid: int = 256
    hidden: int = 1024
    mask_layers: tuple[int, ...] = (256, 256, 256, 256)
    anchors: tuple[int, ...] = (16, 32, 64, 128, 256)
    box_samples: int = 512
    proposals: int = 2000

    def __post_init__(self) -> None:
        for name in ("blocks", "mask_layers", "anchors"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.blocks) != 4:
            raise ValueError(f"blocks {self.blocks}: one number for each of the four stages")
        if len(self.anchors) != 5:
            raise ValueError(f"anchors {self.anchors}: one side for each of the five levels")


MASK_RCNN_PRESETS: dict[Preset, MaskRCNNConfig] = {
    "quick": MaskRCNNConfig(
        width=8,
        blocks=(1, 1, 1, 1),
        pool=False,
        groups=4,
        pyramid=32,
        hidden=96,
        mask_layers=(32, 32),
        anchors=(4, 8, 16, 32, 64),
        box_samples=64,
        proposals=100,
    ),
    "small": MaskRCNNConfig(
        width=16,
        blocks=(2, 2, 2, 2),
        pool=False,
        groups=8,
        pyramid=64,
        hidden=256,
        mask_layers=(64, 64, 64, 64),
        anchors=(8, 16, 32, 64, 128),
        box_samples=128,
        proposals=500,
    ),
    "full": MaskRCNNConfig(),
}


# --- network ----------------------------------------------------------------------------------
# Under autocast boxes would be decoded, and anchors placed, to 8 bits: a pixel of 256. Whatever
# becomes a coordinate, a score or a loss is therefore handed on in float32.


class _Pyramid(BackboneWithFPN):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: level.float() for name, level in super().forward(x).items()}


class _ProposalHead(RPNHead):
    def forward(self, x: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        scores, deltas = super().forward(x)
        return [t.float() for t in scores], [t.float() for t in deltas]


class _BoxPredictor(FastRCNNPredictor):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scores, deltas = super().forward(x)
        return scores.float(), deltas.float()


class _MaskPredictor(MaskRCNNPredictor):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).float()


class _AsTheyAre(GeneralizedRCNNTransform):
    """Normalises pictures and pads them to whole strides, but never resizes them."""

    def resize(self, image: Tensor, target: Any = None) -> tuple[Tensor, Any]:
        bottom, right = (-side % self.size_divisible for side in image.shape[-2:])
        return F.pad(image, (0, right, 0, bottom)), target

    def postprocess(self, result: Any, image_shapes: Any, original_image_sizes: Any) -> Any:
        if not self.training:
            for found, size in zip(result, original_image_sizes, strict=True):
                found["masks"] = pasted(found["masks"], found["boxes"], size)
        return result


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """Group norm with ``groups`` groups, or the most that divide the channels."""
    return nn.GroupNorm(math.gcd(groups, channels), channels)


def mask_rcnn(config: MaskRCNNConfig) -> MaskRCNN:
    """torchvision's Mask R-CNN of two classes, background and person.

    In training mode it maps pictures (3, H, W) in [0, 1] and targets to five losses, in eval mode
    pictures to detections, the best score first.
    """
    norm = partial(group_norm, groups=config.groups)
    body = trunk(3, config.width, config.blocks, pool=config.pool, dilated=False, norm=norm)
    stages = {f"layer{i + 1}": str(i) for i in range(4)}
    widths = [4 * config.width * 2**i for i in range(4)]
    anchors = AnchorGenerator(tuple((side,) for side in config.anchors), (RATIOS,) * 5)
    last = config.mask_layers[-1]
    network = MaskRCNN(
        _Pyramid(body, stages, widths, config.pyramid, norm_layer=norm),
        rpn_anchor_generator=anchors,
        rpn_head=_ProposalHead(config.pyramid, len(RATIOS)),
        rpn_pre_nms_top_n_train=config.proposals,
        rpn_post_nms_top_n_train=config.proposals,
        rpn_pre_nms_top_n_test=config.proposals // 2,
        rpn_post_nms_top_n_test=config.proposals // 2,
        box_head=TwoMLPHead(config.pyramid * BOX_GRID**2, config.hidden),
        box_predictor=_BoxPredictor(config.hidden, 2),
        box_batch_size_per_image=config.box_samples,
        mask_head=MaskRCNNHeads(config.pyramid, config.mask_layers, 1, norm),
        mask_predictor=_MaskPredictor(last, last, 2),
    )
    was = network.transform
    network.transform = _AsTheyAre(was.min_size, was.max_size, was.image_mean, was.image_std)
    return network


# --- method -----------------------------------------------------------------------------------


def target_of(whole: Tensor) -> dict[str, Tensor]:
    """What torchvision wants to know of one picture's person (H, W) bool.

    "boxes" (N, 4) float32 from edge to edge of the outermost pixels, "labels" (N,), "masks"
    (N, H, W) uint8. N is 1, or 0 where there is no person.
    """
    rows, columns = (whole.any(dim=d).nonzero()[:, 0] for d in (1, 0))
    corners = rows.new_zeros(0, 4)
    if len(rows):
        corners = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])[None]
    masks = whole.byte().expand(len(corners), -1, -1)
    return {"boxes": corners.float(), "labels": rows.new_ones(len(corners)), "masks": masks}


def pasted(masks: Tensor, corners: Tensor, size: tuple[int, int]) -> Tensor:
    """Soft masks (N, 1, S, S) of boxes (N, 4) in pixels, in empty pictures (N, 1, H, W)."""
    height, width = size
    if not len(masks):
        return masks.new_zeros(0, 1, height, width)
    left, top, right, bottom = corners.unbind(1)
    rows, columns = torch.stack([top, bottom], 1), torch.stack([left, right], 1)
    return paste(masks, Boxes(rows / height, columns / width), height, width)


def mask_targets(masks: Tensor, corners: Tensor, side: int) -> Tensor:
    """What boxes (N, 4) hold of a picture's one mask (1, H, W): (N, side, side) in [0, 1].

    roi_align has a pixel's centre at its number, half a pixel from where its box has it.
    """
    rois = torch.cat([corners.new_zeros(len(corners), 1), corners - 0.5], dim=1)
    found: Tensor = roi_heads.roi_align(masks[None].float(), rois, (side, side), 1.0)
    return found[:, 0]


def mask_loss(logits: Tensor, corners: list[Tensor], masks: list[Tensor]) -> Tensor:
    """Mean binary cross-entropy of logits (N, S, S) of the boxes of all pictures together.

    corners and masks: by picture, (n, 4) and (1, H, W), the latter (0, H, W) where n is 0.
    """
    if not len(logits):
        return logits.sum() * 0
    side = logits.shape[-1]
    each = [mask_targets(m, c, side) for m, c in zip(masks, corners, strict=True) if len(c)]
    return F.binary_cross_entropy_with_logits(logits, torch.cat(each))


def best_match(masks: Tensor, initial: Tensor) -> Tensor:
    """Of soft masks (N, 1, H, W), N > 0, the one with the best IoU to ``initial`` (1, H, W) at 0.5.

    The first of equally good ones.
    """
    found, seen = masks > 0.5, initial > 0.5
    common, both = (t.sum(dim=(1, 2, 3)) for t in (found & seen, found | seen))
    return masks[(common / both.clamp_min(1)).argmax()]


class MaskRCNNNets(Adversarial):
    """The network and its losses; there is no adversary."""

    def __init__(self, config: MaskRCNNConfig) -> None:
        super().__init__(mask_rcnn(config))

    def generator_step(self, batch: Batch) -> tuple[Terms, Terms]:
        """torchvision's losses of anchors and of proposals (class, box); ours of masks."""
        targets = [target_of(whole[0] >= 0.5) for whole in batch.amodal]
        heads: Any = self.generator.roi_heads
        kept: dict[str, Any] = {}
        hooks = [
            heads.mask_roi_pool.register_forward_hook(
                lambda _, given, out: kept.update(corners=given[1])
            ),
            heads.mask_predictor.register_forward_hook(
                lambda _, given, out: kept.update(logits=out[:, 1])
            ),
        ]
        try:
            losses = dict(self.generator(list(batch.image), targets))
        finally:
            for hook in hooks:
                hook.remove()
        masks = [target["masks"] for target in targets]
        losses["loss_mask"] = mask_loss(kept["logits"], kept["corners"], masks)
        return losses, {}


class MaskRCNNMask(Learned):
    """Mask R-CNN whose detection that fits the initial mask best is the amodal mask."""

    track: ClassVar[Track] = "mask"
    title: ClassVar[str] = "Mask R-CNN"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial"})
    presets: ClassVar[Mapping[Preset, MaskRCNNConfig]] = MASK_RCNN_PRESETS

    def __init__(self, preset: Preset = "quick", sizes: MaskRCNNConfig | None = None) -> None:
        super().__init__(preset)
        self.nets = MaskRCNNNets(sizes or MASK_RCNN_PRESETS[preset])

    def infer(self, batch: Batch) -> Tensor:
        pairs = zip(batch.image, batch.initial, strict=True)
        return torch.stack([self._whole(image, initial) for image, initial in pairs])

    def _whole(self, image: Tensor, initial: Tensor) -> Tensor:
        """The amodal mask (1, H, W) of one picture."""
        (found,) = self.nets.generator([image])
        if not len(found["masks"]):
            return torch.zeros_like(initial)
        return best_match(found["masks"], initial)
