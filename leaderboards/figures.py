"""Figures for a paper: one row a person, one column a method, between the input and the truth.

PNG and PDF with the pictures inside, the same bytes for the same results. Laid out after figures 2
and 3 of the supplement of Zhou et al. (CVPR 2021).
"""

import io
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from leaderboards import gallery
from leaderboards.folder import Folder
from leaderboards.gallery import Shot, Strip
from leaderboards.tables import Table
from synth.atomic import make_folder_of, write_bytes
from synth.errors import InputError
from synth.sample import Sample
from synth.settings import hint
from synth.store import Split

DPI = 200
SIDE = 256
PEOPLE = 6
ENDINGS = (".png", ".pdf")

_GAP = 0.05  # inches between pictures
_LEFT = 0.75  # inches, for the names of the rows
_TITLE, _SCORE = 7.0, 5.5  # points
_LINE = 1.25  # of the height of a letter
_POINTS = 72  # an inch
_LETTER = 0.62  # widest mean of a letter, in heights: wrapped text stays within its column
# Nothing that differs from run to run, and letters that a PDF reader can search.
_METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None, "Producer": None}}
# Titles are text: a "$" in one starts no formula.
_STYLE: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "font.family": "DejaVu Sans",
    "text.parse_math": False,
}


def choose(
    test: Split,
    *,
    ids: Sequence[str] = (),
    rng: np.random.Generator | None = None,
    people: int = PEOPLE,
) -> list[Sample]:
    """The samples of a figure: those of ``ids`` in that order, else people drawn by ``rng``.

    An id is a sample's or a person's, whose first sample is shown. Without ids and ``rng`` the
    people are spread evenly over the split.

    Raises:
        InputError: an id that is not in the split, with the closest ones.
    """
    if ids:
        return _named(test, ids)
    if rng is None:
        return gallery.chosen(test, people)
    places = list(_first_places(test).values())
    drawn = rng.choice(len(places), size=min(people, len(places)), replace=False)
    return [test[places[i]] for i in sorted(drawn.tolist())]


def _first_places(test: Split) -> dict[str, int]:
    """Where the first sample of each person lies."""
    places: dict[str, int] = {}
    for place, sample in enumerate(test):
        places.setdefault(sample.person_id, place)
    return places


def _named(test: Split, ids: Sequence[str]) -> list[Sample]:
    places = {one: i for i, one in enumerate(test.ids)}
    if any(one not in places for one in ids):
        places = _first_places(test) | places
    for one in ids:
        if one not in places:
            raise InputError(f"{one}: no such sample or person in the split; {hint(one, places)}")
    return [test[places[one]] for one in ids]


def write_figures(
    out: Path,
    tables: Iterable[Table],
    folder: Folder,
    samples: Sequence[Sample],
    side: int = SIDE,
) -> list[Path]:
    """Write figure-TRACK.png and .pdf into ``out`` for every table with pictures of the samples.

    Tables of other protocols than ours are named in the file, as results are. Returns the paths.
    """
    written = []
    for table in tables:
        strips = list(gallery.strips(table, folder, samples, side))
        if strips:
            rules = table.first.protocol.name
            stem = f"figure-{table.track}" + ("" if rules == "strict" else f".{rules}")
            written += write_figure(out / stem, strips)
    return written


def write_figure(stem: Path, strips: Sequence[Strip]) -> list[Path]:
    """Write STEM.png and STEM.pdf, 200 dots an inch; nothing is cut at the edges."""
    paths = []
    figure = draw(strips)
    with matplotlib.rc_context(_STYLE):
        for ending in ENDINGS:
            path = stem.with_name(stem.name + ending)
            content = io.BytesIO()
            figure.savefig(
                content,
                format=ending[1:],
                dpi=DPI,
                bbox_inches="tight",
                pad_inches=_GAP,
                metadata=_METADATA[ending],
            )
            make_folder_of(path)
            write_bytes(path, content.getvalue())
            paths.append(path)
    return paths


def draw(strips: Sequence[Strip]) -> Figure:
    """The figure: a column for every method of any strip, in their order.

    Raises:
        ValueError: no strips.
    """
    if not strips:
        raise ValueError("a figure needs at least one row of pictures")
    with matplotlib.rc_context(_STYLE):
        return _drawn(strips)


def _drawn(strips: Sequence[Strip]) -> Figure:
    columns = _columns(strips)
    cell = strips[0].shots[0].picture.shape[1] / DPI
    letters = max(4, int(cell * _POINTS / (_TITLE * _LETTER)))
    heads = [textwrap.wrap(title, letters) for _, title in columns]
    head = max(map(len, heads)) * _TITLE * _LINE / _POINTS + 2 * _GAP
    foot = _score_lines(strips) * _SCORE * _LINE / _POINTS + _GAP
    width = _LEFT + len(columns) * (cell + _GAP)
    height = head + len(strips) * (cell + foot)
    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    for i, strip in enumerate(strips):
        shots = {(shot.kind, shot.title): shot for shot in strip.shots}
        top = height - head - i * (cell + foot)
        _row_name(figure, strip, (top - cell / 2) / height)
        for j, column in enumerate(columns):
            left = _LEFT + j * (cell + _GAP)
            box = (left / width, (top - cell) / height, cell / width, cell / height)
            axes = figure.add_axes(box)
            axes.set_axis_off()
            if i == 0:
                axes.set_title("\n".join(heads[j]), fontsize=_TITLE, pad=3)
            if column in shots:
                _picture(axes, shots[column], cell)
    return figure


def _columns(strips: Sequence[Strip]) -> list[tuple[str, str]]:
    """Kind and title of every column: the input first, then methods, the truth last."""
    order = {"input": 0, "method": 1, "truth": 2}
    found = dict.fromkeys((shot.kind, shot.title) for strip in strips for shot in strip.shots)
    return sorted(found, key=lambda column: order[column[0]])


def _score_lines(strips: Sequence[Strip]) -> int:
    return max(len(_score(shot)) for strip in strips for shot in strip.shots)


def _score(shot: Shot) -> list[str]:
    return shot.score.split(" · ") if shot.score else []


def _row_name(figure: Figure, strip: Strip, middle: float) -> None:
    text = f"{strip.sample_id}\n{strip.hidden_share:.0%} hidden"
    width = float(figure.get_size_inches()[0])
    where = (_LEFT - 2 * _GAP) / width
    figure.text(where, middle, text, fontsize=_SCORE, ha="right", va="center")


def _picture(axes: Axes, shot: Shot, cell: float) -> None:
    """A picture ``cell`` inches wide, its scores below; the headline is bold where it is best."""
    axes.imshow(shot.picture, interpolation="none", cmap="gray", vmin=0, vmax=255)
    for number, line in enumerate(_score(shot)):
        below = 0.02 + number * _SCORE * _LINE / _POINTS / cell
        weight = "bold" if shot.best and number == 0 else "normal"
        axes.text(
            0.5, -below, line, fontsize=_SCORE, weight=weight, ha="center", va="top",
            transform=axes.transAxes,
        )  # fmt: skip
