"""Pictures of samples: a sheet with one row a sample, and the contact sheet of a data set."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from synth.parsing import colourise
from synth.sample import Sample
from synth.sources.base import PersonCrop

if TYPE_CHECKING:
    from synth.store import Dataset

COLUMNS = ("image", "clean", "amodal", "modal", "initial", "parsing")
_GAP, _TITLE = 4, 18
_PAPER = 255
_HIDDEN = (255, 40, 90)
_THUMBNAIL, _CONTACT_ROWS, _CONTACT_COLUMNS = 128, 4, 6


def sheet(samples: Sequence[Sample], tile: int = 0) -> np.ndarray:
    """A picture (H, W, 3) uint8 RGB: a row a sample, the columns of ``COLUMNS`` with titles.

    The column "initial" is left out where it is "modal" in all samples.
    ``tile`` is the side of each picture; 0 takes the samples' size, at least 128.
    """
    side = tile or max(128, samples[0].amodal.shape[0])
    modal = all(np.array_equal(sample.initial, sample.modal) for sample in samples)
    columns = [name for name in COLUMNS if not (modal and name == "initial")]
    rows = []
    for sample in samples:
        panels = _panels(sample)
        rows.append(np.hstack([_tile(panels[name], side) for name in columns]))
    return np.vstack([_titles(columns, side), *rows])


def contact_sheet(dataset: "Dataset") -> bytes:
    """PNG of up to 24 samples spread over the splits: hidden part outlined, whole person beside."""
    chosen = _spread(dataset, _CONTACT_ROWS * _CONTACT_COLUMNS)
    cells = []
    for sample in chosen:
        pictures = [outlined(sample, _THUMBNAIL), _grey(sample.amodal)]
        cells.append(np.hstack([_tile(picture, _THUMBNAIL) for picture in pictures]))
    return to_png(_rows(cells, _CONTACT_COLUMNS))


def crop_sheet(crops: Sequence[PersonCrop], columns: int, labels: bool) -> np.ndarray:
    """A picture (H, W, 3) uint8 RGB of whole people, ``columns`` in a row.

    With ``labels`` each is followed by its mask and its parsing, half as many people in a row.
    """
    cells = []
    for crop in crops:
        pictures = [crop.image]
        if labels:
            parsing = np.zeros_like(crop.amodal, np.uint8) if crop.parsing is None else crop.parsing
            pictures += [_grey(crop.amodal), colourise(parsing)]
        cells.append(np.hstack([_tile(picture, picture.shape[0]) for picture in pictures]))
    return _rows(cells, max(1, columns // 2) if labels else columns)


def outlined(sample: Sample, side: int) -> np.ndarray:
    """The occluded picture (side, side, 3) uint8 with the outline of the hidden part."""
    picture = _scaled(sample.image, side).copy()
    hidden = _scaled(sample.invisible.astype(np.uint8) * 255, side, smooth=True) >= 128
    contours, _ = cv2.findContours(hidden.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    cv2.drawContours(picture, contours, -1, _HIDDEN, 1, cv2.LINE_AA)
    return picture


def to_png(picture: np.ndarray) -> bytes:
    """PNG of a picture (H, W, 3) uint8 RGB."""
    return bytes(cv2.imencode(".png", picture[..., ::-1])[1].tobytes())


def _rows(cells: Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size, ``columns`` in a row; the last row is filled up with paper."""
    columns = min(columns, len(cells))
    blanks = [np.full_like(cells[0], _PAPER)] * (-len(cells) % columns)
    filled = [*cells, *blanks]
    rows = [np.hstack(filled[i : i + columns]) for i in range(0, len(filled), columns)]
    return np.vstack(rows)


def _spread(dataset: "Dataset", wanted: int) -> list[Sample]:
    """Samples evenly over the data set, every split that has any among them."""
    names = [name for name, count in dataset.info["counts"].items() if count]
    chosen: list[Sample] = []
    for place, name in enumerate(names):
        split = dataset.split(name)
        share = min(len(split), (wanted - len(chosen)) // (len(names) - place))
        chosen += [split[int(i)] for i in np.linspace(0, len(split) - 1, share).round()]
    return chosen


def _panels(sample: Sample) -> dict[str, np.ndarray]:
    """The picture (S, S, 3) uint8 of each of ``COLUMNS``."""
    blank = np.full((*sample.amodal.shape, 3), 235, np.uint8)
    parsing = blank if sample.parsing is None else colourise(sample.parsing)
    clean = blank if sample.clean is None else sample.clean
    masks = (_grey(mask) for mask in (sample.amodal, sample.modal, sample.initial))
    return dict(zip(COLUMNS, (sample.image, clean, *masks, parsing), strict=True))


def _grey(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W), bool or in [0, 1], as a picture (H, W, 3) uint8."""
    return np.repeat(np.rint(mask * 255.0).astype(np.uint8)[..., None], 3, axis=2)


def _scaled(picture: np.ndarray, side: int, smooth: bool = False) -> np.ndarray:
    if picture.shape[0] == side:
        return picture
    if picture.shape[0] > side:
        return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    method = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    return cv2.resize(picture, (side, side), interpolation=method)


def _tile(picture: np.ndarray, side: int) -> np.ndarray:
    return cv2.copyMakeBorder(
        _scaled(picture, side), 0, _GAP, 0, _GAP, cv2.BORDER_CONSTANT, value=(_PAPER,) * 3
    )


def _titles(columns: Sequence[str], side: int) -> np.ndarray:
    band = np.full((_TITLE, len(columns) * (side + _GAP), 3), _PAPER, np.uint8)
    for number, title in enumerate(columns):
        where = (number * (side + _GAP) + 2, _TITLE - 5)
        cv2.putText(
            band, title, where, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA
        )
    return band
