"""LaMa: the original's size, convolutions that see everything, its losses by hand."""

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.fourier import FourierBlock, FourierConv, FrequencyConv
from baselines.lama import (
    LAMA_PRESETS,
    STAGE_1,
    Lama,
    LamaConfig,
    LamaGenerator,
    LamaNets,
    PatchJudge,
    lama_input,
)
from hdeocc.batch import Batch
from hdeocc.learned import Terms
from hdeocc.method import Method
from hdeocc.two_stage_mask import TwoStageMask
from tests.baselines.nets import Says, gradient_norm, parameters
from tests.conformance import ContentConformance, LearnedConformance

TINY = LamaConfig(width=4, blocks=1, discriminator=4)


class TestLama(LearnedConformance, ContentConformance):
    method = Lama
    takes_float64 = False
    learn_steps: ClassVar[int] = 60

    def upstream(self) -> dict[str, Method]:
        torch.manual_seed(3)
        return {STAGE_1: TwoStageMask("quick")}


def test_the_full_networks_have_the_originals_size() -> None:
    """LaMa-Fourier is said to have 27 million parameters; the amodal mask adds 64 kernels of 49."""
    with torch.device("meta"):
        original = parameters(LamaGenerator(LamaConfig(amodal=False)))
        assert original == 27_048_835
        assert parameters(LamaGenerator(LamaConfig())) == original + 64 * 49
        assert parameters(PatchJudge(64)) == 6_962_369


