"""File names as strangers write them: any bytes, over any number of lines."""

import os

from synth.errors import InputError, one_line

# A longer name is no file's; a message need not hold all of it.
_LONGEST = 300


def name_fault(name: str) -> str | None:
    """Why a file's name cannot go into a data set: its bytes are no UTF-8, so it has no text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "file name is no UTF-8; rename it"
    return None


def shown(name: str) -> str:
    """A name as one line of text: what cannot be printed is escaped, and no line is endless."""
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name[:_LONGEST])
    return text if len(name) <= _LONGEST else f"{text}..."


def names(error: InputError, path: str | os.PathLike[str]) -> bool:
    """Whether an error is of this file; its message begins with the name, in one line."""
    return error.message.startswith(_head(path))


def reason_of(error: InputError, path: str | os.PathLike[str]) -> str:
    """What an error says of a file, without the name that it begins with."""
    return error.message.removeprefix(_head(path))


def _head(path: str | os.PathLike[str]) -> str:
    return f"{one_line(os.fspath(path))}: "
