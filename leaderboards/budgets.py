"""What the rows of a benchmark may spend, and at which learning rates."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field, model_validator

from hdeocc.method import Budget
from hdeocc.precision import Precision
from synth.settings import Strict

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]


class TrackBudget(Strict):
    """What every learned method of a track may spend; the fields are those of `Budget`."""

    samples: int = Field(gt=0)
    batch: int = Field(16, gt=0)
    lr: Rate | Annotated[tuple[Rate, ...], Field(min_length=2)] = Field(
        2e-4, description="learning rate, or several: val chooses one for each method"
    )
    trial_samples: int | None = Field(
        None,
        gt=0,
        description="of its samples those that each of several rates is tried with: the best goes "
        "on from there; without it every try has all samples, and the best one is the model",
    )
    lr_of: dict[str, Rate] = Field(
        {},
        description="by name the rates of rows that choose none here: what another benchmark or "
        "trial found is not tried again",
    )
    ema: float = Field(0.999, ge=0, lt=1)
    clip: float = Field(1.0, gt=0)
    precision: Precision = "32-true"

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates of rows without one of their own, lowest first; mostly one."""
        return tuple(sorted(set(self.lr))) if isinstance(self.lr, tuple) else (self.lr,)

    def rates_of(self, name: str) -> tuple[float, ...]:
        """The learning rates of a row, lowest first."""
        return (self.lr_of[name],) if name in self.lr_of else self.rates

    @model_validator(mode="after")
    def _trials_are_shorter(self) -> "TrackBudget":
        if len({f"{lr:g}" for lr in self.rates}) < len(self.rates):
            raise ValueError("lr: rates that are all but equal; keep one of them")
        if self.trial_samples is None:
            return self
        if len(self.rates) == 1:
            raise ValueError("trial_samples is for several rates; give lr a list, or leave it out")
        if self.trial_samples >= self.samples:
            raise ValueError("trial_samples is for tries shorter than samples; lower it")
        return self

    def with_seed(self, seed: int, lr: float) -> Budget:
        """The budget of one run."""
        spent = self.model_dump(exclude={"trial_samples", "lr_of"})
        return Budget(seed=seed, **(spent | {"lr": lr}))

    def trial(self, seed: int, lr: float) -> Budget:
        """The budget of trying one of several rates."""
        return replace(self.with_seed(seed, lr), stop=self.trial_samples)


class Budgets(Strict):
    """One budget a track; the full track trains nothing of its own."""

    mask: TrackBudget
    content: TrackBudget
