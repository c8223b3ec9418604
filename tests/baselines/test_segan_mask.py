"""SeGAN's mask network: the original's sizes, its weights by region, and its box."""

import math
from dataclasses import replace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.segan_boxes import Boxes
from baselines.segan_mask import (
    REGIONS,
    SEGAN_MASK_PRESETS,
    SeganMask,
    SeganMaskConfig,
    SeganMaskNet,
    SeganMaskNets,
    region_losses,
    regions,
    resnet18_features,
)
from hdeocc.batch import Batch, collate
from hdeocc.method import Method, Preset
from tests.baselines.nets import parameters
from tests.conformance import LearnedConformance
from tests.fakes import make_samples

TINY = SeganMaskConfig(width=4, side=8, stride=4, pool=1)


class TestSeganMask(LearnedConformance):
    method = SeganMask

    def heart_method(self) -> Method:
        """All that is hidden in the box, at the original's 58 places: else its frame says no more.

        As it stands it ends with an IoU of 0.91, and with the 28 places of ``quick`` 0.86, which is
        what true masks keep that go through these frames.
        """
        torch.manual_seed(0)
        sizes = replace(SEGAN_MASK_PRESETS["quick"], side=58, grow=1.0, jitter=0.0)
        return SeganMask("quick", sizes)


@pytest.fixture
def batch() -> Batch:
    return collate(make_samples(3, 64, np.random.default_rng(0)))


def test_the_full_network_has_the_originals_size() -> None:
    """torchvision's ResNet-18 has 11,689,512; its classifier goes, a channel of 7x7x64 comes."""
    with torch.device("meta"):
        net = SeganMaskNet(SeganMaskConfig())
    assert parameters(net.features) == 11_689_512 - (512 * 1000 + 1000) + 7 * 7 * 64
    assert parameters(net.head) == 6 * 6 * 512 * 58**2 + 58**2
    assert parameters(net) == 73_188_260


@pytest.mark.parametrize(
    ("preset", "features", "head"), [("quick", 177_104, 1_807_120), ("small", 702_880, 15_504_676)]
)
def test_small_and_quick_are_narrower(preset: Preset, features: int, head: int) -> None:
    """The head has (6 * 6 * 8 * width + 1) * side ** 2."""
    with torch.device("meta"):
        net = SeganMaskNet(SEGAN_MASK_PRESETS[preset])
    assert (parameters(net.features), parameters(net.head)) == (features, head)


def test_with_the_full_stride_it_is_torchvisions_resnet18() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    theirs = resnet18(weights=None).eval()
    ours = resnet18_features(64, 32).eval()
    state = {k: v for k, v in theirs.state_dict().items() if not k.startswith("fc.")}
    first = state["conv1.weight"]
    state["conv1.weight"] = torch.cat([first, torch.zeros_like(first[:, :1])], dim=1)
    ours.load_state_dict(state)
    image, mask = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    theirs.avgpool, theirs.fc = nn.Identity(), nn.Identity()
    with torch.inference_mode():
        wanted = theirs(image).reshape(1, 512, 2, 2)
        torch.testing.assert_close(ours(torch.cat([image, mask], dim=1)), wanted)


def test_the_originals_frame_leaves_ten_cells_a_side() -> None:
    config = SeganMaskConfig(frame=500, stride=32)
    with torch.device("meta"):
        cells = SeganMaskNet(config).cells(torch.zeros(1, 4, 256, 256))
    assert cells.shape == (1, 512, 10, 10)


@pytest.mark.parametrize(("preset", "size", "cells"), [("quick", 64, 14), ("small", 128, 26),
                                                       ("full", 256, 26)])  # fmt: skip
def test_a_person_of_half_the_frame_has_six_cells_or_more(
    preset: Preset, size: int, cells: int
) -> None:
    config = SEGAN_MASK_PRESETS[preset]
    with torch.device("meta"):
        found = SeganMaskNet(config).cells(torch.zeros(1, 4, size, size)).shape
    assert found == (1, 8 * config.width, cells, cells)
    assert cells / 2 >= 6


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_left_out_strides_change_the_cells_and_no_parameter(stride: int) -> None:
    torch.manual_seed(0)
    net = resnet18_features(4, stride)
    assert net(torch.rand(1, 4, 64, 96)).shape[-2:] == (64 // stride, 96 // stride)
    assert parameters(net) == parameters(resnet18_features(4, 32))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="stride 6"):
        SeganMaskConfig(stride=6)
    with pytest.raises(ValueError, match="weights"):
        SeganMaskConfig(weights=(1.0, 2.0))


