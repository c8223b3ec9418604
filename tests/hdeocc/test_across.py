"""Two processes that share every batch train as one does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed, nn

from hdeocc import across, train
from hdeocc.across import Share, SyncedBatchNorm, synchronised
from hdeocc.augment import NO_AUGMENTATION, Augmentation
from hdeocc.fabric import make_fabric
from hdeocc.method import Budget, FitData, Method
from hdeocc.stream import batch_indices, training_batch
from hdeocc.training_log import read_log
from hdeocc.two_stage_content import STAGE_1, TwoStageContent
from hdeocc.two_stage_mask import TwoStageMask
from synth.errors import InputError
from synth.sample import Sample
from tests.fakes import make_samples
from tests.hdeocc.painters import PAINTERS, learned_painters, painter, people
from tests.hdeocc.tiny import Tiny, one_cpu

BUDGET = Budget(samples=8, batch=8, lr=1e-3, precision="32-true")


def samples(size: int = 32) -> list[Sample]:
    """Eight people, three of them without labels, one without its clean picture."""
    rng = np.random.default_rng(0)
    return [
        *make_samples(4, size, rng),
        *make_samples(3, size, rng, parsing=False),
        *make_samples(1, size, rng, clean=False),
    ]


def stage_1() -> TwoStageMask:
    torch.manual_seed(0)
    return TwoStageMask.variant("quick", {"blank": 0.0, "templates": 4})  # type: ignore[return-value]


def stage_2() -> TwoStageContent:
    torch.manual_seed(0)
    return TwoStageContent("quick")


def trained(fabric: Fabric, kind: str, folder: Path) -> dict[str, Tensor]:
    """State, gradients and loss terms of a step in which nothing is drawn."""
    method, upstream, people = _given(kind)
    data = FitData(people, [], folder / kind, upstream)
    budget = replace(BUDGET, samples=len(people), batch=len(people))
    train.train(method, data, budget, fabric, NO_AUGMENTATION)
    found = {f"state {k}": v.clone() for k, v in method.nets.state_dict().items()}
    for name, parameter in method.nets.named_parameters():
        if parameter.grad is not None:
            found[f"gradient {name}"] = parameter.grad.clone()
    fabric.barrier()
    [line] = read_log(folder / kind)
    return found | {f"loss {name}": torch.tensor(v) for name, v in line["loss"].items()}


OURS: dict[str, Any] = {
    "tiny": lambda: Tiny(dropout=0.0),
    "mask": stage_1,
    "content": stage_2,
    "content yynn": stage_2,
}
# Of the second process one picture has no clean one, or none has.
PAINTED = [f"{name} {known}" for name in PAINTERS for known in ("yyyn", "yynn")]
KINDS = [*OURS, *PAINTED]


def _given(kind: str) -> tuple[Any, dict[str, Method], list[Sample]]:
    """The method, what it builds on, and whom it is trained on."""
    if kind in PAINTED:
        name, known = kind.split()
        return *painter(name), people(known)
    method, upstream = OURS[kind](), {}
    if isinstance(method, TwoStageContent):
        torch.manual_seed(3)
        upstream = {STAGE_1: TwoStageMask("quick")}
        method.nets.true_parsing = 0.0
    if kind == "content yynn":
        return method, upstream, people("yynn")
    return method, upstream, samples(32 if kind == "tiny" else 64)


def _leave(fabric: Fabric, folder: Path) -> None:
    torch.set_num_threads(1)
    for kind in KINDS:
        torch.save(trained(fabric, kind, folder), folder / f"{kind}-{fabric.global_rank}.pt")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Tensor]]]:
    """What each of two processes (gloo) has after training each kind of method."""
    folder = tmp_path_factory.mktemp("ranks")
    fabric = make_fabric(BUDGET, devices=2, accelerator="cpu", start="spawn")
    fabric.launch(_leave, folder)
    return {
        kind: [torch.load(folder / f"{kind}-{rank}.pt", weights_only=True) for rank in (0, 1)]
        for kind in KINDS
    }


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one(
    kind: str, ranks: dict[str, list[dict[str, Tensor]]], tmp_path: Path
) -> None:
    """Batch norm, spectral norm, an adversary, labels that only some samples have: all in it."""
    first, second = ranks[kind]
    alone = trained(one_cpu(), kind, tmp_path)
    assert alone.keys() == first.keys() == second.keys()
    assert any("gradient discriminator" in name for name in alone)
    for name, value in alone.items():
        assert torch.equal(first[name], second[name]), f"{name} differs between the processes"
        assert_close(name, first[name].float(), value.float())
    one, other = (torch.cat([v.flatten() for k, v in found.items() if k.startswith("gradient")])
                  for found in (alone, first))  # fmt: skip
    assert float((one - other).norm() / one.norm()) < ROUNDING.get(kind, PAINTERS_ROUNDING)


def test_every_learned_painter_is_among_them() -> None:
    assert sorted(PAINTERS) == learned_painters()


# What rounding alone does to gradients of the whole: in the hourglasses of stage 1 a float32 step
# with another convolution kernel differs as much.
ROUNDING = {"tiny": 1e-4, "mask": 5e-2, "content": 1e-3}
PAINTERS_ROUNDING = 1e-3


def assert_close(name: str, found: Tensor, wanted: Tensor) -> None:
    """Losses and running statistics to rounding; weights to the length of a step.

    Adam's first step is as long for a tiny gradient as for a large one, so rounding decides its
    sign where it is next to zero.
    """
    scale = float(wanted.abs().max())
    if name.startswith("loss") or "running" in name:
        torch.testing.assert_close(found, wanted, atol=1e-6 + 1e-4 * scale, rtol=0, msg=name)
    elif name.startswith("state"):
        assert float((found - wanted).abs().max()) <= 2.1 * BUDGET.lr + 1e-4 * scale, name


def test_the_shares_of_a_batch_make_up_the_whole() -> None:
    people = samples()
    for step in range(5):
        whole = training_batch(people, 6, 1, step, NO_AUGMENTATION)
        parts = [
            training_batch(people, 6, 1, step, NO_AUGMENTATION, Share(rank, 3)) for rank in range(3)
        ]
        assert whole.ids == tuple(i for part in parts for i in part.ids)
        assert torch.equal(whole.image, torch.cat([part.image for part in parts]))
        assert whole.ids == tuple(people[i].sample_id for i in batch_indices(8, 6, 1, step))


def test_shares_draw_their_own_variations() -> None:
    one = make_samples(1, 32, np.random.default_rng(0))
    how = Augmentation(recombine=0)
    parts = [training_batch(one, 2, 0, 0, how, Share(rank, 2)).image for rank in (0, 1)]
    assert not torch.equal(*parts)
    assert torch.equal(parts[1], training_batch(one, 2, 0, 0, how, Share(1, 2)).image)


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    class Three:
        world_size, global_rank = 3, 0

    with pytest.raises(InputError, match="batch of 16 cannot be shared by 3 processes"):
        Share.of(Three(), 16)  # type: ignore[arg-type]


def test_a_sum_over_processes_can_be_differentiated_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a penalty on gradients does; seen as if a second process had the very same share."""

    @torch.no_grad()
    def doubled(tensor: Tensor) -> None:  # out of autograd's sight, as the real one
        tensor.mul_(2)

    monkeypatch.setattr(distributed, "all_reduce", doubled)
    x = torch.tensor([1.0, 3.0], requires_grad=True)
    (slope,) = torch.autograd.grad((across.sum_over_processes(x) ** 3).sum(), x, create_graph=True)
    torch.testing.assert_close(slope, 2 * 3 * (2 * x) ** 2)  # both losses reach x
    (curve,) = torch.autograd.grad(slope.sum(), x)
    torch.testing.assert_close(curve, 2 * 2 * 6 * (2 * x))


