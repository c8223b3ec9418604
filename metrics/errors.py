"""The one kind of error that a user of the metrics can cause."""

import click


class MetricsError(click.ClickException):
    """One line that names the file or network, says what is wrong and what to do; exit code 2."""

    exit_code = 2
