"""Every switch of both stages has its documented default and does something."""

from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hdeocc import losses, two_stage_mask
from hdeocc.batch import Batch, collate
from hdeocc.content_recovery import ContentRecoveryConfig
from hdeocc.discriminators import frozen
from hdeocc.learned import Adversarial
from hdeocc.losses import ContentLossConfig, MaskLossConfig
from hdeocc.mask_completion import MaskCompletionConfig
from hdeocc.method import Budget, FitData
from hdeocc.two_stage_content import ContentNets, ContentPreset
from hdeocc.two_stage_mask import MaskNets, MaskPreset, TwoStageMask
from synth.sample import Sample
from tests.fakes import make_samples

SIZE = 32
NET_1 = MaskCompletionConfig(width=1, templates=8, template_size=16)
NET_2 = ContentRecoveryConfig(width=8, levels=5)

# What METHODS names, and what it decides (3.1 to 3.4, 4.1 to 4.4).
DEFAULTS: dict[type, dict[str, Any]] = {
    MaskCompletionConfig: {
        "width": 4, "stacked": True, "parsing": True, "parsing_convs": 2, "se": True,
        "se_reduction": 4, "detach": False, "templates": 64, "template_size": 64,
        "template_score": "cosine", "hard_templates": False, "aligned_templates": True,
    },
    MaskLossConfig: {
        "cross_entropy": 0.5, "modal_ce": 1.0, "amodal_ce": 1.0, "parsing_ce": 0.2, "l1": 0.1,
        "perceptual": 0.1, "adversarial": 0.01, "soft": True,
    },
    ContentRecoveryConfig: {
        "width": 64, "levels": 7, "background": 0.3, "pga_kernel": 3, "pga_fusion_kernel": 1,
        "pga_positions": ("enc3", "enc5", "dec5", "dec3"), "pga_scaled": True, "residual": True,
        "mask_after_pga": "ones", "per_channel_masks": True, "window_normalisation": True,
        "output": "tanh", "start": "grey",
    },
    ContentLossConfig: {
        "l1": 2.0, "style": 40.0, "correlation": 1.0, "adversarial": 0.1, "completed": 5.0,
        "l1_over": "frame", "correlation_size": 32, "background": 0.3,
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", DEFAULTS, ids=lambda kind: kind.__name__)
def test_defaults_are_the_method_s(kind: type) -> None:
    found = asdict(kind())
    assert {name: found[name] for name in DEFAULTS[kind]} == DEFAULTS[kind]


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return make_samples(4, SIZE, np.random.default_rng(0))


@pytest.fixture(scope="module")
def batch(samples: list[Sample]) -> Batch:
    return collate(samples)


def pyramid(image: Tensor) -> list[Tensor]:
    """A stand-in for a feature network: three levels of pooled colours and their squares."""
    levels = [F.avg_pool2d(image, 2**i) for i in (1, 2, 3)]
    return [torch.cat([level, level.square()], dim=1) for level in levels]


@pytest.fixture(autouse=True)
def no_vgg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_stage_mask, "vgg_features", lambda: pyramid)


def mask_nets(samples: list[Sample], sizes: MaskPreset) -> MaskNets:
    torch.manual_seed(0)
    method = TwoStageMask("quick", sizes)
    method.prepare(FitData(samples, samples[:1]), Budget(4))
    assert isinstance(method.nets, MaskNets)
    return method.nets


def content_nets(sizes: ContentPreset) -> ContentNets:
    torch.manual_seed(0)
    nets = ContentNets(sizes, NET_1)
    for name, parameter in nets.generator.named_parameters():
        if name.endswith("gate"):
            nn.init.ones_(parameter)
    nets.features = pyramid
    return nets


@pytest.fixture(scope="module")
def plain() -> dict[Any, list[float]]:
    """Outcomes without a switch, by preset."""
    return {}


def outcome(nets: Adversarial, batch: Batch) -> list[float]:
    """Size, loss, and gradients of one generator step: what a switch may change."""
    torch.manual_seed(1)
    nets.train()
    terms, made = nets.generator_step(batch)
    torch.stack([term.float() for term in terms.values()]).sum().backward()
    found = [p for p in nets.generator.parameters() if p.grad is not None]
    size = sum(p.numel() for p in nets.generator.parameters())
    moved = sum(float(p.grad.double().abs().sum()) for p in found if p.grad is not None)
    shown = next(iter(made.values())).detach().double()
    return [size, *(float(t.detach()) for t in terms.values()), moved, float(shown.abs().sum())]


# Another value of every field, and the surroundings without which it has no say.
SWITCHES_1: dict[str, tuple[Any, dict[str, Any]]] = {
    "net.width": (2, {}),
    "net.stacked": (False, {}),
    "net.parsing": (False, {}),
    "net.parsing_convs": (1, {}),
    "net.se": (False, {}),
    "net.se_reduction": (8, {}),
    "net.detach": (True, {}),
    "net.templates": (0, {}),
    "net.template_size": (32, {}),
    "net.template_score": ("coverage", {}),
    "net.template_beta": (0.5, {"net.template_score": "coverage"}),
    "net.hard_templates": (True, {}),
    "net.aligned_templates": (False, {}),
    "net.init_gain": (0.02, {}),
    "loss.cross_entropy": (1.0, {}),
    "loss.modal_ce": (2.0, {}),
    "loss.amodal_ce": (2.0, {}),
    "loss.parsing_ce": (2.0, {}),
    "loss.l1": (1.0, {}),
    "loss.perceptual": (0.0, {}),
    "loss.adversarial": (0.1, {}),
    "loss.soft": (False, {}),
    "loss.straight_through": (True, {}),
    "blank": (1.0, {}),
}
SWITCHES_2: dict[str, tuple[Any, dict[str, Any]]] = {
    "net.width": (16, {}),
    "net.levels": (6, {}),
    "net.background": (1.0, {}),
    "net.pga_positions": ((), {}),
    "net.pga_parts": (False, {}),
    "net.pga_spatial": (False, {}),
    "net.pga_kernel": (1, {}),
    "net.pga_fusion_kernel": (3, {}),
    "net.pga_scaled": (False, {"net.width": 16}),  # at 8 channels the depth is 1
    "net.residual": (False, {}),
    # With a mask for each channel nothing is unknown behind the first convolution.
    "net.mask_after_pga": (
        "keep",
        {"net.per_channel_masks": False, "net.pga_positions": ("enc1",)},
    ),  # fmt: skip
    "net.per_channel_masks": (False, {}),
    "net.window_normalisation": (False, {}),
    "net.output": ("clamp", {}),
    "net.start": ("smooth", {}),
    "net.init_gain": (0.02, {}),
    "loss.l1": (1.0, {}),
    "loss.style": (0.0, {}),
    "loss.correlation": (0.0, {}),
    "loss.adversarial": (0.01, {}),
    "loss.completed": (1.0, {}),
    "loss.l1_over": ("hole", {}),
    "loss.correlation_size": (4, {}),
    "true_parsing": (1.0, {}),
    "predicted_masks": (1.0, {}),
    "vgg_share": (0.5, {}),
}


def changed(preset: Any, values: dict[str, Any]) -> Any:
    for path, value in values.items():
        *holder, name = path.split(".")
        if holder:
            value = replace(getattr(preset, holder[0]), **{name: value})
            name = holder[0]
        preset = replace(preset, **{name: value})
    return preset


def test_no_switch_is_left_out() -> None:
    """Read by others: D's width; whether VGG is loaded; the loss's background, set by the net's."""
    for preset, switches, others in (
        (MaskPreset(NET_1), SWITCHES_1, {"discriminator"}),
        (ContentPreset(NET_2), SWITCHES_2, {"discriminator", "vgg", "loss.background"}),
    ):
        names = {f.name for f in fields(preset)} - {"net", "loss"}
        for part in ("net", "loss"):
            names |= {f"{part}.{f.name}" for f in fields(getattr(preset, part))}
        assert names - others == set(switches)


@pytest.mark.parametrize("name", SWITCHES_1)
def test_switches_of_stage_1_do_something(
    name: str, samples: list[Sample], batch: Batch, plain: dict[Any, list[float]]
) -> None:
    value, around = SWITCHES_1[name]
    preset = changed(MaskPreset(NET_1, discriminator=4, blank=0.0), around)
    if preset not in plain:
        plain[preset] = outcome(mask_nets(samples, preset), batch)
    other = outcome(mask_nets(samples, changed(preset, {name: value})), batch)
    assert other != plain[preset]


@pytest.mark.parametrize("name", SWITCHES_2)
def test_switches_of_stage_2_do_something(
    name: str, batch: Batch, plain: dict[Any, list[float]]
) -> None:
    value, around = SWITCHES_2[name]
    preset = changed(
        ContentPreset(NET_2, discriminator=4, true_parsing=0.0, predicted_masks=0.0), around
    )
    if preset not in plain:
        plain[preset] = outcome(content_nets(preset), batch)
    assert outcome(content_nets(changed(preset, {name: value})), batch) != plain[preset]


def test_outcomes_differ_by_switches_alone(samples: list[Sample], batch: Batch) -> None:
    one, two = MaskPreset(NET_1, discriminator=4), ContentPreset(NET_2, discriminator=4)
    assert outcome(mask_nets(samples, one), batch) == outcome(mask_nets(samples, one), batch)
    assert outcome(content_nets(two), batch) == outcome(content_nets(two), batch)


@pytest.mark.parametrize("count", [0, 16, 64, 128])
def test_any_number_of_templates(count: int, samples: list[Sample], batch: Batch) -> None:
    nets = mask_nets(samples, MaskPreset(replace(NET_1, templates=count), discriminator=4))
    assert all(np.isfinite(outcome(nets, batch)))
    state = nets.generator.state_dict()
    assert (len(state["templates.templates"]) if count else 0) == count


@pytest.mark.parametrize("stage", ["mask", "mask, straight through", "content"])
def test_adversarial_gradients_reach_the_one_whose_step_it_is(
    stage: str, samples: list[Sample], batch: Batch
) -> None:
    """The generator's step moves the generator alone, the discriminator's the discriminator."""
    nets: Adversarial
    if stage == "content":
        nets = content_nets(ContentPreset(NET_2, discriminator=4))
    else:
        loss = MaskLossConfig(straight_through="straight" in stage)
        nets = mask_nets(samples, MaskPreset(NET_1, loss, discriminator=4))
    assert nets.discriminator is not None
    nets.train()
    with frozen(nets.discriminator):
        terms, made = nets.generator_step(batch)
        terms["adversarial"].backward()
    first = next(p for p in nets.generator.parameters() if p.requires_grad)
    assert first.grad is not None and first.grad.abs().sum() > 0
    assert all(p.grad is None for p in nets.discriminator.parameters())

    nets.generator.zero_grad(set_to_none=True)
    detached = {name: tensor.detach() for name, tensor in made.items()}
    nets.discriminator_step(batch, detached)["discriminator"].backward()
    assert all(p.grad is None for p in nets.generator.parameters())
    assert all(p.grad is not None for p in nets.discriminator.parameters() if p.requires_grad)


def test_an_unlabelled_sample_of_a_batch_gets_exactly_no_parsing_gradient() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 20, 8, 8, requires_grad=True)
    labels = torch.randint(0, 20, (3, 8, 8))
    labels[1] = 255
    losses.parsing_cross_entropy(logits, labels, torch.tensor([True, False, True])).backward()
    assert logits.grad is not None and not logits.grad[1].any()
    assert logits.grad[0].all() and logits.grad[2].all()
