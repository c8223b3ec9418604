"""What lies under a name: a file, or nothing, or what never ends, as pipes and devices do."""

import os
from pathlib import Path

from synth.images import is_turned


def file_fault(path: str | os.PathLike[str]) -> str | None:
    """Why nothing is read from a path, in words that follow its name; None where a file is.

    The name may be of any length and hold any character; nothing is opened.
    """
    if os.path.isfile(path):
        return None
    # A link to nothing, or to itself, is there, and no file.
    there = os.path.lexists(path)
    return "is no file (a folder, a pipe or a broken link)" if there else "is missing"


def listed_fault(path: Path, what: str, setting: str) -> str | None:
    """The same of a file that the recipe names under ``setting``, with the remedy."""
    fault = file_fault(path)
    if fault == "is missing":
        return f"no such {what}; check `{setting}` in the recipe"
    return None if fault is None else f"{fault}; check `{setting}` in the recipe"


def size_fault(
    fault: str, remedy: str, photo: Path, size: tuple[int, int], wanted: tuple[int, int]
) -> str:
    """A photo's size (height, width) is not the one wanted: the fault and its remedy.

    Photos are read upright; where that is why, the fault says so and the remedy is another.
    """
    if size == wanted[::-1] and is_turned(photo):
        remedy = "annotate the photo upright, or remove the orientation from its EXIF"
        return f"{fault}: the photo's EXIF turns it; {remedy}"
    return f"{fault}; {remedy}"
