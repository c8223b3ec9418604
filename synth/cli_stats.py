"""``hdeocc synth stats``: a page that shows what is in a data set."""

import click


@click.command()
def stats() -> None:
    """Draw what is in a data set."""
