"""The commands `hdeocc predict` and `hdeocc score`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from leaderboards.cli import WIDE

if TYPE_CHECKING:
    from hdeocc.fitted import Fitted
    from leaderboards.records import Record

folder = click.Path(path_type=Path)
split_option = click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True
)


@click.command(context_settings=WIDE)
@click.argument("model")
@click.argument("data", type=folder)
@click.option("--out", type=folder, required=True, help="Folder of the predictions.")
@split_option
@click.option("--masks", type=folder, help="Predicted masks that a content method shall fill.")
@click.option("--method", help="Where MODEL is the output of a benchmark: which, as mask.pix2pix.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="With --method.")
def predict(
    model: str,
    data: Path,
    out: Path,
    split: str,
    masks: Path | None,
    method: str | None,
    seed: int,
) -> None:
    """Predict every sample of a data set with a fitted method.

    MODEL is a folder OUT/models/TRACK.NAME/seed-N of a benchmark run, or OUT with --method, or
    OUT/mask or OUT/content of `hdeocc train`, or the name of a method that learns nothing
    (mask.convex-hull). DATA is a built data set. Writes ID.png and predictions.json; a method that
    parses leaves parsing/ID.png too. Stop it at any time; the same command goes on.

    \b
    Examples:
      hdeocc predict out/people/models/mask.two-stage/seed-0 data/mine --out masks
      hdeocc predict out/people data/mine --method content.two-stage --out photos --masks masks
      hdeocc predict mask.convex-hull data/mine --out hulls
    """
    from leaderboards.predict_folder import predict_folder
    from synth.store import Dataset

    chosen = Dataset.open(data).split(split)
    made = predict_folder(_fitted(model, method, seed), chosen, out, masks)
    speed = "" if made.milliseconds is None else f", {made.milliseconds:.3g} ms each"
    click.echo(f"{len(chosen)} predictions -> {out} ({made.device}{speed})")


def _fitted(model: str, method: str | None, seed: int) -> "Fitted":
    from hdeocc.fitted import load_fitted, unfitted
    from hdeocc.method import entries
    from leaderboards.folder import Folder
    from synth.errors import InputError
    from synth.settings import hint

    path = Path(model)
    if method is not None:
        return load_fitted(Folder(path).model(method, seed))
    if model in entries() and not path.exists():
        return unfitted(model, "quick")
    if model.startswith(("mask.", "content.")) and not path.exists():
        raise InputError(f"{model}: no such folder, and no method; {hint(model, entries())}")
    return load_fitted(path)


@click.command(context_settings=WIDE)
@click.argument("predictions", type=folder)
@click.argument("data", type=folder)
@click.option("--track", type=click.Choice(["mask", "content", "full"]), help="[default: told by "
              "the pictures: grey ones are masks]")  # fmt: skip
@click.option("--masks", type=folder, help="Predicted masks, for the full track.")
@click.option(
    "--protocol", type=click.Choice(["strict", "official"]), default="strict", show_default=True,
    help="strict: only the hole; official: the person, true pixels elsewhere.",
)  # fmt: skip
@click.option("--border-band", type=click.IntRange(0), default=0, show_default=True,
              help="Pixels around the outline that no content score counts.")  # fmt: skip
@click.option("--vgg", is_flag=True, help="LPIPS on VGG16 features too.")
@split_option
@click.option("--name", help="Of the method [default: what predictions.json says, or the folder].")
@click.option("--consumes", help="What the method was given, with commas: image,initial")
@click.option("--trained-on", metavar="DATA",
              help="Other data that the method learned from: its row is ranked apart.")  # fmt: skip
@click.option("--out", type=folder, help="Write the result here, for `leaderboard add`.")
def score(
    predictions: Path,
    data: Path,
    track: str | None,
    masks: Path | None,
    protocol: str,
    border_band: int,
    vgg: bool,
    split: str,
    name: str | None,
    consumes: str | None,
    trained_on: str | None,
    out: Path | None,
) -> None:
    """Score predictions of any program: a folder of PNG files by sample id.

    PREDICTIONS holds ID.png for every sample of the split, in the size of the sample: 8-bit grey
    amodal masks, or 8-bit RGB photos whose hole is painted. Missing, extra and resized files are
    refused by name. DATA is the built data set. Prints every number with its 95 % interval over
    people.

    \b
    Examples:
      hdeocc score theirs/masks data/mine --consumes image,initial
      hdeocc score theirs/photos data/mine --consumes image,modal,amodal --protocol official
      hdeocc score theirs/photos data/mine --masks theirs/masks --consumes image,initial
      hdeocc score theirs/masks data/mine --consumes image --name "Theirs" --out theirs.json
      hdeocc score theirs/masks data/mine --consumes image --trained-on COCO --out theirs.json
    """
    from leaderboards.foreign import facts_of, pictures_of
    from leaderboards.make_rows import data_facts, truth_cache
    from leaderboards.records import write_record
    from leaderboards.score_folder import score_folder
    from metrics.truth import Rules
    from synth.atomic import check_target
    from synth.store import Dataset

    if out is not None:
        check_target(out)
    dataset = Dataset.open(data)
    chosen = dataset.split(split)
    given = None if consumes is None else [one.strip() for one in consumes.split(",")]
    pictures = pictures_of(predictions, masks, track)
    facts = facts_of(
        predictions, dataset.recipe.name, chosen.fingerprint, name, given, masks, trained_on
    )
    rules = Rules("official" if protocol == "official" else "strict", border_band)
    known = data_facts(dataset, split)
    cache = truth_cache()
    record = score_folder(pictures, chosen, known, facts, rules, cache=cache, vgg=vgg).record
    if out is not None:
        write_record(out, record)  # before a word is printed, for a reader may close the pipe
    _print(record)
    if out is not None:
        click.echo(f"Result: {out}")


def _print(record: "Record") -> None:
    """Every number of a record with its interval and how many samples it counts."""
    from leaderboards.formats import number
    from leaderboards.tables import make_tables

    [table] = make_tables([record])
    [row] = table.rows
    click.echo(f"{record.title}, {record.track} track, protocol {record.protocol}, "
               f"{record.n_scored} samples of {table.people} people")  # fmt: skip
    for spec in table.specs:
        value, interval = row.value(spec.name), row.intervals.get(spec.name)
        ends = ""
        if interval is not None:
            ends = f"[{number(interval.low, spec)}, {number(interval.high, spec)}]"
        why = table.notes.get((spec.name, row.key))
        ends = why if why is not None else f"{ends:24s} n {row.count(spec.name)}"
        click.echo(f"  {spec.name:32s} {number(value, spec):>10s} {spec.unit:3s} {ends}".rstrip())
