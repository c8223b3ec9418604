"""Annotation files and file names that nobody would write, and somebody will."""

import copy
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from synth.codec import canonical
from synth.errors import InputError
from synth.source_specs import BuiltinPeople, CocoOccluders, CocoPeople, OccluderSpec, PeopleSpec
from synth.sources.label_sets import LIP
from synth.sources.open import open_occluders, open_people
from tests.synth.coco_files import WHOLE, annotation, dataset, write
from tests.synth.figures import PARTS, drawn, photo, save

QUICK = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NASTY: list[Any] = [
    None, True, 0, -1, 7, 10**18, 10**400, 0.5, 1e308, math.nan, math.inf, "", "7", "x" * 5000,
    "\ud800", "a\nb", "../../x", "/etc/passwd", "a\0b", [], {}, [[]], [None], [1, 2, 3],
    [[math.nan] * 6], [[1e308, -1e308] * 3], [["x"] * 6], {"size": [10**9, 10**9], "counts": [1]},
    {"size": [100, 120], "counts": "\ud800"}, {"size": [100, 120], "counts": [-1, 12001]},
]  # fmt: skip


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*at, key)
        if isinstance(one, dict | list):
            yield from paths(one, (*at, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


def fine() -> dict[str, Any]:
    others = annotation(8, (80, 20, 110, 80)), annotation(9, (5, 30, 30, 70), 2)
    return copy.deepcopy(dataset(WHOLE, *others))


def open_both(root: Path) -> list[str]:
    """What each source gives or says; all of it is one line, and can be written as UTF-8."""
    said = []
    files = {"annotations": "a.json", "images": "images", "min_area": 100}
    people, things = CocoPeople(source="coco", **files), CocoOccluders(source="coco", **files)
    for opener, spec in ((open_people, people), (open_occluders, things)):
        try:
            source = opener(spec, root)  # type: ignore[operator]
            for identity in source.ids():
                loaded = source.load(identity, 16, np.random.default_rng(0))
                canonical([identity, getattr(loaded, "category", ""), loaded.meta])
            said += [text for one in source.rejected for text in (one.file, one.reason)]
        except InputError as error:
            assert str(root) in error.message
            said.append(error.message)
    assert all(len(text.encode().splitlines()) == 1 and len(text) < 2000 for text in said)
    return said


@QUICK
@given(st.data())
def test_any_value_of_an_annotation_file_may_be_anything(
    tmp_path: Path, data: st.DataObject
) -> None:
    document = fine()
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(paths(document))))
        put(document, path, copy.deepcopy(data.draw(st.sampled_from(NASTY))))
    write(tmp_path, document)
    open_both(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("file_name", "\ud800.png", "photo is missing"),
        ("file_name", "x" * 5000, "photo is missing"),
        ("file_name", "a\nb.png", "a\\nb.png annotation 7"),
        ("file_name", "../images/one.png", "leaves the folder"),
    ],
)
def test_odd_file_names_are_rejected_by_name(
    tmp_path: Path, key: str, value: str, words: str
) -> None:
    document = fine()
    document["images"][0][key] = value
    write(tmp_path, document)
    assert any(words in text for text in open_both(tmp_path))


def test_half_a_character_in_a_credit_costs_nobody(tmp_path: Path) -> None:
    document = fine()
    document["licenses"][0]["name"] = "half \ud800 name"
    document["images"][0]["flickr_url"] = "\udcff"
    document["categories"][1]["name"] = "c\ud800t"
    write(tmp_path, document)
    assert "\\ud800" in (tmp_path / "a.json").read_text()
    spec = CocoPeople(source="coco", annotations="a.json", images="images", min_area=100)
    people = open_people(spec, tmp_path)
    assert people.ids() == ["7", "8"]
    crop = people.load("7", 16, np.random.default_rng(0))
    assert crop.meta["licence"] == "half ? name" and crop.meta["flickr_url"] == "?"


def test_an_annotation_file_that_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, fine())
    (tmp_path / "a.json").unlink()
    os.mkfifo(tmp_path / "a.json")
    assert all("a.json: is no file" in text for text in open_both(tmp_path))


ODD = [b"\xff", b"new\nline", b"tab\there", "ü 漢".encode(), b"-rf", b"a'b\"c", b"\xe2\x80\xae"]


@pytest.mark.parametrize("kind", ["folder", "rgba"])
def test_names_of_any_bytes(tmp_path: Path, kind: str) -> None:
    body = drawn(LIP, PARTS) > 0
    for number, stem in enumerate([*ODD, b"plain"]):
        name = os.fsdecode(stem) + ".png"
        save(tmp_path / "photos" / name, photo(number))
        save(tmp_path / "masks" / name, body.astype(np.uint8) * 255)
        save(tmp_path / "cut" / name, np.dstack([photo(number), body * np.uint8(255)]))
    entry: dict[str, Any] = {"source": kind}
    entry |= {"path": "cut"} if kind == "rgba" else {"images": "photos", "masks": "masks"}
    person = TypeAdapter(PeopleSpec).validate_python(entry | {"min_area": 300})
    thing = TypeAdapter(OccluderSpec).validate_python(entry)
    if kind == "rgba":
        person = person.model_copy(update={"max_border_contact": 1.0})
    for source in (open_people(person, tmp_path), open_occluders(thing, tmp_path)):
        assert len(source.ids()) == len(ODD)
        for identity in source.ids():
            canonical([identity, source.load(identity, 16, np.random.default_rng(0)).meta])
        (one,) = source.rejected
        assert one.file.endswith("\\udcff.png") and one.reason == "file name is no UTF-8; rename it"


def test_a_folder_with_too_long_a_name_is_missing(tmp_path: Path) -> None:
    entry = {"source": "folder", "images": "x" * 5000, "masks": "masks"}
    with pytest.raises(InputError, match="no such folder"):
        open_people(TypeAdapter(PeopleSpec).validate_python(entry), tmp_path)


@pytest.mark.parametrize(
    "value", [{"weight": math.inf}, {"pool": 10**12}, {"seed": -1}, {"weight": math.nan}]
)
def test_numbers_that_no_source_has_are_refused(value: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        BuiltinPeople.model_validate({"source": "builtin", "pool": 5} | value)
