"""`hdeocc leaderboard keep`: records of several runs meet in one folder, and nothing is lost."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hdeocc.cli import main
from leaderboards.diff import records_at
from leaderboards.keep import keep
from leaderboards.records import Record, write_record
from synth.errors import InputError
from tests.leaderboards.fakes import record

SCORES = [0.6, 0.61, 0.58, 0.6, 0.62, 0.6, 0.57, 0.6]
BETTER = [0.1 + score for score in SCORES]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["leaderboard", *map(str, arguments)])


def run(folder: Path, *records: Record) -> Path:
    """The output of a run, as far as it is looked at."""
    for one in records:
        write_record(folder / "results" / f"{one.key}.json", one)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_pieces_of_a_benchmark_meet(tmp_path: Path) -> None:
    here = run(tmp_path / "here", record("a", SCORES), record("b", BETTER))
    there = run(tmp_path / "there", record("a", SCORES, seed=1))
    kept = tmp_path / "kept"
    done = call("keep", here, "--to", kept)
    assert done.exit_code == 0 and "2 results" in done.output
    assert "3 results" in call("keep", there, "--to", kept).output
    assert {one.key for one in records_at(kept)} == {
        "mask.a.seed-0",
        "mask.a.seed-1",
        "mask.b.seed-0",
    }
    assert (kept / "mask.b.seed-0.json").read_bytes() == (
        here / "results" / "mask.b.seed-0.json"
    ).read_bytes(), "as the run sealed it"
    together = tmp_path / "together"
    keep([there, here, kept], together)
    assert files(together) == files(kept), "in any order, and more than once"
    table = (kept / "leaderboard.md").read_text(encoding="utf-8")
    assert table.index("0.6975") < table.index("0.5975 ± 0.0000")
    assert (kept / "leaderboard.csv").is_file()
    assert "0.6975" in call("print", kept).output


def test_a_result_that_is_there_gives_way_only_when_asked(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    keep([run(tmp_path / "old", record("a", SCORES), record("b", SCORES))], kept)
    before, new = files(kept), run(tmp_path / "new", record("a", BETTER))
    done = call("keep", new, "--to", kept)
    assert done.exit_code == 2 and "--replace" in done.output and "mask.a.seed-0" in done.output
    assert len(done.output.splitlines()) == 1 and files(kept) == before
    assert call("keep", new, "--to", kept, "--replace").exit_code == 0
    assert [one.total("iou") for one in records_at(kept)] == pytest.approx([0.6975, 0.5975])


def test_two_results_of_one_name_are_refused(tmp_path: Path) -> None:
    one, two = (
        run(tmp_path / "one", record("a", SCORES)),
        run(tmp_path / "two", record("a", BETTER)),
    )
    with pytest.raises(InputError, match=r"two: another folder has a different mask\.a\.seed-0"):
        keep([one, two], tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


@pytest.mark.parametrize("what", ["file", "run", "photos"])
def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, what: str) -> None:
    kept = tmp_path / "kept"
    if what == "file":
        kept.write_bytes(b"mine")
    elif what == "run":
        run(kept, record("a", SCORES))
    else:
        kept.mkdir()
        (kept / "photo.png").write_bytes(b"mine")
    done = call("keep", run(tmp_path / "new", record("b", SCORES)), "--to", kept)
    assert done.exit_code == 2 and len(done.output.splitlines()) == 1
    assert str(kept) in done.output
    assert not kept.is_dir() or "leaderboard.md" not in files(kept)
