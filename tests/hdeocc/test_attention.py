"""Parsing guided attention against a version in plain loops."""

import math

import pytest
import torch
from torch import Tensor

from hdeocc import attention
from hdeocc.attention import ParsingGuidedAttention, two_way_attention


def loops(query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Both directions, one place after the other, out of Python sums."""
    results: tuple[list[Tensor], list[Tensor]] = ([], [])
    for q, k, v in zip(query, key, value, strict=True):
        for found, (a, b) in zip(results, ((q, k), (k, q)), strict=True):
            columns = []
            for i in range(q.shape[1]):
                energies = [scale * sum(a[c, i] * b[c, j] for c in range(len(a)))
                            for j in range(q.shape[1])]  # fmt: skip
                top = max(float(e.detach()) for e in energies)
                weights = [torch.exp(e - top) for e in energies]
                mixed = sum(w * v[:, j] for j, w in enumerate(weights))
                columns.append(mixed / sum(weights))
            found.append(torch.stack(columns, dim=1))
    return torch.stack(results[0]), torch.stack(results[1])


def triple(places: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, c, places, dtype=torch.double, requires_grad=True) for c in (3, 3, 4))
    return q, k, v


@pytest.mark.parametrize("way", ["batched", "sample by sample", "tiled", "fused"])
def test_values_and_gradients_equal_plain_loops(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way in ("sample by sample", "tiled"):
        monkeypatch.setattr(attention, "LOOP_FROM", 1)
    if way == "tiled":
        monkeypatch.setattr(attention, "TILED_FROM", 1)
        monkeypatch.setattr(attention, "TILE", 3)  # the last part has one row
    function = attention._fused_attention if way == "fused" else two_way_attention
    inputs = triple()
    got, want = function(*inputs, 0.7), loops(*inputs, 0.7)
    probes = [torch.randn_like(w) for w in want]
    grads = []
    for outs in (got, want):
        loss = torch.stack([(o * p).sum() for o, p in zip(outs, probes, strict=True)]).sum()
        grads.append(torch.autograd.grad(loss, inputs))
    for a, b in zip((*got, *grads[0]), (*want, *grads[1]), strict=True):
        assert torch.allclose(a, b, rtol=1e-9, atol=1e-11)


def test_the_two_directions_differ_and_weigh_to_one() -> None:
    q, k, v = triple()
    forth, back = two_way_attention(q, k, torch.ones_like(v), 1.0)
    assert torch.allclose(forth, torch.ones_like(v)) and torch.allclose(back, torch.ones_like(v))
    forth, back = two_way_attention(q, k, v, 1.0)
    assert not torch.allclose(forth, back)
    swapped = two_way_attention(k, q, v, 1.0)
    assert torch.allclose(swapped[0], back) and torch.allclose(swapped[1], forth)


@pytest.mark.parametrize("tiled", [True, False])
def test_softmax_is_float32_under_bfloat16(tiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if tiled:
        monkeypatch.setattr(attention, "LOOP_FROM", 1)
        monkeypatch.setattr(attention, "TILED_FROM", 1)
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 8, 300) * s for s in (6, 6, 1))
    exact = two_way_attention(q, k, v, 1.0)[0]
    with torch.autocast("cpu", torch.bfloat16):
        same = two_way_attention(q, k, v, 1.0)[0]
    assert torch.equal(same, exact)


def one_hot_parts(size: int, parts: int = 19) -> Tensor:
    labels = torch.randint(0, parts, (2, size, size))
    return torch.nn.functional.one_hot(labels, parts).permute(0, 3, 1, 2).double()


@pytest.mark.parametrize("parts", [True, False])
@pytest.mark.parametrize("spatial", [True, False])
def test_block_equals_its_definition(parts: bool, spatial: bool) -> None:
    if not (parts or spatial):
        with pytest.raises(ValueError, match="stream"):
            ParsingGuidedAttention(16, parts=False, spatial=False)
        return
    torch.manual_seed(0)
    net = ParsingGuidedAttention(16, parts=parts, spatial=spatial).double()
    assert net.gate is not None
    torch.nn.init.normal_(net.gate)
    x = torch.randn(2, 16, 3, 3, dtype=torch.double)
    visible, whole = one_hot_parts(12), one_hot_parts(12)
    small = [p[:, :, ::4, ::4] for p in (visible, whole)]
    found = []
    if net.parts is not None:
        s = net.parts
        mixed = s.fuse(torch.cat([x, s.visible(x) * small[0], s.whole(x) * small[1]], dim=1))
        hidden = torch.relu(
            mixed.mean(dim=(2, 3)) @ s.excite.squeeze.weight.T + s.excite.squeeze.bias
        )
        gate = torch.sigmoid(hidden @ s.excite.excite.weight.T + s.excite.excite.bias)
        found.append(mixed * gate[:, :, None, None])
    if net.spatial is not None:
        t = net.spatial
        q, k = t.query(torch.cat([x, small[0]], 1)), t.key(torch.cat([x, small[1]], 1))
        moved = loops(q.flatten(2), k.flatten(2), t.value(x).flatten(2), 1 / math.sqrt(2))
        found += [m.unflatten(2, (3, 3)) for m in moved]
    want = x + net.gate[:, None, None] * net.fuse(torch.cat(found, dim=1))
    assert torch.allclose(net(x, visible, whole), want, rtol=1e-9, atol=1e-11)


def test_gate_starts_closed_and_everything_learns_after_one_step() -> None:
    torch.manual_seed(0)
    net = ParsingGuidedAttention(16)
    x, visible, whole = torch.randn(2, 16, 6, 6), one_hot_parts(6).float(), one_hot_parts(6).float()
    assert torch.equal(net(x, visible, whole), x)
    target, optimiser = torch.randn_like(x), torch.optim.Adam(net.parameters(), 1e-3)
    for step in range(2):
        optimiser.zero_grad()
        (net(x, visible, whole) - target).square().mean().backward()
        moving = {n for n, p in net.named_parameters() if p.grad is not None and p.grad.any()}
        assert moving == ({"gate"} if step == 0 else {n for n, _ in net.named_parameters()})
        optimiser.step()


def test_without_residual_the_result_replaces_x() -> None:
    net = ParsingGuidedAttention(16, residual=False)
    x = torch.randn(2, 16, 6, 6)
    assert net.gate is None
    assert not torch.allclose(net(x, one_hot_parts(6).float(), one_hot_parts(6).float()), x)


def test_the_parsing_matters() -> None:
    torch.manual_seed(0)
    net = ParsingGuidedAttention(16, residual=False)
    x, a, b = torch.randn(2, 16, 6, 6), one_hot_parts(6).float(), one_hot_parts(6).float()
    outs = [net(x, a, a), net(x, a, b), net(x, b, a)]
    assert not torch.allclose(outs[0], outs[1]) and not torch.allclose(outs[0], outs[2])
