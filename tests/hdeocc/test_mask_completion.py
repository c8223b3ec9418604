"""Stage 1: shapes, parameter counts, switches, gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from hdeocc.losses import mask_losses
from hdeocc.mask_completion import MaskCompletion, MaskCompletionConfig, MaskOutput

SMALL = MaskCompletionConfig(width=1, templates=4, template_size=16)


def build(config: MaskCompletionConfig) -> MaskCompletion:
    torch.manual_seed(0)
    net = MaskCompletion(config)
    if config.templates:
        shape = (config.templates, config.template_size, config.template_size)
        net.set_templates(np.random.default_rng(0).random(shape, np.float32))
    return net


def inputs(batch: int, size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(batch, 3, size, size, generator=generator)
    return image, (torch.rand(batch, 1, size, size, generator=generator) > 0.5).float()


def total_loss(out: MaskOutput, mask: Tensor) -> Tensor:
    parsing = (mask[:, 0] * 5).long()
    has_parsing = torch.ones(len(mask), dtype=torch.bool)
    amodal = mask.roll(3, dims=-1).maximum(mask)
    return torch.stack(list(mask_losses(out, mask, amodal, parsing, has_parsing).values())).sum()


@pytest.mark.parametrize(("width", "millions"), [(1, 1.8), (2, 6.8), (4, 27.0)])
def test_parameter_count_of_the_paper(width: int, millions: float) -> None:
    with torch.device("meta"):
        net = MaskCompletion(MaskCompletionConfig(width=width))
    count = sum(p.numel() for p in net.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(("size", "batch"), [(64, 2), (128, 1), (256, 1)])
def test_shapes(size: int, batch: int) -> None:
    with torch.inference_mode():
        out = build(SMALL).eval()(*inputs(batch, size))
    assert [t.shape for t in out if t is not None] == [
        (batch, channels, size, size) for channels in (2, 2, 20, 20)
    ]
    assert torch.allclose(out.amodal_probability, out.amodal_logits.softmax(dim=1)[:, 1:])
    assert out.modal_probability.shape == (batch, 1, size, size)


@pytest.mark.parametrize(
    "switches",
    [
        {},
        {"stacked": False},
        {"parsing": False},
        {"parsing_convs": 1},
        {"se": False},
        {"detach": True},
        {"templates": 0},
        {"template_score": "coverage"},
        {"template_score": "raw"},
        {"hard_templates": True},
        {"init_gain": 0.02},
    ],
    ids=str,
)
def test_every_switch_trains_every_parameter(switches: dict) -> None:
    net = build(replace(SMALL, **switches)).train()
    image, initial = inputs(2, 32)
    out = net(image, initial)
    assert (out.amodal_parsing is None) == (switches.get("parsing") is False)
    total_loss(out, initial).backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_switches_change_the_number_of_parameters_as_named() -> None:
    def count(**switches: object) -> int:
        with torch.device("meta"):
            net = MaskCompletion(replace(SMALL, **switches))
        return sum(p.numel() for p in net.parameters())

    full = count()
    assert count(stacked=False) < 0.6 * full
    assert full - count(parsing_convs=1) == 2 * (32 * 32 * 9 + 32)
    assert full - count(se=False) == 2 * (32 * 8 + 8 + 8 * 32 + 32)
    assert full - count(templates=0) == (4 * 32 * 9 + 32) + 32 * 32 * 9 + 1


def test_detach_keeps_the_mask_loss_out_of_the_parsing_block() -> None:
    grads = {}
    for detach in (False, True):
        net = build(replace(SMALL, detach=detach)).train()
        net(*inputs(2, 32)).amodal_logits.sum().backward()
        assert net.amodal_parsing is not None
        grads[detach] = net.amodal_parsing.block.projection.weight.grad
    assert grads[False] is not None and grads[False].any()
    assert grads[True] is None


def test_templates_travel_with_the_weights_and_matter() -> None:
    net, other = build(SMALL).eval(), MaskCompletion(SMALL).eval()
    other.load_state_dict(net.state_dict())
    with torch.inference_mode():
        before = net(*inputs(1, 32)).amodal_logits
        assert torch.equal(other(*inputs(1, 32)).amodal_logits, before)
        other.set_templates(np.zeros((4, 16, 16), np.float32))
        assert not torch.equal(other(*inputs(1, 32)).amodal_logits, before)
    with pytest.raises(ValueError, match="without templates"):
        build(replace(SMALL, templates=0)).set_templates(np.zeros((0, 16, 16), np.float32))


def test_bfloat16_stays_close_to_float32() -> None:
    net = build(SMALL).eval()
    image, initial = inputs(2, 64)
    with torch.inference_mode():
        exact = net(image, initial).amodal_probability
        net = net.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            fast = net(image.contiguous(memory_format=torch.channels_last), initial)
    assert fast.amodal_probability.dtype == torch.float32
    assert (fast.amodal_probability - exact).abs().max() < 0.03


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="parsing_convs"):
        MaskCompletionConfig(parsing_convs=3)
