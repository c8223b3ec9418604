"""The files of a result: pictures of every person, and result.json with the figures."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hdeocc import __version__
from hdeocc.model_folder import Pair
from hdeocc.person_masks import Visible
from hdeocc.provenance import library_versions
from hdeocc.result_folder import MADE_BY, MARKER
from hdeocc.side_by_side import side_by_side, stacked
from hdeocc.whole_person import WholePerson
from synth.atomic import write_bytes, write_json
from synth.errors import one_line
from synth.parsing import LIP_LABELS, PALETTE


@dataclass(frozen=True, eq=False)
class Written:
    """What is left of a person when its files are written: figures, and the picture of all."""

    facts: dict[str, Any]
    row: np.ndarray


def facts_of_run(photo: Path, shape: tuple[int, ...], pair: Pair) -> dict[str, Any]:
    """What is the same for everybody in a photo."""
    return {
        "made_by": MADE_BY,
        "schema": 1,
        "photo": one_line(photo.name),
        "size": [shape[1], shape[0]],
        "model": {
            "name": one_line(pair.name),
            **{
                track: {
                    "title": fitted.method.title,
                    "preset": fitted.method.preset,
                    "key": fitted.key,
                    "weights_sha256": fitted.weights,
                }
                for track, fitted in (("mask", pair.mask), ("content", pair.content))
            },
        },
        "versions": {"hdeocc": __version__} | library_versions("pillow"),
    }


def write_person(
    folder: Path,
    person: WholePerson,
    visible: Visible,
    photo: np.ndarray,
    run: dict[str, Any],
    name: str = "",
) -> Written:
    """Write the pictures of one person and its ``result.json`` into a folder that exists."""
    row = side_by_side(person, photo, name)
    _save(folder / "amodal.png", Image.fromarray(person.amodal.astype(np.uint8) * np.uint8(255)))
    if person.parsing is not None:
        _save(folder / "parsing.png", _with_palette(person.parsing))
    _save(folder / "person.png", Image.fromarray(person.cutout))
    _save(folder / "recovered.png", Image.fromarray(person.recovered))
    _save(folder / "side-by-side.png", Image.fromarray(row))
    facts = _facts(person, visible)
    write_json(folder / MARKER, run | facts, indent=1)
    return Written(facts, row)


def write_all(folder: Path, people: Sequence[Written], run: dict[str, Any]) -> None:
    """Write what speaks of several people: ``all.png``, and ``result.json`` with all figures."""
    _save(folder / "all.png", Image.fromarray(stacked([one.row for one in people])))
    write_json(folder / MARKER, run | {"people": [one.facts for one in people]}, indent=1)


def _facts(person: WholePerson, visible: Visible) -> dict[str, Any]:
    square = person.square
    facts: dict[str, Any] = {
        "visible_from": one_line(visible.source),
        "box": list(person.box),
        "visible_pixels": int(person.modal.sum()),
        "hidden_pixels": int(person.invisible.sum()),
        "hidden_share": round(person.hidden_share, 6),
        "beyond_share": round(person.beyond, 6),
        "crop": [square.left, square.top, square.side],
    }
    if person.parsing is not None:
        counts = np.bincount(person.parsing[person.amodal], minlength=len(LIP_LABELS))
        named = zip(LIP_LABELS, counts.tolist(), strict=True)
        facts["parts"] = {name: count for name, count in named if count}
    return facts


def _with_palette(parsing: np.ndarray) -> Image.Image:
    picture = Image.fromarray(parsing, "P")
    picture.putpalette(PALETTE.ravel().tolist())
    return picture


def _save(path: Path, picture: Image.Image) -> None:
    written = io.BytesIO()
    picture.save(written, "PNG", compress_level=4)
    write_bytes(path, written.getvalue())
