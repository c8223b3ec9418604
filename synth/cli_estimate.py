"""``hdeocc synth estimate``: what a data set of any size would cost."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from synth.cli_options import data_option
from synth.errors import InputError

if TYPE_CHECKING:
    from synth.estimate import Measured, Projection
    from synth.recipe import Recipe


@click.command()
@click.argument("recipe")
@click.option("--count", type=click.IntRange(1, 10**15), default=1_000_000, show_default=True)
@click.option("--samples", type=click.IntRange(10, 10**6), default=100, show_default=True,
              help="How many to build and measure.")  # fmt: skip
@click.option("--cores", type=click.IntRange(1, 10**9), default=1, show_default=True)
@click.option("--core-hour", type=float, help="Price of a core hour, to add the cost.")
@click.option("--tb-month", type=float, help="Price of a terabyte stored for a month.")
@data_option
def estimate(
    recipe: str,
    count: int,
    samples: int,
    cores: int,
    core_hour: float | None,
    tb_month: float | None,
    data: Path | None,
) -> None:
    """Measure RECIPE on a few samples and say what --count of them would take.

    \b
    Examples:
      hdeocc synth estimate photos-small --count 100000000 --cores 512
      hdeocc synth estimate mine.toml --count 1000000 --core-hour 0.04 --tb-month 20
    """
    from synth.estimate import project
    from synth.recipe import load_recipe

    chosen = load_recipe(recipe)
    for name, price in (("--core-hour", core_hour), ("--tb-month", tb_month)):
        if price is not None and not 0 <= price < float("inf"):
            raise InputError(f"{name} {price}: give a price of 0 or more")
    measured = _measure(chosen, samples, str(data) if data else None)
    found = project(measured, count)
    click.echo("\n".join(_lines(chosen.name, chosen.size, measured, found, cores)))
    if core_hour is not None:
        click.echo(f"computing      {found.core_hours * core_hour:,.0f} at {core_hour:g} an hour")
    if tb_month is not None:
        price = found.terabytes * tb_month
        click.echo(f"storing        {price:,.0f} a month at {tb_month:g} a terabyte")


def _measure(recipe: "Recipe", samples: int, data_root: str | None) -> "Measured":
    """Measure a build in the folder for temporary files, which is empty again afterwards."""
    import tempfile

    from synth.estimate import measure

    remedy = "the environment variable TMPDIR names the folder for temporary files"
    try:
        held = tempfile.TemporaryDirectory(prefix="hdeocc-estimate-", ignore_cleanup_errors=True)
    except OSError as error:
        raise InputError(f"no folder for a small build ({error.strerror}); {remedy}") from None
    with held as folder:
        try:
            return measure(recipe, Path(folder), samples, data_root)
        except InputError as error:
            if not error.message.startswith(folder):
                raise
            raise InputError(f"{error.message} ({remedy})") from None


def _lines(
    name: str, size: int, measured: "Measured", found: "Projection", cores: int
) -> list[str]:
    hours = found.core_hours / cores
    lines = [
        f"{name}, {size} px: {found.count:,} samples, from {measured.samples} measured on one core",
        f"making         {found.core_hours:,.1f} core hours "
        f"({measured.make_seconds * 1e3:.1f} ms a sample); {hours:,.1f} h on {cores} cores",
        f"last step      {found.finish_hours:,.1f} h on one core "
        f"({measured.finish_seconds * 1e3:.2f} ms a sample)",
        f"checking       {found.check_hours:,.1f} h on one core "
        f"({measured.check_seconds * 1e3:.2f} ms a sample)",
        f"opening        {measured.open_seconds:.1f} s a worker",
        f"storage        {found.terabytes:,.3f} TB ({measured.shard_bytes / 1e3:.1f} kB a sample, "
        f"annotations {measured.annotation_bytes / 1e3:.2f} kB, "
        f"index {measured.marker_bytes / 1e3:.2f} kB)",
        f"shards         {found.shards:,} with shard_size = {found.shard_size:,} in the recipe",
        "What stops scaling, soonest first:",
    ]
    for limit in found.limits:
        reached = "reached" if limit.count <= found.count else "not reached"
        lines.append(f"  at {limit.count:>15,.0f}  {limit.what} ({reached}); {limit.remedy}")
    return lines
