"""AISFormer: sizes, what the queries mean, and that places are known."""

import math
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from baselines.aisformer import (
    AISFORMER_PRESETS,
    KINDS,
    AISFormer,
    AISFormerConfig,
    AISFormerMask,
    AISFormerNets,
    positions,
)
from hdeocc.batch import Batch
from tests.conformance import LearnedConformance

TINY = AISFormerConfig((4, 8, 8, 16, 16), tokens=16, heads=2, stride=4)


class TestAISFormerMask(LearnedConformance):
    method = AISFormerMask
    learn_steps: ClassVar[int] = 60


def test_sizes_of_the_presets() -> None:
    sizes = []
    for config in AISFORMER_PRESETS.values():
        with torch.device("meta"):
            sizes.append(sum(p.numel() for p in AISFormer(config).parameters()))
    assert sizes == [458_212, 1_891_156, 21_086_980]


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
@pytest.mark.parametrize("size", [(64, 64), (40, 52)])
def test_a_mask_for_each_kind_at_any_size(stride: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    config = AISFormerConfig(TINY.channels, tokens=16, heads=2, stride=stride)
    logits = AISFormer(config).eval()(torch.rand(2, 4, *size))
    assert logits.shape == (2, len(KINDS), *size) and logits.dtype == torch.float32


def test_the_invisible_part_is_asked_for_by_the_visible_and_the_whole() -> None:
    torch.manual_seed(0)
    network = AISFormer(TINY).eval()
    asked = network._asked(torch.rand(2, 16, 4, 4))
    assert asked.shape == (2, 4, 16)
    occluder, visible, whole, invisible = asked.unbind(dim=1)
    torch.testing.assert_close(network.invisible(torch.cat([visible, whole], dim=1)), invisible)
    assert not torch.allclose(occluder, visible)


def test_a_mask_is_the_product_of_its_query_with_the_pixels() -> None:
    """One pixel embedding that fits one query: only the mask of that query shines."""
    torch.manual_seed(0)
    network = AISFormer(AISFormerConfig((4, 8, 8, 16, 16), tokens=16, heads=2, stride=1)).eval()
    network._asked = lambda tokens: torch.eye(16)[None, :4].expand(len(tokens), -1, -1)  # type: ignore[method-assign]
    nn.init.zeros_(network.pixels.weight)
    assert network.pixels.bias is not None
    with torch.no_grad():
        network.pixels.bias.copy_(8 * torch.eye(16)[2])
    logits = network(torch.rand(1, 4, 16, 16))
    wanted = torch.tensor([0.0, 0.0, 2.0, 0.0])[None, :, None, None].expand(1, 4, 16, 16)
    torch.testing.assert_close(logits, wanted)


def test_no_two_places_have_one_code() -> None:
    codes = positions(32, 16, 12)
    assert codes.shape == (32, 16, 12)
    flat = codes.flatten(1).T
    distance = torch.cdist(flat, flat) + torch.eye(len(flat)) * 1e3
    assert float(distance.min()) > 0.2
    assert float(codes.abs().max()) <= 1


class Says(nn.Module):
    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x: Tensor) -> Tensor:
        return self.logits


def test_each_kind_has_its_own_truth(batch: Batch) -> None:
    nets = AISFormerNets(TINY)
    hidden = (batch.amodal > 0.5) & ~(batch.modal > 0.5)
    truth = torch.cat([batch.occluder, batch.modal, batch.amodal, hidden.float()], dim=1)
    nets.generator = Says((truth * 2 - 1) * 30)
    terms, _ = nets.generator_step(batch)
    assert list(terms) == list(KINDS)
    assert all(float(term.detach()) < 1e-6 for term in terms.values())
    nets.generator = Says(torch.zeros_like(truth))
    terms, _ = nets.generator_step(batch)
    assert [float(t.detach()) for t in terms.values()] == pytest.approx([math.log(2)] * 4)


def test_sizes_that_make_no_network_are_refused() -> None:
    with pytest.raises(ValueError, match="stride 3"):
        AISFormerConfig(stride=3)
    with pytest.raises(ValueError, match="tokens 20"):
        AISFormerConfig(tokens=20, heads=8)
