"""``hdeocc synth segmenter``: networks that give imperfect masks of people they have not seen."""

import click


@click.command()
def segmenter() -> None:
    """Train the networks of a recipe's initial masks."""
