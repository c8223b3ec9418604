"""``hdeocc synth segmenter``: networks that give imperfect masks of people they have not seen."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth.cli_options import data_option
from synth.errors import InputError

if TYPE_CHECKING:
    from synth.recipe import Recipe
    from synth.segmenter.folder import Card

_MEASURED = 300  # samples of a split


@click.command()
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the networks.")
@click.option("--folds", type=int, default=4, show_default=True, help="Networks.")
@click.option("--steps", type=int, default=1500, show_default=True, help="Steps of each network.")
@click.option(
    "--composites", type=int, default=2000, show_default=True, help="Pictures to train on."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of starts and batches.")
@click.option(
    "--measure",
    type=click.Choice(["yes", "no"]),
    default="no",
    show_default=True,
    help="Train nothing; print the IoU of initial masks with the true ones.",
)
@data_option
@click.pass_context
def segmenter(
    ctx: click.Context, recipe: str, out: Path | None, measure: str, data: Path | None, **given: Any
) -> None:
    """Train the networks of RECIPE's initial masks: the name of a recipe, or a .toml file.

    Every network is trained on composites of all train people but those of its fold, and gives
    the masks of that fold: so nobody gets a mask from a network that saw them. Interrupt it when
    you like: the same command goes on where it stopped. --measure prints how masks jittered by
    different strengths, and those of RECIPE's own [initial], overlap with the true ones.

    \b
    Examples:
      hdeocc synth segmenter photos-small --out networks/photos
      hdeocc synth segmenter photos-small --measure yes
    """
    from synth.recipe import load_recipe

    chosen = load_recipe(recipe)
    chosen.check_samples()
    if measure == "yes":
        click.echo(_measure(chosen, data))
        return
    if out is None:
        raise InputError("--out: name a folder for the networks")
    try:
        card = _train(chosen, out, data, given)
    except KeyboardInterrupt:
        click.echo(f"\nStopped; {out} is sound. Run the same command again to go on.", err=True)
        ctx.exit(130)
    for split, found in (card.iou or {}).items():
        below = f"{found.below_half:.0%} below 0.5"
        click.echo(f"IoU with the visible mask, {found.count} {split} samples: mean "
                   f"{found.mean:.3f}, median {found.quantiles['50']:.3f}, {below}")  # fmt: skip
    networks = json.dumps(str(out.resolve()), ensure_ascii=False)
    click.echo(f'\n[initial]\nkind = "segmenter"\nnetworks = {networks}')


def _train(recipe: "Recipe", out: Path, data: Path | None, given: dict[str, Any]) -> "Card":
    from pydantic import ValidationError

    from synth.segmenter.folder import Training
    from synth.segmenter.train import train

    try:
        training = Training(**given)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"--{fault['loc'][0]} {fault['input']}: {fault['msg'].lower()}") from None
    return train(recipe, out, training, data)


def _measure(recipe: "Recipe", data: Path | None) -> str:
    """The tables of the splits that have samples."""
    from synth.plan import open_plan
    from synth.segmenter.measure import STRENGTHS, jitters, measure, table

    plan = open_plan(recipe, data)
    names = [f"jitter, strength {strength:g}" for strength in STRENGTHS]
    starters = jitters()
    own = recipe.initial.kind != "modal"
    if own:
        names, starters = [*names, f"of {recipe.name}"], [*starters, plan.starter]
    texts = []
    for split in (name for name, count in plan.counts.items() if count and name != "test"):
        found = measure(plan, starters, split, _MEASURED)
        if not found.size:  # nobody is visible
            continue
        like = found[-1] if own else None
        texts.append(f"{found.shape[1]} {split} samples\n{table(names, found, like)}")
    return "\n\n".join(texts)
