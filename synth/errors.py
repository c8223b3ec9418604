"""The errors that tell a user, in one line, what is wrong and what to do."""

import errno
import os
import unicodedata

import click

# Control characters, halves of surrogate pairs, and what begins a new line or paragraph.
_ESCAPED = ("Cc", "Cs", "Zl", "Zp")


def one_line(text: str) -> str:
    """The text with control characters escaped: names may hold any, and a message is one line."""
    if text.isprintable():
        return text
    return "".join(ascii(c)[1:-1] if unicodedata.category(c) in _ESCAPED else c for c in text)


class _OneLine(click.ClickException):
    exit_code = 2

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class InputError(_OneLine):
    """Bad input: the message names the file or setting, the fault and the remedy; exit code 2."""


class MissingError(InputError):
    """A picture is not there."""


class MachineError(_OneLine):
    """The machine failed while a file was read, which says nothing about the file; exit code 2.

    No ``InputError``: whoever leaves bad input out must not leave this file out, or the data would
    depend on the machine's bad moment.
    """


class ChangedError(MachineError):
    """A file that was sound when it was looked through is gone, or is another.

    To leave it out as if it had been bad from the start would make other data of the same recipe.
    """


# What the machine, not the file, is to blame for.
_FAULTS = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.ETIMEDOUT)


def machine_fault(path: object, error: BaseException) -> MachineError | None:
    """What to raise where the machine failed while a file was read; None where the file is bad."""
    if isinstance(error, MemoryError):
        reason = "out of memory"
    elif isinstance(error, OSError) and error.errno in _FAULTS:
        reason = os.strerror(error.errno)
    else:
        return None
    return MachineError(
        f"{path}: could not be read ({reason}), and the file may be sound; "
        "mend the cause and start the same command again"
    )


def without_file(message: str) -> str:
    """What a message says without the path that it may begin with.

    So equal faults are equal texts, and say nothing of where the files lay.
    """
    head, colon, rest = message.partition(": ")
    while colon and ("/" in head or "\\" in head):
        message = rest
        head, colon, rest = message.partition(": ")
    return message
