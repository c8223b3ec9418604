"""A result made elsewhere put beside those of a folder, if it may stand in one table with them."""

import shutil
from pathlib import Path

from hdeocc.folders import new_folder
from leaderboards.folder import Folder, opened
from leaderboards.foreign import pictures_of
from leaderboards.predict import PARSING
from leaderboards.records import Record, read_record, read_records, write_record
from leaderboards.score_folder import faults_of, is_of, pictures_in
from leaderboards.score_pictures import Pictures
from leaderboards.verify import MASKS, stored_pictures
from synth.errors import InputError
from synth.store import Dataset, Split


def add(
    result: Path, out: Path, predictions: Path | None = None, masks: Path | None = None
) -> Record:
    """Put a record into the results of a folder; with its pictures it can be verified there.

    Raises:
        InputError: no record, no results to stand beside, another test split or protocol than
            theirs, a result that is there already, or pictures that it was not scored from.
    """
    if not result.is_file():
        raise InputError(f"{result}: no such file; write one with `hdeocc score ... --out FILE`")
    record, folder = read_record(result), opened(out)
    _check(result, record, read_records(folder.results))
    if record.track == "full" and predictions is not None and masks is None:
        raise InputError("--predictions of the full track need their masks; give --masks DIR")
    if predictions is not None:
        _copy(result, record, folder, pictures_of(predictions, masks, record.track))
    path = folder.result(record.track, record.method, record.seed, record.protocol.name)
    write_record(path, record)
    return record


def _check(result: Path, record: Record, others: list[Record]) -> None:
    splits = {other.data.test_fingerprint for other in others}
    mine = record.data.test_fingerprint
    if mine not in splits:
        known = ", ".join(sorted(one[:12] for one in splits))
        raise InputError(
            f"{result}: is of the test split {mine[:12]}, the folder's is {known}; score the "
            "predictions on the folder's data set"
        )
    rivals = [other for other in others if other.track == record.track] or others
    if record.protocol not in [other.protocol for other in rivals]:
        known = ", ".join(sorted({str(other.protocol) for other in rivals}))
        raise InputError(
            f"{result}: is of protocol {record.protocol}, the folder's is {known}; score the "
            "predictions by theirs"
        )
    if record.key in {other.key for other in others}:
        raise InputError(
            f"{result}: the folder has a result {record.key}; score it with another --name, or "
            "remove the old one"
        )


def _split_of(folder: Folder) -> Split:
    if not (folder.data / "dataset.json").is_file():
        raise InputError(
            f"{folder.data}: is not there, so no picture can be checked; go on with `hdeocc bench "
            f"resume {folder.root}`, or leave --predictions out"
        )
    return Dataset.open(folder.data).split("test")


def _copy(result: Path, record: Record, folder: Folder, pictures: Pictures) -> None:
    """Keep the pictures of a record, if they are those that it was scored from."""
    test = _split_of(folder)
    faults_of(pictures, test).refuse()
    first = pictures.folders()[0][0]
    if not is_of(record, pictures, test):
        raise InputError(
            f"{first}: holds other pictures than {result} was scored from; give those, or score "
            "these with `hdeocc score`"
        )
    place = folder.predictions(record.track, record.method, record.seed)
    if place.exists():
        # Those of the same method, by another protocol; whoever they belong to, they stay.
        if not is_of(record, stored_pictures(folder, record), test):
            raise InputError(
                f"{place}: holds other pictures; score yours with another --name, or remove that "
                "folder and its results"
            )
        return
    with new_folder(place) as made:
        masks = made if pictures.photos is None else made / MASKS
        targets = {pictures.masks: masks, pictures.photos: made, pictures.parsing: masks / PARSING}
        for source, target in targets.items():
            if source is not None:
                target.mkdir(exist_ok=True)
                for path in pictures_in(source, test.ids):
                    shutil.copyfile(path, target / path.name)
