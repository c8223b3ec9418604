"""SegFormer: B0's sizes, what its blocks compute, its loss, and a method like every other."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.segformer import (
    SEGFORMER_PRESETS,
    Attention,
    Block,
    Decoder,
    MixFFN,
    PatchEmbedding,
    SegFormer,
    SegFormerConfig,
    SegFormerMask,
)
from baselines.unet import UNET_PRESETS
from hdeocc.batch import Batch, collate
from tests.baselines.nets import parameters
from tests.conformance import LearnedConformance
from tests.fakes import make_samples

TINY = SegFormerConfig(
    widths=(8, 8), depths=(2, 1), heads=(1, 2), reductions=(4, 1), strides=(2, 2), decoder=8
)


class TestSegFormerMask(LearnedConformance):
    method = SegFormerMask


@pytest.fixture
def batch() -> Batch:
    return collate(make_samples(3, 64, np.random.default_rng(0)))


def test_the_full_network_has_b0_s_size() -> None:
    """The published encoder has 3,319,392 parameters; one more input channel adds 32 7x7 kernels.

    Decoder: a linear layer of each stage to 256, their 1024 channels to 256 with batch norm, and
    one class.
    """
    with torch.device("meta"):
        network = SegFormer(SegFormerConfig())
    assert parameters(network.stages) == 3_319_392 + 32 * 7 * 7
    unify = (32 + 64 + 160 + 256) * 256 + 4 * 256
    assert parameters(network.decoder) == unify + 1024 * 256 + 2 * 256 + 256 + 1
    assert SegFormerMask("full").parameters_used() == 3_715_969


@pytest.mark.parametrize(("preset", "count"), [("quick", 345_713), ("small", 3_447_809)])
def test_the_other_presets_are_smaller(preset: str, count: int) -> None:
    with torch.device("meta"):
        assert parameters(SegFormer(SEGFORMER_PRESETS[preset])) == count  # type: ignore[index]


def shapes(config: SegFormerConfig, size: int) -> list[int]:
    with torch.device("meta"):
        network, x = SegFormer(config), torch.zeros(1, 4, size, size)
        sides = []
        for stage in network.stages:
            x = stage(x)
            sides.append(x.shape[-1])
    return sides


def test_maps_of_the_stages() -> None:
    assert shapes(SEGFORMER_PRESETS["full"], 256) == [64, 32, 16, 8]
    assert shapes(SEGFORMER_PRESETS["small"], 128) == [64, 32, 16, 8]
    assert shapes(SEGFORMER_PRESETS["quick"], 64) == [32, 16, 8, 4]


@pytest.mark.parametrize("size", [(64, 64), (50, 37), (16, 9)])
def test_scores_have_the_size_of_the_photo(size: tuple[int, int]) -> None:
    network = SegFormer(SEGFORMER_PRESETS["quick"]).eval()
    with torch.inference_mode():
        scores = network(torch.rand(1, 3, *size), torch.rand(1, 1, *size))
    assert scores.shape == (1, 1, *size) and bool(torch.isfinite(scores).all())


def test_patches_overlap() -> None:
    embed = PatchEmbedding(1, 4, 4)
    assert embed.project.kernel_size == (7, 7)
    picture = torch.zeros(1, 1, 32, 32, requires_grad=True)
    seen = []
    for place in (3, 4):
        tokens, size = embed(picture)
        assert tokens.shape == (1, 64, 4) and size == (8, 8)
        (gradient,) = torch.autograd.grad(tokens[0, 8 * place + place, 0], picture)
        seen.append(gradient != 0)
    assert int(seen[0].sum()) == 49 and int((seen[0] & seen[1]).sum()) == 9


def plain_attention(attention: Attention, x: Tensor, known: Tensor) -> Tensor:
    """Multi-head attention written out, one head after the other."""
    width = x.shape[2] // attention.heads
    key, value = attention.key_value(known).chunk(2, dim=2)
    found = []
    for head in range(attention.heads):
        own = slice(head * width, (head + 1) * width)
        score = attention.query(x)[..., own] @ key[..., own].transpose(1, 2) / math.sqrt(width)
        found.append(score.softmax(dim=2) @ value[..., own])
    return attention.out(torch.cat(found, dim=2))


def test_attention_looks_at_a_reduced_map() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 2, 2)
    x = torch.randn(2, 4 * 6, 8)
    reduced = F.conv2d(
        x.transpose(1, 2).reshape(2, 8, 4, 6), attention.reduce.weight, attention.reduce.bias, 2
    )
    known = attention.norm(reduced.flatten(2).transpose(1, 2))
    assert known.shape == (2, 2 * 3, 8)
    torch.testing.assert_close(attention(x, (4, 6)), plain_attention(attention, x, known))


def test_attention_without_reduction_is_plain() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 4, 1)
    x = torch.randn(2, 6, 8)
    torch.testing.assert_close(attention(x, (2, 3)), plain_attention(attention, x, x))


def test_the_rest_of_a_map_is_seen_by_attention() -> None:
    """Five rows in steps of four: the fifth changes what every place finds."""
    torch.manual_seed(0)
    attention = Attention(8, 1, 4)
    x = torch.randn(1, 5 * 4, 8)
    other = x.clone()
    other[:, 16:] += 1
    assert not torch.equal(attention(x, (5, 4))[:, :16], attention(other, (5, 4))[:, :16])


def test_mix_ffn_tells_neighbours_and_nothing_further() -> None:
    torch.manual_seed(0)
    ffn = MixFFN(4, 16)
    x = torch.randn(1, 25, 4, requires_grad=True)
    ffn(x, (5, 5))[0, 12].sum().backward()
    assert x.grad is not None
    reach = (x.grad[0] != 0).any(dim=1).view(5, 5)
    expected = torch.zeros(5, 5, dtype=torch.bool)
    expected[1:4, 1:4] = True
    assert torch.equal(reach, expected)


def test_branches_are_skipped_in_training_by_sample() -> None:
    torch.manual_seed(0)
    block = Block(4, 1, 1, 8, skip=0.5)
    x = torch.randn(1, 6, 4).expand(64, -1, -1)
    whole = block.eval()(x, (2, 3))
    assert torch.equal(whole[:1].expand_as(whole), whole)
    made = block.train()(x, (2, 3))
    skipped = (made == x).flatten(1).all(dim=1)
    assert 5 <= int(skipped.sum()) <= 30, "a quarter of the samples skips both branches"
    assert torch.equal(Block(4, 1, 1, 8, skip=0.0).train()._kept(x), torch.ones(64, 1, 1))


def test_later_blocks_are_skipped_more_often() -> None:
    with torch.device("meta"):
        network = SegFormer(SegFormerConfig())
    skips = [m.skip for m in network.modules() if isinstance(m, Block)]
    assert skips == pytest.approx([0.1 * i / 7 for i in range(8)])


def test_the_decoder_upsamples_every_map_to_the_first() -> None:
    """With one-channel maps and all-one weights the scores are the sum of the upsampled maps."""
    config = SegFormerConfig((1, 1), (1, 1), (1, 1), (1, 1), (2, 2), decoder=1, dropout=0.0)
    decoder = Decoder(config).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.fill_(float(parameter.dim() == 4))
        decoder.join[1].weight.fill_(math.sqrt(1 + decoder.join[1].eps))
        decoder.mask.bias.zero_()
        maps = [torch.rand(1, 1, 4, 4), torch.rand(1, 1, 2, 2)]
        wanted = maps[0] + F.interpolate(maps[1], size=(4, 4), mode="bilinear")
        torch.testing.assert_close(decoder(maps), wanted)


def test_the_loss_is_the_plain_u_net_s(batch: Batch) -> None:
    for preset, config in SEGFORMER_PRESETS.items():
        assert config.cross_entropy == UNET_PRESETS[preset].cross_entropy
        assert config.l1 == UNET_PRESETS[preset].l1
    torch.manual_seed(0)
    nets = SegFormerMask("quick", TINY).nets
    score = 1.5
    with torch.no_grad():
        for parameter in nets.generator.parameters():
            parameter.zero_()
        nets.generator.decoder.mask.bias.fill_(score)
    terms, made = nets.generator_step(batch)
    person = float(batch.amodal.mean())
    yes, no = math.log(1 + math.exp(-score)), math.log(1 + math.exp(score))
    chance = 1 / (1 + math.exp(-score))
    assert {k: float(v.detach()) for k, v in terms.items()} == pytest.approx(
        {
            "amodal_ce": 0.5 * (person * yes + (1 - person) * no),
            "l1": 0.1 * (person * (1 - chance) + (1 - person) * chance),
        },
        rel=1e-5,
    )
    assert not made and nets.discriminator is None


def test_it_reads_both_the_image_and_the_initial_mask(batch: Batch) -> None:
    torch.manual_seed(0)
    method = SegFormerMask("quick")
    first = method.predict(batch)
    assert not torch.equal(first, method.predict(batch.replace(image=1 - batch.image)))
    assert not torch.equal(first, method.predict(batch.replace(initial=1 - batch.initial)))


def test_it_starts_undecided(batch: Batch) -> None:
    torch.manual_seed(0)
    prediction = SegFormerMask("quick").predict(batch)
    assert float((prediction - 0.5).abs().max()) < 0.2


@pytest.mark.parametrize(
    "wrong",
    [{"depths": (1, 1)}, {"heads": (1, 2, 5, 7)}, {"strides": (4,)}],
)
def test_settings_that_do_not_fit_are_refused(wrong: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SegFormerConfig(**wrong)  # type: ignore[arg-type]
