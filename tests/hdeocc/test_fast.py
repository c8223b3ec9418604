"""Fast networks give what the plain ones give, whatever their weights and switches."""

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from hdeocc.attention import ParsingGuidedAttention
from hdeocc.content_recovery import ContentRecovery, ContentRecoveryConfig
from hdeocc.fast import for_inference
from hdeocc.mask_completion import MaskCompletion, MaskCompletionConfig
from hdeocc.merged import MergedAttention, MergedMaskCompletion, SplitUp

STAGE_1 = MaskCompletionConfig(width=1, templates=4, template_size=16)
STAGE_2 = ContentRecoveryConfig(width=8, levels=5)
Network = TypeVar("Network", bound=nn.Module)


def trained(network: Network) -> Network:
    """Numbers as after a training: no norm at its start, no gate closed."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_var, 0.3, 3)
            nn.init.normal_(module.running_mean, 0, 0.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.5)
        if isinstance(module, ParsingGuidedAttention) and module.gate is not None:
            nn.init.normal_(module.gate, 0, 0.5)
    return network.eval()


def stage_1(config: MaskCompletionConfig = STAGE_1) -> MaskCompletion:
    torch.manual_seed(0)
    network = MaskCompletion(config)
    if config.templates:
        shape = (config.templates, config.template_size, config.template_size)
        network.set_templates(np.random.default_rng(0).random(shape, np.float32))
    return trained(network)


def stage_2(**switches: object) -> ContentRecovery:
    torch.manual_seed(0)
    return trained(ContentRecovery(replace(STAGE_2, **switches)))  # type: ignore[arg-type]


def images(batch: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    shape = (height, width)
    return torch.rand(batch, 3, *shape, generator=draw), torch.rand(
        batch, 1, *shape, generator=draw
    )


def people(batch: int, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A noise photo, a box of a person with a wide hole, and random parts."""
    image, _ = images(batch, size, size)
    amodal = torch.zeros(batch, 1, size, size)
    amodal[..., 2:-2, size // 4 : -size // 4] = 1
    modal = amodal.clone()
    modal[..., size // 4 : -size // 4, :] = 0
    labels = torch.randint(1, 20, (batch, size, size), generator=torch.Generator().manual_seed(2))
    parsing = nn.functional.one_hot(labels * amodal[:, 0].long(), 20).permute(0, 3, 1, 2).float()
    return image, modal, amodal, parsing


def assert_same(plain: nn.Module, fast: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    with torch.inference_mode():
        for one, other in zip(plain(*inputs), fast(*inputs), strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(
                    other, one, rtol=1e-4, atol=1e-5 * float(one.abs().max())
                )


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"stacked": False},
        {"parsing": False, "templates": 0},
        {"parsing_convs": 1},
        {"se": False},
        {"templates": 0},
        {"detach": True, "hard_templates": True},
    ],
    ids=str,
)
def test_stage_1_stays_the_same(switches: dict) -> None:
    plain = stage_1(replace(STAGE_1, **switches))
    fast = for_inference(plain)
    for inputs in (images(1, 64, 64), images(3, 50, 37)):
        assert_same(plain, fast, inputs)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"pga_fusion_kernel": 3},
        {"pga_kernel": 1},
        {"pga_positions": ()},
        {"pga_parts": False},
        {"pga_spatial": False},
        {"residual": False, "pga_scaled": False},
        {"mask_after_pga": "keep"},
        {"mask_after_pga": "amodal", "window_normalisation": False},
        {"per_channel_masks": False, "output": "clamp"},
        {"start": "parts"},
    ],
    ids=str,
)
def test_stage_2_stays_the_same(switches: dict) -> None:
    plain = stage_2(**switches)
    fast = for_inference(plain)
    for inputs in (people(1, 64), people(3, 40)):
        assert_same(plain, fast, inputs)


def test_stage_2_stays_the_same_where_windows_hold_nothing_known() -> None:
    """A hole over the whole frame: every norm's shift would show where only zeros belong."""
    image, _, amodal, parsing = people(2, 64)
    everywhere, nowhere = torch.ones_like(amodal), torch.zeros_like(amodal)
    for rule in ("ones", "amodal", "keep"):
        plain = stage_2(mask_after_pga=rule, per_channel_masks=False)
        assert_same(plain, for_inference(plain), (image, nowhere, everywhere, parsing))


@pytest.mark.parametrize("build", [stage_1, stage_2])
def test_the_original_is_left_alone_and_the_copy_is_frozen(build: Callable[[], nn.Module]) -> None:
    plain = build().train()
    before = copy.deepcopy(plain.state_dict())
    fast = for_inference(plain)
    assert plain.training and all(p.requires_grad for p in plain.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in plain.state_dict().items())
    assert not any(m.training for m in fast.modules())
    assert not any(p.requires_grad for p in fast.parameters())


def test_what_is_fast_already_stays_as_it_is() -> None:
    fast = for_inference(stage_2())
    assert for_inference(fast) is fast


def test_every_norm_behind_a_convolution_is_gone() -> None:
    """In stage 1 those in front of one stay: they have nothing to be folded into."""
    one = for_inference(stage_1())
    assert len([m for m in one.modules() if isinstance(m, nn.BatchNorm2d)]) == 2
    assert isinstance(one, MergedMaskCompletion)
    assert len([m for m in one.modules() if isinstance(m, SplitUp)]) == 8
    fast = for_inference(stage_2())
    assert not [m for m in fast.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(isinstance(block, MergedAttention) for block in fast.attention.values())


def test_modal_parsing_can_be_left_out_and_nothing_else_changes() -> None:
    plain = stage_1()
    fast = for_inference(plain, modal_parsing=False)
    with torch.inference_mode():
        one, other = plain(*images(2, 64, 64)), fast(*images(2, 64, 64))
    assert other.modal_parsing is None and one.modal_parsing is not None
    for name in ("modal_logits", "amodal_logits", "amodal_parsing"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=1e-4, atol=1e-4)
    again = for_inference(plain)
    assert again(*images(1, 32, 32)).modal_parsing is not None


def test_a_wrapper_around_both_stages_is_made_fast_inside() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = stage_1(), stage_2()

        def forward(self, *inputs: Tensor) -> list[Tensor]:
            image, modal, amodal, parsing = inputs
            return [self.one(image, modal).amodal_logits, self.two(*inputs).recon]

    plain = Both().eval()
    assert_same(plain, for_inference(plain), people(1, 64))


@pytest.mark.parametrize("channels_last", [True, False])
def test_bfloat16_of_the_fast_network_is_as_close_as_that_of_the_plain(channels_last: bool) -> None:
    plain, inputs = stage_2(), people(2, 64)
    fast = for_inference(plain, channels_last=channels_last)
    with torch.inference_mode():
        exact = plain(*inputs).recon
        with torch.autocast("cpu", torch.bfloat16):
            errors = [(net(*inputs).recon - exact).abs().mean() for net in (plain, fast)]
    assert errors[1] < 1.5 * errors[0] + 1e-4


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_networks_stay_the_same() -> None:
    plain = stage_2(levels=2, pga_positions=("enc2",))
    assert_same(plain, for_inference(plain, compiled=True), people(1, 32))
