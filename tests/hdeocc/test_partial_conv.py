"""Partial convolution against NVIDIA's definition, written out with a mask for every channel."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from hdeocc.partial_conv import PartialConv2d, join, known_where, upsample


def definition(
    x: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None, stride: int
) -> tuple[Tensor, Tensor]:
    """NVIDIA's multi-channel partial convolution, in the dtype of x."""
    padding = weight.shape[-1] // 2
    known = F.conv2d(mask, torch.ones_like(weight), stride=stride, padding=padding)
    updated = known.clamp(0, 1)
    ratio = weight[0].numel() / (known + 1e-12) * updated
    raw = F.conv2d(x * mask, weight, bias, stride=stride, padding=padding)
    if bias is None:
        return raw * ratio, updated
    shift = bias.view(1, -1, 1, 1)
    return ((raw - shift) * ratio + shift) * updated, updated


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    groups=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    kernel=st.sampled_from([1, 3, 5, 7]),
    stride=st.sampled_from([1, 2]),
    bias=st.booleans(),
    share=st.floats(0.0, 1.0),
)
def test_values_masks_and_gradients_equal_the_definition(
    seed: int, groups: list[int], kernel: int, stride: int, bias: bool, share: float
) -> None:
    torch.manual_seed(seed)
    channels = sum(groups)
    conv = PartialConv2d(channels, 3, kernel, stride, bias=bias).double()
    if conv.bias is not None:
        torch.nn.init.normal_(conv.bias)
    parts = [torch.randn(2, c, 9, 8, dtype=torch.double, requires_grad=True) for c in groups]
    masks = [(torch.rand(2, 1, 9, 8) < share).double() for _ in groups]
    got, got_mask = conv(join([known_where(p, m) for p, m in zip(parts, masks, strict=True)]))

    full = torch.cat([m.expand(-1, c, -1, -1) for m, c in zip(masks, groups, strict=True)], dim=1)
    want, want_mask = definition(torch.cat(parts, 1), full, conv.conv.weight, conv.bias, stride)
    assert torch.allclose(got, want, rtol=1e-9, atol=1e-10)
    assert torch.equal(got_mask.double().expand_as(want_mask), want_mask)

    probe = torch.randn_like(want)
    leaves = [*parts, *conv.parameters()]
    ours = torch.autograd.grad((got * probe).sum(), leaves)
    theirs = torch.autograd.grad((want * probe).sum(), leaves)
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-10)


def test_a_fully_known_map_is_an_ordinary_convolution_inside() -> None:
    conv = PartialConv2d(4, 6, 3)
    x = torch.randn(1, 4, 10, 10)
    out, mask = conv(known_where(x, None))
    plain = F.conv2d(x, conv.conv.weight, padding=1)
    assert torch.allclose(out[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1], atol=1e-6)
    assert mask is None
    known, everywhere = conv(known_where(x, torch.ones(1, 1, 10, 10)))
    assert torch.equal(known, out) and bool(everywhere.all())


def test_released_normalisation_is_smaller_by_the_window_size() -> None:
    ours = PartialConv2d(5, 2, 7, 2)
    released = PartialConv2d(5, 2, 7, 2, window_normalisation=False)
    released.load_state_dict(ours.state_dict())
    x = known_where(torch.randn(1, 5, 16, 16), (torch.rand(1, 1, 16, 16) < 0.5).float())
    assert torch.allclose(ours(x)[0], released(x)[0] * 245, rtol=1e-4)


def test_the_hole_closes_from_its_rim_and_unknown_values_never_leak() -> None:
    conv = PartialConv2d(2, 2, 3, bias=True)
    mask = torch.ones(1, 1, 11, 11)
    mask[..., 2:9, 2:9] = 0
    x = torch.randn(1, 2, 11, 11)
    out, after = conv(known_where(x, mask))
    assert (after[..., 3:8, 3:8] == 0).all() and after.sum() == 121 - 25
    assert (out[..., 3:8, 3:8] == 0).all()
    changed = torch.where(mask.bool(), x, torch.full_like(x, 1e6))
    assert torch.equal(conv(known_where(changed, mask))[0], out)


def test_upsampling_and_joining_keep_count() -> None:
    left = known_where(torch.ones(1, 3, 2, 2), torch.tensor([[[[1.0, 0], [0, 1]]]]))
    right = known_where(torch.ones(1, 2, 4, 4), None)
    both = join([upsample(left, (4, 4)), right])
    per_pixel = (both.values != 0).sum(dim=1, keepdim=True).float()
    assert both.known is not None and torch.equal(both.known, per_pixel)
    full = join([upsample(right, (8, 8)), known_where(torch.ones(1, 3, 8, 8), None)])
    assert full.known is None and torch.equal(full.counts(), torch.full((1, 1, 8, 8), 5.0))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_autocast_keeps_the_type_of_the_convolution(dtype: torch.dtype) -> None:
    conv = PartialConv2d(3, 4, 3, bias=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        for known in (None, torch.ones(1, 1, 8, 8)):
            out, mask = conv(known_where(torch.randn(1, 3, 8, 8), known))
            assert out.dtype == dtype
            assert mask is None or mask.dtype == torch.float32
