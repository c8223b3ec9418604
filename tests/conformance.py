"""What every compared method must hold: one test class, inherited by a class for each method.

    class TestTelea(ContentConformance):
        method = Telea

    class TestPix2PixMask(LearnedConformance):
        method = Pix2PixMask

    class TestPix2PixContent(LearnedConformance, ContentConformance):
        method = Pix2PixContent

A class inherits :class:`ContentConformance` on the content track and :class:`LearnedConformance`
when its method is learned; leaving one out fails the first test. A method that needs others
fitted before it gives them in :meth:`MethodConformance.upstream`.
"""

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor

from hdeocc import train as loop
from hdeocc.augment import NO_AUGMENTATION
from hdeocc.batch import INPUTS, Batch, UndeclaredInput, collate
from hdeocc.discriminators import frozen
from hdeocc.fast import for_inference
from hdeocc.learned import Adversarial, Learned, Terms
from hdeocc.method import Budget, FitData, Method
from hdeocc.precision import Precision
from leaderboards.cost import count_macs
from synth.live import Live
from synth.plan import open_plan
from synth.recipe import load_recipe
from synth.sample import Sample
from tests.fakes import make_samples


def cpu_fabric() -> Fabric:
    """One CPU, full precision."""
    return Fabric(accelerator="cpu", devices=1, precision="32-true")


class MethodConformance:
    """Tests of any method; set ``method``, and what else differs from the defaults below."""

    method: ClassVar[type[Method]]
    size: ClassVar[int] = 64
    # Largest difference that batch size, saving or the machine's arithmetic may make.
    tolerance: ClassVar[float] = 1e-5

    def make(self, seed: int = 0) -> Method:
        """An unfitted method whose weights come from ``seed``."""
        torch.manual_seed(seed)
        return self.method("quick")

    def upstream(self) -> dict[str, Method]:
        """The methods that ``method.upstream`` names, by "track.name"."""
        return {}

    def data(self, samples: list[Sample], workdir: Path | None = None) -> FitData:
        """Training data of the given samples; the first of them also validate."""
        return FitData(samples, samples[:1], workdir, self.upstream())

    @pytest.fixture(scope="class")
    def samples(self) -> list[Sample]:
        return make_samples(4, self.size, np.random.default_rng(0))

    @pytest.fixture(scope="class")
    def batch(self, samples: list[Sample]) -> Batch:
        return collate(samples)

    @pytest.fixture(scope="class")
    def fitted(self, samples: list[Sample]) -> Method:
        """The method after two steps: a state that no initialisation has."""
        return self.fit_two_steps(samples)

    def fit_two_steps(self, samples: list[Sample], workdir: Path | None = None) -> Method:
        """A new method, fitted for two steps under one seed."""
        method = self.make()
        budget = Budget(samples=8, batch=4, precision="32-true")
        method.fit(self.data(samples, workdir), budget, cpu_fabric())
        return method

    def test_it_declares_what_it_is(self) -> None:
        assert self.method.track in ("mask", "content")
        assert self.method.title
        assert self.method.consumes and self.method.consumes <= set(INPUTS)
        assert isinstance(self, ContentConformance) == (self.method.track == "content")
        assert isinstance(self, LearnedConformance) == issubclass(self.method, Learned)
        assert self.method.learned or not issubclass(self.method, Learned)
        assert set(self.upstream()) == set(self.method.upstream)

    @pytest.mark.parametrize("count", [1, 3])
    def test_shape_and_range(self, fitted: Method, batch: Batch, count: int) -> None:
        prediction = predict(fitted, part(batch, 0, count))
        channels = 1 if fitted.track == "mask" else 3
        assert prediction.shape == (count, channels, self.size, self.size)
        assert prediction.dtype == torch.float32
        assert prediction.device.type == "cpu" and not prediction.requires_grad
        assert bool(torch.isfinite(prediction).all())
        assert float(prediction.min()) >= 0 and float(prediction.max()) <= 1

    def test_the_same_seed_gives_the_same_prediction(
        self, fitted: Method, samples: list[Sample], batch: Batch
    ) -> None:
        first = predict(fitted, batch)
        assert torch.equal(first, predict(fitted, batch)), "predicting draws or changes something"
        assert torch.equal(first, predict(self.fit_two_steps(samples), batch))

    def test_a_prediction_does_not_depend_on_its_batch(self, fitted: Method, batch: Batch) -> None:
        together = predict(fitted, batch)
        alone = [predict(fitted, part(batch, i, i + 1)) for i in range(len(batch))]
        assert_close(together, torch.cat(alone), self.tolerance)

    def test_predicting_leaves_the_batch_as_it_was(self, fitted: Method, batch: Batch) -> None:
        before = {name: tensor.clone() for name, tensor in batch.fields.items()}
        predict(fitted, batch)
        assert all(torch.equal(batch.fields[name], tensor) for name, tensor in before.items())

    def test_its_cost_can_be_counted(self, fitted: Method, batch: Batch) -> None:
        one, networks = part(batch, 0, 1).only(fitted.consumes), fitted.networks()
        if networks is None:
            assert count_macs(fitted, one) is None
            return
        asked = [weight.requires_grad for weight in networks.parameters()]
        counted = count_macs(fitted, one)
        assert counted is not None and counted > 0
        assert [weight.requires_grad for weight in networks.parameters()] == asked

    def test_saved_and_loaded_it_predicts_the_same(
        self, fitted: Method, batch: Batch, tmp_path: Path
    ) -> None:
        fitted.save(tmp_path)
        again = self.make(seed=1)
        again.load(tmp_path)
        # Not to the bit: a trained network's weights lie in another memory format.
        assert_close(predict(fitted, batch), predict(again, batch), self.tolerance)
        assert again.parameters_used() == fitted.parameters_used()

    def test_it_reads_what_it_declares_and_nothing_else(self, fitted: Method, batch: Batch) -> None:
        given = fitted.predict(batch.only(fitted.consumes))
        assert torch.equal(given, fitted.predict(batch)), "the full batch changes the prediction"
        for name in sorted(fitted.consumes):
            with pytest.raises(UndeclaredInput, match=name):
                fitted.predict(batch.only(fitted.consumes - {name}))

    def test_it_survives_empty_and_full_masks(self, fitted: Method, batch: Batch) -> None:
        """In a full pipeline the masks are predictions, and may be anything."""
        for modal, amodal in ((0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)):
            masks = {
                "initial": torch.full_like(batch.initial, modal),
                "modal": torch.full_like(batch.modal, modal),
                "amodal": torch.full_like(batch.amodal, amodal),
            }
            prediction = predict(fitted, batch.replace(**masks))
            assert bool(torch.isfinite(prediction).all()), (modal, amodal)


