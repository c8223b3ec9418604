"""The hourglass of stage 1 and its blocks."""

import pytest
import torch

from hdeocc.blocks import ResBlock, SqueezeExcite
from hdeocc.hourglass import Hourglass


@pytest.mark.parametrize("size", [(64, 64), (50, 37)])
def test_keeps_the_size_even_when_it_is_no_multiple_of_16(size: tuple[int, int]) -> None:
    net = Hourglass(4, 1).eval()
    assert net(torch.zeros(1, 4, *size)).shape == (1, 16, *size)


def test_sees_the_whole_frame_from_one_corner() -> None:
    torch.manual_seed(0)
    net = Hourglass(1, 1).eval()
    x = torch.rand(1, 1, 64, 64, requires_grad=True)
    net(x)[0, :, 0, 0].sum().backward()
    assert x.grad is not None
    assert x.grad[0, 0, 60:, 60:].abs().max() > 0


def test_parameters_grow_with_the_square_of_the_width() -> None:
    with torch.device("meta"):
        one, four = Hourglass(4, 1), Hourglass(4, 4)
    ratio = _count(four) / _count(one)
    assert 15.5 < ratio < 16


def test_squeeze_excite_only_scales_channels() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 8, 5, 5) + 0.1
    ratio = SqueezeExcite(8, 4)(x) / x
    assert (ratio > 0).all() and (ratio < 1).all()
    assert torch.allclose(ratio, ratio[:, :, :1, :1].expand_as(ratio))


def test_res_block_is_its_projection_when_the_body_is_silent() -> None:
    block = ResBlock(6, 4).eval()
    with torch.no_grad():
        block.body[-1].weight.zero_()
        block.body[-1].bias.zero_()
    x = torch.rand(1, 6, 8, 8)
    assert torch.equal(block(x), block.projection(x))


def _count(net: torch.nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())
