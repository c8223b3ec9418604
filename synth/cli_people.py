"""``hdeocc synth people``: a sheet of the built-in people, to look at them before they are used."""

from pathlib import Path

import click

_COLUMNS = 8


@click.command()
@click.option("--out", default="people.png", show_default=True, type=click.Path(path_type=Path))
@click.option("--count", type=click.IntRange(1, 1000), default=48, show_default=True)
@click.option("--size", type=click.IntRange(32, 512), default=192, show_default=True,
              help="Pixels of each picture.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--labels", type=click.Choice(["yes", "no"]), default="no", show_default=True,
              help="Mask and parsing of each person beside the picture.")  # fmt: skip
def people(out: Path, count: int, size: int, seed: int, labels: str) -> None:
    """Draw a sheet of built-in people: those a recipe with the same seed gets.

    \b
    Examples:
      hdeocc synth people --out people.png
      hdeocc synth people --count 12 --size 256 --labels yes
    """
    import numpy as np
    from tqdm import tqdm

    from synth.atomic import check_target, make_folder_of, write_bytes
    from synth.output import refuse_inside
    from synth.preview import crop_sheet, to_png
    from synth.source_specs import BuiltinPeople
    from synth.sources import builtin

    check_target(out)
    refuse_inside(out)
    source = builtin.BuiltinPeople(BuiltinPeople(source="builtin", seed=seed, pool=count))
    crops = []
    for number, person in enumerate(tqdm(source.ids(), "people", unit="person")):
        key = np.random.SeedSequence(seed, spawn_key=(number,))  # of the background
        crops.append(source.load(person, size, np.random.default_rng(key)))
    make_folder_of(out)
    write_bytes(out, to_png(crop_sheet(crops, _COLUMNS, labels == "yes")))
    click.echo(f"{out}: {count} people of seed {seed}")
