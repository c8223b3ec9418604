"""Our two stages as methods: the contract of every method, and what is particular to them."""

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from hdeocc import losses
from hdeocc.batch import Batch, collate
from hdeocc.content_recovery import ContentOutput
from hdeocc.guided_recovery import one_hot, parsing_inside
from hdeocc.mask_completion import MaskCompletion, MaskOutput
from hdeocc.method import Budget, FitData, Method
from hdeocc.two_stage_content import (
    CONTENT_PRESETS,
    STAGE_1,
    ContentNets,
    TwoStageContent,
)
from hdeocc.two_stage_mask import MASK_PRESETS, TwoStageMask
from synth.errors import InputError
from tests.conformance import ContentConformance, LearnedConformance, cpu_fabric
from tests.fakes import make_samples


class TestTwoStageMask(LearnedConformance):
    method = TwoStageMask
    learn_steps: ClassVar[int] = 40


class TestTwoStageContent(LearnedConformance, ContentConformance):
    method = TwoStageContent
    learn_steps: ClassVar[int] = 60

    def upstream(self) -> dict[str, Method]:
        torch.manual_seed(3)
        return {STAGE_1: TwoStageMask("quick")}


def test_discriminators_are_trained_as_the_released_code_does() -> None:
    assert TwoStageMask.discriminator_betas == (0.5, 0.9)
    assert (TwoStageContent.discriminator_lr, TwoStageContent.discriminator_betas) == (
        0.1,
        (0.0, 0.9),
    )


def test_the_parsing_fills_the_mask_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 20, 16, 16, generator=generator)
    amodal = (torch.rand(2, 1, 16, 16, generator=generator) > 0.5).float()
    parsing = parsing_inside(logits, amodal)
    torch.testing.assert_close(parsing.sum(dim=1), torch.ones(2, 16, 16))
    assert torch.equal(parsing[:, :1], 1 - amodal)


def test_labels_become_one_hot_and_back() -> None:
    labels = torch.randint(0, 20, (3, 8, 8), generator=torch.Generator().manual_seed(1))
    assert torch.equal(one_hot(labels).argmax(dim=1), labels)


def test_stage_1_stays_as_it_was_while_stage_2_learns() -> None:
    samples = make_samples(4, 64, np.random.default_rng(0))
    stage_1 = TwoStageMask("quick")
    before = {k: v.clone() for k, v in stage_1.net.state_dict().items()}
    method = TwoStageContent("quick")
    data = FitData(samples, samples[:1], upstream={STAGE_1: stage_1})
    method.fit(data, Budget(12, batch=4, precision="32-true"), cpu_fabric())
    for name, value in method.net.stage_1.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_stage_1_learns_from_the_initial_mask_and_not_from_the_true_one() -> None:
    """Or it would be trained on what nobody gives it later."""
    nets, seen = TwoStageMask("quick").nets.train(), []
    batch = collate(make_samples(2, 64, np.random.default_rng(0)))
    batch = batch.replace(initial=batch.modal.roll(3, dims=3))
    assert not torch.equal(batch.initial, batch.modal)
    nets.generator.register_forward_pre_hook(lambda _, given: seen.append(given))
    nets.generator_step(batch)
    [(image, initial)] = seen
    assert image.shape == batch.image.shape and torch.equal(initial, batch.initial)


