"""OVSR-style recovery: two paths through one network, and what each may see and must show."""

import math
from dataclasses import replace
from typing import Literal, cast

import pytest
import torch
from torch import Tensor, nn

from baselines import ovsr_content
from baselines.ovsr_content import (
    ContentStep,
    OvsrContent,
    OvsrContentConfig,
    OvsrContentNets,
    Paths,
    seen_by_paths,
    with_masks,
)
from hdeocc.batch import Batch
from hdeocc.method import Budget, FitData, Preset
from tests.baselines.nets import gradient_norm, parameters
from tests.conformance import ContentConformance, LearnedConformance, hole_of, shaken

TINY = OvsrContentConfig(levels=5, generator_width=4, discriminator_width=4)
PATHS = ("picture", "foreground")


class TestOvsrContent(LearnedConformance, ContentConformance):
    method = OvsrContent
    heart_steps = 1000
    heart_lr = 5e-4


def test_the_full_networks_are_pix2pixs() -> None:
    """A PatchGAN of 5 channels has 16 * 64 weights more than one of 4, which has 2,766,657."""
    with torch.device("meta"):
        nets = OvsrContent("full").nets
    assert nets.discriminator is not None
    assert parameters(nets.generator) == 54_416_003
    assert parameters(nets.discriminator) == 2 * (2_766_657 + 16 * 64) == 5_535_362


@pytest.mark.parametrize(("preset", "count"), [("quick", 458_835), ("small", 4_089_163)])
def test_small_and_quick_are_narrower(preset: Preset, count: int) -> None:
    with torch.device("meta"):
        assert OvsrContent(preset).parameters_used() == count


def test_it_says_that_it_is_re_derived() -> None:
    assert OvsrContent.title == "OVSR-style (re-derived)"


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="levels 4"):
        OvsrContentConfig(levels=4)
    with pytest.raises(ValueError, match="shows 'best'"):
        OvsrContentConfig(shows="best")  # type: ignore[arg-type]


# --- what the paths see -----------------------------------------------------------------------


