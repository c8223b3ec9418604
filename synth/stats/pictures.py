"""Samples as pictures for the page: occluded, not occluded, and with their masks outlined."""

import base64
from dataclasses import dataclass

import cv2
import numpy as np

from synth.sample import Sample
from synth.stats.collect import Place
from synth.store import Dataset
from synth.truncate import FRAME

_SIDE, _QUALITY = 192, 84
_WHOLE, _HIDDEN, _INITIAL = (64, 220, 150), (255, 60, 90), (90, 160, 255)


@dataclass(frozen=True)
class Shot:
    """A picture as a data address, and what it shows."""

    title: str
    address: str
    alt: str


@dataclass(frozen=True)
class Strip:
    """One sample of the page."""

    sample_id: str
    split: str
    hidden: float
    by: str
    shots: tuple[Shot, ...]


def strips(dataset: Dataset, places: list[Place]) -> list[Strip]:
    """The samples at some places, read again."""
    return [_strip(dataset.split(split)[number]) for split, number in places]


def _strip(sample: Sample) -> Strip:
    panels = [("occluded", _scaled(sample.image))]
    if sample.clean is not None:
        panels.append(("clean", _scaled(sample.clean)))
    panels.append(("masks", _outlined(sample)))
    things = [str(one.get("category", "thing")) for one in sample.meta.get("occluders", [])]
    things = ["the edge of the photo" if thing == FRAME else thing for thing in things]
    name = f"sample {sample.sample_id}"
    shots = [Shot(title, _address(panel), f"{title}, {name}") for title, panel in panels]
    return Strip(
        sample.sample_id, sample.split, sample.hidden_share, ", ".join(things), tuple(shots)
    )


def _outlined(sample: Sample) -> np.ndarray:
    """The occluded picture, pale, with the outlines of whole person, hidden part and initial."""
    picture = (_scaled(sample.image) // 2 + 20).astype(np.uint8)
    for mask, colour in (
        (sample.initial > 0.5, _INITIAL),
        (sample.amodal, _WHOLE),
        (sample.invisible, _HIDDEN),
    ):
        if np.array_equal(mask, sample.modal) and colour == _INITIAL:
            continue
        large = _scaled(mask.astype(np.uint8) * 255) >= 128
        found, _ = cv2.findContours(large.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(picture, found, -1, colour, 1, cv2.LINE_AA)
    return picture


def _scaled(array: np.ndarray) -> np.ndarray:
    way = cv2.INTER_AREA if array.shape[0] > _SIDE else cv2.INTER_CUBIC
    if array.shape[0] == _SIDE:
        return array
    return np.asarray(cv2.resize(array, (_SIDE, _SIDE), interpolation=way))


def _address(picture: np.ndarray) -> str:
    flags = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    content = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), flags)[1]
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode("ascii")
