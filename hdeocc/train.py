"""The one training loop: every learned method, ours and the baselines', goes through it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from tqdm import tqdm

from hdeocc.across import Share, anywhere, rank_mean, synchronised
from hdeocc.augment import Augmentation
from hdeocc.batch import Batch
from hdeocc.discriminators import frozen
from hdeocc.interrupts import Interrupts
from hdeocc.learned import Learned, Terms
from hdeocc.method import Budget, Diverged, FitData
from hdeocc.pace import Elapsed, Pace
from hdeocc.stream import Cached, training_batches
from hdeocc.training_log import TrainingLog
from hdeocc.training_state import State, learning_rate
from hdeocc.validation import measure, picture, png, spread
from synth.atomic import make_folder_of, write_bytes, write_text
from synth.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["learning_rate", "train", "train_step"]

CHECKPOINT_SECONDS = 60.0
AUGMENTATION = Augmentation()
# When validation is measured, as shares of the training, and on how many samples.
VALIDATED = (0.1, 0.25, 0.5, 0.75, 1.0)
VALIDATION_SAMPLES = 32


def train(
    method: Learned,
    data: FitData,
    budget: Budget,
    fabric: "Fabric",
    augmentation: Augmentation = AUGMENTATION,
) -> None:
    """Train ``method.nets`` on ``data.train``; afterwards they hold the averaged weights.

    With ``data.workdir`` the state is kept there: a training that was killed goes on where it
    stopped, with the batches and draws it would have had, and ends with the same weights (to the
    bit on a processor; a GPU adds some gradients in any order). The last state stays, so that
    nothing is lost before the weights are saved, and one that was to ``stop`` on the way can go on;
    clear it afterwards (``hdeocc.checkpoint.clear_states``). Beside it: ``log.jsonl`` (every step),
    ``log/`` (TensorBoard), ``pictures/`` and ``pace.json`` (step time, memory).

    Several processes (see ``hdeocc.across``) share every batch; the first one writes.

    Raises:
        InputError: a batch that the processes cannot share, or a training that diverged.
        KeyboardInterrupt: it was told to stop, after the step under way and with its state kept.
    """
    torch.manual_seed(budget.seed)
    share = Share.of(fabric, budget.batch)
    method.prepare(data, budget)
    state = State.start(method, budget, fabric)
    state.resume(data.workdir)
    workdir = data.workdir if fabric.is_global_zero else None
    log, pace = TrainingLog(workdir, state.step), Pace(fabric.device)
    elapsed = Elapsed(workdir)
    steps = range(state.step, budget.last_step)
    batches = training_batches(
        Cached(data.train), budget.batch, budget.seed, steps, augmentation, share
    )
    bar = _bar(method, state, budget, fabric)
    saved = time.monotonic()
    try:
        with synchronised(state.nets), Interrupts() as interrupts:
            for batch in pace.waiting(batches):
                terms = train_step(state, batch.to(fabric.device), budget, fabric)
                pace.stepped()
                log.add(state.step, terms, state.learning_rate)
                _show(bar, log, state.step)
                if workdir and state.step in _validated(budget.steps):
                    _validate(method, data, state, log, workdir)
                    pace.paused()
                state.whole = True
                stop = anywhere(interrupts.asked, fabric.device)
                late = time.monotonic() - saved > CHECKPOINT_SECONDS
                if workdir and (stop or late or state.step == budget.last_step):
                    log.sync()
                    elapsed.keep()
                    state.save(workdir)
                    saved = time.monotonic()
                    pace.paused()
                if stop:
                    raise KeyboardInterrupt
    except KeyboardInterrupt:
        if workdir:
            log.sync()
            state.save(workdir)
        raise
    finally:
        batches.close()
        bar.close()
        log.close()
    state.finish()
    if workdir and pace.steps:
        facts = pace.facts(budget, fabric) | {"steps": budget.last_step}
        write_text(workdir / "pace.json", json.dumps(facts, indent=1) + "\n")


def train_step(state: State, batch: Batch, budget: Budget, fabric: "Fabric") -> dict[str, float]:
    """One step of the generator, then one of the discriminator; returns the loss terms.

    On several processes the terms are the means over them. The state is not ``whole`` before the
    caller says so: one that is kept must have its line in the log and its validation.
    """
    # Dropout and other draws depend on (seed, step, rank) alone: a resumed run repeats them.
    torch.manual_seed(budget.seed * 1_000_003 + state.step + (fabric.global_rank << 40))
    state.whole = False
    state.set_learning_rate(budget)
    with _named(batch):
        terms = _both_steps(state, batch, budget, fabric)
    state.step += 1
    state.average(budget.ema)
    values = rank_mean(torch.stack([term.detach().float() for term in terms.values()]))
    return dict(zip(terms, values.tolist(), strict=True))


@contextmanager
def _named(batch: Batch) -> Iterator[None]:
    """Say in one line what torch says of a batch norm that has nothing to compare."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        size = batch.image.shape[-1]
        raise InputError(
            f"a batch of {len(batch)} at {size} pixels leaves batch norm one value a channel, "
            "which has no spread; give a larger batch"
        ) from None


