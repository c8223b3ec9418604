"""`hdeocc leaderboard print`: tables of kept records, of one folder or of several."""

from pathlib import Path

from click.testing import CliRunner, Result

from hdeocc.cli import main
from leaderboards.records import Record, write_record
from tests.leaderboards.fakes import record

SCORES = [0.6, 0.61, 0.58, 0.6, 0.62, 0.6, 0.57, 0.6]


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["leaderboard", "print", *map(str, arguments)])


def keep(folder: Path, *records: Record) -> Path:
    folder.mkdir(parents=True)
    for one in records:
        write_record(folder / f"{one.key}.json", one)
    return folder


def test_folders_of_records_and_of_runs_make_one_table(tmp_path: Path) -> None:
    here = keep(tmp_path / "here", record("a", SCORES), record("a", SCORES, seed=1))
    keep(tmp_path / "there" / "results", record("b", [0.1 + s for s in SCORES]))
    done = call(here, tmp_path / "there")
    assert done.exit_code == 0 and done.output.count("#### Mask completion") == 1
    rows = [line for line in done.output.splitlines() if line.startswith("|")]
    assert len(rows) == 4 and "| ms |" in " ".join(rows[0].split())
    assert "0.6975" in rows[2] and "0.5975 ± 0.0000" in rows[3], "the better one first"
    assert "<sub>" not in done.output and "<sub>" in call(here, "--intervals").output
    assert " ms |" not in call(here, "--no-times").output


def test_an_empty_cell_says_why_below_the_table(tmp_path: Path) -> None:
    untimed = record("a", SCORES).model_copy(update={"milliseconds": None})
    here = keep(tmp_path / "here", untimed, record("b", SCORES))
    text = call(here).output
    assert text.count("– <sup>1</sup>") == 1 and text.count("\n<sup>1</sup> ") == 1
    assert "<sup>" not in call(here, "--no-times").output


def test_only_rows_that_read_no_more_than_is_allowed(tmp_path: Path) -> None:
    rows = record("a", SCORES), record("b", SCORES, consumes=["image", "initial"])
    kept = keep(tmp_path / "kept", *rows)
    done = call(kept, "--consumes", "initial")
    assert done.exit_code == 0 and "| A  " in done.output and "| B  " not in done.output
    for given, words in (("image", "every row reads something else"), ("imag", "mean image")):
        done = call(kept, "--consumes", given)
        assert done.exit_code == 2 and words in done.output and len(done.output.splitlines()) == 1


def test_the_same_result_twice_is_refused(tmp_path: Path) -> None:
    one, two = (keep(tmp_path / name, record("a", SCORES)) for name in ("one", "two"))
    done = call(one, two)
    assert done.exit_code == 2 and "a" in done.output and len(done.output.splitlines()) == 1


def test_nothing_to_print_is_one_line(tmp_path: Path) -> None:
    kept = keep(tmp_path / "kept", record("a", SCORES))
    done = call(kept, "--track", "content")
    assert done.exit_code == 2 and "no results of the content track" in done.output
    (tmp_path / "empty").mkdir()
    done = call(tmp_path / "empty")
    assert done.exit_code == 2 and "holds no results" in done.output
