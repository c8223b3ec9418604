"""Records of runs in one folder that fits into a repository: no models, no pictures, no data.

    TRACK.METHOD.seed-N.json     one record a result, as the run sealed it
    leaderboard.{md,csv}         the tables that follow from them

A benchmark of days is run in pieces, on several machines; this is where its pieces meet.
"""

from collections.abc import Sequence
from pathlib import Path

from leaderboards import machine, markdown
from leaderboards.diff import record_files, records_at
from leaderboards.records import Record, read_record
from leaderboards.tables import make_tables
from synth.atomic import make_folder_of, write_together
from synth.errors import InputError


def keep(folders: Sequence[Path], out: Path, replace: bool = False) -> list[Record]:
    """Put the records of ``folders`` beside those that ``out`` has; returns all it has then.

    Args:
        folders: outputs of runs, folders of records alone, or single records.
        out: made unless it is there.
        replace: results that ``out`` has already give way to those of ``folders``.

    Raises:
        InputError: no results, one that was changed, ``out`` is no folder of records, a result that
            is in two of ``folders``, or that ``out`` has with other content. Nothing is written.
    """
    before = {record.key: record for record in _there(out)}
    new: dict[str, Record] = {}
    sealed: dict[str, bytes] = {}
    for folder in folders:
        for path in record_files(folder):
            record = read_record(path)
            if new.setdefault(record.key, record) != record:
                raise InputError(f"{folder}: another folder has a different {record.key}; give one")
            if before.get(record.key, record) != record and not replace:
                raise InputError(
                    f"{out}: has a different {record.key}; give --replace to put that of {folder} "
                    "in its place"
                )
            if before.get(record.key) != record:
                sealed[f"{record.key}.json"] = path.read_bytes()
    records = [kept for _, kept in sorted({**before, **new}.items())]
    tables = make_tables(records)
    made = {
        "leaderboard.md": markdown.to_markdown(tables).encode(),
        "leaderboard.csv": machine.to_csv(tables).encode(),
    }
    make_folder_of(out / "leaderboard.md")
    write_together({out / name: content for name, content in {**sealed, **made}.items()})
    return records


def _there(out: Path) -> list[Record]:
    """What a folder of records has; nothing where it is empty or not there."""
    if not out.exists():
        return []
    if not out.is_dir():
        raise InputError(f"{out}: is a file, not a folder; give another --to")
    if (out / "results").is_dir():
        raise InputError(f"{out}: is the output of a run; give a folder for records alone as --to")
    return records_at(out) if any(out.iterdir()) else []
