"""The command `hdeocc train`."""

import math
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from hdeocc.precision import Precision
from hdeocc.seeds import MAX_SEED
from synth.errors import InputError

if TYPE_CHECKING:
    from hdeocc.fitted import Fitted
    from hdeocc.method import Budget, Preset
    from hdeocc.training_plan import Part

folder = click.Path(path_type=Path)
count = click.IntRange(1)


class _Rate(click.FloatRange):
    """A number above 0 that has an end; nan is in no range, yet click lets it pass."""

    def convert(self, value: Any, param: Any, context: Any) -> float:
        number = float(super().convert(value, param, context))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, context)
        return number


rate = _Rate(0, min_open=True)
WIDE = {"max_content_width": 100}


@click.command(context_settings=WIDE)
@click.argument("method")
@click.option("--data", required=True, metavar="DATA", help="Folder of a built data set, or a "
              "recipe (name or .toml) whose samples are made while training.")  # fmt: skip
@click.option("--out", type=folder, required=True, help="Folder of the model: new, or to go on in.")
@click.option("--photos", type=folder, help="Folder that paths in a recipe start from [default: "
              "$HDEOCC_DATA, else ../shared/data].")  # fmt: skip
@click.option("--preset", type=click.Choice(["quick", "small", "full"]), default="quick",
              show_default=True, help="Networks for 64, 128 or 256 pixels.")  # fmt: skip
@click.option("--samples", type=count, help="Training samples seen [default: by preset].")
@click.option("--samples-mask", type=count, help="Those of the mask method alone.")
@click.option("--samples-content", type=count, help="Those of the content method alone.")
@click.option("--batch", type=count, help="Samples a step, over all devices [default: by preset].")
@click.option("--lr", type=rate, help="Peak learning rate [default: by preset].")
@click.option("--lr-content", type=rate, help="That of the content method alone.")
@click.option("--seed", type=click.IntRange(0, MAX_SEED), default=0, show_default=True)
@click.option("--precision", type=click.Choice(get_args(Precision)), help="Of the networks' "
              "products [default: 32-true; full: bf16-mixed].")  # fmt: skip
@click.option("--set", "options", multiple=True, metavar="OPTION=VALUE", help="Another setting of "
              "the method, as mask.net.width=2; repeatable.")  # fmt: skip
@click.option("--upstream", type=folder, multiple=True, help="A fitted method's folder, to build "
              "on instead of training one: content.two-stage needs a mask.two-stage.")  # fmt: skip
@click.option("--half", is_flag=True, help="Keep the weights in half precision, half as large.")
@click.option("--workers", type=click.IntRange(0), help="Processes that make the samples of a "
              "recipe [default: cores, at most 8].")  # fmt: skip
@click.option("--devices", type=count, help="Devices of this machine [default: 1].")
@click.option("--nodes", type=count, help="Machines [default: 1].")
@click.option("--accelerator", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto",
              show_default=True, help="What to train on.")  # fmt: skip
def train(method: str, data: str, out: Path, **given: Any) -> None:
    """Train METHOD: two-stage (both stages), or any learned one, such as mask.pix2pix.

    Writes OUT/mask and OUT/content (weights), OUT/model.json and OUT/README.md (numbers on the val
    split, settings, licences), and OUT/training (loss curve, TensorBoard, pictures). Stop it at any
    time, or kill it; the same command goes on. Other settings need another OUT.

    On several devices every step's batch is shared: --devices 8, or torchrun.

    \b
    preset  samples of mask, content  batch  learning rate of mask, content
    quick     3,200     3,200           8      0.001   0.001
    small    14,000     8,000           8      0.001   0.002
    full    240,000   240,000          16      0.0003  0.0002

    \b
    Examples:
      hdeocc train two-stage --data people-quick --out model
      hdeocc train two-stage --preset small --data photos-small --photos ~/photos --out model
      hdeocc train two-stage --preset full --data data/mine --devices 8 --batch 64 --out model
      hdeocc train mask.two-stage --data data/mine --set templates=0 --out no-templates
      hdeocc train content.two-stage --data data/mine --upstream model/mask --out stage-2
      torchrun --nproc-per-node 8 -m hdeocc train two-stage --data data/mine --out model
    """
    from hdeocc.across import check_share
    from hdeocc.fabric import make_fabric
    from hdeocc.training_data import open_source
    from hdeocc.training_run import Run

    upstream = _upstream(given["upstream"])
    parts = _parts(method, upstream, given)
    devices, nodes = _devices(given["devices"], given["nodes"])
    for part in parts:
        check_share(part.budget.batch, devices * nodes)
    fabric = make_fabric(parts[0].budget, devices, nodes, given["accelerator"])
    fabric.launch()
    source = open_source(data, given["photos"], _workers(given["workers"], devices))
    run = Run(method, parts, given["preset"], source, out, given["half"], upstream)
    try:
        model = run.all(fabric)
    except KeyboardInterrupt:
        if fabric.is_global_zero:
            click.echo(f"\nStopped; {out} is sound. The same command goes on.", err=True)
        raise click.exceptions.Exit(130) from None
    if fabric.is_global_zero:
        _print(model, out)


