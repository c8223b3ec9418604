"""Numbers that only a whole set of samples has: pooled IoU, parsing mIoU, FID, KID."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from metrics import fid, jackknife, kid, protocol
from metrics.feature_file import FeatureFile, FeatureRows
from metrics.jackknife import Groups
from metrics.parsing import Counts, mean_iou
from metrics.protocol import BINS, Bin, Total

# FID without a group costs a matrix decomposition, which at a thousand photos begins to be felt.
_FID_PHOTOS, _FID_GROUPS = 1000, 25


@dataclass
class Scored:
    """What is known of every sample that was scored, by its id, beside photos and features."""

    records: dict[str, dict[str, float]] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, float] = field(default_factory=dict)  # hidden share
    parsings: dict[str, Counts] = field(default_factory=dict)  # where both parsings are known

    def add_all(self, other: "Scored") -> None:
        """Add the samples of another; they must be others."""
        self.records |= other.records
        self.people |= other.people
        self.hidden |= other.hidden
        self.parsings |= other.parsings


@dataclass
class Features:
    """Features of all recovered and all reference photos."""

    recovered: FeatureFile
    reference: FeatureFile


def totals(scored: Scored, features: Features | None, ids: Sequence[str]) -> dict[str, Total]:
    """Set-level metrics of some samples, those that have a value."""
    found: dict[str, Total | None] = {
        "pooled_iou": protocol.pooled_iou(scored.records[key] for key in ids),
        "parsing_miou": _parsing_miou(scored, ids),
    }
    if features is not None and len(ids) >= 2:
        people = [scored.people[key] for key in ids]
        found |= _distances(features.recovered.of(ids), features.reference.of(ids), people)
    return {name: total for name, total in found.items() if total is not None}


def bins(scored: Scored, features: Features | None) -> list[Bin]:
    """Set-level metrics within tenths of the visible share; bins without any are left out."""
    members: list[list[str]] = [[] for _ in range(BINS)]
    for key in sorted(scored.records):
        members[protocol.bin_of(scored.hidden[key])].append(key)
    made = [totals(scored, features, ids) for ids in members]
    return [Bin(i / BINS, (i + 1) / BINS, of_bin) for i, of_bin in enumerate(made) if of_bin]


def floor(scored: Scored, reference: FeatureFile, ids: Sequence[str]) -> dict[str, Total]:
    """FID and KID between two halves of the true photos, split by person.

    What two sets of real photos of that size (`n`: of the smaller half) score against each other.
    Empty where a half has fewer than two photos.
    """
    half = jackknife.groups_of([scored.people[key] for key in ids], 2)
    halves = [[key for key, h in zip(ids, half, strict=True) if h == side] for side in (0, 1)]
    n = min(map(len, halves))
    if n < 2:
        return {}
    a, b = (reference.of(keys) for keys in halves)
    return {"fid": Total(fid.distance(a, b), n), "kid": Total(kid.distance(a, b), n)}


def _distances(a: FeatureRows, b: FeatureRows, people: Sequence[str]) -> dict[str, Total | None]:
    n = len(people)
    few = jackknife.groups_of(people, jackknife.MOST_GROUPS if n <= _FID_PHOTOS else _FID_GROUPS)
    groups = jackknife.groups_of(people)
    return {
        "fid": _total(n, *fid.distances(a, b, few, few), least=0.0),
        "kid": _total(n, *kid.distances(a, b, groups, groups)),
    }


def _parsing_miou(scored: Scored, ids: Sequence[str]) -> Total | None:
    known = [key for key in ids if key in scored.parsings]
    if not known:
        return None
    counts = np.stack([scored.parsings[key] for key in known])
    groups: Groups = jackknife.groups_of([scored.people[key] for key in known])
    whole = counts.sum(0)
    value = mean_iou(whole)
    if math.isnan(value):
        return None
    without = [mean_iou(whole - counts[groups == g].sum(0)) for g in range(groups.max() + 1)]
    return _total(len(known), value, without, least=0.0, most=1.0)


def _total(
    n: int,
    value: float,
    without: Sequence[float],
    least: float = -math.inf,
    most: float = math.inf,
) -> Total:
    bounds = jackknife.interval(value, without)
    if bounds is None:
        return Total(value, n)
    return Total(value, n, max(bounds[0], least), min(bounds[1], most))
