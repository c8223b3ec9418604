"""Figures printed by others, with their source: shown apart and never ranked with ours."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboards.tables import Table

UNKNOWN = "not published here"
TOTAL, STAGE = "total", "stage"
TIMING = "timing"

TITLE = "Printed elsewhere"
WORDS = (
    "Figures from the literature, with their source. They were measured on other hardware or other "
    "data and are never ranked with ours. What is unknown to us says "
)
REST = "; of all other tables of these sources that holds for every cell."

Figure = dict[str, str]


@dataclass(frozen=True)
class WrongSum:
    """A printed total that is not the sum of its printed stages."""

    source: str
    unit: str
    printed: str
    parts: tuple[str, ...]
    true: str

    def __str__(self) -> str:
        added = " + ".join(self.parts)
        return (
            f"The printed total does not add up: {self.source} prints {self.printed} {self.unit}; "
            f"its stages sum to {added} = {self.true} {self.unit}."
        )


def published() -> list[Figure]:
    """The rows of published.csv; a cell that nobody printed says so."""
    text = (resources.files("leaderboards") / "published.csv").read_text(encoding="utf-8")
    return [_filled(row) for row in csv.DictReader(text.splitlines())]


def beside(tables: Sequence["Table"]) -> list[Figure]:
    """The figures that some of the tables are about: times where a method was timed at all."""
    about = {table.track for table in tables}
    if any(row.milliseconds is not None for table in tables for row in table.rows):
        about.add(TIMING)
    return [figure for figure in published() if figure["group"] in about]


def _filled(row: Mapping[str, str]) -> Figure:
    known = {name: value for name, value in row.items() if value}
    hardware = {"hardware": UNKNOWN}
    blank = dict.fromkeys(row, UNKNOWN) | {"unit": "", "note": ""}
    return hardware | blank | known


def wrong_sums(figures: Sequence[Figure]) -> list[WrongSum]:
    """Totals "total (NAME)" that differ from the sum of the rows "stage ... (NAME)"."""
    totals = [f for f in figures if f["item"].startswith(TOTAL)]
    checked = [_checked(total, _stages(total, figures)) for total in totals]
    return [wrong for wrong in checked if wrong is not None]


def _stages(total: Figure, figures: Sequence[Figure]) -> list[Figure]:
    name = total["item"].removeprefix(TOTAL).strip()
    same = [f for f in figures if (f["group"], f["source"]) == (total["group"], total["source"])]
    return [f for f in same if f["item"].startswith(STAGE) and f["item"].endswith(name)]


def _checked(total: Figure, stages: Sequence[Figure]) -> WrongSum | None:
    values = [float(f["value"]) for f in stages if f["value"] != UNKNOWN]
    if len(values) < 2 or len(values) < len(stages) or total["value"] == UNKNOWN:
        return None
    if math.isclose(sum(values), float(total["value"]), abs_tol=0.006 * len(values)):
        return None
    parts = tuple(f["value"] for f in stages)
    return WrongSum(total["source"], total["unit"], total["value"], parts, f"{sum(values):.2f}")
