"""The error that tells a user, in one line, what is wrong with the input and what to do."""

import click


class InputError(click.ClickException):
    """Bad input: the message names the file or setting, the fault and the remedy; exit code 2."""

    exit_code = 2
