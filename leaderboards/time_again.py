"""Milliseconds of a finished run measured again, since those taken beside other work are none.

Nothing is fitted, predicted or scored: pictures and every other number stay as they are.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import click

from hdeocc.fitted import FITTED, load_fitted
from hdeocc.folders import read_json
from leaderboards import predict
from leaderboards.benchmark import Benchmark
from leaderboards.folder import Folder, opened
from leaderboards.plan import Planned
from leaderboards.predict import ABOUT, Predictions, masks_of, stored
from leaderboards.records import UNMEASURED, Record, read_record, write_record
from leaderboards.render import render
from synth.errors import InputError
from synth.store import Dataset, Split

Part = tuple[Path, str, int, Path | None]


def time_again(out: Path) -> list[Record]:
    """Time every row of an output folder again and render it; returns its records.

    Raises:
        InputError: as :func:`time_rows`.
    """
    time_rows(out)
    return render(out)


def time_rows(out: Path, only: Collection[Path] | None = None) -> None:
    """Time rows of an output folder again, in their records alone.

    Args:
        out: the folder.
        only: files of the records whose rows are timed; None for all that were made here.

    Rows of other programs are left as they are, and so are those whose model is not here, which are
    named. Nothing is timed before everything was looked for.

    Raises:
        InputError: no such output, or its data or predictions are not all there.
    """
    folder = opened(out)
    if not (folder.data / "dataset.json").is_file():
        raise InputError(f"{folder.data}: is not there; go on with `hdeocc bench resume {out}`")
    test = Dataset.open(folder.data).split("test")
    found: list[tuple[Path, list[Part]]] = []
    for path in sorted(folder.results.glob("*.json")) if only is None else only:
        record = read_record(path)
        if record.device == UNMEASURED:
            continue  # of another program, which is not here
        parts = _parts(folder, record)
        if not parts or not all(_is_here(folder, part) for part in parts):
            click.echo(f"{out}: does not time {record.key}, whose model is not here", err=True)
            continue
        for where, *_ in parts:
            _stored(where, test)
        found.append((path, parts))
    timed: dict[Path, Predictions] = {}
    for path, parts in found:
        made = [_timed(folder, test, timed, *part) for part in parts]
        known = [one.milliseconds for one in made if one.milliseconds is not None]
        devices = " and ".join(dict.fromkeys(one.device for one in made))
        now = {"milliseconds": sum(known), "device": devices}
        # Minutes have gone by, in which another process may have written it anew.
        write_record(path, read_record(path).model_copy(update=now))


def untimed(folder: Folder, benchmark: Benchmark, rows: Sequence[Planned]) -> list[Path]:
    """The records of rows that nobody has timed yet, as they were made beside others."""
    paths = [
        folder.result(row.track, row.name, row.seed, rules)
        for row in rows
        for rules in benchmark.rules_of(row.track)
    ]
    there = [path for path in paths if path.is_file()]
    return [path for path in there if read_record(path).milliseconds is None]


def _parts(folder: Folder, record: Record) -> list[Part]:
    """(predictions, "track.method" that made them, its seed, masks it filled) of a row.

    None of a full row that is not called MASK+CONTENT, for it was not made here.
    """
    names, seed = record.method.split("+"), record.seed
    where = folder.predictions(record.track, record.method, seed)
    if record.track != "full":
        return [(where, f"{record.track}.{record.method}", seed, None)]
    if len(names) != 2:
        return []
    there = masks_of(folder, names[0], seed)
    return [
        (there, f"mask.{names[0]}", int(there.name.removeprefix("seed-")), None),
        (where, f"content.{names[1]}", seed, there),
    ]


def _is_here(folder: Folder, part: Part) -> bool:
    """Whether the model behind a part of a row lies in the folder."""
    _, method, seed, _ = part
    return (folder.model(method, seed) / FITTED).is_file()


def _timed(
    folder: Folder,
    test: Split,
    timed: dict[Path, Predictions],
    where: Path,
    method: str,
    seed: int,
    masks: Path | None,
) -> Predictions:
    """The predictions of a folder, timed once."""
    if where not in timed:
        fitted = load_fitted(folder.model(method, seed))
        filled = None if masks is None else timed[masks]
        timed[where] = predict.time_again(_stored(where, test), fitted.method, test, filled)
    return timed[where]


def _stored(where: Path, test: Split) -> Predictions:
    about = read_json(where / ABOUT) if (where / ABOUT).is_file() else {}
    found = stored(where, str(about.get("key")), test.ids)
    if found is None:
        raise InputError(f"{where}: has not all predictions; go on with `hdeocc bench resume`")
    return found