def masks(batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    return batch.image, batch.modal, batch.amodal


def test_one_path_sees_the_image_and_one_the_visible_person(batch: Batch) -> None:
    seen, hole = seen_by_paths(*masks(batch)), hole_of(batch).expand(-1, 3, -1, -1)
    assert torch.equal(seen.picture[~hole], batch.image[~hole])
    assert bool((seen.picture[hole] == 0.5).all())
    person = (batch.modal > 0.5).expand(-1, 3, -1, -1)
    assert torch.equal(seen.foreground[person], batch.image[person])
    assert bool((seen.foreground[~person] == 0.5).all())


def test_no_path_sees_the_hole_of_soft_masks(batch: Batch) -> None:
    soft = 0.4 + 0.2 * batch.modal
    noise = torch.rand(batch.image.shape)
    other = torch.where(hole_of(batch), noise, batch.image)
    first = seen_by_paths(batch.image, soft, batch.amodal)
    for one, two in zip(first, seen_by_paths(other, soft, batch.amodal), strict=True):
        assert torch.equal(one, two)


def test_hole_and_amodal_mask_stand_beside_the_picture(batch: Batch) -> None:
    given = with_masks(*masks(batch))
    assert given.shape == (4, 5, 64, 64)
    torch.testing.assert_close(given[:, :3], batch.image * 2 - 1)
    assert torch.equal(given[:, 3:4], hole_of(batch) * 2.0 - 1)
    assert torch.equal(given[:, 4:], (batch.amodal > 0.5) * 2.0 - 1)


def test_the_background_reaches_the_picture_but_not_the_foreground(batch: Batch) -> None:
    method = OvsrContent("quick", TINY)
    step = cast(ContentStep, cast(OvsrContent, shaken(method)).nets.generator).eval()
    noise = torch.rand(batch.image.shape)
    other = torch.where(batch.amodal < 0.5, noise, batch.image)
    first, second = step.both(*masks(batch)), step.both(other, batch.modal, batch.amodal)
    assert torch.equal(first.foreground, second.foreground)
    assert not torch.equal(first.picture, second.picture)


# --- one turn of recovery ---------------------------------------------------------------------


def test_both_paths_go_through_the_network_together(batch: Batch) -> None:
    """Apart, batch norm would train on statistics that its running averages, a mix, never have."""
    step, seen = ContentStep(TINY), []
    step.net.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    made = step.both(*masks(batch))
    paths = seen_by_paths(*masks(batch))
    wanted = torch.cat([with_masks(one, batch.modal, batch.amodal) for one in paths])
    assert len(seen) == 1 and torch.equal(seen[0], wanted)
    assert made.picture.shape == made.foreground.shape == (4, 3, 64, 64)
    assert float(made.picture.min().detach()) >= 0 and float(made.picture.max().detach()) <= 1


def test_a_prediction_is_the_first_path_or_the_average(batch: Batch) -> None:
    torch.manual_seed(0)
    step, hole = ContentStep(TINY).eval(), hole_of(batch).expand(-1, 3, -1, -1)
    made = step.both(*masks(batch))
    first = step(*masks(batch))
    torch.testing.assert_close(first[hole], made.picture[hole])
    step.shows = "average"
    average = step(*masks(batch))
    torch.testing.assert_close(average[hole], (made.picture + made.foreground)[hole] / 2)
    assert not torch.allclose(first[hole], average[hole])
    for one in (first, average):
        assert torch.equal(one[~hole], batch.image[~hole])


@pytest.mark.parametrize("shows", ["picture", "average"])
def test_no_prediction_reads_the_hole(shows: Literal["picture", "average"], batch: Batch) -> None:
    torch.manual_seed(0)
    method = shaken(OvsrContent("quick", replace(TINY, shows=shows)))
    other = batch.replace(image=torch.where(hole_of(batch), torch.rand(4, 3, 64, 64), batch.image))
    assert torch.equal(
        method.predict(batch), torch.where(hole_of(batch), method.predict(other), batch.image)
    )


def test_an_odd_size_is_kept() -> None:
    step = ContentStep(TINY).eval()
    whole = torch.ones(1, 1, 40, 72)
    assert step(torch.rand(1, 3, 40, 72), 0 * whole, whole).shape == (1, 3, 40, 72)


# --- losses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_either_adversary_teaches_the_generator_but_not_itself(path: str, batch: Batch) -> None:
    torch.manual_seed(0)
    nets = OvsrContentNets(TINY).train()
    judges = cast(nn.ModuleDict, nets.discriminator)
    judges.requires_grad_(False)
    terms, made = nets.generator_step(batch)
    terms[f"adversarial_{path}"].backward()
    assert gradient_norm(nets.generator) > 0 and gradient_norm(judges) == 0
    nets.generator.zero_grad()
    judges.requires_grad_(True)
    more = nets.discriminator_step(batch, {k: v.detach() for k, v in made.items()})
    (more[f"discriminator_real_{path}"] + more[f"discriminator_made_{path}"]).backward()
    assert gradient_norm(judges[path]) > 0 and gradient_norm(nets.generator) == 0
    other = judges[PATHS[1 - PATHS.index(path)]]
    assert gradient_norm(other) == 0, "one discriminator each"


class Says(ContentStep):
    """A generator whose paths always give these pictures."""

    def __init__(self, pictures: Paths) -> None:
        super().__init__(TINY)
        self.pictures = pictures

    def both(self, image: Tensor, modal: Tensor, amodal: Tensor) -> Paths:
        return self.pictures


class Listens(nn.Module):
    """A discriminator that keeps what it is shown and answers 1."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x.detach())
        return torch.ones(len(x), 1, 2, 2)


def values(terms: dict[str, Tensor]) -> dict[str, float]:
    return {name: float(term.detach()) for name, term in terms.items()}


def gram(features: Tensor) -> Tensor:
    return torch.einsum("bchw,bdhw->bcd", features, features) / features[0].numel()


def test_every_term_has_its_weight(batch: Batch) -> None:
    """Both paths are a quarter off everywhere, and one colour in the hole."""
    nets, hole = OvsrContentNets(TINY), hole_of(batch)
    seen = seen_by_paths(*masks(batch))
    targets = Paths(*(torch.where(hole, batch.clean, one) for one in seen))
    nets.generator = Says(Paths(*(one + 0.25 for one in targets)))
    nets.discriminator = nn.ModuleDict({path: Listens() for path in PATHS})
    nets.features = lambda picture: [picture]
    terms, made = nets.generator_step(batch)
    share = float(hole.float().mean())
    wanted: dict[str, float] = {}
    for path, target in zip(PATHS, targets, strict=True):
        difference = gram(target + 0.25 * hole) - gram(target)
        wanted |= {
            f"l1_{path}": 10 * 0.25,
            f"perceptual_{path}": 0.25 * share,
            f"style_{path}": 40 * float(difference.abs().mean()),
            f"adversarial_{path}": 0.1 * math.log(1 + math.exp(-1)),
        }
    assert values(terms) == pytest.approx(wanted, rel=1e-4)
    more = values(nets.discriminator_step(batch, made))
    for path in PATHS:
        real, fake = more[f"discriminator_real_{path}"], more[f"discriminator_made_{path}"]
        assert real == pytest.approx(0.5 * math.log(1 + math.exp(-1)))
        assert fake == pytest.approx(0.5 * math.log(1 + math.exp(1)))


def test_l1_of_both_paths_is_over_the_person(batch: Batch) -> None:
    nets, person = OvsrContentNets(TINY), batch.amodal > 0.5
    targets = [
        torch.where(hole_of(batch), batch.clean, one) for one in seen_by_paths(*masks(batch))
    ]
    for off_inside, wanted in ((0.0, 0.0), (0.5, 5.0)):
        made = (torch.where(person, one + off_inside, one + 0.25) for one in targets)
        nets.generator = Says(Paths(*made))
        terms = values(nets.generator_step(batch)[0])
        assert terms["l1_picture"] == pytest.approx(wanted, rel=1e-4)
        assert terms["l1_foreground"] == pytest.approx(wanted, rel=1e-4)


def test_the_adversaries_see_the_hole_pasted_beside_the_masks(batch: Batch) -> None:
    nets, hole = OvsrContentNets(TINY), hole_of(batch)
    listens = {path: Listens() for path in PATHS}
    nets.discriminator = nn.ModuleDict(listens)
    pictures = Paths(torch.rand(4, 3, 64, 64), torch.rand(4, 3, 64, 64))
    nets.generator = Says(pictures)
    _, made = nets.generator_step(batch)
    nets.discriminator_step(batch, made)
    for path, raw, seen in zip(PATHS, pictures, seen_by_paths(*masks(batch)), strict=True):
        pasted, real = torch.where(hole, raw, seen), torch.where(hole, batch.clean, seen)
        for shown, one in zip(listens[path].shown, (pasted, real, pasted), strict=True):
            assert torch.equal(shown, with_masks(one, batch.modal, batch.amodal))


def test_samples_without_truth_weigh_nothing(batch: Batch) -> None:
    torch.manual_seed(0)
    nets = OvsrContentNets(TINY).eval()  # dropout off, batch norm by sample
    nets.features = lambda picture: [picture]

    def found(some: Batch) -> dict[str, float]:
        terms, made = nets.generator_step(some)
        more = nets.discriminator_step(some, {k: v.detach() for k, v in made.items()})
        return values(terms | more)

    everyone = found(batch)
    assert len(everyone) == 12 and all(everyone.values())
    nobody = batch.replace(has_clean=torch.zeros(4, dtype=torch.bool))
    assert found(nobody) == dict.fromkeys(everyone, 0.0)
    two = batch.replace(has_clean=torch.tensor([True, False, True, False]))
    known = Batch(["0", "2"], {k: v[::2] for k, v in batch.fields.items()})
    assert found(two) == pytest.approx(found(known), rel=1e-4)


@pytest.mark.parametrize(
    ("preset", "asked", "found"), [("quick", 0, False), ("small", 1, True), ("small", 1, False)]
)
def test_vgg_is_left_out_at_quick_and_where_it_is_not_installed(
    preset: Preset, asked: int, found: bool, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[None] = []

    def vgg() -> object:
        calls.append(None)
        return (lambda picture: [picture]) if found else None

    monkeypatch.setattr(ovsr_content, "vgg_features", vgg)
    own = OvsrContent.presets[preset]
    method = OvsrContent(preset, replace(TINY, perceptual=own.perceptual, style=own.style))
    method.prepare(FitData([], []), Budget(samples=4))
    assert len(calls) == asked
    terms = method.nets.generator_step(batch)[0]
    assert ({"perceptual_picture", "style_foreground"} <= set(terms)) == found