# --- loss -------------------------------------------------------------------------------------


def test_regions_are_background_visible_and_invisible() -> None:
    amodal = torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 4)
    modal = torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 1, 1, 4)
    assert regions(modal, amodal).flatten().tolist() == [0, 1, 2, 0]


def test_weights_follow_the_indices_of_the_regions() -> None:
    """The help text of the original's options names another order than its code uses."""
    assert REGIONS == ("background", "visible", "invisible")
    wanted = (1 / 37000, 5 / 27000, 3 / 12000)
    assert SeganMaskConfig().pixel_weights == pytest.approx(wanted)
    truth = torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 2, 2]).view(1, 1, 3, 3)
    terms = region_losses(torch.zeros(1, 1, 3, 3), truth, SeganMaskConfig().pixel_weights)
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(
        {
            "background": 4 * math.log(2) / 37000,
            "visible": 3 * math.log(2) * 5 / 27000,
            "invisible": 2 * math.log(2) * 3 / 12000,
        }
    )


def test_both_parts_of_the_person_are_wanted_and_the_background_is_not() -> None:
    truth = torch.tensor([0.0, 1.0, 2.0]).view(1, 1, 1, 3)
    logits = torch.tensor([2.0, 3.0, 4.0]).view(1, 1, 1, 3)
    terms = region_losses(logits, truth, (1.0, 1.0, 1.0))
    assert float(terms["background"]) == pytest.approx(math.log(1 + math.exp(2)))
    assert float(terms["visible"]) == pytest.approx(math.log(1 + math.exp(-3)), rel=1e-4)
    assert float(terms["invisible"]) == pytest.approx(math.log(1 + math.exp(-4)), rel=1e-4)


def test_the_loss_is_summed_over_pixels_and_averaged_over_samples() -> None:
    truth = torch.tensor([0.0, 1.0, 2.0, 2.0]).view(1, 1, 2, 2)
    logits = torch.randn(1, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    one = region_losses(logits, truth, (1.0, 2.0, 3.0))
    two = region_losses(logits.repeat(2, 1, 1, 1), truth.repeat(2, 1, 1, 1), (1.0, 2.0, 3.0))
    twice = region_losses(logits.repeat(1, 1, 2, 1), truth.repeat(1, 1, 2, 1), (1.0, 2.0, 3.0))
    for name in REGIONS:
        assert float(two[name]) == pytest.approx(float(one[name]))
        assert float(twice[name]) == pytest.approx(2 * float(one[name]))


def test_the_size_of_the_mask_does_not_change_the_loss() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (1, 1, 29, 29), generator=generator).float()
    logits = torch.randn(1, 1, 29, 29, generator=generator)
    small = region_losses(logits, truth, SeganMaskConfig(side=29).pixel_weights)
    large = region_losses(
        logits.repeat_interleave(2, 2).repeat_interleave(2, 3),
        truth.repeat_interleave(2, 2).repeat_interleave(2, 3),
        SeganMaskConfig(side=58).pixel_weights,
    )
    for name in REGIONS:
        assert float(small[name]) == pytest.approx(float(large[name]), rel=1e-4)


class Says(SeganMaskNet):
    """A network with one opinion."""

    def forward(self, given: Tensor, boxes: Boxes) -> Tensor:
        side = self.config.side
        return torch.zeros(len(given), 1, side, side)


def test_a_step_looks_at_the_true_masks_in_the_box(batch: Batch) -> None:
    """With an empty initial mask and as many points as pixels, the box is the picture."""
    config = replace(TINY, side=64, jitter=0.0)
    nets = SeganMaskNets(config)
    nets.generator = Says(config)
    terms, made = nets.generator_step(batch.replace(initial=torch.zeros_like(batch.initial)))
    visible, whole = (batch.modal > 0.5).sum() / 3, (batch.amodal > 0.5).sum() / 3
    counts = (64 * 64 - whole, visible, whole - visible)
    for name, weight, count in zip(REGIONS, config.pixel_weights, counts, strict=True):
        assert float(terms[name]) == pytest.approx(float(weight * count * math.log(2)), rel=1e-4)
    assert not made and nets.discriminator is None
    # The box of the initial mask cuts the background off.
    tight, _ = nets.generator_step(batch)
    assert float(tight["background"]) < float(terms["background"])