def test_the_frequency_convolution_is_a_pointwise_one_of_the_transform() -> None:
    """With weights that hand everything through, only negative parts of the spectrum are lost."""
    conv = FrequencyConv(2).eval()
    nn.init.dirac_(conv.mix.weight)
    x = torch.randn(3, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    waves = torch.fft.rfft2(x, norm="ortho")
    kept = torch.complex(waves.real.relu(), waves.imag.relu())
    wanted = torch.fft.irfft2(kept, (6, 8), norm="ortho")
    torch.testing.assert_close(conv(x), wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_a_block_sees_the_whole_picture(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = FourierBlock(8, 0.75).eval()
    near = torch.randn(1, 2, *size, requires_grad=True)
    far = torch.randn(1, 6, *size, requires_grad=True)
    made = block(near, far)
    assert made[0].shape == near.shape and made[1].shape == far.shape
    made[1][0, :, 0, 0].sum().backward()
    assert far.grad is not None
    seen = far.grad.abs().sum(dim=1)[0] > 0  # chance may let a ReLU hide a pixel
    assert float(seen.float().mean()) > 0.75 and bool(seen[-2:, -2:].any())


def test_without_global_input_there_is_only_a_plain_convolution() -> None:
    conv = FourierConv(4, 8, (0.0, 0.5), stride=2)
    near, far = conv(torch.rand(2, 4, 8, 8), None)
    assert near.shape == far.shape == (2, 4, 4, 4)
    assert conv.far is None and conv.far_to_near is None


@pytest.mark.parametrize("size", [(64, 64), (40, 51)])
def test_the_generator_keeps_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    made = LamaGenerator(TINY).eval()(torch.rand(2, 5, *size))
    assert made.shape == (2, 3, *size)
    assert float(made.detach().min()) >= 0 and float(made.detach().max()) <= 1


def test_the_input_is_black_in_the_hole(batch: Batch) -> None:
    hole = (batch.amodal > 0.5) & ~(batch.modal > 0.5)
    given = lama_input(batch, amodal=True)
    assert given.shape == (4, 5, 64, 64)
    assert float(given[:, :3][hole.expand(-1, 3, -1, -1)].max()) == 0
    assert torch.equal(given[:, 3:4] > 0, hole)
    assert torch.equal(given[:, 4:] > 0, batch.amodal > 0.5)
    assert lama_input(batch, amodal=False).shape == (4, 4, 64, 64)


def test_l1_looks_at_known_pixels_and_below_full_at_the_hole_too(batch: Batch) -> None:
    hole = (batch.amodal > 0.5) & ~(batch.modal > 0.5)
    truth = torch.where(hole, batch.clean, batch.image)
    off = truth + torch.where(hole, 0.25, 0.5)
    for config, names in ((TINY, {"l1_known"}), (LAMA_PRESETS["quick"], {"l1_known", "l1_hole"})):
        nets = LamaNets(config)
        nets.generator = Says(off)
        terms, _ = nets.generator_step(batch)
        assert {name for name in terms if name.startswith("l1")} == names
        wanted = 10 * 0.5 * float((~hole).float().mean())
        assert float(terms["l1_known"].detach()) == pytest.approx(wanted, rel=1e-5)
        if "l1_hole" in terms:
            assert float(terms["l1_hole"].detach()) == pytest.approx(2.5, rel=1e-5)


class Flat(nn.Module):
    """A judge that says one number everywhere, and whose slope is 2 at every pixel and channel."""

    def __init__(self, says: float) -> None:
        super().__init__()
        self.says = nn.Parameter(torch.tensor(says))

    def forward(self, picture: Tensor) -> tuple[Tensor, list[Tensor]]:
        still = 2 * picture.sum(dim=(1, 2, 3), keepdim=True)
        logits = still - still.detach() + self.says
        return logits.expand(-1, 1, 8, 8) / 64 + self.says * 63 / 64, []


def test_patches_outside_the_hole_count_as_real(batch: Batch) -> None:
    nets = LamaNets(TINY)
    nets.discriminator = Flat(1.5)  # type: ignore[assignment]
    hole = torch.zeros(4, 1, 64, 64)
    hole[:, :, :16] = 1  # a quarter
    made = {"comp": batch.image, "target": batch.clean.clone(), "hole": hole}
    terms = {k: float(v.detach()) for k, v in nets.discriminator_step(batch, made).items()}
    real, fake = np.log1p(np.exp(-1.5)), np.log1p(np.exp(1.5))
    assert terms["discriminator_real"] == pytest.approx(real, rel=1e-5)
    assert terms["discriminator_made"] == pytest.approx(0.25 * fake + 0.75 * real, rel=1e-5)
    # The sum of 64 logits has the slope 2 at each of 3 * 64 * 64 numbers.
    assert terms["penalty"] == pytest.approx(0.001 * 4 * 3 * 64 * 64, rel=1e-5)


def test_without_any_clean_picture_nothing_weighs(batch: Batch) -> None:
    """The same terms all the same: on another process some may be known."""
    torch.manual_seed(0)
    nets = LamaNets(LAMA_PRESETS["quick"]).train()
    nets.parser = TwoStageMask("quick").net.modal_hourglass.requires_grad_(False).eval()
    known_terms, known_made = both_steps(nets, batch)
    terms, made = both_steps(nets, batch.replace(has_clean=torch.zeros(4, dtype=torch.bool)))
    assert list(terms) == list(known_terms) and list(made) == list(known_made)
    assert {"l1_hole", "perceptual", "penalty"} <= terms.keys()
    assert all(float(term) == 0 for term in terms.values())


def test_unknown_samples_weigh_nothing_and_their_holes_are_not_counted(batch: Batch) -> None:
    """In eval mode, where no batch norm ties samples together, as if they were not there."""
    torch.manual_seed(0)
    nets = LamaNets(LAMA_PRESETS["quick"]).eval()
    known = torch.tensor([True, False, True, False])
    some, _ = both_steps(nets, batch.replace(has_clean=known))
    alone, _ = both_steps(nets, batch.part(known))
    assert some.keys() == alone.keys()
    for name, term in alone.items():
        assert float(some[name]) == pytest.approx(float(term), rel=1e-4), name


def both_steps(nets: LamaNets, batch: Batch) -> tuple[Terms, Terms]:
    """The terms of both steps, and what the first one hands to the second."""
    terms, made = nets.generator_step(batch)
    more = nets.discriminator_step(batch, {name: value.detach() for name, value in made.items()})
    return {name: value.detach() for name, value in (terms | more).items()}, made


def test_the_parser_is_looked_through_and_never_taught(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = LamaNets(TINY).train()
    assert "perceptual" not in nets.generator_step(batch)[0]
    nets.parser = TwoStageMask("quick").net.modal_hourglass.requires_grad_(False).eval()
    terms, _ = nets.generator_step(batch)
    terms["perceptual"].backward()
    assert gradient_norm(nets.generator) > 0 and gradient_norm(nets.parser) == 0
    hole = (batch.amodal > 0.5) & ~(batch.modal > 0.5)
    nets.generator = Says(torch.where(hole, batch.clean, torch.zeros_like(batch.clean)))
    assert float(nets.generator_step(batch)[0]["perceptual"].detach()) == 0


def test_training_leaves_the_parser_as_it_was_fitted(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = LamaNets(TINY)
    nets.parser = TwoStageMask("quick").net.modal_hourglass.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in nets.parser.state_dict().items()}
    nets.train()
    assert nets.generator.training and not any(m.training for m in nets.parser.modules())
    nets.generator_step(batch)
    after = nets.parser.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
