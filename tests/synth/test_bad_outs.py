"""Names given as --out that no file or folder can have, or that somebody else's files have."""

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from synth import atomic
from synth.atomic import write_together
from synth.build import build
from synth.cli import synth
from synth.errors import InputError
from synth.export import FORMATS, export
from synth.stats.page import write_stats
from synth.store import Dataset
from tests.synth.scenarios import files_of
from tests.synth.tiny import RECIPE, tiny_recipe


@pytest.fixture(scope="module")
def dataset(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    made = build(tiny_recipe(), tmp_path_factory.mktemp("set"), data, progress=False)
    assert made is not None
    return made


def run(*arguments: object) -> Result:
    return CliRunner().invoke(synth, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, (result.output, result.exception)
    assert len(result.output.strip().splitlines()) == 1, result.output
    return result.output


@pytest.mark.parametrize("out", [".", "..", "/", "", "folder", "folder/"])
@pytest.mark.parametrize("command", ["preview", "people", "stats", "export", "build"])
def test_what_is_no_name_is_refused_in_one_line(
    command: str, out: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in" / "folder").mkdir(parents=True)
    (tmp_path / "in" / "folder" / "mine.txt").write_text("dear")
    monkeypatch.chdir(tmp_path / "in")
    said = refused(
        *{
            "preview": ("preview", "people-quick"),
            "people": ("people", "--count", 1),
            "stats": ("stats", dataset.path),
            "export": ("export", dataset.path, "--to", "coco"),
            "build": ("build", "people-quick"),
        }[command],
        "--out",
        out,
    )
    assert "choose" in said or "give" in said or "name a new one" in said
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "folder", "mine.txt"]


def test_pictures_go_into_new_folders(data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "tiny.toml"
    toml.write_text(RECIPE.format(train=14, shard_size=4))
    preview = ("preview", toml, "--data", data, "--rows", 1, "--out", tmp_path / "a/b/p.png")
    for command in (preview, ("people", "--count", 1, "--out", tmp_path / "c/d/p.png")):
        assert run(*command).exit_code == 0
        assert Path(command[-1]).is_file()
    assert "cannot be written" in refused(*preview[:-1], toml / "p.png")


def test_a_preview_of_a_large_recipe_looks_at_its_rows_alone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    make_sample = __import__("synth.plan", fromlist=["make_sample"]).make_sample

    def made(plan: Any, index: int) -> Any:
        asked.append(index)
        return make_sample(plan, index)

    monkeypatch.setattr("synth.plan.make_sample", made)
    toml = tmp_path / "tiny.toml"
    toml.write_text(RECIPE.format(train=900_000_000, shard_size=1000))
    options = ("--data", data, "--rows", 3, "--split", "test", "--out", tmp_path / "p.png")
    assert run("preview", toml, *options).exit_code == 0
    assert asked == [900_000_004, 900_000_005, 900_000_006]


def test_statistics_never_write_over_the_files_of_others(dataset: Dataset, tmp_path: Path) -> None:
    inside = tmp_path / "set"
    shutil.copytree(dataset.path, inside)
    before = files_of(inside)
    for out in (inside / "dataset.html", inside / "new/page.html"):
        for folder in (inside, dataset.path):
            assert "lies in the data set" in refused("stats", folder, "--out", out)
    assert files_of(inside) == before
    for content in ('{"made_by": "me"}', "[1]", "no JSON", "[" * 100_000):
        (tmp_path / "page.json").write_text(content)
        said = refused("stats", dataset.path, "--out", tmp_path / "page.html")
        assert "page.json: would be written over" in said
        assert (tmp_path / "page.json").read_text() == content
    assert not (tmp_path / "page.html").exists()
    for _ in range(2):  # what it wrote itself it may replace
        write_stats(dataset, tmp_path / "other.html", progress=False)


def test_nothing_is_written_into_a_data_set(
    dataset: Dataset, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any work, be the data set finished or begun, and named by a link or not."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError

    for function in ("plan.open_plan", "build.open_plan", "segmenter.train.open_plan"):
        monkeypatch.setattr(f"synth.{function}", never)
    monkeypatch.setattr("synth.export._write_split", never)
    monkeypatch.setattr("synth.sources.builtin.BuiltinPeople", never)
    toml = tmp_path / "tiny.toml"
    toml.write_text(RECIPE.format(train=14, shard_size=4))
    inside, begun = tmp_path / "set", tmp_path / "begun"
    shutil.copytree(dataset.path, inside)
    shutil.copytree(dataset.path, begun, ignore=lambda *_: ["dataset.json"])
    (tmp_path / "link").symlink_to("set", target_is_directory=True)
    before = files_of(inside), files_of(begun)
    for folder in (inside, begun, tmp_path / "link"):
        for out in (folder / "annotations.json", folder / "shard-00000.tar", folder / "new/p.png"):
            assert "lies in the data set" in refused("preview", toml, "--data", data, "--out", out)
            assert "lies in the data set" in refused("people", "--count", 1, "--out", out)
        for command in (
            ("export", dataset.path, "--to", "coco"),
            ("build", toml, "--data", data),
            ("segmenter", toml, "--data", data),
        ):
            assert "lies in the data set" in refused(*command, "--out", folder / "new")
    assert (files_of(inside), files_of(begun)) == before


def test_a_full_disk_leaves_the_pair_as_it_was(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_stats(dataset, tmp_path / "page.html", progress=False)
    (tmp_path / "page.html").write_text("of yesterday")
    before = files_of(tmp_path)
    for number in (1, 2):
        calls: list[int] = []

        def full(handle: int, number: int = number, calls: list[int] = calls) -> None:
            calls.append(handle)
            if len(calls) == number:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(atomic.os, "fsync", full)
            with pytest.raises(InputError, match="No space left on device.*make room"):
                write_stats(dataset, tmp_path / "page.html", progress=False)
        assert files_of(tmp_path) == before


def test_files_written_together_are_named_where_they_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(InputError, match="gone/c: cannot be written"):
        write_together({tmp_path / "a": b"1", tmp_path / "gone/c": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_folder_in_the_way_of_a_shard_is_named(data: Path, tmp_path: Path) -> None:
    """Nobody gave the name of this file: to be told to give another is of no help."""
    out = tmp_path / "out"
    build(tiny_recipe(), out, data, progress=False)
    for name in ("dataset.json", "shard-00001.json", "shard-00001.tar"):
        (out / name).unlink()
    (out / "shard-00001.tar").mkdir()
    (out / "shard-00001.tar" / "mine.txt").write_text("dear")
    with pytest.raises(InputError, match=r"shard-00001\.tar: cannot be written \(Is a directory\)"):
        build(tiny_recipe(), out, data, progress=False)
    assert (out / "shard-00001.tar" / "mine.txt").read_text() == "dear"


@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_is_replaced_and_nothing_else(
    kind: str, dataset: Dataset, tmp_path: Path
) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    for _ in range(2):
        export(dataset, kind, out, progress=False)
    inner = next(path for path in out.rglob("*") if path.is_file()).parent
    for own in (out / "thesis.txt", inner / "notes.md", out / "new" / "deep" / "000001.png"):
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("dear")
        name = own.relative_to(out).as_posix()
        with pytest.raises(InputError, match=f"holds something else \\({name}\\).*move it away"):
            export(dataset, "folder", out, progress=False)
        assert own.read_text() == "dear"
        own.unlink()
    (out / "link").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(InputError, match="something else .link."):
        export(dataset, "folder", out, progress=False)


@pytest.mark.parametrize(
    "content", ["", "{}", "[1]", '{"format": "coco"}', '{"format": [1]}', "[" * 100_000]
)
def test_a_file_called_export_json_makes_no_export(
    content: str, dataset: Dataset, tmp_path: Path
) -> None:
    (tmp_path / "export.json").write_text(content)
    (tmp_path / "thesis.txt").write_text("dear")
    said = refused("export", dataset.path, "--to", "folder", "--out", tmp_path)
    assert "holds something else (export.json)" in said
    assert (tmp_path / "thesis.txt").read_text() == "dear"


def test_an_export_does_not_replace_what_it_stands_in(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(dataset, "coco", tmp_path / "out", progress=False)
    monkeypatch.chdir(tmp_path / "out" / "images")
    with pytest.raises(InputError, match="is or holds the current folder"):
        export(dataset, "coco", Path(".."), progress=False)


def test_an_export_to_a_link_keeps_the_link(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    export(dataset, "coco", tmp_path / "link", progress=False)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real/export.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_an_estimate_without_room_names_the_variable(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = tmp_path / "tiny.toml"
    toml.write_text(RECIPE.format(train=14, shard_size=4))
    command = ("estimate", toml, "--data", data, "--samples", 10)
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temp"))

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full)
        said = refused(*command)
    assert "No space left on device" in said and "TMPDIR" in said
    assert list((tmp_path / "temp").iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert "TMPDIR" in refused(*command)


def test_an_estimate_is_for_any_count(data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "tiny.toml"
    toml.write_text(RECIPE.format(train=14, shard_size=4))
    command = ("estimate", toml, "--data", data, "--samples", 10, "--count")
    assert "1,000,000,000,000 samples" in run(*command, 10**12).output
    assert "--count" in run(*command, "1" + "0" * 400).output
