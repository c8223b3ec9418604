"""The errors that tell a user, in one line, what is wrong and what to do."""

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


class MachineError(_OneLine):
    """The machine failed while a file was read, which says nothing about the file; exit code 2.

    No ``InputError``: whoever leaves bad input out must not leave this file out, or the data would
    depend on the machine's bad moment.
    """


def without_file(message: str) -> str:
    """What a message says without the path that it may begin with.

    So equal faults are equal texts, and say nothing of where the files lay.
    """
    head, colon, rest = message.partition(": ")
    while colon and ("/" in head or "\\" in head):
        message = rest
        head, colon, rest = message.partition(": ")
    return message
