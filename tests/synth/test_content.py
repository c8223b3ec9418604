"""The hash over a source's files: read once, kept by size and time."""

import errno
import os
from pathlib import Path

import pytest

from synth.errors import MachineError
from synth.sources import content
from synth.sources.content import State, content_digest, states, watched
from tests.synth.test_scan import OLD, put


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose content was read."""
    names: list[str] = []
    plain = content._file_hash

    def noting(path: Path) -> str:
        names.append(path.name)
        return plain(path)

    monkeypatch.setattr(content, "_file_hash", noting)
    return names


def digest(root: Path, cache: Path) -> str:
    found = states(root, (path for path in root.rglob("*") if not path.is_dir()))
    return content_digest(root, found, cache)


def test_states_are_by_name_each_once_and_missing_files_show(tmp_path: Path) -> None:
    put(tmp_path / "b", b"12")
    put(tmp_path / "a" / "c", b"345", OLD + 7)
    files = [tmp_path / "b", tmp_path / "a" / "c", tmp_path / "b", tmp_path / "gone"]
    wanted = [State("a/c", 3, OLD + 7), State("b", 2, OLD), State("gone", -1, -1)]
    assert states(tmp_path, files) == wanted
    assert states(tmp_path / "a", [tmp_path / "b"]) == [State("../b", 2, OLD)]
    assert states(tmp_path, [Path("nul\0l")])[0].size == -1
    assert wanted[0].settled


def test_only_what_changed_is_read_again(tmp_path: Path, hashed: list[str]) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache.txt"
    for name in "abc":
        put(root / name, name.encode())
    first = digest(root, cache)
    assert sorted(hashed) == ["a", "b", "c"]
    assert digest(root, cache) == first and len(hashed) == 3
    put(root / "b", b"x", OLD + 1)
    second = digest(root, cache)
    assert second != first and hashed[3:] == ["b"]
    put(root / "b", b"b", OLD)
    assert digest(root, cache) == first, "back as it was, by content"


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_fault_of_the_machine_is_not_kept_as_what_a_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache.txt"
    put(root / "a", b"a")
    with monkeypatch.context() as broken:

        def failing(*_: object) -> None:
            raise OSError(number, "x")

        broken.setattr(content.hashlib, "file_digest", failing)
        with pytest.raises(MachineError, match="a: could not be read"):
            digest(root, cache)
    assert digest(root, cache) == digest(root, tmp_path / "other.txt")


def test_two_lists_of_one_folder_share_what_is_known(tmp_path: Path, hashed: list[str]) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache.txt"
    for name in "abc":
        put(root / name, name.encode())
    content_digest(root, states(root, [root / "a", root / "b"]), cache)
    content_digest(root, states(root, [root / "b", root / "c"]), cache)
    content_digest(root, states(root, [root / "a", root / "c"]), cache)
    assert sorted(hashed) == ["a", "b", "c"]
    (root / "a").unlink()
    put(root / "d", b"d")
    content_digest(root, states(root, [root / "d"]), cache)
    assert " a\n" not in cache.read_text() and " b\n" in cache.read_text()


def test_files_that_cannot_be_read_count_and_are_not_remembered(
    tmp_path: Path, hashed: list[str]
) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache.txt"
    put(root / "a", b"a")
    without = content_digest(root, states(root, [root / "a"]), cache)
    listed = states(root, [root / "a", root / "gone"])
    first = content_digest(root, listed, cache)
    assert first != without and content_digest(root, listed, cache) == first
    assert hashed == ["a", "gone", "gone"]


@pytest.mark.parametrize("name", ["new\nline", "sp ace", " ", os.fsdecode(b"\xff\xfe"), "ü"])
def test_any_name_may_be_hashed(tmp_path: Path, name: str) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache.txt"
    put(root / name, b"a")
    first = digest(root, cache)
    assert digest(root, cache) == first
    put(root / name, b"bb")
    assert digest(root, cache) != first


def test_nothing_worth_keeping_leaves_no_file(tmp_path: Path) -> None:
    root, cache = tmp_path / "root", tmp_path / "cache" / "known.txt"
    root.mkdir()
    (root / "a").write_bytes(b"just now")
    digest(root, cache)
    assert not cache.exists()


def test_watching_changes_nothing_and_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(watched([3, 1, 2], "counting")) == [3, 1, 2]
    assert capsys.readouterr().err == ""
