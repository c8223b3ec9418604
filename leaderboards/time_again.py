"""Milliseconds of a finished run measured again, since those taken beside other work are none.

Nothing is fitted, predicted or scored: pictures and every other number stay as they are.
"""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hdeocc.fitted import load_fitted
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

    Raises:
        InputError: no such output, or its data, models or predictions are not all there.
    """
    folder = opened(out)
    if not (folder.data / "dataset.json").is_file():
        raise InputError(f"{folder.data}: is not there; go on with `hdeocc bench resume {out}`")
    test = Dataset.open(folder.data).split("test")
    timed: dict[Path, Predictions] = {}
    for path in sorted(folder.results.glob("*.json")) if only is None else only:
        record = read_record(path)
        if record.device == UNMEASURED:
            continue  # of another program, which is not here
        made = [_timed(folder, test, timed, *part) for part in _parts(folder, record)]
        known = [one.milliseconds for one in made if one.milliseconds is not None]
        devices = " and ".join(dict.fromkeys(one.device for one in made))
        now = {"milliseconds": sum(known), "device": devices}
        write_record(path, record.model_copy(update=now))


def untimed(folder: Folder, benchmark: Benchmark, rows: Sequence[Planned]) -> list[Path]:
    """The records of rows that nobody has timed yet, as they were made beside others."""
    paths = [
        folder.result(row.track, row.name, row.seed, rules)
        for row in rows
        for rules in benchmark.rules_of(row.track)
    ]
    there = [path for path in paths if path.is_file()]
    return [path for path in there if read_record(path).milliseconds is None]


def _parts(folder: Folder, record: Record) -> Iterator[Part]:
    """(predictions, "track.method" that made them, its seed, masks it filled) of a row."""
    names, seed = record.method.split("+"), record.seed
    where = folder.predictions(record.track, record.method, seed)
    if record.track != "full":
        yield where, f"{record.track}.{names[0]}", seed, None
        return
    if len(names) != 2:
        raise InputError(f"{record.key}: is not named MASK+CONTENT; time it where it was made")
    there = masks_of(folder, names[0], seed)
    yield there, f"mask.{names[0]}", int(there.name.removeprefix("seed-")), None
    yield where, f"content.{names[1]}", seed, there


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
