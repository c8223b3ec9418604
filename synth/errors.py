"""The errors that tell a user, in one line, what is wrong and what to do."""

import click


class InputError(click.ClickException):
    """Bad input: the message names the file or setting, the fault and the remedy; exit code 2."""

    exit_code = 2


class MachineError(click.ClickException):
    """The machine failed while a file was read, which says nothing about the file; exit code 2.

    No ``InputError``: whoever leaves bad input out must not leave this file out, or the data would
    depend on the machine's bad moment.
    """

    exit_code = 2
