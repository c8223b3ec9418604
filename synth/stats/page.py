"""The page: one HTML file that opens from disk and asks nothing of the network.

Its bytes depend on the data set alone: no dates, no random names.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from synth.atomic import check_target, json_bytes, make_folder_of, write_together
from synth.errors import InputError
from synth.occlusion_spec import Histogram
from synth.output import refuse_inside
from synth.stats import collect, pictures, plots
from synth.stats.collect import HEIGHT_BINS, IOU_BINS, SHARE_BINS, SIZE_BINS, Collected
from synth.store import Dataset

_ROWS = 20
# In the JSON file: what tells it from files of others.
_MADE_BY, _OURS = "made_by", "hdeocc synth stats"


@dataclass(frozen=True)
class Plot:
    """A drawing with its title, what it says in words, and the values for who cannot see it."""

    title: str
    words: str
    drawing: Markup


def write_stats(dataset: Dataset, out: Path, progress: bool = True) -> Collected:
    """Count what is in a data set, write the page and, beside it, the numbers as JSON.

    The JSON file has the page's name with the ending .json.

    Raises:
        InputError: a sample cannot be read, the place is taken by something else or lies in a data
            set, or the file system refused; both files are then as they were.
    """
    numbers = out.with_suffix(".json")
    for path in (out, numbers):
        check_target(path)
    refuse_inside(out, dataset.path)
    _refuse_taken(out, numbers)
    found = collect.collect(dataset, progress)
    told = {_MADE_BY: _OURS} | collect.summary(dataset, found)
    page = render(dataset, found).encode()
    make_folder_of(out)
    write_together({numbers: json_bytes(told, indent=1), out: page})
    return found


def _refuse_taken(out: Path, numbers: Path) -> None:
    if not numbers.exists():
        return
    try:
        ours = json.loads(numbers.read_bytes())[_MADE_BY] == _OURS
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise InputError(
            f"{numbers}: would be written over, but is not of an earlier page; move it away or "
            "give another --out"
        )


def render(dataset: Dataset, found: Collected) -> str:
    """The page of what was counted; the most and least hidden samples are read once more."""
    environment = Environment(
        loader=PackageLoader("synth"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("stats.html.j2").render(
        title=dataset.recipe.title or dataset.recipe.name,
        recipe=dataset.recipe,
        fingerprint=dataset.fingerprint,
        facts=_facts(dataset, found),
        sections=_sections(dataset, found),
        licences=[
            ("people", found.tally("person licences")),
            ("occluders", found.tally("occluder licences")),
        ],
        most=pictures.strips(dataset, found.most),
        least=pictures.strips(dataset, found.least),
        jittered=bool(found.iou.least is not None and found.iou.least < 1),
    )


def _facts(dataset: Dataset, found: Collected) -> list[tuple[str, str]]:
    pools = dataset.info["pools"]
    splits = ", ".join(f"{count:,} {name}" for name, count in dataset.info["counts"].items())
    people = sum(pool["people"] for pool in pools.values())
    occluders = sum(pool["occluders"] for pool in pools.values())
    return [
        ("Samples", splits),
        ("Pictures", f"{dataset.recipe.size} × {dataset.recipe.size} px"),
        ("People to draw from", f"{people:,}"),
        ("Occluders to draw from", f"{occluders:,}"),
        ("Hidden, median", _percent(found.got.quantile(0.5))),
    ]


def _sections(dataset: Dataset, found: Collected) -> list[tuple[str, str, list[Plot]]]:
    """Id, title and plots of each section; a section without plots is left out."""
    sections = [
        ("hidden", "How much is hidden", _hidden(dataset, found)),
        ("occluders", "What hides it", _occluders(found)),
        ("people", "Who is hidden", _people(dataset, found)),
        ("rejected", "What was left out", _rejected(dataset)),
    ]
    return [section for section in sections if section[2]]


def _hidden(dataset: Dataset, found: Collected) -> list[Plot]:
    occlusion = dataset.recipe.occlusion
    wanted = collect.declared(occlusion, np.linspace(0, 1, SHARE_BINS + 1))
    made = [
        _plot(
            "Hidden share, asked and reached",
            _in_words(dataset, found),
            plots.shares(found.got, found.asked, wanted, SHARE_BINS),
        )
    ]
    seen = [(part, share) for part, share, _ in collect.visible_shares(found)]
    if seen:
        words = f"Pixels of each part over all {found.parsed:,} samples with body-part labels. "
        words += "All parts alike would mean that occluders come from every side."
        made.append(_plot("Visible share by body part", words, plots.rows("parts", seen, True)))
    if found.iou.n and found.iou.least is not None and found.iou.least < 1:
        words = "Overlap (IoU) of the mask that a method starts from with the visible person: "
        words += f"median {found.iou.quantile(0.5):.2f}, worst {found.iou.least:.2f}."
        drawing = plots.histogram("iou", found.iou, IOU_BINS, "IoU of initial and visible mask")
        made.append(_plot("The mask a method starts from", words, drawing))
    return made


def _in_words(dataset: Dataset, found: Collected) -> str:
    hidden, reach = dataset.recipe.occlusion.hidden, dataset.recipe.occlusion.reach
    if isinstance(hidden, Histogram):
        words = "Asked: the histogram that the recipe declares. "
    else:
        how = "uniform" if reach == "steer" else "whatever comes"
        words = f"Asked: {how} from {_percent(hidden[0])} to {_percent(hidden[1])}. "
    if found.off.n:
        close = found.off.counts[: round(0.02 * len(found.off.counts))].sum() / found.off.n
        words += f"Reached within two points of the asked share: {_percent(close)} of the samples. "
    return words + f"Outside what was asked: {found.missed:,} of {found.samples:,}."


def _occluders(found: Collected) -> list[Plot]:
    made = []
    classes = found.tally("classes")
    if classes:
        words = f"{len(classes)} classes in {sum(n for _, n in classes):,} occluders."
        words += _rest(classes, "classes")
        made.append(_plot("Classes", words, plots.rows("classes", _head(classes))))
    if found.sizes.n:
        words = "Longest side of an occluder's box over that of the person: median "
        words += f"{_percent(found.sizes.quantile(0.5))}; the box may reach beyond the picture."
        label = "longest side, person = 100 %"
        drawing = plots.histogram("sizes", found.sizes, SIZE_BINS, label)
        made.append(_plot("Size", words, drawing))
    kinds = found.tally("placements")
    if kinds:
        words = "Where occluders were placed, seen from the person."
        made.append(_plot("Placement", words, plots.rows("placements", _head(kinds))))
    several = sorted(found.tally("occluders of a sample"), key=lambda one: int(one[0]))
    words = "How many occluders a sample has."
    if found.truncated:
        words += f" In {found.truncated:,} the edge of the photo cuts the person as well."
    made.append(_plot("Number", words, plots.rows("number", several)))
    return made


def _people(dataset: Dataset, found: Collected) -> list[Plot]:
    size = dataset.recipe.size
    words = "Height of the person's box in pixels"
    if found.heights.n:
        middle = (found.heights.quantile(0.5) or 0) * size
        words += f": median {middle:.0f} of {size}."
    label = f"height in pixels, picture = {size}"
    drawing = plots.histogram("heights", found.heights, HEIGHT_BINS, label, size)
    sources = [(f"people: {name}", n) for name, n in found.tally("people")]
    sources += [(f"occluders: {name}", n) for name, n in found.tally("occluders")]
    told = "Samples by the source of the person, and occluders by theirs."
    return [
        _plot("Size of the person", words, drawing),
        _plot("Sources", told, plots.rows("sources", _head(sources))),
    ]


def _rejected(dataset: Dataset) -> list[Plot]:
    reasons = list(dataset.info["skipped_by_reason"].items())
    if not reasons:
        return []
    words = f"{sum(n for _, n in reasons):,} inputs are no whole person, no usable occluder, or "
    words += "cannot be read; each is named in dataset.json." + _rest(reasons, "reasons")
    return [_plot("Reasons", words, plots.rows("reasons", _head(reasons)))]


def _head(counted: Sequence[tuple[str, int]]) -> list[tuple[str, float]]:
    """The most frequent ones."""
    return [(name, n) for name, n in counted[:_ROWS]]


def _rest(counted: Sequence[tuple[str, int]], what: str) -> str:
    """What ``_head`` leaves out, in words; empty where it leaves out nothing."""
    rest = counted[_ROWS:]
    if not rest:
        return ""
    return f" Not shown: {len(rest)} more {what}, {sum(n for _, n in rest):,} in all."


def _plot(title: str, words: str, drawing: str) -> Plot:
    return Plot(title, words, Markup(drawing))


def _percent(share: Any) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"
