"""The pictures inside the page: one photo a sample, and for each method only what differs from it.

A mask is a transparent overlay of a few colours, a recovered photo the rectangle in which it
differs from the input. So two hundred people under fifteen methods fit into one file. The script
lays photo and patch over each other; it reads a sample's chunk when the sample is scrolled near.
"""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from leaderboards import overlay, scored_photo
from leaderboards.folder import Folder
from leaderboards.overlay import Mask, enlarged
from leaderboards.page_data import pictures_of, row_keys
from leaderboards.pictures import Picture, encode_indexed, encode_webp, read_png
from leaderboards.records import Protocol, Record
from leaderboards.score_pictures import expected
from leaderboards.tables import Table
from synth.sample import Sample

MAX_BYTES = 25_000_000
PROBED = 8
# Photos are encoded in blocks of two pixels (chroma), so that patches begin where blocks do.
BLOCK = 2


@dataclass(frozen=True)
class Step:
    """A picture side in pixels and a WebP quality in 0 to 100."""

    side: int
    quality: int


# To try, until the page is small enough.
STEPS = (Step(256, 84), Step(192, 82), Step(160, 78), Step(128, 74), Step(96, 70), Step(72, 60))


@dataclass(frozen=True)
class Chunk:
    """All pictures of one sample as JSON text that is safe inside a script element."""

    sample_id: str
    text: str


@dataclass(frozen=True)
class Pictures:
    """The chunks of a page, all at one step."""

    step: Step
    chunks: tuple[Chunk, ...]


def draw_pictures(shown: Sequence[Table], folder: Folder, samples: Sequence[Sample]) -> Pictures:
    """The pictures of ``samples`` in all tables, at the first step that keeps to MAX_BYTES."""
    artist = _Artist(shown, folder)
    for step in STEPS[:-1]:
        if artist.expected_bytes(samples, step) > MAX_BYTES:
            continue
        chunks = tuple(artist.chunk(sample, step) for sample in samples)
        if sum(len(chunk.text) for chunk in chunks) <= MAX_BYTES:
            return Pictures(step, chunks)
    return Pictures(STEPS[-1], tuple(artist.chunk(sample, STEPS[-1]) for sample in samples))


class _Artist:
    """Draws the chunks; photos by the rules of each protocol, masks once for all of them."""

    def __init__(self, shown: Sequence[Table], folder: Folder) -> None:
        self.folder = folder
        self.rows: dict[str, dict[str, Record]] = {}
        for table in shown:
            known = self.rows.setdefault(pictures_of(table), {})
            for key, row in zip(row_keys(table), table.rows, strict=True):
                known.setdefault(key, row.record)

    def expected_bytes(self, samples: Sequence[Sample], step: Step) -> float:
        """Size of all chunks, judged by a few that are spread over them."""
        if not samples:
            return 0.0
        places = np.linspace(0, len(samples) - 1, min(PROBED, len(samples))).round().astype(int)
        sizes = [len(self.chunk(samples[i], step).text) for i in places]
        return float(np.mean(sizes)) * len(samples)

    def chunk(self, sample: Sample, step: Step) -> Chunk:
        """The photo and every patch of a sample."""
        side = min(step.side, sample.image.shape[0])
        photo = encode_webp(enlarged(sample.image, side), step.quality)
        tracks = {
            name: self._methods(records, sample, step)
            for name, records in self.rows.items()
            if expected(next(iter(records.values())).track, sample)
        }
        content = {"photo": _text(photo), "tracks": tracks}
        return Chunk(sample.sample_id, json.dumps(content, separators=(",", ":")))

    def _methods(self, records: dict[str, Record], sample: Sample, step: Step) -> dict[str, Any]:
        methods = {key: self._method(record, sample, step) for key, record in records.items()}
        first = next(iter(records.values()))
        by_initial = first.track != "content"
        outlined = overlay.binarise(sample.initial) if by_initial else sample.invisible
        return {
            "input": _overlay(overlay.outline_layer(outlined, step.side)),
            "truth": _truth(first.track, first.protocol, sample, step),
            "methods": {key: patch for key, patch in methods.items() if patch is not None},
        }

    def _method(self, record: Record, sample: Sample, step: Step) -> list[Any] | None:
        if record.track == "mask":
            path = self.folder.predictions("mask", record.method, record.seed)
            mask = read_png(path / f"{sample.sample_id}.png", sample.amodal.shape)
            return None if mask is None else _overlay(overlay.mask_layer(sample, mask, step.side))
        photo = scored_photo.recovered(record, self.folder, sample)
        return None if photo is None else _patch(photo, sample.image, step)


def _truth(track: str, rules: Protocol, sample: Sample, step: Step) -> list[Any]:
    if track != "mask":
        return _patch(scored_photo.reference(track, rules, sample), sample.image, step)
    true = sample.amodal.astype(np.uint8) * np.uint8(255)
    return _overlay(overlay.mask_layer(sample, true, step.side))


def _overlay(layer: Picture) -> list[Any]:
    """[left, top, width, height in percent, type, base64] of a layer over the whole photo."""
    return [0, 0, 100, 100, "png", _text(encode_indexed(layer, overlay.PALETTE))]


def _patch(photo: Picture, image: Picture, step: Step) -> list[Any]:
    """As :func:`_overlay`, of the rectangle in which a photo differs from the input.

    Transparent where it does not differ, since the edges of two encoded pictures never quite meet.
    """
    side = min(step.side, image.shape[0])
    differs = _closed((photo != image).any(axis=2))
    rows, columns = (_span(np.asarray(differs.any(axis=way)), side) for way in (1, 0))
    opaque = enlarged(differs.astype(np.uint8) * np.uint8(255), side)
    cut = np.dstack([enlarged(photo, side), opaque])[rows, columns]
    place = [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start]
    percent = [round(100 * pixels / side, 4) for pixels in place]
    return [*percent, "webp", _text(encode_webp(np.ascontiguousarray(cut), step.quality))]


def _closed(differs: Mask) -> Mask:
    """A little wider and without specks: some pixels of a hole happen to be those of the input."""
    kernel = np.ones((3, 3), np.uint8)
    return cv2.dilate(differs.astype(np.uint8), kernel).astype(np.bool_)


def _span(differs: Mask, side: int) -> slice:
    """The pixels at ``side`` that hold every True of a row or column; one block without any."""
    places = np.flatnonzero(differs)
    if not len(places):
        return slice(0, BLOCK)
    scale = side / len(differs)
    first = int(places[0] * scale) // BLOCK * BLOCK
    last = min(side, -(-math.ceil((places[-1] + 1) * scale) // BLOCK) * BLOCK)
    return slice(first, last)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
