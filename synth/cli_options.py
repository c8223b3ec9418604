"""Options that several commands of `hdeocc synth` share."""

from pathlib import Path

import click

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder that paths in the recipe start from [default: $HDEOCC_DATA, else ../shared/data].",
)