# --- box --------------------------------------------------------------------------------------


def test_boxes_are_jittered_in_training_only() -> None:
    net = SeganMaskNet(TINY)
    initial = torch.zeros(200, 1, 50, 50)
    initial[:, :, 20:30, 20:30] = 1
    fixed = net.eval().boxes(initial)
    for span in fixed:
        torch.testing.assert_close(span, torch.tensor([[0.36, 0.64]]).expand(200, 2))
    net.train()
    torch.manual_seed(3)
    drawn = net.boxes(initial)
    torch.manual_seed(3)
    assert all(torch.equal(a, b) for a, b in zip(drawn, net.boxes(initial), strict=True))
    edges = torch.cat([0.4 - drawn.rows[:, 0], drawn.rows[:, 1] - 0.6, 0.4 - drawn.columns[:, 0],
                       drawn.columns[:, 1] - 0.6])  # fmt: skip
    growth = edges / 0.2
    assert 0.1 - 1e-5 <= float(growth.min()) < 0.11
    assert 0.29 < float(growth.max()) <= 0.3 + 1e-5
    assert float(growth.mean()) == pytest.approx(0.2, abs=0.01)


def test_nothing_is_predicted_outside_the_grown_box(batch: Batch) -> None:
    torch.manual_seed(0)
    method = SeganMask("quick", TINY)
    initial = torch.zeros_like(batch.initial)
    initial[:, :, 20:30, 10:30] = 1
    prediction = method.predict(batch.replace(initial=initial))
    box = torch.zeros_like(prediction, dtype=torch.bool)
    box[:, :, 18:32, 6:34] = True
    assert bool((prediction[box] > 0).all()) and bool((prediction[~box] == 0).all())


def test_an_empty_initial_mask_opens_the_whole_frame(batch: Batch) -> None:
    torch.manual_seed(0)
    prediction = SeganMask("quick", TINY).predict(
        batch.replace(initial=torch.zeros_like(batch.initial))
    )
    assert bool((prediction > 0).all())


def test_the_picture_outside_the_box_is_seen(batch: Batch) -> None:
    torch.manual_seed(0)
    method = SeganMask("quick", TINY)
    initial = torch.zeros_like(batch.initial)
    initial[:, :, 24:40, 24:40] = 1
    image = batch.image.clone()
    image[:, :, :16] = 1 - image[:, :, :16]
    first = method.predict(batch.replace(initial=initial))
    assert not torch.equal(first, method.predict(batch.replace(initial=initial, image=image)))


@pytest.mark.parametrize("size", [(50, 37), (64, 96)])
@pytest.mark.parametrize("frame", [0, 48])
def test_predictions_have_the_size_of_the_photo(size: tuple[int, int], frame: int) -> None:
    torch.manual_seed(0)
    method = SeganMask("quick", replace(TINY, frame=frame))
    fields = {"image": torch.rand(2, 3, *size), "initial": torch.ones(2, 1, *size)}
    prediction = method.predict(Batch(["a", "b"], fields))
    assert prediction.shape == (2, 1, *size)
    assert bool(((prediction > 0) & (prediction < 1)).all())


def test_logits_come_row_by_row() -> None:
    """The head's channels are the mask's pixels in reading order."""
    torch.manual_seed(0)
    method = SeganMask("quick", TINY)
    net = cast(SeganMaskNet, method.nets.generator)
    with torch.no_grad():
        net.head.weight.zero_()
        cast(Tensor, net.head.bias).copy_((torch.arange(64) // 8 < 2).float() * 20 - 10)
    fields = {"image": torch.rand(1, 3, 64, 64), "initial": torch.ones(1, 1, 64, 64)}
    prediction = method.predict(Batch(["a"], fields))
    assert torch.equal(prediction[0, 0] > 0.5, (torch.arange(64) < 16)[:, None].expand(64, 64))