class ContentConformance(MethodConformance):
    """Beside the above: the hole is unknown, so nothing may be learned from its pixels."""

    def test_pixels_in_the_hole_are_not_read(self, fitted: Method, batch: Batch) -> None:
        fitted, hole = shaken(fitted), hole_of(batch)
        noise = torch.rand(batch.image.shape, generator=torch.Generator().manual_seed(0))
        other = batch.replace(image=torch.where(hole, noise.round(), batch.image))
        assert torch.equal(predict(fitted, batch), predict(fitted, other))


class LearnedConformance(MethodConformance):
    """Beside the above: gradients reach every weight, and a few samples can be learned by heart."""

    method: ClassVar[type[Learned]]
    learn_steps: ClassVar[int] = 80
    learn_lr: ClassVar[float] = 2e-3
    # What training must achieve on four samples: share of the error before it that may be left.
    learn_left: ClassVar[float] = 0.5
    # Eight people of photos by heart: steps, learning rate, pixels.
    heart_steps: ClassVar[int] = 400
    heart_lr: ClassVar[float] = 2e-3
    heart_size: ClassVar[int] = 64
    # Whether its network computes in float64 when its weights and the batch are.
    takes_float64: ClassVar[bool] = True
    # Inputs that serve predictions alone.
    unlearned: ClassVar[frozenset[str]] = frozenset()

    def prepared(self, samples: list[Sample]) -> Learned:
        """A new method that is ready for its first step."""
        method = self.make()
        assert isinstance(method, Learned)
        method.prepare(self.data(samples), Budget(samples=8, batch=4))
        return method

    def test_every_weight_gets_gradient(self, samples: list[Sample], batch: Batch) -> None:
        """Within three steps, because gates that start at zero open only after the first."""
        nets = self.prepared(samples).nets.train()
        optimiser = torch.optim.Adam([p for p in nets.parameters() if p.requires_grad], 1e-3)
        dead = {name for name, p in nets.named_parameters() if p.requires_grad}
        for _ in range(3):
            optimiser.zero_grad()
            backward_both(nets, batch)
            dead -= {name for name, p in nets.named_parameters() if has_gradient(p)}
            optimiser.step()
        assert not dead

    def test_the_adversary_teaches_the_generator_but_not_itself(
        self, samples: list[Sample], batch: Batch
    ) -> None:
        nets = self.prepared(samples).nets.train()
        adversary = nets.discriminator
        with adversary_frozen(nets):
            terms, made = nets.generator_step(batch)
            opinions = [term for name, term in terms.items() if name.startswith("adversarial")]
            assert (adversary is not None) == bool(opinions)
            if adversary is None:
                return
            torch.stack(opinions).sum().backward()
        assert any(map(has_gradient, nets.generator.parameters()))
        assert not any(map(has_gradient, adversary.parameters()))
        nets.zero_grad()
        torch.stack(list(discriminator_terms(nets, batch, made).values())).sum().backward()
        assert any(map(has_gradient, adversary.parameters()))
        assert not any(map(has_gradient, nets.generator.parameters()))

    def test_it_learns_from_what_it_will_be_given(
        self, samples: list[Sample], batch: Batch
    ) -> None:
        """Every input counts in training, so that no truth stands there in its place."""
        before = self.gradients(samples, batch)
        for name in sorted(self.method.consumes - self.unlearned):
            after = self.gradients(samples, batch.replace(**{name: batch.fields[name].roll(5, -1)}))
            assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True)), name

    def gradients(self, samples: list[Sample], batch: Batch) -> list[Tensor]:
        """Those of the first step on a batch, of every weight that has one."""
        nets = self.prepared(samples).nets.train()
        torch.manual_seed(0)
        backward_both(nets, batch)
        return [p.grad for p in nets.parameters() if p.grad is not None]

    @pytest.mark.parametrize("name", ["clean", "parsing"])
    def test_unknown_labels_teach_nothing(
        self, samples: list[Sample], batch: Batch, name: str
    ) -> None:
        """Whatever stands in ``clean`` or ``parsing`` where it is unknown, gradients are equal."""
        unknown = torch.tensor([True, False, True, False])
        label, flag = batch.fields[name], batch.fields[f"has_{name}"]
        gradients = []
        for filler in (label.flip(0), torch.zeros_like(label)):
            where = unknown.view(-1, *[1] * (label.dim() - 1))
            fields = {name: torch.where(where, filler, label), f"has_{name}": flag & ~unknown}
            gradients.append(self.gradients(samples, batch.replace(**fields)))
        for one, other in zip(*gradients, strict=True):
            assert_close(one, other, 1e-6 + 1e-4 * float(one.abs().max()))

    def test_a_batch_without_any_labels_is_harmless(
        self, samples: list[Sample], batch: Batch
    ) -> None:
        nobody = torch.zeros(len(batch), dtype=torch.bool)
        nets = self.prepared(samples).nets.train()
        backward_both(nets, batch.replace(has_clean=nobody, has_parsing=nobody))
        gradients = [p.grad for p in nets.parameters() if p.grad is not None]
        assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)

    def test_a_step_in_half_precision_is_nearly_the_same(
        self, samples: list[Sample], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its loss differs from that in float32, but by rounding only."""
        step, losses = loop.train_step, {}
        precisions: tuple[Precision, ...] = ("32-true", "bf16-mixed")
        for precision in precisions:
            found: dict[str, float] = {}
            monkeypatch.setattr(loop, "train_step", kept_in(found, step))
            budget = Budget(2, batch=2, precision=precision)
            fabric = Fabric(accelerator="cpu", devices=1, precision=precision)
            method = self.make()
            assert isinstance(method, Learned)
            loop.train(method, self.data(samples[:2]), budget, fabric, NO_AUGMENTATION)
            losses[precision] = found
        assert losses["bf16-mixed"] != losses["32-true"]
        assert losses["bf16-mixed"] == pytest.approx(losses["32-true"], rel=0.1, abs=1e-3)

    def test_made_fast_it_predicts_the_same(self, fitted: Method, batch: Batch) -> None:
        """In float64 where it can: noise on every weight makes the rounding of float32 large."""
        fast = shaken(fitted)
        assert isinstance(fast, Learned)
        if self.takes_float64:
            fast.nets.double()
            batch = widened(batch)
        before = predict(fast, batch)
        fast.nets.generator = for_inference(fast.nets.generator)
        assert_close(before, predict(fast, batch), 1e-6 if self.takes_float64 else 1e-3)

    def test_it_learns_four_samples(self, samples: list[Sample], batch: Batch) -> None:
        before = error(self.prepared(samples), batch)
        method = self.make()
        assert isinstance(method, Learned)
        budget = Budget(4 * self.learn_steps, batch=4, lr=self.learn_lr, precision="32-true")
        loop.train(method, self.data(samples), budget, cpu_fabric(), NO_AUGMENTATION)
        assert error(method, batch) < self.learn_left * before

    def heart_method(self) -> Method:
        """What learns people by heart."""
        return self.make()

    def heart_upstream(self, people: list[Sample]) -> dict[str, Method]:
        """What it builds on while it learns people by heart."""
        return self.upstream()

    def learns_eight_people_by_heart(self, real_data: Path) -> None:
        """Asked by `tests/test_by_heart.py`."""
        people = eight_people(real_data, self.heart_size)
        method = self.heart_method()
        before = self.heart_upstream(people)
        learn_by_heart(method, people, self.heart_steps, self.heart_lr, before)
        for one in (method, *self.who_borrow(method)):
            knows_by_heart(one, people)

    def who_borrow(self, method: Method) -> list[Method]:
        """Rows without a training of their own, fitted with the networks of ``method``."""
        return []

    def test_a_killed_fit_goes_on_to_the_same_prediction(
        self,
        fitted: Method,
        samples: list[Sample],
        batch: Batch,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        step = loop.train_step
        monkeypatch.setattr(loop, "train_step", dies_after(1, step))
        with pytest.raises(KeyboardInterrupt):
            self.fit_two_steps(samples, tmp_path)
        monkeypatch.setattr(loop, "train_step", step)
        resumed = self.fit_two_steps(samples, tmp_path)
        assert torch.equal(predict(resumed, batch), predict(fitted, batch))


def predict(method: Method, batch: Batch) -> Tensor:
    """A prediction from exactly what the method declares."""
    return method.predict(batch.only(method.consumes))


def part(batch: Batch, start: int, stop: int) -> Batch:
    """Samples ``start`` to ``stop`` of a batch."""
    return Batch(batch.ids[start:stop], {k: v[start:stop] for k, v in batch.fields.items()})


def widened(batch: Batch) -> Batch:
    """The batch in float64."""
    fields = {k: v.double() if v.is_floating_point() else v for k, v in batch.fields.items()}
    return Batch(batch.ids, fields)


def hole_of(batch: Batch) -> Tensor:
    """The invisible part, (B, 1, H, W) bool."""
    return (batch.amodal > 0.5) & ~(batch.modal > 0.5)


def error(method: Method, batch: Batch) -> float:
    """Content: mean L1 in the holes. Masks: 1 minus the mean IoU."""
    prediction = predict(method, batch)
    if method.track == "content":
        difference = (prediction - batch.clean).abs().mean(dim=1, keepdim=True)
        return float(difference[hole_of(batch)].mean())
    found, truth = prediction > 0.5, batch.amodal > 0.5
    common = (found & truth).sum(dim=(1, 2, 3)) / (found | truth).sum(dim=(1, 2, 3))
    return float(1 - common.mean())


def decibels(method: Method, batch: Batch) -> float:
    """PSNR inside the holes, the mean of the samples."""
    squares = (predict(method, batch) - batch.clean).square().mean(dim=1, keepdim=True)
    holes = zip(squares, hole_of(batch), strict=True)
    return float(-10 * torch.stack([one[hole].mean() for one, hole in holes]).log10().mean())


def eight_people(real_data: Path, size: int) -> list[Sample]:
    """Eight people of photos behind objects, the first of a training split."""
    recipe = load_recipe("photos-64").model_copy(update={"size": size})
    stream = Live(open_plan(recipe, real_data), "train", 64)
    found: dict[str, Sample] = {}
    for sample in stream:
        found.setdefault(sample.person_id, sample)
        if len(found) == 8:
            break
    return list(found.values())


def knows_by_heart(method: Method, people: list[Sample]) -> None:
    """Masks of IoU 0.95, or 26 dB in the holes, on the people it was trained on."""
    batch = collate(people)
    if method.track == "mask":
        iou = 1 - error(method, batch)
        assert iou >= 0.95, f"IoU {iou:.4f}, not 0.95"
    else:
        ratio = decibels(method, batch)
        assert ratio >= 26, f"{ratio:.2f} dB in the hole, not 26"


def learn_by_heart(
    method: Method,
    people: list[Sample],
    steps: int,
    lr: float = 2e-3,
    upstream: dict[str, Method] | None = None,
) -> None:
    """Train on the same people in every step, as they are."""
    assert isinstance(method, Learned)
    data = FitData(people, people[:1], None, upstream or {})
    budget = Budget(len(people) * steps, batch=len(people), lr=lr, ema=0.98)
    loop.train(method, data, budget, cpu_fabric(), NO_AUGMENTATION)


def shaken(method: Method) -> Method:
    """A copy with noise on every weight, so that no gate or head is still near its zero start."""
    if not isinstance(method, Learned):
        return method
    copied = copy.deepcopy(method)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in copied.nets.generator.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return copied


def adversary_frozen(nets: Adversarial) -> AbstractContextManager[None]:
    """Around a generator step and its gradients, as in the loop."""
    return nullcontext() if nets.discriminator is None else frozen(nets.discriminator)


def discriminator_terms(nets: Adversarial, batch: Batch, made: Terms) -> Terms:
    """The discriminator step after it, as the loop takes it."""
    return nets.discriminator_step(batch, {k: v.detach() for k, v in made.items()})


def backward_both(nets: Adversarial, batch: Batch) -> None:
    """Gradients of one generator step and one discriminator step, as the loop takes them."""
    with adversary_frozen(nets):
        terms, made = nets.generator_step(batch)
        torch.stack([term.float() for term in terms.values()]).sum().backward()
    if nets.discriminator is not None:
        more = discriminator_terms(nets, batch, made)
        torch.stack([term.float() for term in more.values()]).sum().backward()


def has_gradient(parameter: Tensor) -> bool:
    """Whether any of a parameter's numbers has a gradient other than zero."""
    return parameter.grad is not None and bool((parameter.grad != 0).any())


def kept_in(
    found: dict[str, float], step: Callable[..., dict[str, float]]
) -> Callable[..., object]:
    """A step whose loss terms are kept."""

    def kept(*arguments: object) -> dict[str, float]:
        found.update(step(*arguments))
        return found

    return kept


def dies_after(
    steps: int, step: Callable[..., dict[str, float]]
) -> Callable[..., dict[str, float]]:
    """The step function of the training loop, interrupted when called once more than ``steps``."""
    calls = 0

    def dying(*args: object) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls > steps:
            raise KeyboardInterrupt
        return step(*args)

    return dying


def assert_close(one: Tensor, other: Tensor, tolerance: float) -> None:
    """Fail when any two numbers are further apart than ``tolerance``."""
    torch.testing.assert_close(one, other, atol=tolerance, rtol=0)
