"""Discriminators: one raw logit map, spectral norm, and frozen while the generator steps."""

import pytest
import torch
from torch import Tensor, nn

from hdeocc.discriminators import ContentDiscriminator, MaskDiscriminator, frozen
from hdeocc.losses import adversarial_mask, discriminator_loss, generator_loss

CASES = [(MaskDiscriminator, 1), (ContentDiscriminator, 2)]


def build(kind: type, masks: int, size: int = 64) -> tuple[nn.Module, list[Tensor]]:
    torch.manual_seed(0)
    inputs = [torch.rand(2, 3, size, size), *(torch.rand(2, 1, size, size) for _ in range(masks))]
    return kind(8), inputs


@pytest.mark.parametrize(("kind", "masks"), CASES)
@pytest.mark.parametrize("size", [64, 128])
def test_one_channel_of_logits(kind: type, masks: int, size: int) -> None:
    net, inputs = build(kind, masks, size)
    out = net(*inputs)
    assert out.shape[:2] == (2, 1) and size // 8 <= out.shape[-1] <= size // 4


@pytest.mark.parametrize(("kind", "masks"), CASES)
def test_the_logits_are_raw(kind: type, masks: int) -> None:
    """An unactivated last layer turns its sign with its weights."""
    net, inputs = build(kind, masks)
    net.eval()
    head = net.body[-1]
    with torch.no_grad():
        before = net(*inputs)
        head.bias.neg_()
        head.parametrizations.weight.original.neg_()
        head.parametrizations.weight[0]._u.neg_()
        assert torch.allclose(net(*inputs), -before, atol=1e-6)


@pytest.mark.parametrize(("kind", "masks"), CASES)
def test_spectral_norm_is_one(kind: type, masks: int) -> None:
    net, inputs = build(kind, masks)
    for _ in range(30):
        net(*inputs)
    for layer in net.body:
        if isinstance(layer, nn.Conv2d):
            norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
            assert norm == pytest.approx(1, abs=0.05)


def test_the_content_discriminator_sees_no_background() -> None:
    net, (picture, _, hole) = build(ContentDiscriminator, 2)
    net.eval()
    amodal = torch.zeros_like(hole)
    amodal[..., 16:48, 16:48] = 1
    other = torch.where(amodal.bool(), picture, 1 - picture)
    assert torch.equal(net(picture, amodal, hole), net(other, amodal, hole))
    assert not torch.equal(net(1 - other, amodal, hole), net(other, amodal, hole))


@pytest.mark.parametrize("straight_through", [False, True])
def test_the_generator_step_reaches_the_mask_and_not_the_discriminator(
    straight_through: bool,
) -> None:
    net, (image, _) = build(MaskDiscriminator, 1)
    logits = torch.randn(2, 1, 64, 64, requires_grad=True)
    with frozen(net):
        shown = adversarial_mask(logits.sigmoid(), straight_through=straight_through)
        generator_loss(net(image, shown)).backward()
    assert logits.grad is not None and (logits.grad != 0).float().mean() > 0.9
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert set(shown.unique().tolist()) == {0.0, 1.0} or not straight_through


def test_frozen_leaves_already_frozen_parameters_alone_and_survives_errors() -> None:
    net, _ = build(MaskDiscriminator, 1)
    first = next(net.parameters())
    first.requires_grad_(False)
    with pytest.raises(RuntimeError), frozen(net):
        raise RuntimeError
    assert not first.requires_grad and sum(p.requires_grad for p in net.parameters()) > 3


@pytest.mark.parametrize(("kind", "masks"), CASES)
def test_the_discriminator_learns_to_tell_two_kinds_apart_in_bfloat16(
    kind: type, masks: int
) -> None:
    net, (image, *rest) = build(kind, masks)
    real = [torch.ones_like(m) for m in rest]
    fake = [torch.zeros_like(rest[0]), *real[1:]]
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        with torch.autocast("cpu", torch.bfloat16):
            loss = discriminator_loss(net(image, *real), net(image, *fake))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.01
