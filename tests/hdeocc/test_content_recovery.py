"""Stage 2: shapes, parameter counts, switches, gradients, and blindness inside the hole."""

import json
from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from hdeocc.content_recovery import (
    ContentRecovery,
    ContentRecoveryConfig,
    dim_background,
    hole_of,
)

SMALL = ContentRecoveryConfig(width=8, levels=5)


def build(config: ContentRecoveryConfig = SMALL) -> ContentRecovery:
    torch.manual_seed(0)
    return ContentRecovery(config)


def inputs(batch: int, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A noise photo, a box of a person, an occluder over its middle, two parts."""
    image = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(1))
    amodal = torch.zeros(batch, 1, size, size)
    amodal[..., size // 8 : -size // 8, size // 4 : -size // 4] = 1
    modal = amodal.clone()
    modal[..., size // 4 : size // 2, : 5 * size // 8] = 0
    labels = (amodal[:, 0] * 5).long()
    labels[:, size // 2 :] += (amodal[:, 0, size // 2 :] * 4).long()
    parsing = torch.nn.functional.one_hot(labels, 20).permute(0, 3, 1, 2).float()
    return image, modal, amodal, parsing


def count(net: torch.nn.Module) -> float:
    return sum(p.numel() for p in net.parameters()) / 1e6


def test_parameter_count_of_the_released_network() -> None:
    with torch.device("meta"):
        net = ContentRecovery(ContentRecoveryConfig.as_released())
    assert count(net) == pytest.approx(55.6, rel=0.01)
    assert count(net.attention) == pytest.approx(29.8, rel=0.01)
    assert count(net) - count(net.attention) == pytest.approx(25.8, rel=0.01)


def test_fusing_with_1x1_saves_most_of_the_attention() -> None:
    with torch.device("meta"):
        net = ContentRecovery(ContentRecoveryConfig())
    assert count(net.attention) == pytest.approx(10.0, rel=0.01)


@pytest.mark.parametrize(
    ("size", "levels", "batch", "train"),
    [(64, 5, 2, True), (64, 7, 2, True), (128, 6, 1, False), (256, 7, 1, False), (40, 5, 1, False)],
)
def test_shapes_and_range(size: int, levels: int, batch: int, train: bool) -> None:
    net = build(replace(SMALL, levels=levels)).train(train)
    with torch.no_grad():
        out = net(*inputs(batch, size))
    for picture in out:
        assert picture.shape == (batch, 3, size, size)
        assert picture.min() >= 0 and picture.max() <= 1


SWITCHES = [
    {},
    {"pga_positions": ()},
    {"pga_positions": ("enc2", "dec2")},
    {"pga_parts": False},
    {"pga_spatial": False},
    {"pga_kernel": 1, "pga_fusion_kernel": 3},
    {"pga_scaled": False},
    {"residual": False},
    {"mask_after_pga": "amodal"},
    {"mask_after_pga": "keep"},
    {"per_channel_masks": False},
    {"window_normalisation": False},
    {"output": "clamp"},
    {"start": "smooth"},
    {"start": "smooth", "output": "clamp"},
    {"start": "parts"},
    {"background": 1.0},
    {"init_gain": 1.0},
]


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_output_does_not_depend_on_pixels_in_the_hole(switches: dict) -> None:
    net = build(replace(SMALL, **switches)).eval()
    for block in net.attention.values():
        if block.gate is not None:
            torch.nn.init.ones_(block.gate)
    image, modal, amodal, parsing = inputs(1, 64)
    hole = hole_of(modal, amodal)
    with torch.no_grad():
        first = net(image, modal, amodal, parsing)
        for other in (1 - image, torch.full_like(image, torch.nan)):
            second = net(torch.where(hole, other, image), modal, amodal, parsing)
            assert torch.equal(first.recon, second.recon)
            assert torch.equal(first.comp, second.comp)
    outside = ~hole.expand_as(image)
    assert torch.equal(first.comp[outside], image[outside])
    assert torch.equal(first.comp[~outside], first.recon[~outside])


@pytest.mark.parametrize("switches", SWITCHES, ids=str)
def test_every_parameter_learns_after_one_step(switches: dict) -> None:
    net = build(replace(SMALL, width=16, **switches)).train()
    batch = inputs(2, 64)
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        (net(*batch).recon - batch[0].roll(1, 0)).square().mean().backward()
        silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.any()]
        optimiser.step()
    assert silent == []


def test_the_whole_mask_is_seen_inside_the_hole_only_with_per_channel_masks() -> None:
    """A soft change of the amodal channel where everything else is hidden."""
    image, modal, amodal, parsing = inputs(1, 64)
    weaker = torch.where(hole_of(modal, amodal), 0.8 * amodal, amodal)
    moved = {}
    for per_channel in (True, False):
        net = build(replace(SMALL, per_channel_masks=per_channel)).eval()
        with torch.no_grad():
            a = net(image, modal, amodal, parsing).recon
            moved[per_channel] = (a - net(image, modal, weaker, parsing).recon).abs().max()
    assert moved[True] > 1e-4 and moved[False] == 0


def test_values_attended_into_an_open_hole_survive_only_if_it_counts_as_known() -> None:
    """With a hole wider than the view of two levels, behind the attention at enc2."""
    image, modal, amodal, parsing = inputs(1, 64)
    amodal, modal = torch.ones_like(amodal), torch.zeros_like(modal)
    modal[..., :4, :] = 1
    known = {}
    for rule in ("ones", "amodal", "keep"):
        config = replace(SMALL, per_channel_masks=False, pga_positions=("enc2",))
        net = build(replace(config, mask_after_pga=rule)).eval()
        values = net._input(image, hole_of(modal, amodal), amodal)
        x, mask = net.encoder[0](values)
        mask = torch.zeros_like(mask)
        mask[..., :2, :] = 1
        x = torch.ones_like(x[:, :1]).expand(-1, 16, -1, -1).contiguous()
        parts = (parsing[:, 1:] * 0, torch.ones_like(parsing[:, 1:]) / 19)
        known[rule] = net._attend("enc2", x, mask, parts).counts().mean().item() / 16
    assert known["ones"] == known["amodal"] == 1 and known["keep"] < 0.1


@pytest.mark.parametrize("per_channel", [True, False])
def test_masks_that_are_known_everywhere_leave_no_hole_behind_the_first_convolution(
    per_channel: bool,
) -> None:
    """So that rules for the hole behind attention matter only without masks of each channel."""
    image, modal, amodal, parsing = inputs(1, 64)
    modal, amodal = torch.zeros_like(modal), torch.ones_like(amodal)
    modal[..., :4, :] = 1
    settings = replace(SMALL, per_channel_masks=per_channel, pga_positions=("enc1",))
    made = []
    for rule in ("ones", "keep"):
        net = build(replace(settings, mask_after_pga=rule)).eval()
        _, mask = net.encoder[0](net._input(image, hole_of(modal, amodal), amodal))
        assert bool(mask.all()) == per_channel
        with torch.no_grad():
            made.append(net(image, modal, amodal, parsing).recon)
    assert torch.equal(*made) == per_channel


def test_attention_starts_as_identity_but_hides_what_is_unknown() -> None:
    with_pga, without = build(), build(replace(SMALL, pga_positions=()))
    without.load_state_dict(with_pga.state_dict(), strict=False)
    image, modal, amodal, parsing = inputs(1, 64)
    with torch.no_grad():
        a = with_pga.eval()(image, modal, amodal, parsing).recon
        b = without.eval()(image, modal, amodal, parsing).recon
    assert torch.allclose(a, b, atol=1e-5)


def test_clamp_keeps_its_gradient_in_training_and_its_range_at_test() -> None:
    net = build(replace(SMALL, output="clamp"))
    with torch.no_grad():
        assert net.last.bias is not None
        net.last.bias.fill_(3)
    out = net.train()(*inputs(2, 64)).recon
    assert out.max() > 1
    out.mean().backward()
    assert net.last.bias.grad is not None and net.last.bias.grad.abs().min() > 0.1
    assert net.eval()(*inputs(1, 64)).recon.max() == 1


def test_background_is_dimmed_around_mid_grey_outside_the_person() -> None:
    image = torch.tensor([[[[1.0, 1.0], [0.0, 0.5]]]])
    amodal = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    got = dim_background(image, amodal, 0.3)
    assert torch.allclose(got, torch.tensor([[[[1.0, 0.65], [0.35, 0.5]]]]))


def test_bfloat16_stays_close_to_float32() -> None:
    net = build().eval()
    batch = inputs(2, 64)
    with torch.inference_mode():
        exact = net(*batch).recon
        net = net.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            fast = net(*(t.contiguous(memory_format=torch.channels_last) for t in batch)).recon
    assert fast.dtype == torch.float32 and (fast - exact).abs().mean() < 0.01


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"levels": 8}, "levels"),
        ({"levels": 4}, "enc5"),
        ({"pga_positions": ("mid3",)}, "mid3"),
        ({"pga_positions": ("dec1",)}, "dec1"),
        ({"mask_after_pga": "one"}, "mask_after_pga"),
        ({"output": "sigmoid"}, "output"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ContentRecoveryConfig(**wrong)


def test_settings_read_back_from_json_are_equal() -> None:
    stored = json.loads(json.dumps(asdict(SMALL)))
    assert ContentRecoveryConfig(**stored) == SMALL