def test_on_one_process_nothing_is_synchronised() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3))
    with synchronised(net):
        assert type(net[0]) is nn.BatchNorm2d


def test_the_synchronised_norm_is_batch_norm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen alone, by its own arithmetic: as if a second process had the very same share."""
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    plain, ours = nn.BatchNorm2d(3), SyncedBatchNorm(3)
    monkeypatch.setattr(across, "world_size", lambda: 2)
    monkeypatch.setattr(across, "sum_over_processes", lambda tensor: 2 * tensor)
    torch.testing.assert_close(ours(x), plain(torch.cat([x, x]))[:4], atol=1e-5, rtol=0)
    torch.testing.assert_close(ours.running_mean, plain.running_mean)
    torch.testing.assert_close(ours.running_var, plain.running_var)


@pytest.mark.parametrize(("mean", "spread"), [(0, 1), (30, 1), (1000, 1), (100, 0.1)])
def test_the_synchronised_norm_keeps_its_digits_far_from_zero(
    mean: float, spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values and gradients beside batch norm's in double precision."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 3, 32, 32, generator=generator) * spread + mean
    pull = torch.randn(x.shape, generator=generator)
    exact, ours = nn.BatchNorm2d(3).double(), SyncedBatchNorm(3)
    both = torch.cat([x, x]).double().requires_grad_()
    wanted = exact(both)
    (wanted * torch.cat([pull, pull])).sum().backward()
    assert both.grad is not None
    monkeypatch.setattr(across, "world_size", lambda: 2)
    monkeypatch.setattr(across, "sum_over_processes", lambda tensor: 2 * tensor)
    alone = x.clone().requires_grad_()
    made = ours(alone)
    (made * pull).sum().backward()
    assert alone.grad is not None
    # As good as float32 lets the mean be known, which a plain batch norm's error is too.
    close = 4e-7 * (1 + mean / spread) + 1e-6
    torch.testing.assert_close(made.double(), wanted[:4], atol=close, rtol=1e-5)
    torch.testing.assert_close(
        alone.grad.double() * spread, both.grad[:4] * spread, atol=10 * close, rtol=1e-4
    )
    torch.testing.assert_close(ours.running_var.double(), exact.running_var, atol=0, rtol=1e-5)
