"""The control: as large as stage 1, of the same blocks, and a method like every other."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from baselines.unet import UNET_PRESETS, UNet, UNetConfig, UNetMask
from hdeocc.batch import collate
from hdeocc.hourglass import Hourglass
from hdeocc.losses import MaskLossConfig
from hdeocc.method import PRESETS
from hdeocc.two_stage_mask import TwoStageMask
from tests.conformance import LearnedConformance
from tests.fakes import make_samples


class TestUNetMask(LearnedConformance):
    method = UNetMask


@pytest.mark.parametrize("preset", PRESETS)
def test_it_has_as_many_parameters_as_stage_1(preset: Any) -> None:
    with torch.device("meta"):
        ours, control = TwoStageMask(preset), UNetMask(preset)
    assert control.parameters_used() == pytest.approx(ours.parameters_used(), rel=0.03)
    assert control.consumes == ours.consumes
    assert control.weight_decay == ours.weight_decay
    assert control.generator_betas == ours.generator_betas


@pytest.mark.parametrize("size", [(64, 64), (50, 37)])
def test_scores_have_the_size_of_the_photo(size: tuple[int, int]) -> None:
    net = UNet((4, 8, 16, 32, 20)).eval()
    with torch.inference_mode():
        assert net(torch.zeros(1, 3, *size), torch.zeros(1, 1, *size)).shape == (1, 1, *size)


def test_with_the_hourglass_s_channels_it_is_one_hourglass() -> None:
    with torch.device("meta"):
        ours, control = Hourglass(4, 2), UNet((32, 64, 128, 256, 256))
    sizes = [sum(p.numel() for p in net.parameters()) for net in (ours, control)]
    assert sizes[1] - sizes[0] == 32 * 9 + 1, "only the convolution that gives the mask"


def test_the_loss_is_stage_1_s_of_the_amodal_mask() -> None:
    theirs = MaskLossConfig()
    for config in UNET_PRESETS.values():
        assert config.cross_entropy == theirs.cross_entropy * theirs.amodal_ce
        assert config.l1 == theirs.l1
    torch.manual_seed(0)
    nets = UNetMask("quick", UNetConfig((4, 4, 4, 4, 4))).nets
    with torch.no_grad():
        for parameter in nets.generator.parameters():
            parameter.zero_()
    terms, made = nets.generator_step(collate(make_samples(2, 32, np.random.default_rng(0))))
    assert {k: float(v.detach()) for k, v in terms.items()} == pytest.approx(
        {"amodal_ce": 0.5 * math.log(2), "l1": 0.1 * 0.5}
    )
    assert not made and nets.discriminator is None
