"""The commands of ``hdeocc synth``; what they need is imported when they run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.cli_estimate import estimate
from synth.cli_export import export
from synth.cli_options import data_option
from synth.cli_people import people
from synth.cli_segmenter import segmenter
from synth.cli_stats import stats
from synth.errors import InputError, one_line

if TYPE_CHECKING:
    from synth.recipe import Recipe

# What ``synth.check`` says of a file that is not of the data set.
_EXTRA = ": belongs to no "
_PRESET_HELP = "Occlusion: ahp-valid, pcnet, hard, or part:NAME such as part:head."


@click.group()
def synth() -> None:
    """Build, preview and check data sets of occluded people.

    \b
    Examples:
      hdeocc synth preview people-quick
      hdeocc synth build people-quick --out data/people
      hdeocc synth check data/people
    """


def _part(_context: click.Context, _option: click.Parameter, value: str) -> tuple[int, int]:
    first, slash, last = value.partition("/")
    if not (slash and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise InputError(f"--part {value}: give i/n with i from 1 to n, such as 1/4")
    return int(first), int(last)


def _pairs(_context: click.Context, _option: click.Parameter, values: list[str]) -> dict[str, str]:
    pairs = {}
    for given in values:
        key, sign, value = given.partition("=")
        if not (key and sign):
            raise InputError(f"--slurm {given}: give an option of sbatch, such as partition=cpu")
        pairs[key.removeprefix("--")] = value
    return pairs


def _load(
    name: str, seed: int | None, count: int | None = None, preset: str | None = None
) -> "Recipe":
    from synth.recipe import load_recipe

    if seed is not None and seed < 0:
        raise InputError(f"--seed {seed}: give a number from 0 up")
    return load_recipe(name).with_changes(seed, count, preset)


def _tell_versions(folder: Path, info: dict[str, Any]) -> None:
    from synth.versions import several

    if found := several(info["versions"]):
        click.echo(one_line(f"{folder}: {found}"), err=True)


@synth.command()
@click.argument("recipe")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to build into.")
@click.option("--seed", type=int, help="Another seed than the recipe's.")
@click.option("--count", type=int, help="This many samples in all, in the recipe's proportions.")
@click.option("--preset", help=_PRESET_HELP)
@click.option("--workers", type=int, help="Shards at a time [default: 1; with ray: every CPU].")
@click.option("--part", callback=_part, default="1/1", help="Only every n-th shard: i/n.")
@data_option
@click.option("--engine", default="processes", help="processes, ray or slurm.", show_default=True)
@click.option("--address", help="Of a Ray cluster that runs [default: Ray is started here].")
@click.option("--cluster", default="slurm", help="slurm, or local to try its jobs out here.")
@click.option("--slurm", multiple=True, callback=_pairs, help="KEY=VALUE for sbatch, repeatable.")
@click.pass_context
def build(ctx: click.Context, recipe: str, out: Path, part: tuple[int, int], **given: Any) -> None:
    """Build the data set of RECIPE: the name of a bundled recipe, or a .toml file.

    Interrupt it when you like: the same command goes on where it stopped. Workers, parts and
    engines never change what a sample looks like; only the recipe and its seed do. Engines of
    several machines need OUT and the photos on a file system that all of them share.

    \b
    Examples:
      hdeocc synth build people-quick --out data/people
      hdeocc synth build my-photos.toml --out data/mine --count 5000 --workers 8
      hdeocc synth build my-photos.toml --out data/hard --preset hard
      hdeocc synth build my-photos.toml --out data/mine --part 3/16    (on machine 3 of 16)
      hdeocc synth build my-photos.toml --out data/mine --engine ray --address 10.0.0.1:6379
      hdeocc synth build my-photos.toml --out data/mine --engine slurm --workers 64 \\
          --slurm partition=cpu --slurm time=04:00:00
    """
    from synth.build import build as build_dataset
    from synth.engines import choose

    chosen = _load(recipe, given["seed"], given["count"], given["preset"])
    opener = choose(
        given["engine"], given["workers"], given["address"], given["cluster"], given["slurm"]
    )
    try:
        dataset = build_dataset(chosen, out, given["data"], part=part, engine=opener)
    except KeyboardInterrupt:
        click.echo(f"\nStopped; {out} is sound. Run the same command again to go on.", err=True)
        ctx.exit(130)
    if dataset is None:
        click.echo(f"Part {part[0]}/{part[1]} is done; {out} waits for the other parts.")
        return
    counts = ", ".join(f"{count} {split}" for split, count in dataset.info["counts"].items())
    click.echo(f"{out}: {counts}\nfingerprint {dataset.fingerprint}")
    _tell_versions(out, dataset.info)


@synth.command()
@click.argument("recipe")
@click.option("--out", default="preview.png", show_default=True, type=click.Path(path_type=Path))
@click.option("--rows", type=click.IntRange(1, 200), default=8, show_default=True)
@click.option("--seed", type=int, help="Another seed than the recipe's.")
@click.option("--preset", help=_PRESET_HELP)
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="train",
              show_default=True)  # fmt: skip
@data_option
def preview(recipe: str, out: Path, rows: int, split: str, **given: Any) -> None:
    """Draw the first samples of RECIPE as one PNG: image, clean, amodal, modal, parsing.

    \b
    Examples:
      hdeocc synth preview people-quick --out people.png
      hdeocc synth preview my-photos.toml --split test --rows 20
    """
    from synth.atomic import check_target, make_folder_of, write_bytes
    from synth.output import refuse_inside
    from synth.plan import make_sample, open_plan
    from synth.preview import sheet, to_png
    from synth.recipe import SPLITS

    check_target(out)
    refuse_inside(out)
    chosen = _load(recipe, given["seed"], preset=given["preset"])
    counts = chosen.counts.model_dump()
    if not counts[split]:
        raise InputError(f"{recipe}: has no {split} samples; choose another --split")
    first = sum(counts[name] for name in SPLITS[: SPLITS.index(split)])
    plan = open_plan(chosen, given["data"])
    indices = range(first, first + min(rows, counts[split]))
    picture = to_png(sheet([make_sample(plan, index) for index in indices]))
    make_folder_of(out)
    write_bytes(out, picture)
    click.echo(f"{out}: {len(indices)} {split} samples of {plan.recipe.name}")


@synth.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--workers", type=click.IntRange(min=1), default=1, help="Processes.")
@click.pass_context
def check(ctx: click.Context, folder: Path, workers: int) -> None:
    """Check every file, sample and invariant of the data set in FOLDER.

    Prints the fingerprint and "sound", or the first problems; the exit code is then 2.

    \b
    Examples:
      hdeocc synth check data/people
      hdeocc synth check data/people --workers 8
    """
    from synth.check import check as find_problems
    from synth.store import read_info

    info = read_info(folder)
    problems = find_problems(folder, progress=True, workers=workers)
    click.echo(f"fingerprint {info.get('fingerprint')}")
    if not problems:
        click.echo(f"{folder}: sound, {sum(info['counts'].values())} samples")
        _tell_versions(folder, info)
        return
    for problem in problems[:20]:
        click.echo(one_line(problem), err=True)
    if len(problems) > 20:
        click.echo(f"... and {len(problems) - 20} more", err=True)
    noun = "problem" if len(problems) == 1 else "problems"
    remedy = "delete dataset.json and the files named, then run the same build command again"
    if all(_EXTRA in problem for problem in problems):
        remedy = "move away or delete the files named"
    click.echo(f"{folder}: {len(problems)} {noun}; {remedy}", err=True)
    ctx.exit(2)


@synth.command()
def recipes() -> None:
    """List the recipes that come with the package.

    \b
    Example:
      hdeocc synth recipes
    """
    from synth.recipe import bundled, load_recipe

    for name in bundled():
        click.echo(f"{name:20s} {load_recipe(name).title}")


for _command in (export, stats, estimate, segmenter, people):
    synth.add_command(_command)
