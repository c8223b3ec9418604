"""Small commands of the model's own package."""

import click

from hdeocc.method import entries


@click.command()
@click.option("--track", type=click.Choice(["mask", "content"]), help="Only this track.")
def methods(track: str | None) -> None:
    """List the methods that can be compared, and where each is defined.

    \b
    Example:
      hdeocc methods --track mask
    """
    for name, entry in entries(track).items():
        click.echo(f"{name:32s} {entry.value}")
