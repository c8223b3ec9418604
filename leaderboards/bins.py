"""Numbers of a row by tenths of the visible share of the person, as the paper's code bins."""

import math
from typing import NamedTuple

import numpy as np

from leaderboards import stats
from leaderboards.records import Total
from leaderboards.rows import POOLED, Chosen, Row, Samples, averaged, pooled_interval
from leaderboards.stats import Interval, Scores
from metrics import protocol
from metrics.protocol import MetricSpec


class BinValue(NamedTuple):
    """A number of the samples whose visible share is in [low, high); the last bin is closed.

    ``interval``: None where the samples are of fewer than two people.
    """

    low: float
    high: float
    value: float
    n: int
    interval: Interval | None


def binned(samples: Samples, row: Row, spec: MetricSpec) -> list[BinValue]:
    """A row's metric in each bin that has a number, from hardly seen to wholly visible."""
    if not row.complete:
        return []
    if not spec.per_sample and spec.name != POOLED:
        return _stored_bins(row, spec.name)
    places = np.array([protocol.bin_of(share) for share in samples.hidden])
    chosen = [(place, places == place) for place in sorted(set(places.tolist()))]
    if spec.name == POOLED:
        found = [_pooled_bin(samples, row, place, here) for place, here in chosen]
    else:
        scores = samples.by_seed(row, spec.name)
        found = [_mean_bin(samples, scores, place, here) for place, here in chosen]
    return [value for value in found if not math.isnan(value.value)]


def _mean_bin(samples: Samples, scores: Scores, place: int, chosen: Chosen) -> BinValue:
    inside = scores.only(chosen)
    counted = inside.averaged[inside.counted]
    value = math.fsum(counted) / len(counted) if len(counted) else math.nan
    between = stats.mean_interval(samples.draws, samples.persons, inside)
    return BinValue(*_edges(place), value, len(counted), between)


def _pooled_bin(samples: Samples, row: Row, place: int, chosen: Chosen) -> BinValue:
    sums = [part.values.sum(axis=1).tolist() for part in samples.pooled(row, chosen)]
    values = [top / bottom if bottom else math.nan for top, bottom in zip(*sums, strict=True)]
    between = pooled_interval(row, samples, chosen)
    return BinValue(*_edges(place), float(np.mean(values)), int(chosen.sum()), between)


def _edges(place: int) -> tuple[float, float]:
    return place / protocol.BINS, (place + 1) / protocol.BINS


def _stored_bins(row: Row, metric: str) -> list[BinValue]:
    """Bins of numbers of a whole set, which only scoring can make; averaged over the seeds."""
    found: dict[tuple[float, float], list[Total]] = {}
    for record in row.records:
        for one in record.bins:
            total = one.totals.get(metric)
            if total is not None and total.value is not None:
                found.setdefault((one.low, one.high), []).append(total)
    whole = {edges: made for edges, made in found.items() if len(made) == len(row.records)}
    return [_averaged_bin(edges, made) for edges, made in sorted(whole.items())]


def _averaged_bin(edges: tuple[float, float], totals: list[Total]) -> BinValue:
    value = math.fsum(total.value or 0.0 for total in totals) / len(totals)
    return BinValue(*edges, value, totals[0].n, averaged(totals))