def _both_steps(state: State, batch: Batch, budget: Budget, fabric: "Fabric") -> Terms:
    nets, wrapped = state.nets, state.wrapped
    nets.train()
    with nullcontext() if nets.discriminator is None else frozen(nets.discriminator):
        # Fabric sets the precision of a module's forward, but not of other methods of it.
        with fabric.autocast():
            terms, made = wrapped.generator_step(batch)
        _update(terms, state.generator_optimiser, nets.generator, state.step, budget.clip, fabric)
    if state.discriminator_optimiser is not None and nets.discriminator is not None:
        detached = {name: tensor.detach() for name, tensor in made.items()}
        with fabric.autocast():
            more = wrapped.discriminator_step(batch, detached)
        optimiser = state.discriminator_optimiser
        _update(more, optimiser, nets.discriminator, state.step, budget.clip, fabric)
        terms = terms | more
    return terms


def _update(
    terms: Terms, optimiser: Any, module: nn.Module, step: int, clip: float, fabric: "Fabric"
) -> None:
    optimiser.zero_grad(set_to_none=True)
    fabric.backward(torch.stack([term.float() for term in terms.values()]).sum())
    norm = nn.utils.clip_grad_norm_(module.parameters(), clip)
    if not bool(norm.isfinite()):
        raise Diverged(
            f"the training diverged in step {step + 1} (its gradient is not finite); begin again "
            "with a lower learning rate"
        )
    optimiser.step()


def _validated(steps: int) -> set[int]:
    """The steps after which validation is measured."""
    return {max(1, round(share * steps)) for share in VALIDATED}


def _validate(
    method: Learned, data: FitData, state: State, log: TrainingLog, workdir: Path
) -> None:
    """Numbers and a picture of the averaged weights on a few held-out samples, always the same."""
    samples = spread(data.val, VALIDATION_SAMPLES)
    if not samples:
        return
    with state.averaged():
        numbers, shown = measure(method, samples), picture(method, samples)
    log.validation(state.step, numbers, shown)
    path = workdir / "pictures" / f"step-{state.step:08d}.png"
    make_folder_of(path)
    write_bytes(path, png(shown))


def _bar(method: Learned, state: State, budget: Budget, fabric: "Fabric") -> Any:
    return tqdm(
        total=budget.last_step,
        initial=state.step,
        desc=f"train {method.track} {method.title}",
        unit="step",
        disable=None if fabric.is_global_zero else True,
        leave=False,
    )


def _show(bar: Any, log: TrainingLog, step: int) -> None:
    if step % 10 == 0:
        bar.set_postfix_str(f"loss {log.recent:.3f}", refresh=False)
    bar.update()
