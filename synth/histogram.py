"""Which hidden share a sample is to have, so that even few samples fill a declared histogram."""

from dataclasses import dataclass

import numpy as np

from synth.occlusion_spec import Histogram, Occlusion

# Steps of the golden ratio fill the unit interval as evenly as any sequence of numbers can.
_STEP = (5**0.5 - 1) / 2
# Keeps the offsets apart from the streams of samples: no data set has as many.
_OFFSETS = 2**32 - 1


@dataclass(frozen=True)
class Aim:
    """What a composite is to reach.

    Attributes:
        share: the hidden share in [0, 1] to steer to; None where any in the range will do.
        low, high: the range that counts: of the recipe, or of the bin of its histogram.
        declared: whether the range is worth noting in the sample: a bin, or no share is asked.
    """

    share: float | None
    low: float
    high: float
    declared: bool = False

    def miss(self, got: float) -> tuple[float, float]:
        """How far a share lies outside the range, and off the asked one; less is better."""
        outside = max(self.low - got, got - self.high, 0.0) if got > 0 else 1.0
        return outside, 0.0 if self.share is None else abs(got - self.share)


def draw_aim(occlusion: Occlusion, rng: np.random.Generator, position: float | None = None) -> Aim:
    """The aim of one sample.

    Args:
        occlusion: its range stands for the flat histogram over it.
        rng: drawn from only where there is no ``position``.
        position: in [0, 1), see ``even_position``; drawn where it is None.
    """
    steer = occlusion.reach == "steer"
    at = float(rng.random()) if position is None else position
    if isinstance(occlusion.hidden, Histogram):
        share, low, high = from_histogram(occlusion.hidden, at)
        return Aim(share if steer else None, low, high, declared=True)
    low, high = occlusion.hidden
    if not steer:
        return Aim(None, low, high, declared=True)
    return Aim(low + at * (high - low), low, high)


def even_position(seed: int, split: int, number: int) -> float:
    """Position in [0, 1) of sample ``number`` of a split (by its number).

    A golden-ratio sequence from a random offset: of the first n samples, an interval of length w
    holds n * w within 3 for n up to 300, nearly always within 2, and within 6 for a million.
    """
    key = np.random.SeedSequence(seed, spawn_key=(_OFFSETS, split))
    offset = float(np.random.default_rng(key).random())
    return (offset + number * _STEP) % 1.0


def from_histogram(histogram: Histogram, position: float) -> tuple[float, float, float]:
    """Share at a position in [0, 1) of the declared distribution, and the edges of its bin."""
    ends = np.cumsum(histogram.shares) / sum(histogram.shares)
    filled = np.flatnonzero(histogram.shares)
    number = min(int(np.searchsorted(ends, position, side="right")), int(filled[-1]))
    begin = float(ends[number - 1]) if number else 0.0
    low, high = histogram.edges[number], histogram.edges[number + 1]
    within = (position - begin) / max(float(ends[number]) - begin, 1e-12)
    return low + (high - low) * min(max(within, 0.0), 1.0), low, high
