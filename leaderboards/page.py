"""The leaderboard page: one HTML file that opens from disk and asks nothing of the network.

The tables stand in the HTML, so that they are there before any script runs; the script reads the
same numbers from JSON, and adds what moves: sorting, filters, plots, pictures. The pictures come
last in the file. Its bytes depend on the records and pictures alone: no dates, no random names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps

from leaderboards.benchmark import bundled, load_benchmark
from leaderboards.folder import Folder
from leaderboards.formats import (
    ONE_PERSON,
    arrow,
    costs,
    devices,
    ends,
    footnotes,
    nobody_found,
    number,
    people,
    unlike_budgets,
)
from leaderboards.gallery import EXTREMES, Cases
from leaderboards.needs import missing, recipes_of
from leaderboards.order import TITLE as ORDER_TITLE
from leaderboards.order import orders_of
from leaderboards.page_data import row_keys, table_data
from leaderboards.page_pictures import Pictures, draw_pictures
from leaderboards.page_words import (
    COLUMN_WORDS,
    INPUT_WORDS,
    RULE_WORDS,
    TRACK_WORDS,
    legend,
    words_of,
)
from leaderboards.published import REST, TITLE, UNKNOWN, WORDS, beside, wrong_sums
from leaderboards.rows import Row
from leaderboards.tables import TRACK_TITLES, Table
from metrics.protocol import MetricSpec, spec_of
from synth.recipe import bundled as bundled_recipes
from synth.recipe import load_recipe


def render_page(
    tables: Sequence[Table], shown: Sequence[Table], folder: Folder, cases: Cases
) -> str:
    """The page of all tables, with pictures of ``cases`` for those in ``shown``."""
    none = Cases((), ())
    sections = [
        _Section(table, f"{table.track}-{i}", cases if any(table is s for s in shown) else none)
        for i, table in enumerate(tables)
    ]
    return _page(sections, draw_pictures(shown, folder, cases.all))


class _Section:
    """A table as the template reads it."""

    def __init__(self, table: Table, name: str, cases: Cases) -> None:
        self.table, self.id, self.first = table, name, table.first
        self.title = TRACK_TITLES[table.track]
        self.words = TRACK_WORDS[table.track]
        self.rules = RULE_WORDS[self.first.protocol.name]
        self.keys = row_keys(table)
        self.data = table_data(table, name, cases)
        self.has_pictures = bool(cases.all)
        self.footnotes = footnotes(table, cost=True)
        self.floor = _floor(table)
        self.nobody_found = nobody_found(table)
        self.unlike_budgets = unlike_budgets(table)


@dataclass(frozen=True)
class _Cell:
    """What a cell prints: a number, its spread over seeds, its interval, and its footnote."""

    text: str
    spread: str
    between: str
    best: bool
    note: int | None


def _cell(section: _Section, row: Row, spec: MetricSpec) -> _Cell:
    table = section.table
    low_high = ends(row.intervals.get(spec.name), spec)
    spread = row.spread(spec.name)
    reason = table.notes.get((spec.name, row.key))
    return _Cell(
        number(row.value(spec.name), spec),
        "" if spread is None else number(spread, spec),
        between(low_high) if low_high else "",
        row.key in table.best[spec.name],
        None if reason is None else section.footnotes[reason],
    )


def _costs(section: _Section, row: Row) -> list[tuple[str, str, int | None]]:
    """Name, text and footnote of the columns that say what a method costs."""
    notes = section.table.notes
    found = [(name, text, notes.get((name, row.key))) for name, text in costs(row).items()]
    return [
        (name, text, None if reason is None else section.footnotes[reason])
        for name, text, reason in found
    ]


def between(low_high: tuple[str, str]) -> str:
    """An interval as text; an en dash would be misread beside a minus."""
    low, high = low_high
    return f"{low} to {high}" if low.startswith("-") else f"{low}–{high}"


def _floor(table: Table) -> list[tuple[str, str]]:
    """What two halves of the true photos score against each other, by title of the metric."""
    found = [(spec_of(table.track, name), t.value) for name, t in table.first.floor.items()]
    return [(spec.title, number(value, spec)) for spec, value in found if value is not None]


def _page(sections: Sequence[_Section], pictures: Pictures) -> str:
    environment = Environment(
        loader=PackageLoader("leaderboards"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "arrow": arrow,
        "number": number,
        "cell": _cell,
        "costs": _costs,
        "words_of": words_of,
        "words": COLUMN_WORDS,
        "inputs": INPUT_WORDS,
        "unknown": UNKNOWN,
        "published_words": {"title": TITLE, "before": WORDS, "after": REST},
        "order_title": ORDER_TITLE,
        "one_person": ONE_PERSON,
    }
    figures = beside([section.table for section in sections])
    return environment.get_template("leaderboard.html.j2").render(
        sections=sections,
        first=sections[0].first,
        people=people(sections[0].table.people),
        data=htmlsafe_json_dumps(_data(sections, pictures)),
        pictures=pictures,
        facts=_facts(sections),
        legend=legend([spec for section in sections for spec in section.table.specs]),
        orders=orders_of([section.table for section in sections]),
        published=figures,
        wrong_sums=wrong_sums(figures),
    )


def _data(sections: Sequence[_Section], pictures: Pictures) -> dict[str, Any]:
    tables = [section.data for section in sections]
    return {"side": pictures.step.side, "extremes": EXTREMES, "tables": tables}


def _facts(sections: Sequence[_Section]) -> dict[str, Any]:
    """What the page says once of all its rows."""
    tables = [section.table for section in sections]
    records = [record for table in tables for row in table.rows for record in row.records]
    # Predictions of other programs were made by no benchmark, and have no preset.
    benchmarks = sorted({record.benchmark for record in records if record.preset})
    return {
        "commands": [_command(name) for name in benchmarks],
        "tracks": {table.track: TRACK_TITLES[table.track] for table in tables},
        "inputs": [name for name in INPUT_WORDS if any(name in r.consumes for r in records)],
        "devices": sorted({record.device for record in records}),
        "timed_on": timed_on(tables),
        "codes": sorted({record.code_version for record in records}),
        "seeds": sorted({record.seed for record in records}),
        "libraries": _libraries(sections),
        "protocols": sorted({str(record.protocol) for record in records}, reverse=True),
        "several_data": len({table.first.data.test_fingerprint for table in tables}) > 1,
        "several_seeds": any(len(row.records) > 1 for table in tables for row in table.rows),
    }


def timed_on(tables: Sequence[Table]) -> list[str]:
    """Where times were measured; said track by track where that is not the same for all."""
    timed = [(TRACK_TITLES[one.track], where) for one in tables if (where := devices(one))]
    places = list(dict.fromkeys(where for _, where in timed))
    if len(places) < 2:
        return places
    return list(dict.fromkeys(f"{track}: {where}" for track, where in timed))


def _command(benchmark: str) -> str:
    """How to run a benchmark by its name, which says on which recipe it was run if on another."""
    name, on, recipe = benchmark.partition("-on-")
    if benchmark in bundled():
        given, photos = benchmark, bool(missing(recipes_of(load_benchmark(benchmark)), None))
    elif on and name in bundled() and recipe in bundled_recipes():
        given, photos = f"{name} --on {recipe}", bool(missing([load_recipe(recipe)], None))
    else:
        given, photos = f"{benchmark}.toml", True
    return f"hdeocc bench run {given} --out {benchmark}" + (" --data PHOTOS" if photos else "")


def _libraries(sections: Sequence[_Section]) -> list[str]:
    """Versions of libraries, each once; two where results were made with two."""
    found: dict[str, set[str]] = {}
    for section in sections:
        for row in section.table.rows:
            for record in row.records:
                for name, version in record.library_versions.items():
                    found.setdefault(name, set()).add(version)
    return [f"{name} {' or '.join(sorted(versions))}" for name, versions in sorted(found.items())]
