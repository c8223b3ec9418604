"""Tables in Markdown pages: printed where the page asks for them, and nothing else is touched."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hdeocc.cli import main

KEPT = Path(__file__).parents[2] / "leaderboards" / "results" / "people-quick"
ASKS = f"<!-- hdeocc leaderboard print {KEPT} --track mask -->"


def call(*words: object) -> Result:
    return CliRunner().invoke(main, ["leaderboard", *map(str, words)])


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(f"# Mine\n\nBefore.\n\n{ASKS}\n| old |\n<!-- end -->\nAfter, no newline")
    return path


def test_a_page_holds_what_print_prints_and_its_own_words(page: Path) -> None:
    assert call("refresh", page).output == f"{page}: refreshed\n"
    printed = call("print", KEPT, "--track", "mask").output.strip("\n")
    before, after = page.read_text().split(printed)
    assert before == f"# Mine\n\nBefore.\n\n{ASKS}\n\n"
    assert after.strip("\n") == "<!-- end -->\nAfter, no newline"


def test_a_second_refresh_changes_nothing(page: Path) -> None:
    call("refresh", page)
    once = page.read_bytes()
    assert call("refresh", page).output == f"{page}: is up to date\n"
    assert page.read_bytes() == once
    assert call("refresh", page, "--check").exit_code == 0


def test_check_tells_of_a_stale_table_and_writes_nothing(page: Path) -> None:
    call("refresh", page)
    stale = page.read_text().replace("Identity", "Wishful")
    page.write_text(stale)
    done = call("refresh", page, "--check")
    assert (done.exit_code, done.output) == (1, f"{page}: is stale\n")
    assert page.read_text() == stale


def test_a_page_may_ask_for_several_tables(page: Path) -> None:
    other = ASKS.replace("mask", "content").replace(" -->", " --no-times -->")
    page.write_text(f"{ASKS}\n<!-- end -->\n\nBetween.\n\n{other}\n<!-- end -->\n")
    call("refresh", page)
    first, second = page.read_text().split("Between.")
    assert "Mask completion" in first and "Content recovery" in second
    assert " ms |" in first and " ms |" not in second


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Nothing\n", ": asks for no table; write `<!-- hdeocc leaderboard print FOLDER -->`"),
        (f"\n{ASKS}\n| old |\n", ":2: the table that begins there does not end; write"),
        (f"{ASKS}\n{ASKS}\n<!-- end -->\n", ":1: the table that begins there does not end"),
        (ASKS.replace("mask", "masks"), ":1: Invalid value for '--track'"),
        (ASKS.replace("--track", "--trak"), ":1: No such option"),
        (ASKS.replace("people-quick", "gone"), ":1: "),
        (ASKS.replace("--track", "'"), ":1: No closing quotation"),
    ],
)
def test_a_page_that_asks_wrongly_is_left_alone(page: Path, text: str, said: str) -> None:
    page.write_text(text)
    other = page.with_name("other.md")
    other.write_text(f"{ASKS}\n<!-- end -->\n")
    done = call("refresh", other, page)
    assert done.exit_code == 2 and f"{page}{said}" in done.output, done.output
    assert page.read_text() == text and "Identity" not in other.read_text()


def test_what_is_no_page_is_named(tmp_path: Path) -> None:
    assert f"{tmp_path / 'gone.md'}: is not there" in call("refresh", tmp_path / "gone.md").output
    (tmp_path / "binary.md").write_bytes(b"\xff\xfe\x00")
    done = call("refresh", tmp_path / "binary.md")
    assert done.exit_code == 2 and "cannot be read as text" in done.output
