"""``hdeocc synth stats``: a page that shows what is in a data set."""

import webbrowser
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="stats.html",
    show_default=True,
    help="The page to write.",
)
@click.option(
    "--open",
    "show",
    type=click.Choice(["yes", "no"]),
    default="no",
    show_default=True,
    help="Open the page in the browser.",
)
def stats(folder: Path, out: Path, show: str) -> None:
    """Draw what is in the data set in FOLDER: one page with plots and the extreme samples.

    \b
    Hidden shares asked and reached, visible share by body part, sizes, classes, placements,
    sources, licences, rejected inputs, and the twelve most and least hidden samples.

    The page is one file without any reference; the numbers lie beside it as JSON.

    \b
    Examples:
      hdeocc synth stats data/people
      hdeocc synth stats data/people --out people.html --open yes
    """
    from synth.errors import InputError
    from synth.stats.page import write_stats
    from synth.store import Dataset

    dataset = Dataset.open(folder)
    if out.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"--out {out}: is no page; give a name that ends in .html")
    found = write_stats(dataset, out)
    click.echo(f"{out}: {found.samples} samples; numbers in {out.with_suffix('.json')}")
    if show == "yes":
        webbrowser.open(out.resolve().as_uri())
