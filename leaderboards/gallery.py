"""Which test people are shown, and the row of pictures of each: input, every method, truth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from leaderboards import overlay, scored_photo
from leaderboards.folder import Folder
from leaderboards.pictures import Picture, read_png
from leaderboards.records import Record
from leaderboards.tables import Table
from metrics.protocol import HEADLINE, TRACKS
from synth.sample import Sample
from synth.store import Split

PEOPLE = 200
EXTREMES = 3


@dataclass(frozen=True, eq=False)
class Cases:
    """The samples that have pictures.

    Attributes:
        spread: one a person, spread over the split: what the split is like.
        extreme: others, which some method did worst or best.
    """

    spread: tuple[Sample, ...]
    extreme: tuple[Sample, ...]

    @property
    def all(self) -> tuple[Sample, ...]:
        """Every sample, each once."""
        return self.spread + self.extreme


def cases(test: Split, tables: Sequence[Table]) -> Cases:
    """What the page shows of a split: people, and the extremes of every row of the tables."""
    spread = chosen(test, PEOPLE)
    known = {sample.sample_id for sample in spread}
    wanted = {name for table in tables for name in extremes(table, EXTREMES)} - known
    places = {name: i for i, name in enumerate(test.ids)}
    found = [test[places[name]] for name in sorted(wanted) if name in places]
    return Cases(tuple(spread), tuple(found))


@dataclass(frozen=True)
class Shot:
    """One picture of a row.

    Attributes:
        title: who made it.
        score: its numbers as text, "" for input and truth.
        best: whether it has the row's best score.
        kind: "input", "method" or "truth".
    """

    title: str
    picture: Picture
    score: str = ""
    best: bool = False
    kind: str = "method"


@dataclass(frozen=True)
class Strip:
    """One test person behind one occluder, through every method of a table."""

    sample_id: str
    hidden_share: float
    shots: tuple[Shot, ...]


def chosen(test: Split, limit: int) -> list[Sample]:
    """Up to ``limit`` samples of different people, spread evenly over the split.

    A function of the split alone, so every table shows the same people.
    """
    first: dict[str, int] = {}
    for place, sample in enumerate(test):
        first.setdefault(sample.person_id, place)
    # Read again, since the samples of everybody may not fit into memory.
    places = list(first.values())
    if len(places) > limit:
        spread = np.linspace(0, len(places) - 1, limit).round().astype(int)
        places = [places[i] for i in dict.fromkeys(spread.tolist())]
    return [test[place] for place in places]


def extremes(table: Table, count: int) -> list[str]:
    """Ids of the ``count`` worst and best samples of every row by the headline, each once."""
    found: dict[str, None] = {}
    for row in table.rows:
        scored = [(s.numbers().get(table.headline, math.nan), s.id) for s in row.record.samples]
        ordered = [name for value, name in sorted(scored) if not math.isnan(value)]
        found |= dict.fromkeys([*ordered[:count], *ordered[max(count, len(ordered) - count) :]])
    return list(found)


def strips(table: Table, folder: Folder, samples: Sequence[Sample], side: int) -> Iterator[Strip]:
    """The rows of pictures of a table; samples without any stored prediction are left out."""
    for sample in samples:
        if table.track != "mask" and sample.clean is None:
            continue
        methods = _method_shots(table, folder, sample, side)
        if methods:
            shots = (_input(table.track, sample, side), *methods, _truth(table, sample, side))
            yield Strip(sample.sample_id, sample.hidden_share, shots)


def _input(track: str, sample: Sample, side: int) -> Shot:
    draw = overlay.hole_picture if track == "content" else overlay.initial_picture
    return Shot("Input", draw(sample, side), kind="input")


def _truth(table: Table, sample: Sample, side: int) -> Shot:
    if table.track == "mask":
        return Shot("Truth", overlay.true_mask_picture(sample, side), kind="truth")
    photo = scored_photo.reference(table.track, table.first.protocol, sample)
    return Shot("Truth", overlay.enlarged(photo, side), kind="truth")


def _method_shots(table: Table, folder: Folder, sample: Sample, side: int) -> list[Shot]:
    scored = [(row, _scores(row.record, sample)) for row in table.rows]
    best = _best(table, [scores for row, scores in scored if not row.apart])
    shots = []
    for row, scores in scored:
        record, picture = row.record, _picture(row.record, folder, sample, side)
        if picture is not None and scores:
            top = not row.apart and best is not None and scores.get(table.headline) == best
            shots.append(Shot(table.label(record), picture, _caption(table.track, scores), top))
    return shots


def _scores(record: Record, sample: Sample) -> dict[str, float]:
    for found in record.samples:
        if found.id == sample.sample_id:
            return found.numbers()
    return {}


def _best(table: Table, scores: list[dict[str, float]]) -> float | None:
    values = [s[table.headline] for s in scores if not math.isnan(s.get(table.headline, math.nan))]
    spec = next(s for s in TRACKS[table.track] if s.name == table.headline)
    return (max(values) if spec.higher_is_better else min(values)) if values else None


def _caption(track: str, scores: dict[str, float]) -> str:
    names = (HEADLINE[track], "invisible_iou" if track == "mask" else "lpips_hole")
    specs = {spec.name: spec for spec in TRACKS[track]}
    shown = [(specs[n], scores.get(n, math.nan)) for n in names]
    return " · ".join(f"{s.title} {v:.{s.decimals - 1}f}" for s, v in shown if not math.isnan(v))


def _picture(record: Record, folder: Folder, sample: Sample, side: int) -> Picture | None:
    if record.track == "mask":
        path = folder.predictions("mask", record.method, record.seed)
        mask = read_png(path / f"{sample.sample_id}.png", sample.amodal.shape)
        return None if mask is None else overlay.mask_picture(sample, mask, side)
    photo = scored_photo.recovered(record, folder, sample)
    return None if photo is None else overlay.enlarged(photo, side)