class Halves(torch.nn.Module):
    """Stands for stage 1: sees the upper half of the frame, and takes the lower for the whole."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: Tensor, initial: Tensor) -> MaskOutput:
        size = image.shape[-1]
        lower = (torch.arange(size) >= size // 2).float()[:, None].expand(len(image), 1, size, size)
        modal, amodal = (torch.cat([1 - m, m], dim=1) * 20 - 10 for m in (1 - lower, lower))
        parsing = torch.zeros(len(image), 20, size, size)
        parsing[:, 9] = 9.0
        return MaskOutput(modal, amodal, parsing, parsing)


def test_the_person_is_where_either_mask_says_so() -> None:
    method = TwoStageMask("quick")
    method.nets.generator = Halves()
    batch = collate(make_samples(2, 64, np.random.default_rng(0))).only(method.consumes)
    assert bool((method.predict(batch) > 0.9).all())
    mask, parts = method.predict_with_parsing(batch)
    assert bool((mask > 0.9).all())
    assert parts is not None and bool((parts == 9).all())


def test_templates_come_from_the_training_masks() -> None:
    samples = make_samples(6, 64, np.random.default_rng(0))
    method = TwoStageMask("quick")
    method.prepare(FitData(samples, samples[:1]), Budget(4))
    assert method.net.templates is not None
    kept = method.net.templates.templates
    mean = np.mean([s.amodal.mean() for s in samples])
    assert kept[:6].mean().item() == pytest.approx(mean, rel=0.02)
    assert not kept[6:].any(), "six people give six templates"


@pytest.mark.parametrize(("preset", "pixels"), [("quick", 64), ("small", 128), ("full", 256)])
def test_every_preset_fits_its_size(preset: str, pixels: int) -> None:
    with torch.device("meta"):
        mask = TwoStageMask(preset)  # type: ignore[arg-type]
        content = TwoStageContent(preset)  # type: ignore[arg-type]
    assert mask.sizes == MASK_PRESETS[preset]  # type: ignore[index]
    levels = CONTENT_PRESETS[preset].net.levels  # type: ignore[index]
    assert pixels >> levels == 2, "the innermost level is two pixels wide, as in the paper"
    if preset == "full":
        assert mask.parameters_used() == pytest.approx(27.0e6, rel=0.01)
    assert content.parameters_used() > mask.parameters_used()


class Wrong(torch.nn.Module):
    """Stands for stage 1: takes the lower half of the frame for the person, all of it trousers."""

    config = MASK_PRESETS["quick"].net

    def forward(self, image: Tensor, initial: Tensor) -> MaskOutput:
        size = image.shape[-1]
        lower = (torch.arange(size) >= size // 2).float()[:, None].expand(len(image), 1, size, size)
        mask = torch.cat([1 - lower, lower], dim=1) * 20 - 10
        parsing = torch.zeros(len(image), 20, size, size)
        parsing[:, 9] = 9.0
        nothing = torch.cat([torch.ones_like(lower), -torch.ones_like(lower)], dim=1) * 10
        return MaskOutput(nothing, mask, parsing, parsing)


def predicted(share: float) -> tuple[ContentNets, Batch]:
    """Stage 2 that learns from predicted masks, and people whose initial masks are not true."""
    torch.manual_seed(0)
    sizes = replace(CONTENT_PRESETS["quick"], predicted_masks=share, true_parsing=1.0)
    method = TwoStageContent("quick", sizes)
    method.net.stage_1 = cast(MaskCompletion, Wrong())
    batch = collate(make_samples(4, 64, np.random.default_rng(0)))
    return cast(ContentNets, method.nets), batch.replace(initial=batch.modal.roll(3, dims=3))


def test_predicted_masks_are_those_of_the_full_pipeline() -> None:
    nets, batch = predicted(1.0)
    seen = nets.with_masks(batch)
    assert torch.equal(seen.modal, batch.initial)
    lower = torch.zeros_like(batch.amodal)
    lower[:, :, 32:] = 1
    assert torch.equal(seen.amodal, torch.maximum(lower, batch.initial))
    assert torch.equal(seen.wrong, (seen.amodal > 0) & (batch.amodal == 0))
    trousers = nets.guidance(seen)[:, 9:10]
    assert torch.equal((trousers > 0.9).float(), seen.amodal), "parsing is predicted, and fits"


def test_by_default_masks_and_parsing_are_as_they_were() -> None:
    nets, batch = predicted(0.0)
    seen = nets.with_masks(batch)
    assert all(torch.equal(seen.fields[name], value) for name, value in batch.fields.items())
    assert not seen.wrong.any()
    torch.testing.assert_close(nets.guidance(seen), one_hot(batch.parsing))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    nets.with_masks(batch)
    assert torch.equal(before, torch.get_rng_state()), "the draws of a step would be others"


def test_a_share_of_the_samples_gets_predicted_masks() -> None:
    nets, batch = predicted(0.5)
    torch.manual_seed(0)
    changed = torch.stack(
        [(nets.with_masks(batch).modal != batch.modal).flatten(1).any(dim=1) for _ in range(50)]
    )
    assert float(changed.float().mean()) == pytest.approx(0.5, abs=0.1)


def test_each_sample_has_predicted_masks_and_parsing_or_true_ones() -> None:
    """Stage 1 is asked for some samples only; each gets what is its own."""
    nets, batch = predicted(1.0)
    nets.true_parsing = 0.0
    wholly = nets.with_masks(batch)
    guesses = nets.guidance(wholly)
    nets.predicted_masks = nets.true_parsing = 0.5
    seen_masks, seen_parsings = set(), set()
    for seed in range(20):
        torch.manual_seed(seed)
        mixed = nets.with_masks(batch)
        parsing = nets.guidance(mixed)
        for i in range(len(batch)):
            predicted_one = torch.equal(mixed.modal[i], wholly.modal[i])
            of = wholly if predicted_one else batch.replace(wrong=torch.zeros_like(wholly.wrong))
            for name in ("modal", "amodal", "wrong"):
                assert torch.equal(mixed.fields[name][i], of.fields[name][i])
            true_one = torch.equal(parsing[i], one_hot(batch.parsing)[i])
            assert not (predicted_one and true_one), "the true parsing does not fit"
            if predicted_one:
                torch.testing.assert_close(parsing[i], guesses[i])
            seen_masks.add(predicted_one)
            seen_parsings.add(true_one)
    assert seen_masks == seen_parsings == {False, True}


def losses_with(batch: Batch) -> dict[str, float]:
    nets = predicted(1.0)[0].train()
    torch.manual_seed(0)
    with torch.no_grad():
        terms, _ = nets.generator_step(batch)
    return {name: float(value) for name, value in terms.items()}


def test_what_is_wrongly_taken_for_the_person_teaches_nothing() -> None:
    """The clean picture shows something else there, so no loss may depend on it."""
    nets, batch = predicted(1.0)
    wrong = nets.with_masks(batch).wrong
    noise = torch.rand(batch.clean.shape, generator=torch.Generator().manual_seed(0))
    other = batch.replace(clean=torch.where(wrong, noise, batch.clean))
    assert losses_with(batch) == losses_with(other)
    right = (batch.amodal > 0) & (nets.with_masks(batch).amodal > 0) & (batch.initial == 0)
    taught = batch.replace(clean=torch.where(right, noise, batch.clean))
    assert losses_with(batch)["l1"] != losses_with(taught)["l1"]


def test_no_gradient_comes_from_where_masks_are_wrong() -> None:
    nets, batch = predicted(1.0)
    seen = nets.with_masks(batch)
    hole = (seen.amodal >= 0.5) & (seen.modal < 0.5)
    recon = torch.rand(batch.clean.shape, requires_grad=True)
    comp = torch.where(hole, recon, batch.image)
    out = ContentOutput(recon, comp)
    target = nets._target(seen, out, hole)
    l1_only = replace(nets.loss, adversarial=0.0)
    terms = losses.content_losses(out, target, seen.amodal, hole=hole, config=l1_only)
    terms["l1"].backward()
    assert recon.grad is not None
    silent = (seen.wrong & hole).expand_as(recon)
    assert silent.any() and not recon.grad[silent].any() and recon.grad[~silent].abs().mean() > 0


def test_outside_the_hole_the_target_is_the_photo() -> None:
    """Where an initial mask spills over too, else the judge would see what is real as painted."""
    nets, batch = predicted(1.0)
    seen = nets.with_masks(batch)
    hole = ((seen.amodal >= 0.5) & (seen.modal < 0.5)).expand_as(batch.image)
    assert bool((seen.wrong & ~hole).any()), "nothing spills over here"
    recon = torch.rand(batch.clean.shape)
    target = nets._target(seen, ContentOutput(recon, recon), hole[:, :1])
    assert torch.equal(target[~hole], batch.image[~hole])
    right = hole & ~seen.wrong
    assert torch.equal(target[right], batch.clean[right])


def test_the_hole_is_counted_where_the_truth_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    nets, batch = predicted(0.0)
    counted: list[torch.Tensor] = []
    plain = losses.content_losses

    def noting(*given: Any, **named: Any) -> dict[str, torch.Tensor]:
        counted.append(named["hole"])
        return plain(*given, **named)

    monkeypatch.setattr(losses, "content_losses", noting)
    some = batch.has_clean.clone()
    some[0] = False
    nets.train().generator_step(batch.replace(has_clean=some))
    assert not counted[0][0].any() and counted[0][1:].flatten(1).any(dim=1).all()


def test_training_on_predicted_masks_goes_through() -> None:
    samples = make_samples(4, 64, np.random.default_rng(0))
    sizes = replace(CONTENT_PRESETS["quick"], predicted_masks=0.5)
    method = TwoStageContent("quick", sizes)
    data = FitData(samples, [], upstream={STAGE_1: TwoStageMask("quick")})
    method.fit(data, Budget(8, batch=4, precision="32-true"), cpu_fabric())
    prediction = method.predict(collate(samples))
    assert bool(torch.isfinite(prediction).all())


def test_stage_2_stands_on_a_stage_1_of_other_settings(tmp_path: Path) -> None:
    """Saved, it remembers which; the preset's stays as it was."""
    samples = make_samples(2, 64, np.random.default_rng(0))
    stage_1 = TwoStageMask.variant("quick", {"templates": 3})
    method = TwoStageContent("quick")
    method.prepare(FitData(samples, [], upstream={STAGE_1: stage_1}), Budget(4))
    method.save(tmp_path)
    again = TwoStageContent("quick")
    again.load(tmp_path)
    assert again.net.stage_1.config.templates == 3
    batch = collate(samples)
    torch.testing.assert_close(method.predict(batch), again.predict(batch))
    (tmp_path / "stage_1.json").write_text('{"wdith": 3}')
    with pytest.raises(InputError, match=r"stage_1.json: no settings of stage 1"):
        TwoStageContent("quick").load(tmp_path)
    TwoStageContent("quick").save(tmp_path / "plain")
    assert not (tmp_path / "plain" / "stage_1.json").exists()


def test_stage_2_refuses_a_stage_1_that_does_not_parse() -> None:
    stage_1 = TwoStageMask.variant("quick", {"parsing": False})
    with pytest.raises(InputError, match="guided by the parsing of stage 1, which has none"):
        TwoStageContent("quick").prepare(FitData([], [], upstream={STAGE_1: stage_1}), Budget(4))


def test_weights_of_another_width_are_one_line(tmp_path: Path) -> None:
    TwoStageMask.variant("quick", {"net.width": 2}).save(tmp_path)
    with pytest.raises(InputError, match="not weights of TwoStageMask at preset quick") as caught:
        TwoStageMask("quick").load(tmp_path)
    assert "\n" not in caught.value.message
