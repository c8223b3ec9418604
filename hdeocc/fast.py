"""Networks made faster for inference, with results equal up to the rounding of float sums.

Batch norm in eval mode multiplies and adds constants per channel, so it moves into the weights of
the convolution before it; `hdeocc.merged` has what becomes of whole blocks. Nothing here is for
training.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hdeocc.attention import ParsingGuidedAttention
from hdeocc.content_recovery import Level
from hdeocc.hourglass import Hourglass
from hdeocc.mask_completion import MaskCompletion
from hdeocc.merged import MergedAttention, MergedMaskCompletion, split_ups

Network = TypeVar("Network", bound=nn.Module)
_MARK = "made_for_inference"


def for_inference(
    network: Network,
    *,
    channels_last: bool = True,
    modal_parsing: bool = True,
    compiled: bool = False,
) -> Network:
    """A frozen copy of a network in eval mode that gives the same results sooner.

    Any network of this package, or one that holds some of them; the original stays as it is. What
    this function gave before is given back as it is.

    channels_last: keep weights in the memory format that convolutions are fastest on.
    modal_parsing: False leaves out the parsing logits of the visible person in stage 1, which
        nothing reads at test time; `MaskOutput.modal_parsing` is then None.
    compiled: torch.compile the forward pass; the first call of every shape then takes minutes,
        and a C++ compiler (CPU) or Triton (CUDA) must be there.
    """
    if getattr(network, _MARK, False):
        return network
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    for module in fast.modules():
        if isinstance(module, nn.Sequential):
            _fold_sequential(module)
        elif isinstance(module, Level):
            _fold_level(module)
        elif isinstance(module, MaskCompletion) and module.modal_parsing and not modal_parsing:
            module.modal_parsing.logits = None
    fast = _rebuilt(fast)
    setattr(fast, _MARK, True)
    fast.eval()  # the new convolutions too
    if channels_last:
        for weight in fast.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    if compiled:
        fast.compile()
    return fast


def _rebuilt(module: Any) -> Any:
    """The module, or the one that takes its place; its children first."""
    for name, child in list(module.named_children()):
        setattr(module, name, _rebuilt(child))
    if isinstance(module, Hourglass):
        split_ups(module)
    elif isinstance(module, ParsingGuidedAttention) and module.parts and module.spatial:
        return MergedAttention(module)
    elif isinstance(module, MaskCompletion) and module.modal_parsing:
        return MergedMaskCompletion(module)
    return module


def _fold_sequential(layers: nn.Sequential) -> None:
    """Fold every batch norm that stands behind a convolution into it."""
    for i in range(len(layers) - 1):
        conv, norm = layers[i], layers[i + 1]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            layers[i], layers[i + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def _fold_level(level: Level) -> None:
    """Fold batch norm into a partial convolution.

    The window factor multiplies what the scaled weights give, so scaling commutes with it. The
    shift becomes the bias, which stays zero where nothing is known: there the network sets the
    values to zero anyway.
    """
    norm, conv = level.norm, level.conv
    if not isinstance(norm, nn.BatchNorm2d):
        return
    assert norm.running_mean is not None and norm.running_var is not None
    factor = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * factor
    before = 0 if conv.bias is None else conv.bias * factor
    conv.conv.weight = nn.Parameter(conv.conv.weight * factor[:, None, None, None], False)
    conv.bias = nn.Parameter(shift + before, False)
    level.norm = nn.Identity()
