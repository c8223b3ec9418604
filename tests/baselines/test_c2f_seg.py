"""C2F-Seg: what is written in codes can be read, codes are named by sureness, losses stay apart."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.c2f_seg import (
    C2F_SEG_PRESETS,
    C2FSeg,
    C2FSegConfig,
    C2FSegMask,
    C2FSegNets,
    surest,
)
from baselines.shape_codes import ShapeCodes
from hdeocc.batch import Batch
from tests.conformance import LearnedConformance

TINY = C2FSegConfig(8, 8, 4, 3, 16, 2, 1, 4, (4, 8))


class TestC2FSegMask(LearnedConformance):
    method = C2FSegMask
    takes_float64 = False
    learn_steps: ClassVar[int] = 80


def test_sizes_of_the_presets() -> None:
    sizes = []
    for config in C2F_SEG_PRESETS.values():
        with torch.device("meta"):
            sizes.append(sum(p.numel() for p in C2FSeg(config).parameters()))
    assert sizes == [195_506, 1_162_658, 15_871_810]


def test_a_code_is_the_one_its_cell_is_most_like() -> None:
    torch.manual_seed(0)
    shapes = ShapeCodes(codes=12, size=6, halvings=2, width=4)
    mask = (torch.rand(2, 1, 16, 16) > 0.5).float()
    cells, codes = shapes.encode(mask), shapes.codes(mask)
    assert codes.shape == (2, 4, 4)
    for b, row, column in ((0, 0, 0), (1, 3, 2)):
        likeness = F.cosine_similarity(cells[b, :, row, column][None], shapes.book)
        assert int(codes[b, row, column]) == int(likeness.argmax())


def test_reading_codes_gives_the_mask_that_writing_them_gave() -> None:
    torch.manual_seed(0)
    shapes = ShapeCodes(codes=12, size=6, halvings=2, width=4)
    mask = (torch.rand(2, 1, 16, 16) > 0.5).float()
    written = shapes(mask)
    assert torch.equal(written.codes, shapes.codes(mask))
    torch.testing.assert_close(shapes.drawn(written.codes), written.logits)


def test_a_vocabulary_learns_to_write_what_it_sees() -> None:
    """Rectangles of any place and size, none of them seen in training."""
    torch.manual_seed(0)
    shapes = ShapeCodes(codes=32, size=8, halvings=3, width=8)
    optimiser = torch.optim.Adam(shapes.parameters(), 5e-3)
    for _ in range(150):
        masks = rectangles(16)
        written = shapes(masks)
        loss = F.binary_cross_entropy_with_logits(written.logits, masks) + written.loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    masks = rectangles(32)
    written = shapes(masks)
    found = written.logits > 0
    common = (found & (masks > 0.5)).sum() / (found | (masks > 0.5)).sum()
    assert float(common) > 0.8
    assert len(written.codes.unique()) > 20, "many codes are dead"


def rectangles(count: int) -> Tensor:
    masks = torch.zeros(count, 1, 32, 32)
    for mask in masks:
        top, left = (int(n) for n in torch.randint(0, 16, (2,)))
        height, width = (int(n) for n in torch.randint(8, 16, (2,)))
        mask[0, top : top + height, left : left + width] = 1
    return masks


def test_the_surest_are_kept() -> None:
    sureness = torch.tensor([[[0.1, 0.9], [0.5, 0.2]], [[0.3, 0.2], [0.1, 0.4]]])
    kept = surest(sureness, 2)
    assert kept.tolist() == [[[False, True], [True, False]], [[True, False], [False, True]]]
    assert bool(surest(sureness, 4).all())


def test_a_code_once_kept_stays_and_each_round_knows_more(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    net = C2FSeg(C2FSegConfig(8, 8, 4, 3, 16, 2, 1, 4, (4, 8), rounds=4)).eval()
    name, told = net.namer.forward, []

    def kept(picture: Tensor, visible: Tensor, whole: Tensor, shown: Tensor) -> Tensor:
        told.append((whole.clone(), shown.clone()))
        return name(picture, visible, whole, shown)

    monkeypatch.setattr(net.namer, "forward", kept)
    net(batch.image, batch.initial)
    shares = [float(shown.float().mean()) for _, shown in told]
    assert shares[0] == 0 and shares == sorted(shares) and len(set(shares)) == 4
    for (whole, shown), (later, still) in zip(told[:-1], told[1:], strict=True):
        assert bool(still[shown].all()) and torch.equal(whole[shown], later[shown])


def test_the_namer_is_not_told_what_is_not_shown(batch: Batch) -> None:
    torch.manual_seed(0)
    net = C2FSeg(TINY).eval()
    picture = net.picture(torch.cat([batch.image, batch.initial], dim=1))
    visible, whole = net.shapes.codes(batch.initial), net.shapes.codes(batch.amodal)
    shown = torch.rand(whole.shape) < 0.5
    other = torch.where(shown, whole, (whole + 1) % 8)
    one, two = (net.namer(picture, visible, codes, shown) for codes in (whole, other))
    assert torch.equal(one, two)


def test_only_hidden_codes_are_asked_for_and_every_loss_has_its_own_weights(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = C2FSegNets(TINY).train()
    terms, _ = nets.generator_step(batch)
    assert list(terms) == ["shapes", "codebook", "naming", "refined"]
    parts = {"shapes": "shapes", "codebook": "shapes", "refined": "refinement"}
    for term, part in parts.items():
        nets.zero_grad()
        terms[term].backward(retain_graph=True)
        assert taught(nets.generator) == {part}
    nets.zero_grad()
    terms["naming"].backward()
    assert taught(nets.generator) == {"namer", "picture"}


def taught(network: nn.Module) -> set[str]:
    return {
        name.split(".")[0]
        for name, p in network.named_parameters()
        if p.grad is not None and bool((p.grad != 0).any())
    }


@pytest.mark.parametrize("size", [(64, 64), (40, 52)])
def test_any_size_is_taken(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    logits = C2FSeg(TINY).eval()(torch.rand(2, 3, *size), torch.rand(2, 1, *size))
    assert logits.shape == (2, 1, *size) and logits.dtype == torch.float32
