"""Tables, page and contact sheet from the records and pictures of an output folder."""

from pathlib import Path

from leaderboards import gallery, markdown, tables
from leaderboards.folder import Folder, opened
from leaderboards.page import render_page
from leaderboards.records import Record, read_records
from leaderboards.sheet import write_sheet
from leaderboards.tables import Table
from synth.atomic import write_text
from synth.sample import Sample
from synth.store import Dataset

PEOPLE = 120
SHEET_PEOPLE = 8


def render(out: Path) -> list[Record]:
    """Write leaderboard.csv, .md and .html and contact-sheet.png; returns the records.

    Where the data set or the predictions are gone, the tables are made without pictures.

    Raises:
        InputError: no results, or a record that was changed.
    """
    folder = opened(out)
    records = read_records(folder.results)
    made = tables.make_tables(records)
    write_text(out / "leaderboard.csv", tables.to_csv(made))
    write_text(out / "leaderboard.md", markdown.to_markdown(made))
    samples, fingerprint = _samples(folder)
    shown = [t for t in made if t.first.data.test_fingerprint == fingerprint]
    write_text(out / "leaderboard.html", render_page(made, shown, folder, samples))
    if samples:
        write_sheet(out / "contact-sheet.png", _of_tracks(shown), folder, samples[:SHEET_PEOPLE])
    return records


def _of_tracks(shown: list[Table]) -> list[Table]:
    return [table for table in shown if table.track != "full"]


def _samples(folder: Folder) -> tuple[list[Sample], str]:
    if not (folder.data / "dataset.json").is_file():
        return [], ""
    test = Dataset.open(folder.data).split("test")
    return gallery.chosen(test, PEOPLE), test.fingerprint
