"""Tables, page and contact sheet from the records and pictures of an output folder."""

from pathlib import Path

from leaderboards import gallery, latex, machine, markdown
from leaderboards.folder import Folder, opened
from leaderboards.gallery import Cases
from leaderboards.page import render_page
from leaderboards.records import Record, read_records
from leaderboards.sheet import write_sheet
from leaderboards.tables import Table, make_tables
from synth.atomic import write_text
from synth.store import Dataset, Split

SHEET_PEOPLE = 8


def render(out: Path) -> list[Record]:
    """Write leaderboard.{csv,md,tex,json,html} and contact-sheet.png; returns the records.

    Where the data set or the predictions are gone, the tables are made without pictures.

    Raises:
        InputError: no results, or a record that was changed.
    """
    folder = opened(out)
    records = read_records(folder.results)
    tables = make_tables(records)
    write_text(out / "leaderboard.csv", machine.to_csv(tables))
    write_text(out / "leaderboard.json", machine.to_json(tables))
    write_text(out / "leaderboard.md", markdown.to_markdown(tables))
    write_text(out / "leaderboard.tex", latex.to_latex(tables, intervals=True))
    _draw(out, folder, tables)
    return records


def _draw(out: Path, folder: Folder, tables: list[Table]) -> None:
    test = _test_split(folder)
    fingerprint = None if test is None else test.fingerprint
    shown = [table for table in tables if table.first.data.test_fingerprint == fingerprint]
    cases = Cases((), ()) if test is None else gallery.cases(test, shown)
    write_text(out / "leaderboard.html", render_page(tables, shown, folder, cases))
    if cases.spread:
        people = list(cases.spread[:SHEET_PEOPLE])
        write_sheet(out / "contact-sheet.png", _of_tracks(shown), folder, people)


def _of_tracks(shown: list[Table]) -> list[Table]:
    """One table a track: those of two protocols show the same pictures."""
    by_track = {table.track: table for table in reversed(shown)}
    return [table for table in shown if by_track[table.track] is table and table.track != "full"]


def _test_split(folder: Folder) -> Split | None:
    if not (folder.data / "dataset.json").is_file():
        return None
    return Dataset.open(folder.data).split("test")
