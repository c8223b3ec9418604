"""A histogram that grows value by value and takes the same memory however many there are."""

from typing import Any

import numpy as np


class Bins:
    """Counts of values in ``number`` equal bins from ``low`` to ``high``; the ends take the rest.

    Attributes:
        counts: (number,) float64, one for each value, or parts of one.
        n, total, least, most: count, sum and extremes of the values, exact; None where there are
            no values.
    """

    def __init__(self, low: float, high: float, number: int) -> None:
        self.low, self.high = low, high
        self.counts = np.zeros(number)
        self.n, self.total = 0, 0.0
        self.least: float | None = None
        self.most: float | None = None

    @property
    def edges(self) -> np.ndarray:
        """(number + 1,) float64."""
        return np.linspace(self.low, self.high, len(self.counts) + 1)

    def add(self, value: float) -> None:
        """Count one value."""
        place = (value - self.low) / (self.high - self.low) * len(self.counts)
        self.counts[min(max(int(place), 0), len(self.counts) - 1)] += 1
        self._note(value, value)

    def add_range(self, low: float, high: float) -> None:
        """Count one value of which only the range is known: a part of it in each bin."""
        self.counts += overlaps(self.edges, low, high)
        self._note(low, high)

    def _note(self, low: float, high: float) -> None:
        self.n += 1
        self.total += (low + high) / 2
        self.least = low if self.least is None else min(self.least, low)
        self.most = high if self.most is None else max(self.most, high)

    def quantile(self, share: float) -> float | None:
        """The value below which a share of all lies, as far as the bins tell."""
        if not self.n:
            return None
        ends = np.cumsum(self.counts)
        place = min(int(np.searchsorted(ends, share * ends[-1])), len(ends) - 1)
        before = ends[place - 1] if place else 0.0
        within = (share * ends[-1] - before) / max(self.counts[place], 1e-12)
        edges = self.edges
        value = edges[place] + min(max(within, 0.0), 1.0) * (edges[place + 1] - edges[place])
        return float(min(max(value, self.least or 0.0), self.most or value))

    def coarse(self, number: int) -> np.ndarray:
        """The counts in ``number`` bins, a divisor of the bins there are."""
        return np.asarray(self.counts.reshape(number, -1).sum(axis=1))

    def summary(self, number: int) -> dict[str, Any]:
        """JSON-able: counts in ``number`` bins, mean, extremes, quartiles."""
        edges = np.linspace(self.low, self.high, number + 1)
        return {
            "n": self.n,
            "mean": _rounded(self.total / self.n if self.n else None),
            "least": _rounded(self.least),
            "quartiles": [_rounded(self.quantile(q)) for q in (0.25, 0.5, 0.75)],
            "most": _rounded(self.most),
            "edges": [round(float(edge), 6) for edge in edges],
            "counts": [round(float(count), 3) for count in self.coarse(number)],
        }


def overlaps(edges: np.ndarray, low: float, high: float) -> np.ndarray:
    """The share of the range [low, high] that lies in each bin, (bins,) float64."""
    within = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
    return np.asarray(np.clip(within, 0, None) / max(high - low, 1e-12))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
