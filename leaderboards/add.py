"""A result made elsewhere put beside those of a folder, if it may stand in one table with them."""

import shutil
from pathlib import Path

from hdeocc.folders import new_folder
from leaderboards.folder import Folder, opened
from leaderboards.predict import PARSING
from leaderboards.records import Record, read_record, read_records, write_record
from leaderboards.verify import MASKS
from synth.errors import InputError


def add(
    result: Path, out: Path, predictions: Path | None = None, masks: Path | None = None
) -> Record:
    """Put a record into the results of a folder; with its pictures it can be verified there.

    Raises:
        InputError: no record, no results to stand beside, another test split or protocol than
            theirs, or a result that is there already.
    """
    if not result.is_file():
        raise InputError(f"{result}: no such file; write one with `hdeocc score ... --out FILE`")
    record, folder = read_record(result), opened(out)
    _check(result, record, read_records(folder.results))
    if record.track == "full" and predictions is not None and masks is None:
        raise InputError("--predictions of the full track need their masks; give --masks DIR")
    if predictions is not None:
        _copy(folder, record, predictions, masks)
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


def _copy(folder: Folder, record: Record, predictions: Path, masks: Path | None) -> None:
    if not predictions.is_dir():
        raise InputError(f"{predictions}: no such folder; give the folder of ID.png")
    place = folder.predictions(record.track, record.method, record.seed)
    with new_folder(place) as made:
        for source, target in ((predictions, made), (masks, made / MASKS)):
            if source is None:
                continue
            target.mkdir(exist_ok=True)
            for path in sorted(source.glob("*.png")):
                shutil.copyfile(path, target / path.name)
            if (source / PARSING).is_dir():
                shutil.copytree(source / PARSING, target / PARSING, dirs_exist_ok=True)
