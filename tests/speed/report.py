"""What the speed program found: times a sample, and the ratios that were declared."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """Milliseconds a sample over the rounds of one measurement: tenth, half, nine tenths."""

    what: str
    p10: float
    median: float
    p90: float

    @property
    def per_second(self) -> float:
        return 1000 / self.median

    def __str__(self) -> str:
        times = "".join(f"{x:8.2f}" for x in (self.p10, self.median, self.p90))
        return f"{self.what:44}{times}{self.per_second:11.1f}"


@dataclass(frozen=True)
class Ratio:
    """A ratio beside the one that was declared; None where none was."""

    what: str
    got: float
    declared: float | None

    @property
    def verdict(self) -> str:
        if self.declared is None:
            return ""
        met = "PASS" if self.got >= self.declared else "SHORT OF"
        return f"{met} {self.declared:g}"


@dataclass
class Report:
    """Rows and ratios in the order they were measured."""

    rows: list[Row] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    once: dict[str, float] = field(default_factory=dict)  # milliseconds of what happens once

    def add(self, what: str, seconds_a_sample: list[float]) -> None:
        """One measurement: seconds a sample of each round."""
        p10, median, p90 = (float(x) for x in np.percentile(seconds_a_sample, (10, 50, 90)) * 1e3)
        self.rows.append(Row(what, p10, median, p90))

    def compare(self, what: str, got: list[float], declared: float | None = None) -> None:
        """The median of the ratios of all rounds."""
        self.ratios.append(Ratio(what, float(np.median(got)), declared))

    def table(self) -> str:
        lines = [f"{'ms a sample':44}{'p10':>8}{'median':>8}{'p90':>8}{'samples/s':>11}"]
        lines += [str(row) for row in self.rows]
        lines += [f"{what:44}{'':8}{ms:8.0f}" for what, ms in self.once.items()]
        lines += ["", f"{'ratio (median of rounds)':44}{'':16}{'got':>8}"]
        lines += [f"{r.what:44}{'':16}{r.got:8.2f}  {r.verdict}".rstrip() for r in self.ratios]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        rows = [asdict(row) | {"per_second": row.per_second} for row in self.rows]
        ratios = [asdict(ratio) | {"verdict": ratio.verdict} for ratio in self.ratios]
        return {"milliseconds_a_sample": rows, "milliseconds": self.once, "ratios": ratios}
