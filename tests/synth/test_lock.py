"""Locks of a build: where files cannot be locked, and where two builders begin at once."""

import json
from pathlib import Path

import pytest

import synth.lock
from synth.atomic import write_first
from synth.claim import claim
from synth.errors import InputError
from synth.lock import build_lock
from tests.synth.tiny import leftovers, tiny_recipe


def test_without_file_locks_the_last_comer_keeps_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synth.lock, "fcntl", None)
    first = build_lock(tmp_path, (1, 1))
    loser = first.__enter__()
    with build_lock(tmp_path, (1, 1)) as winner:
        assert winner.is_held() and not loser.is_held()
        loser.revoke()
        first.__exit__(None, None, None)
        assert winner.is_held()
    assert leftovers(tmp_path) == []


def test_a_part_that_starts_meanwhile_keeps_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other part takes its lock and begins a file just after the locks were looked at."""
    (tmp_path / ".build-2-of-2.lock").touch()
    theirs = tmp_path / ".tmp-elsewhere-1-shard-00001.tar"
    stale = tmp_path / ".tmp-elsewhere-9-shard-00000.tar"
    stale.touch()
    held = synth.lock._held

    def then_they_begin(path: Path) -> bool:
        answer = held(path)
        theirs.touch()
        return answer

    monkeypatch.setattr(synth.lock, "_held", then_they_begin)
    with build_lock(tmp_path, (1, 2)):
        assert theirs.exists()
        assert not stale.exists()


def test_only_the_first_of_two_contents_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_first(path, b"first")
    write_first(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_another_recipe_claims_meanwhile_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny_recipe().model_copy(update={"seed": 7})

    def too_late(path: Path, content: bytes) -> None:
        monkeypatch.undo()
        claim(tmp_path, other, {})
        write_first(path, content)

    monkeypatch.setattr("synth.claim.write_first", too_late)
    with pytest.raises(InputError, match="another recipe or seed"):
        claim(tmp_path, tiny_recipe(), {})
    assert json.loads((tmp_path / "recipe.json").read_bytes())["recipe"]["seed"] == 7
