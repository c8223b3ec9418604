"""How far initial masks are from the true visible ones, and which jitter comes closest."""

from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from synth.initial import FromModal, Starter
from synth.jitter import iou
from synth.occlusion_spec import Initial
from synth.plan import Plan, make_plan, make_sample
from synth.recipe import SPLITS
from synth.segmenter.folder import Spread

STRENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
QUANTILES = (5, 25, 50, 75, 95)
# Beside the streams that a sample itself draws from, which are numbered from 0.
_OWN = 2**16


def measure(
    plan: Plan,
    starters: Sequence[Starter],
    split: str,
    count: int,
    progress: bool = True,
) -> np.ndarray:
    """IoU with the visible mask, (starters, samples), of the first ``count`` samples of a split.

    Samples are as in the data set but for the draws of the initial mask, which are others.
    Nobody visible counts as no sample.
    """
    recipe = plan.recipe.model_copy(update={"initial": Initial()})
    exact = make_plan(recipe, plan.person_sources, plan.occluder_sources)
    first = sum(plan.counts[name] for name in SPLITS[: SPLITS.index(split)])
    found = []
    numbers = range(first, first + min(count, plan.counts[split]))
    for index in tqdm(numbers, f"measure {split}", unit="sample", disable=not progress):
        sample = make_sample(exact, index)
        if not sample.modal.any():
            continue
        row = []
        for starter in starters:
            key = np.random.SeedSequence(recipe.seed, spawn_key=(index, _OWN))
            rng = np.random.default_rng(key)
            mask = starter(sample.image, sample.modal, sample.person_id, rng)
            row.append(iou(mask, sample.modal))
        found.append(row)
    return np.array(found, float).reshape(len(found), len(starters)).T


def jitters(strengths: Sequence[float] = STRENGTHS) -> list[Starter]:
    """The jitter of each strength."""
    return [FromModal(Initial(kind="jitter", strength=strength)) for strength in strengths]


def spread(ious: np.ndarray) -> Spread:
    """How the IoUs of some samples, at least one, are spread."""
    quantiles = {str(q): round(float(np.percentile(ious, q)), 4) for q in QUANTILES}
    return Spread(
        count=len(ious),
        mean=round(float(ious.mean()), 4),
        quantiles=quantiles,
        below_half=round(float((ious < 0.5).mean()), 4),
    )


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean distance between two samples of equal size, sorted (Wasserstein distance)."""
    return float(np.abs(np.sort(one) - np.sort(other)).mean())


def table(names: Sequence[str], ious: np.ndarray, like: np.ndarray | None = None) -> str:
    """A text table, a row a name; with ``like``, also the distance to that sample of IoUs."""
    head = ["initial mask", "mean", *(f"{q} %" for q in QUANTILES), "below 0.5"]
    rows = [head + (["distance"] if like is not None else [])]
    for name, row in zip(names, ious, strict=True):
        found = spread(row)
        numbers = [found.mean, *found.quantiles.values(), found.below_half]
        if like is not None:
            numbers.append(distance(row, like))
        rows.append([name, *(f"{number:.3f}" for number in numbers)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
