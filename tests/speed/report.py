"""What the speed program found: times a sample, and the ratios that were declared."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from leaderboards import formats


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
class NetworkRow:
    """One network at one batch size: what a pass of the whole batch takes."""

    what: str
    batch: int
    precision: str
    parameters: int
    macs: int  # multiply-adds of one picture
    milliseconds: list[float]
    ratio: float  # over the baseline of its stage, median of rounds
    paper: float | None = None  # milliseconds that the paper printed
    paper_ratio: float | None = None

    @property
    def median(self) -> float:
        return float(np.median(self.milliseconds))

    def __str__(self) -> str:
        p10, median, p90 = np.percentile(self.milliseconds, (10, 50, 90))
        paper = "" if self.paper is None else f"{self.paper:9.2f}{self.paper_ratio:7.2f}"
        return (
            f"{self.what:36}{self.batch:4} {self.precision:10}{self.parameters / 1e6:7.1f}"
            f"{self.macs / 1e9:7.1f}{p10:9.2f}{median:9.2f}{p90:9.2f}{len(self.milliseconds):5}"
            f"{self.ratio:7.2f}{paper}"
        )


@dataclass(frozen=True)
class CostRow:
    """What one row costs: a prediction of one picture, and the memory of its training."""

    key: str
    parameters: int
    macs: int | None  # of one prediction; None without a network
    milliseconds: list[float]
    megabytes: float | None  # at most, while training

    def __str__(self) -> str:
        p10, median, p90 = np.percentile(self.milliseconds, (10, 50, 90))
        macs = "" if self.macs is None else f"{self.macs / 1e6:.0f}"
        memory = "" if self.megabytes is None else f"{self.megabytes:.0f}"
        return (
            f"{self.key:34}{self.parameters / 1e6:8.2f}{macs:>8}{p10:9.1f}{median:9.1f}{p90:9.1f}"
            f"{memory:>11}"
        )


def costs_markdown(costs: list[CostRow]) -> str:
    """The costs as the table of docs/methods.md."""
    lines = [
        "| row | params | MACs | ms | GB to train |",
        "|---|-:|-:|-:|-:|",
    ]
    for row in costs:
        memory = "–" if row.megabytes is None else f"{row.megabytes / 1e3:.1f}"
        cells = (
            row.key,
            formats.count(row.parameters),
            formats.count(row.macs),
            formats.milliseconds(float(np.median(row.milliseconds))),
            memory,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


_TIMES = f"{'p10':>9}{'median':>9}{'p90':>9}"
COST_HEAD = f"{'ms a prediction':34}{'M par.':>8}{'M MACs':>8}{_TIMES}{'peak MB':>11}"

NETWORK_HEAD = (
    f"{'ms a pass':36}{'':4} {'':10}{'M par.':>7}{'G MACs':>7}{'p10':>9}{'median':>9}{'p90':>9}"
    f"{'n':>5}{'ratio':>7}{'paper':>9}{'ratio':>7}"
)


@dataclass(frozen=True)
class Ratio:
    """A ratio beside the one that was declared; None where none was."""

    what: str
    got: float
    declared: float | None
    at_most: bool = False

    @property
    def verdict(self) -> str:
        if self.declared is None:
            return ""
        if self.at_most:
            met = "PASS, at most" if self.got <= self.declared else "MORE THAN"
        else:
            met = "PASS" if self.got >= self.declared else "SHORT OF"
        return f"{met} {self.declared:g}"


@dataclass(frozen=True)
class Training:
    """A training step: milliseconds of each, and the most memory that was used, in MB."""

    what: str
    milliseconds: list[float]
    megabytes: float | None

    def __str__(self) -> str:
        p10, median, p90 = np.percentile(self.milliseconds, (10, 50, 90))
        memory = "" if self.megabytes is None else f"{self.megabytes:11.0f}"
        return f"{self.what:44}{p10:9.1f}{median:9.1f}{p90:9.1f}{memory}"


@dataclass
class Report:
    """Rows and ratios in the order they were measured."""

    rows: list[Row] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    once: dict[str, float] = field(default_factory=dict)  # milliseconds of what happens once
    networks: list[NetworkRow] = field(default_factory=list)
    training: list[Training] = field(default_factory=list)
    costs: list[CostRow] = field(default_factory=list)
    device: str = ""  # of the networks
    costs_on: str = ""  # the device of the costs
    notes: list[str] = field(default_factory=list)  # what could not be measured

    def add(self, what: str, seconds_a_sample: list[float]) -> None:
        """One measurement: seconds a sample of each round."""
        p10, median, p90 = (float(x) for x in np.percentile(seconds_a_sample, (10, 50, 90)) * 1e3)
        self.rows.append(Row(what, p10, median, p90))

    def compare(
        self, what: str, got: list[float], declared: float | None = None, *, at_most: bool = False
    ) -> None:
        """The median of the ratios of all rounds."""
        self.ratios.append(Ratio(what, float(np.median(got)), declared, at_most))

    def add_training(self, what: str, milliseconds: list[float], megabytes: float | None) -> None:
        """The steps of one training."""
        self.training.append(Training(what, milliseconds, megabytes))

    def network(self, what: str, batch: int, precision: str) -> NetworkRow | None:
        """A row that was measured before."""
        wanted = (what, batch, precision)
        found = (r for r in self.networks if (r.what, r.batch, r.precision) == wanted)
        return next(found, None)

    def table(self) -> str:
        lines: list[str] = []
        if self.rows:
            lines += [f"{'ms a sample':44}{'p10':>8}{'median':>8}{'p90':>8}{'samples/s':>11}"]
            lines += [str(row) for row in self.rows]
            lines += [f"{what:44}{'':8}{ms:8.0f}" for what, ms in self.once.items()]
        if self.networks:
            lines += ["", f"256 px on {self.device}; ratio: over the baseline of the same kind"]
            lines += [NETWORK_HEAD, *(str(row) for row in self.networks), *self.notes]
        if self.costs:
            what = "every row at small, 128 px, batch 1; peak: training at batch 8"
            lines += ["", f"{what}; on {self.costs_on}"]
            lines += [COST_HEAD, *(str(row) for row in self.costs)]
        if self.training:
            lines += [
                "",
                f"{'training, ms a step':44}{'p10':>9}{'median':>9}{'p90':>9}{'peak MB':>11}",
            ]
            lines += [str(row) for row in self.training]
        if self.ratios:
            lines += ["", f"{'ratio (median of rounds)':72}{'got':>8}"]
            lines += [f"{r.what:72}{r.got:8.2f}  {r.verdict}".rstrip() for r in self.ratios]
        return "\n".join(lines).strip("\n")

    def as_dict(self) -> dict[str, Any]:
        rows = [asdict(row) | {"per_second": row.per_second} for row in self.rows]
        ratios = [asdict(ratio) | {"verdict": ratio.verdict} for ratio in self.ratios]
        return {
            "milliseconds_a_sample": rows,
            "milliseconds": self.once,
            "device": self.device,
            "networks": [asdict(row) | {"median": row.median} for row in self.networks],
            "notes": self.notes,
            "training": [asdict(row) for row in self.training],
            "costs": [asdict(row) for row in self.costs],
            "costs_on": self.costs_on,
            "ratios": ratios,
        }
