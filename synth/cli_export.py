"""``hdeocc synth export``: a data set in the formats of others."""

import click


@click.command()
def export() -> None:
    """Write a data set in another format."""
