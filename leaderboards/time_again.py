"""Milliseconds of a finished run measured again, since those taken beside other work are none.

Nothing is fitted, predicted or scored: pictures and every other number stay as they are.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from hdeocc.fitted import load_fitted
from hdeocc.folders import read_json
from leaderboards import predict
from leaderboards.folder import Folder, opened
from leaderboards.predict import ABOUT, Predictions, stored
from leaderboards.records import Record, read_record, write_record
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
        only: files of the records whose rows are timed; None for all.

    Raises:
        InputError: no such output, or its data, models or predictions are not all there.
    """
    folder = opened(out)
    if not (folder.data / "dataset.json").is_file():
        raise InputError(f"{folder.data}: is not there; go on with `hdeocc bench resume {out}`")
    test = Dataset.open(folder.data).split("test")
    timed: dict[Path, Predictions] = {}
    for path in sorted(folder.results.glob("*.json")):
        if only is not None and path not in only:
            continue
        record = read_record(path)
        made = [_timed(folder, test, timed, *part) for part in _parts(folder, record)]
        known = [one.milliseconds for one in made if one.milliseconds is not None]
        devices = " and ".join(dict.fromkeys(one.device for one in made))
        now = {"milliseconds": sum(known), "device": devices}
        write_record(path, record.model_copy(update=now))


def _parts(folder: Folder, record: Record) -> Iterator[Part]:
    """(predictions, "track.method" that made them, its seed, masks it filled) of a row."""
    names, seed = record.method.split("+"), record.seed
    where = folder.predictions(record.track, record.method, seed)
    if record.track != "full":
        yield where, f"{record.track}.{names[0]}", seed, None
        return
    if len(names) != 2:
        raise InputError(f"{record.key}: is not named MASK+CONTENT; time it where it was made")
    # What learns nothing was made for the first seed alone.
    seeds = [seed, *range(seed)]
    masks = [folder.predictions("mask", names[0], one) for one in seeds]
    there = next((one for one in masks if (one / ABOUT).is_file()), masks[0])
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
