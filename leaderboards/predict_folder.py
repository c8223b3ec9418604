"""Predictions of one method into a folder of the user's, outside of any benchmark."""

import re
from pathlib import Path

from hdeocc.fitted import Fitted
from hdeocc.folders import digest, read_json
from leaderboards.predict import ABOUT, Predictions, predict_content, predict_masks
from leaderboards.score_folder import faults_of
from leaderboards.score_pictures import Pictures
from synth.errors import InputError
from synth.output import NOTHING, Kind, check_output
from synth.store import Split


def _known(out: Path) -> re.Pattern[str]:
    """What may lie in a folder for predictions to be gone on with, or replaced."""
    return re.compile("(?s:.*)") if (out / ABOUT).is_file() else NOTHING


_PREDICTIONS = Kind("hdeocc predict did not write", _known)


def predict_folder(
    fitted: Fitted, split: Split, out: Path, masks: Path | None = None
) -> Predictions:
    """Predict a split into ``out``, or go on there; with ``masks``, content is painted into them.

    Raises:
        InputError: ``out`` is a file, holds something else or the current folder, or ``masks`` are
            not those of the split.
    """
    out = check_output(out, _PREDICTIONS)
    if fitted.method.track == "mask":
        if masks is not None:
            raise InputError("--masks: a method of the mask track predicts them; leave it out")
        return predict_masks(out, fitted, split, again=False)
    given = None if masks is None else given_masks(masks, split)
    return predict_content(out, fitted, split, again=False, masks=given)


def given_masks(folder: Path, split: Split) -> Predictions:
    """Masks in a folder, ours or those of another program.

    Raises:
        InputError: a mask is missing, extra, resized or no PNG.
    """
    faults_of(Pictures(masks=folder), split).refuse()
    about = read_json(folder / ABOUT) if (folder / ABOUT).is_file() else {}
    files = [(folder / f"{one}.png").read_bytes().hex() for one in split.ids]
    key = str(about.get("key") or digest([digest(content) for content in files]))
    return Predictions(folder, key, None, str(about.get("device", "")))
