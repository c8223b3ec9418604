"""Tables of kept results in Markdown pages, such as a README: printed once, refreshed ever after.

Between two comments a page holds what the command in the first one prints:

    <!-- hdeocc leaderboard print leaderboards/results/photos-64 --track mask -->
    ...
    <!-- end -->

Folders are those that the command would find, so relative ones start where it is run.
"""

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from leaderboards.diff import records_at
from leaderboards.markdown import about, plain_table
from leaderboards.tables import TRACK_TITLES, filtered, make_tables
from synth.errors import InputError

COMMAND = "hdeocc leaderboard print"
_END = "<!-- end -->"
_BEGIN = re.compile(rf"<!-- {COMMAND} (.+) -->")


def printed(
    folders: Sequence[Path],
    track: str | None = None,
    consumes: Sequence[str] | None = None,
    intervals: bool = False,
    times: bool = True,
) -> str:
    """The tables of the records in ``folders``, as if one machine had run all of it.

    Args:
        folders: outputs of benchmark runs, or folders of records alone.
        track: only this one.
        consumes: only rows that read nothing but these inputs.
        intervals: with the 95 % interval below every number.
        times: with the milliseconds.

    Raises:
        InputError: a folder without results, or nothing that ``track`` and ``consumes`` leave.
    """
    found = [record for one in folders for record in records_at(one)]
    # Intervals take seconds a track: those that nobody asked for are not drawn.
    records = [record for record in found if track in (None, record.track)]
    if not records:
        raise InputError(f"{folders[0]}: has no results of the {track} track; choose another")
    if not (tables := filtered(make_tables(records), consumes=consumes)):
        named = ",".join(consumes or ())
        raise InputError(f"--consumes {named}: every row reads something else too; give more")
    parts = []
    for table in tables:
        title = f"#### {TRACK_TITLES[table.track]}"
        parts += [title, about(table, intervals), plain_table(table, intervals, times)]
    return "\n\n".join(parts) + "\n"


def refreshed(text: str, where: str, tell: Callable[[list[str]], str]) -> str:
    """A page with all of its tables printed anew.

    Args:
        text: the page.
        where: names it in errors.
        tell: what the command prints when it is given these words.

    Raises:
        InputError: no comment that asks for a table, one that does not end, or that asks for what
            there is not.
    """
    made: list[str] = []
    begun: str | None = None
    asked = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if begin := _BEGIN.fullmatch(line.strip()):
            if begun:
                break
            asked, begun = asked + 1, f"{where}:{number}"
            made += [line, "", _told(begin[1], begun, tell)]
        elif line.strip() == _END:
            begun = None
        if not begun:
            made.append(line)
    if begun:
        raise InputError(f"{begun}: the table that begins there does not end; write `{_END}` below")
    if not asked:
        raise InputError(
            f"{where}: asks for no table; write `<!-- {COMMAND} FOLDER -->` and `{_END}` into it, "
            "each on a line of its own, where one is to stand"
        )
    return "\n".join(made)


def read_page(path: Path) -> str:
    """The text of a page.

    Raises:
        InputError: it is not there, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: is not there; name a Markdown page") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read as text ({error}); name a Markdown page"
        ) from None


def _told(words: str, where: str, tell: Callable[[list[str]], str]) -> str:
    try:
        return tell(shlex.split(words))
    # ValueError: quotes that do not close.
    except (InputError, ValueError) as error:
        raise InputError(f"{where}: {error}") from None
