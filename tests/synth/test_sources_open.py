"""Which source a recipe entry opens, under which name, from where."""

from pathlib import Path

import pytest

from synth import source_specs as specs
from synth.errors import InputError
from synth.recipe import load_recipe
from synth.sources.base import OccluderSource, PersonSource
from synth.sources.builtin import BuiltinPeople
from synth.sources.open import (
    data_root,
    open_all_occluders,
    open_all_people,
    open_occluders,
    open_people,
    source_names,
)

BUILTIN = specs.BuiltinPeople(source="builtin", pool=3)
FOLDER = specs.FolderPeople(source="folder", images="a", masks="b")
CCP = specs.CcpPeople(source="ccp", path="ccp")


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory, a repository and an environment without data."""
    from synth.sources import open as module

    monkeypatch.delenv("HDEOCC_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "synth" / "sources" / "open.py"))
    return tmp_path


def test_names_are_unique_and_in_order() -> None:
    entries: list[specs.PeopleSpec] = [CCP, FOLDER, BUILTIN, FOLDER, FOLDER]
    assert source_names(entries) == ["ccp", "folder", "builtin", "folder-2", "folder-3"]
    sources = open_all_people([BUILTIN, BUILTIN])
    assert [s.name for s in sources] == ["builtin", "builtin-2"]
    things = specs.BuiltinOccluders(source="builtin", pool=2)
    assert [s.name for s in open_all_occluders([things])] == ["builtin"]


def test_data_root_prefers_option_then_variable_then_the_usual_place(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("option", "variable", "work", "shared/data"):
        (nowhere / name).mkdir(parents=True)
    monkeypatch.chdir(nowhere / "work")
    assert data_root() == nowhere / "shared" / "data"
    monkeypatch.setenv("HDEOCC_DATA", str(nowhere / "variable"))
    assert data_root() == nowhere / "variable"
    assert data_root(nowhere / "option") == nowhere / "option"
    with pytest.raises(InputError, match="--data .*gone: no such folder"):
        data_root(nowhere / "gone")
    monkeypatch.setenv("HDEOCC_DATA", "gone")
    with pytest.raises(InputError, match="HDEOCC_DATA gone"):
        data_root()


def test_without_data_the_error_says_how_to_give_it(nowhere: Path) -> None:
    for spec in (CCP, FOLDER):
        with pytest.raises(InputError, match=r"--data DIR"):
            open_people(spec)


def test_builtin_people_and_absolute_paths_need_no_data(nowhere: Path) -> None:
    assert isinstance(open_people(BUILTIN), BuiltinPeople)
    away = specs.FolderOccluders(
        source="folder", images=str(nowhere / "a"), masks=str(nowhere / "b")
    )
    with pytest.raises(InputError, match="a: no such folder"):
        open_occluders(away)


def test_every_kind_opens_on_real_photos(real_data: Path) -> None:
    photos = load_recipe("photos-small")
    # CCP is opened by its own tests; its 870 label maps take seconds.
    people = [spec for spec in photos.people if spec.source != "ccp"]
    sources: list[PersonSource | OccluderSource] = [*open_all_people(people, real_data)]
    for source in [*sources, *open_all_occluders(photos.occluders, real_data)]:
        assert source.name == "coco" and source.ids() and source.rejected