def _upstream(folders: tuple[Path, ...]) -> "dict[str, Fitted]":
    """The given methods by the registered one that each is, or that it is a variant of."""
    from hdeocc.fitted import load_fitted

    fitted: dict[str, Fitted] = {}
    for one in folders:
        found = load_fitted(one)
        if found.base in fitted:
            raise InputError(f"--upstream {one}: is a second {found.base}; give one of them")
        fitted[found.base] = found
    return fitted


def _check_needed(
    method: str, parts: "list[Part]", fitted: "dict[str, Fitted]", given: tuple[Path, ...]
) -> None:
    """Refuse a given method that nothing is built on: the user means it to be."""
    needed = {key for part in parts for key in part.kind.upstream}
    for folder, key in zip(given, fitted, strict=True):
        if key not in needed:
            builds = f"builds on {', '.join(sorted(needed))}" if needed else "builds on none"
            raise InputError(
                f"--upstream {folder}: holds {key}, but what is left of {method} to train {builds};"
                " leave it out or give another"
            )


def _parts(method: str, fitted: "dict[str, Fitted]", given: dict[str, Any]) -> "list[Part]":
    """What is trained, in order, with its options and budgets."""
    from hdeocc.training_plan import Part, keys_of, parse_options

    keys = keys_of(method, [*fitted])
    if not keys:
        raise InputError(
            f"{method}: --upstream holds it already, so nothing is left to train; leave it out"
        )
    options = parse_options(given["options"], keys)
    parts = []
    for key in keys:
        track = key.partition(".")[0]
        parts.append(Part(key, options[track], _budget(given["preset"], track, given)))
    _check_needed(method, parts, fitted, given["upstream"])
    known = {key: one.method for key, one in fitted.items()}
    for part in parts:  # each is made once, so that what cannot be is refused before all work
        part.kind.check_options(given["preset"], part.options)
        made = part.kind.variant(given["preset"], part.options)
        made.check_upstream({key: known[key] for key in part.kind.upstream})
        known[part.key] = made
    return parts


def _budget(preset: "Preset", track: str, given: dict[str, Any]) -> "Budget":
    from hdeocc.training_plan import BUDGETS

    lr = given["lr_content"] if track == "content" else None
    asked = {
        "samples": given[f"samples_{track}"] or given["samples"],
        "batch": given["batch"],
        "lr": lr or given["lr"],
        "seed": given["seed"],
        "precision": given["precision"],
    }
    return replace(BUDGETS[preset][track], **{k: v for k, v in asked.items() if v is not None})


def _devices(devices: int | None, nodes: int | None) -> tuple[int, int]:
    """What was asked for, else what torchrun started."""
    local, world = os.environ.get("LOCAL_WORLD_SIZE"), os.environ.get("WORLD_SIZE")
    if local and world and "TORCHELASTIC_RUN_ID" in os.environ:
        devices = devices or int(local)
        nodes = nodes or int(world) // int(local)
        if devices * nodes != int(world):
            raise InputError(
                f"--devices {devices} --nodes {nodes}: torchrun started {world} processes; leave "
                "both options out"
            )
    return devices or 1, nodes or 1


def _workers(asked: int | None, devices: int) -> int:
    """Processes that make samples for one of the devices of this machine."""
    if asked is not None:
        return asked
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(8, (usable or 1) // devices))


def _print(model: dict[str, Any], out: Path) -> None:
    """One line a method: its numbers on val, its pace, its size."""
    for track in ("mask", "content"):
        if track not in model:
            continue
        one = model[track]
        numbers = ", ".join(f"{name} {value:.4f}" for name, value in one["val"].items())
        click.echo(f"{one['method']}: {numbers} on {model['data']['val_samples']} val samples")
        click.echo(f"  {_pace(one)}; {one['bytes'] / 1e6:.1f} MB of weights ({one['weights']})")
    click.echo(f"Model: {out} (README.md says what it is)")


def _pace(one: dict[str, Any]) -> str:
    pace, said = one["pace"], f"{one['seconds']:.0f} s"
    if "step_ms" in pace:
        step = pace["step_ms"]
        said += f", {step['median']:.0f} ms a step of {pace['batch']} (p10 {step['p10']:.0f}, "
        said += f"p90 {step['p90']:.0f}, of it {pace['waited_ms']:.0f} for data)"
    if "peak_memory_bytes" in pace:
        said += f", peak memory {pace['peak_memory_bytes'] / 2**30:.2f} GiB of {pace['memory_of']}"
    return said
