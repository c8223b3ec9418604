"""DeepLabv3: torchvision's network at full size, its loss, and a single sample in training."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from baselines.deeplab import (
    DEEPLAB_PRESETS,
    DeepLab,
    DeepLabConfig,
    DeepLabImageMask,
    DeepLabMask,
    DeepLabNets,
    ImagePooling,
    trunk,
)
from hdeocc.batch import Batch, collate
from hdeocc.learned import Terms
from tests.baselines.nets import parameters
from tests.conformance import LearnedConformance
from tests.fakes import make_samples

# isort: split
from torchvision.models.resnet import resnet50
from torchvision.models.segmentation.deeplabv3 import ASPPConv, deeplabv3_resnet50

TINY = DeepLabConfig(4, (1, 1, 1, 1), pool=False, rates=(1, 2, 3), head=8)


class TestDeepLabMask(LearnedConformance):
    method = DeepLabMask
    # Of 64 pixels its maps of 16 x 16 could say no more than an IoU of 0.91.
    heart_size = 128


class TestDeepLabImageMask(LearnedConformance):
    method = DeepLabImageMask
    # Of 64 pixels its maps of 16 x 16 could say no more than an IoU of 0.91.
    heart_size = 128


def test_the_full_networks_have_torchvision_s_size() -> None:
    """torchvision's has 42,004,074 parameters for 21 classes; here 19 fewer in each of two heads.

    The fourth channel adds 64 7x7 kernels. The second head takes no part in a prediction: a 3x3
    convolution of 1024 channels to 256 with batch norm, and 2 classes.
    """
    image_only = 42_004_074 - 2 * 19 * (256 + 1)
    second_head = 1024 * 256 * 9 + 2 * 256 + 2 * (256 + 1)
    with torch.device("meta"):
        row_a, row_b = DeepLabImageMask("full"), DeepLabMask("full")
    assert parameters(row_a.nets.generator) == image_only == 41_994_308
    assert parameters(row_b.nets.generator) == image_only + 64 * 49 == 41_997_444
    assert row_a.parameters_used() == image_only - second_head == 39_633_986
    assert row_b.parameters_used() == 39_637_122


@pytest.mark.parametrize(("preset", "count"), [("quick", 418_196), ("small", 2_583_652)])
def test_the_other_presets_are_smaller(preset: str, count: int) -> None:
    with torch.device("meta"):
        assert parameters(DeepLab(4, DEEPLAB_PRESETS[preset])) == count  # type: ignore[index]


def test_with_torchvision_s_weights_and_rates_it_computes_the_same() -> None:
    torch.manual_seed(0)
    theirs = deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=2, aux_loss=True
    ).eval()
    with torch.device("meta"):
        ours = DeepLab(3, DeepLabConfig(rates=(12, 24, 36)))
    ours.load_state_dict(theirs.state_dict(), assign=True)
    picture = torch.rand(1, 3, 64, 48)
    with torch.inference_mode():
        assert torch.allclose(ours.eval()(picture).main, theirs(picture)["out"], atol=1e-5)
        for norm in (m for m in ours.modules() if isinstance(m, (nn.BatchNorm2d, nn.Dropout))):
            norm.eval()
        ours.training = True  # with eval-mode layers, so that nothing is drawn
        auxiliary = ours(picture).auxiliary
        assert auxiliary is not None
        assert torch.allclose(auxiliary, theirs(picture)["aux"], atol=1e-5)


def test_the_trunk_without_dilation_is_torchvision_s_resnet() -> None:
    with torch.device("meta"):
        ours = trunk(3, 64, (3, 4, 6, 3), pool=True, dilated=False)
        theirs = resnet50(weights=None)
        theirs.fc = nn.Identity()
        assert ours(torch.zeros(1, 3, 256, 256)).shape == (1, 2048, 8, 8)
    wanted = {name: tensor.shape for name, tensor in theirs.state_dict().items()}
    assert {name: tensor.shape for name, tensor in ours.state_dict().items()} == wanted


@pytest.mark.parametrize(
    ("preset", "size", "side", "rates"),
    [("quick", 64, 16, [3, 6, 9]), ("small", 128, 32, [6, 12, 18]), ("full", 256, 32, [6, 12, 18])],
)
def test_maps_and_dilation_rates(preset: str, size: int, side: int, rates: list[int]) -> None:
    with torch.device("meta"):
        network = DeepLab(3, DEEPLAB_PRESETS[preset])  # type: ignore[index]
        maps = network.backbone(torch.zeros(1, 3, size, size))
    assert {tuple(m.shape[-2:]) for m in maps.values()} == {(side, side)}
    found = [m[0].dilation[0] for m in network.modules() if isinstance(m, ASPPConv)]
    assert found == rates


@pytest.mark.parametrize("size", [(64, 64), (50, 37), (16, 24)])
def test_scores_have_the_size_of_the_photo(size: tuple[int, int]) -> None:
    scores = DeepLab(4, TINY)(torch.rand(2, 4, *size))
    assert scores.main.shape == (2, 2, *size)
    assert scores.auxiliary is not None and scores.auxiliary.shape == (2, 2, *size)


@pytest.mark.parametrize("method", [DeepLabMask, DeepLabImageMask])
def test_a_single_sample_can_be_trained_on(
    method: type[DeepLabMask] | type[DeepLabImageMask],
) -> None:
    torch.manual_seed(0)
    batch = collate(make_samples(1, 64, np.random.default_rng(0)))
    nets = method("quick", TINY).nets.train()
    torch.stack(list(nets.generator_step(batch)[0].values())).sum().backward()
    gradients = [p.grad for p in nets.parameters()]
    assert all(g is not None and bool(g.isfinite().all()) for g in gradients)


def pooled(branch: ImagePooling, x: Tensor) -> Tensor:
    return branch[1](branch[0](x))


def test_image_pooling_of_one_sample_uses_what_it_has_seen_before() -> None:
    torch.manual_seed(0)
    branch = ImagePooling(3, 4)
    norm = branch[2]
    assert isinstance(norm, nn.BatchNorm2d)
    nn.init.uniform_(norm.running_mean)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    before = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    x = torch.randn(1, 3, 5, 7)
    made = branch.train()(x)
    scale = (norm.running_var[:, None, None] + norm.eps).rsqrt()
    wanted = ((pooled(branch, x) - norm.running_mean[:, None, None]) * scale).relu()
    torch.testing.assert_close(made, wanted.expand(1, 4, 5, 7))
    assert torch.equal(made, branch.eval()(x))
    assert all(torch.equal(before[name], tensor) for name, tensor in norm.state_dict().items())


def test_image_pooling_of_several_samples_is_batch_norm() -> None:
    torch.manual_seed(0)
    branch, x = ImagePooling(3, 4).train(), torch.randn(3, 3, 5, 7)
    mean = pooled(branch, x)
    scale = (mean.var(dim=0, correction=0) + 1e-5).rsqrt()
    wanted = ((mean - mean.mean(dim=0)) * scale).relu()
    torch.testing.assert_close(branch(x), wanted.expand(3, 4, 5, 7))
    assert int(branch[2].num_batches_tracked) == 1


def silent(config: DeepLabConfig) -> DeepLabNets:
    """Networks whose scores are the biases of their last layers, 0 at first."""
    nets = DeepLabNets(("image", "initial"), config).train()
    with torch.no_grad():
        for parameter in nets.parameters():
            parameter.zero_()
    return nets


def values(terms: Terms) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def test_the_loss_is_cross_entropy_and_half_of_the_second_head_s(batch: Batch) -> None:
    nets = silent(TINY)
    terms, made = nets.generator_step(batch)
    assert values(terms) == pytest.approx(
        {"amodal_ce": math.log(2), "auxiliary_ce": math.log(2) / 2}
    )
    assert not made and nets.discriminator is None
    network = nets.generator
    assert isinstance(network, DeepLab) and network.aux_classifier is not None
    person = float(batch.amodal.mean())
    with torch.no_grad():
        network.classifier[-1].bias[1] = 1.0
        network.aux_classifier[-1].bias[0] = 2.0
    main = math.log(1 + math.e) - person
    auxiliary = math.log(1 + math.exp(2)) - 2 * (1 - person)
    assert values(nets.generator_step(batch)[0]) == pytest.approx(
        {"amodal_ce": main, "auxiliary_ce": auxiliary / 2}, rel=1e-5
    )


def test_without_its_weight_there_is_no_second_head(batch: Batch) -> None:
    nets = silent(DeepLabConfig(4, (1, 1, 1, 1), False, (1, 2, 3), 8, auxiliary=0.0))
    assert values(nets.generator_step(batch)[0]) == pytest.approx({"amodal_ce": math.log(2)})
    assert not any("aux_classifier" in name for name, _ in nets.named_parameters())


def test_the_second_head_is_not_asked_in_eval_mode() -> None:
    assert DeepLab(3, TINY).eval()(torch.rand(1, 3, 32, 32)).auxiliary is None


def test_a_prediction_is_the_chance_of_a_person(batch: Batch) -> None:
    method = DeepLabMask("quick", TINY)
    method.nets = silent(TINY)
    with torch.no_grad():
        method.nets.generator.classifier[-1].bias.copy_(torch.tensor([0.5, 2.0]))
    prediction = method.predict(batch)
    torch.testing.assert_close(prediction, torch.full_like(prediction, 1 / (1 + math.exp(-1.5))))


def test_the_rows_differ_by_the_initial_mask_alone(batch: Batch) -> None:
    assert DeepLabImageMask.consumes == {"image"}
    assert DeepLabMask.consumes == {"image", "initial"}
    assert DeepLabImageMask.title != DeepLabMask.title
    torch.manual_seed(0)
    method = DeepLabMask("quick")
    other = batch.replace(initial=1 - batch.initial)
    assert not torch.equal(method.predict(batch), method.predict(other))
    with torch.device("meta"):
        names = [
            {name: p.shape for name, p in m("full").nets.named_parameters()}
            for m in (DeepLabImageMask, DeepLabMask)
        ]
    differing = {name for name in names[0] if names[0][name] != names[1][name]}
    assert differing == {"generator.backbone.conv1.weight"}


def test_inputs_are_signed(batch: Batch) -> None:
    """The network sees the image and then the mask, both in [-1, 1]."""
    nets, seen = DeepLabNets(("image", "initial"), TINY), []
    nets.generator.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    nets.scores(batch)
    wanted = torch.cat([batch.image * 2 - 1, batch.initial * 2 - 1], dim=1)
    assert torch.equal(seen[0], wanted)


def test_a_trunk_needs_four_stages() -> None:
    with pytest.raises(ValueError, match="blocks"):
        DeepLabConfig(blocks=(2, 2))
