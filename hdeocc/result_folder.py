"""The folder of a result: what may lie in it for it to be replaced."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from synth.output import NOTHING, Kind, check_output, new_output

MARKER = "result.json"
MADE_BY = "hdeocc deocclude"
PICTURES = ("amodal", "parsing", "person", "recovered", "side-by-side")
# All that a result may hold; anything else is somebody's own.
_FILES = re.compile(rf"all\.png|(person-\d+/)?(result\.json|({'|'.join(PICTURES)})\.png)")


def check_target(out: Path) -> Path:
    """The real path of a folder for a result; cheap, so that it can be asked before any work.

    Raises:
        InputError: it is a file, holds something else than a result, or is the current folder.
    """
    return check_output(out, _RESULT)


@contextmanager
def new_result(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place when the block ends well.

    Raises:
        InputError: as `check_target`, or the file system refused.
    """
    with new_output(out, _RESULT) as unfinished:
        yield unfinished


def _known(out: Path) -> re.Pattern[str]:
    """What the names of the files in a folder may be for it to be replaced."""
    try:
        ours = json.loads((out / MARKER).read_bytes()).get("made_by") == MADE_BY
    except (OSError, ValueError, AttributeError, RecursionError):
        ours = False
    return _FILES if ours else NOTHING


_RESULT = Kind(f"{MADE_BY} did not write", _known)
