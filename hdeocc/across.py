"""Training on several processes as on one: whose samples, whose draws, which means.

Every step's global batch holds the same samples whatever the number of processes; each takes an
equal share of it. Gradients are then the mean over the processes, which equals that of one
process wherever a loss is a mean over samples or pixels. Two things need more than that:

* a mean over *some* of the samples (those with labels) divides by a count of its own share; the
  method scales it with :func:`rank_mean`;
* batch norm sees its share only, unless :func:`synchronised` makes it see them all.

Draws are not the same as on one process: augmentation and dropout of a share have a generator of
their own, by (seed, step, rank). So equal world sizes repeat each other, to the bit on processors
(a GPU adds some gradients in any order); different ones agree to rounding where nothing is drawn,
and in distribution otherwise.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed, nn

from synth.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def check_share(batch: int, world: int) -> None:
    """Refuse a batch that so many processes cannot share equally.

    Raises:
        InputError: their number does not divide it.
    """
    if batch % world:
        raise InputError(
            f"a batch of {batch} cannot be shared by {world} processes; give a batch that their "
            "number divides"
        )


@dataclass(frozen=True)
class Share:
    """The part of every batch that one process takes: the ``rank``-th of ``world``."""

    rank: int = 0
    world: int = 1

    @classmethod
    def of(cls, fabric: "Fabric", batch: int) -> "Share":
        """This process's share.

        Raises:
            InputError: the batch cannot be divided equally.
        """
        check_share(batch, fabric.world_size)
        return cls(fabric.global_rank, fabric.world_size)

    def places(self, step: int, batch: int) -> range:
        """Places of this share of a step's global batch in the order of all samples."""
        size = batch // self.world
        start = step * batch + self.rank * size
        return range(start, start + size)

    @property
    def spawn(self) -> tuple[int, ...]:
        """What the generators of this share are told apart by; one process has nothing."""
        return () if self.world == 1 else (self.rank,)


def world_size() -> int:
    """How many processes train together; 1 outside of such a training."""
    known = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if known else 1


@torch.no_grad()
def rank_mean(value: Tensor) -> Tensor:
    """The mean of a number over all processes, without gradient; itself on a single one.

    All processes have to ask at the same place. A sum divided by ``rank_mean(count)`` has, once
    gradients are averaged over the processes, the gradient of the sum over all by the count of all.
    """
    if world_size() == 1:
        return value
    total = value.detach().float().clone()
    distributed.all_reduce(total)
    return total / world_size()


def weight_of(count: Tensor) -> Tensor | float:
    """What a mean over ``count`` things of this share is scaled with to be one over all of them.

    1 on a single process. Where the share has none, its mean must be 0 already.
    """
    if world_size() == 1:
        return 1.0
    mean = rank_mean(count.float())
    return count.float() / mean.clamp_min(torch.finfo(torch.float32).tiny)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        # Itself again, which autograd can follow: a penalty on gradients differentiates them.
        return sum_over_processes(gradients[0])


def sum_over_processes(x: Tensor) -> Tensor:
    """The sum of a tensor over all processes; gradients come from the losses of all of them."""
    total = _Sum.apply(x)
    assert isinstance(total, Tensor)
    return total


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch norm over the samples of all processes; works on every device and back end.

    The mean is known before the variance is asked for: E[x^2] - E[x]^2 would have no digits left
    where the mean is far greater than the spread.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(x)
        values = x.float()
        mean = _mean_of_all(values)
        centred = values - mean[:, None, None]
        variance = _mean_of_all(centred.square())
        self._remember(mean.detach(), variance.detach(), world_size() * x.numel() // x.shape[1])
        scale = torch.rsqrt(variance + self.eps)
        if self.affine:
            scale = scale * self.weight.float()
        normed = centred * scale[:, None, None]
        if self.affine:
            normed = normed + self.bias.float()[:, None, None]
        return normed.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        rate = self.momentum
        if rate is None:
            rate = 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        unbiased = variance * (count / max(1, count - 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), rate)


def _mean_of_all(values: Tensor) -> Tensor:
    """The mean of each channel, (B, C, H, W) -> (C,), over the equal shares of all processes."""
    return sum_over_processes(values.mean(dim=(0, 2, 3))) / world_size()


@contextmanager
def synchronised(nets: nn.Module) -> Iterator[None]:
    """Within the block every batch norm of the networks sees the samples of all processes.

    Weights and their names stay as they are. Nothing is changed on a single process.
    """
    norms = [m for m in nets.modules() if type(m) is nn.BatchNorm2d] if world_size() > 1 else []
    for norm in norms:
        norm.__class__ = SyncedBatchNorm
    try:
        yield
    finally:
        for norm in norms:
            norm.__class__ = nn.BatchNorm2d


def anywhere(flag: bool, device: torch.device) -> bool:
    """Whether any of the processes says so; all of them have to ask at the same place."""
    if world_size() == 1:
        return flag
    said = torch.tensor(float(flag), device=device)
    distributed.all_reduce(said, distributed.ReduceOp.MAX)
    return bool(said > 0)
