"""The commands `hdeocc bench` and `hdeocc quickstart`."""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from leaderboards.benchmark import Benchmark
    from leaderboards.fit import Rerun
    from leaderboards.records import Record

WIDE = {"max_content_width": 100}
STOPPED = 130


def _workers() -> int:
    """Usable cores, at most eight."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(8, usable or 1))


out_option = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Output folder: new, or ours."
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    help="Processes that build the data [default: cores, at most 8].",
)
jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Rows that are made at once, each by a process on its share of the cores, or on its GPU.",
)
rerun_option = click.option(
    "--rerun",
    type=click.Choice(["only-missing", "always", "never"]),
    default="only-missing",
    show_default=True,
    help="Which steps that were done before are done again.",
)


@click.group(context_settings=WIDE)
def bench() -> None:
    """Fit, predict and score the methods of a benchmark.

    \b
    Examples:
      hdeocc bench list
      hdeocc bench run people-quick --out out/people
      hdeocc bench run photos-small --out out/photos --data ../shared/data
      hdeocc bench status out/photos
      hdeocc bench resume out/photos
    """


@bench.command("list")
def list_benchmarks() -> None:
    """List the benchmarks that come with the package.

    \b
    Example:
      hdeocc bench list
    """
    from leaderboards.benchmark import bundled, load_benchmark
    from leaderboards.speed import bundled_speed, load_speed

    for name in bundled():
        benchmark = load_benchmark(name)
        tracks = benchmark.tracks
        rows = f"{len(tracks.mask)} mask, {len(tracks.content)} content, {len(tracks.full)} full"
        click.echo(f"{name:16s} {benchmark.title} ({rows})")
    for name in bundled_speed():
        speed = load_speed(name)
        click.echo(f"{name:16s} {speed.title} ({len(speed.speed)} networks, timed)")


@bench.command(context_settings=WIDE)
@click.argument("benchmark")
@out_option
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the photos [default: $HDEOCC_DATA, else ../shared/data].",
)
@click.option("--methods", help="Only these, by name, with commas: telea,mask.pix2pix")
@click.option("--seeds", help="Only these of the benchmark's seeds, with commas: 1,2")
@click.option("--on", "recipe", help="The same rows on another recipe, such as photos-small.")
@rerun_option
@jobs_option
@workers_option
def run(
    benchmark: str,
    out: Path,
    data: Path | None,
    methods: str | None,
    seeds: str | None,
    recipe: str | None,
    rerun: "Rerun",
    jobs: int,
    workers: int | None,
) -> None:
    """Run a benchmark, by name or from a .toml file, and render its tables and page.

    Stop it at any time; the same command, or `hdeocc bench resume`, goes on where it stopped.
    Small networks train faster side by side, one core each (--jobs), than one after the other on
    all cores. Where photos are missing it says which, and on which photos at hand the same table
    can be made.

    \b
    Examples:
      hdeocc bench run people-quick --out out/people
      hdeocc bench run people-quick --out out/people --methods telea,telea-person
      hdeocc bench run photos-64 --out out/photos --jobs 8
      hdeocc bench run photos-64 --out out/photos --methods unet,two-stage --seeds 1,2
      hdeocc bench run my-benchmark.toml --out out/mine --rerun always
      hdeocc bench run paper-masks --out out/masks --data ~/ahp
      hdeocc bench run paper-masks --out out/masks --on photos-small --data ~/photos
      hdeocc bench run paper-speed --out out/speed
    """
    from leaderboards.benchmark import load_benchmark
    from leaderboards.speed import is_speed

    given: dict[str, object] = {
        "--data": data,
        "--methods": methods,
        "--seeds": seeds,
        "--on": recipe,
    }
    if is_speed(benchmark):
        chosen = {"--rerun": rerun, "--jobs": jobs, "--workers": workers}
        _time(benchmark, out, given | {k: v for k, v in chosen.items() if _is_given(k)})
        return
    command = f"hdeocc bench run {_quoted(benchmark)} --out {_quoted(out)}"
    command += "".join(f" {option} {_quoted(value)}" for option, value in given.items() if value)
    command += _jobs(jobs)
    loaded = load_benchmark(benchmark)
    wanted = _listed(methods), _numbers(seeds)
    _run(_moved(loaded, recipe), out, data, *wanted, rerun, workers, command, jobs)


def _jobs(jobs: int) -> str:
    return f" --jobs {jobs}" if jobs > 1 else ""


def _is_given(option: str) -> bool:
    """Whether the user gave an option of the command, not its default."""
    source = click.get_current_context().get_parameter_source(option.removeprefix("--"))
    return source is not None and source.name != "DEFAULT"


def _quoted(value: object) -> str:
    """A value as a shell takes it, so that a printed command can be pasted."""
    return shlex.quote(str(value))


def _moved(benchmark: "Benchmark", recipe: str | None) -> "Benchmark":
    """The benchmark on another recipe; its preset is that of the recipe's size."""
    from synth.recipe import load_recipe

    if recipe is None:
        return benchmark
    size = load_recipe(recipe).size
    return benchmark.on(recipe, "quick" if size <= 64 else "small" if size <= 128 else "full")


def _listed(methods: str | None) -> list[str] | None:
    return None if methods is None else [m.strip() for m in methods.split(",") if m.strip()]


def _numbers(seeds: str | None) -> list[int] | None:
    from synth.errors import InputError

    listed = _listed(seeds)
    try:
        return None if listed is None else [int(seed) for seed in listed]
    except ValueError:
        raise InputError(f"--seeds {seeds}: are no numbers; give them with commas: 1,2") from None


def _time(benchmark: str, out: Path, options: dict[str, object]) -> None:
    """Run a benchmark of speed, which knows neither data nor methods nor steps to do again."""
    from leaderboards.speed import load_speed
    from synth.errors import InputError

    for option, value in options.items():
        if value is not None:
            raise InputError(
                f"{option}: {benchmark} needs no data and times all rows, one by one; leave it out"
            )
    speed = load_speed(benchmark)
    with _interruptible(f"hdeocc bench run {_quoted(benchmark)} --out {_quoted(out)}"):
        from leaderboards.timing import run_speed
        from leaderboards.timing_table import speed_table

        click.echo(speed_table(run_speed(speed, out)))
    click.echo(f"Table: {(out / 'speed.md').resolve()}")


@bench.command(context_settings=WIDE)
@click.argument("out", type=click.Path(path_type=Path))
def status(out: Path) -> None:
    """Show what is fitted, predicted and scored, and how far a training is.

    OUT is the --out of a benchmark run, running or not. A training is as far as its last
    checkpoint, one a minute.

    \b
    Example:
      hdeocc bench status out/people
    """
    from leaderboards.status import status as read_status
    from leaderboards.status import status_table

    click.echo(status_table(read_status(out)))


@bench.command("time", context_settings=WIDE)
@click.argument("out", type=click.Path(path_type=Path))
def time_rows(out: Path) -> None:
    """Measure the milliseconds of a finished run again, and nothing else.

    For a run that was made while the machine had other work to do. Scores and pictures stay.

    \b
    Example:
      hdeocc bench time out/people
    """
    from leaderboards.time_again import time_again

    with _interruptible(f"hdeocc bench time {_quoted(out)}"):
        print_tables(time_again(out))


@bench.command(context_settings=WIDE)
@click.argument("out", type=click.Path(path_type=Path))
@rerun_option
@jobs_option
@workers_option
def resume(out: Path, rerun: "Rerun", jobs: int, workers: int | None) -> None:
    """Go on with a run that was stopped, with the same benchmark, rows and photos.

    \b
    Example:
      hdeocc bench resume out/people
    """
    from leaderboards.folder import read_claim

    claim = read_claim(out)
    command = f"hdeocc bench resume {_quoted(out)}{_jobs(jobs)}"
    for one in claim.asked:
        methods = None if one.methods is None else list(one.methods)
        seeds = None if one.seeds is None else list(one.seeds)
        _run(claim.benchmark, out, claim.data, methods, seeds, rerun, workers, command, jobs)


@click.command(context_settings=WIDE)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("hdeocc-quickstart"),
    show_default=True,
    help="Output folder: new, or that of an earlier quickstart.",
)
@workers_option
def quickstart(out: Path, workers: int | None) -> None:
    """The whole job on built-in people: data, training, scores, tables and the page.

    Takes minutes on two cores, without GPU and without network. Stop it at any time; the same
    command goes on where it stopped.

    \b
    Examples:
      hdeocc quickstart
      hdeocc quickstart --out out/people
    """
    from leaderboards.benchmark import load_benchmark

    started = time.monotonic()
    command = f"hdeocc quickstart{f' --out {_quoted(out)}' if _is_given('--out') else ''}"
    # Its first user may have a processor that draws a pixel differently; only results that are
    # compared with ours have to be of the very same pixels.
    benchmark = load_benchmark("people-quick").model_copy(update={"fingerprint": None})
    _run(benchmark, out, None, None, None, "only-missing", workers, command)
    seconds = round(time.monotonic() - started)
    click.echo(f"Total time: {seconds // 60} min {seconds % 60} s")


def _run(
    benchmark: "Benchmark",
    out: Path,
    data: Path | None,
    methods: list[str] | None,
    seeds: list[int] | None,
    rerun: "Rerun",
    workers: int | None,
    command: str,
    jobs: int = 1,
) -> None:
    with _interruptible(command):
        from leaderboards.run import run_benchmark

        records = run_benchmark(
            benchmark,
            out,
            data,
            rerun,
            methods,
            workers=workers or _workers(),
            seeds=seeds,
            jobs=jobs,
        )
        print_tables(records)
    click.echo(f"Page: {(out / 'leaderboard.html').resolve()}")


def print_tables(records: "list[Record]") -> None:
    """Print the tables of some records."""
    from leaderboards.markdown import terminal_notes, terminal_table
    from leaderboards.tables import TRACK_TITLES, make_tables

    for table in make_tables(records):
        first = table.first
        click.echo(f"\n{TRACK_TITLES[first.track]}: {first.data.title}, {first.protocol}\n")
        click.echo(terminal_table(table))
        for said in terminal_notes(table):
            click.echo(said)
    click.echo()


@contextmanager
def _interruptible(command: str) -> Iterator[None]:
    """Turn Ctrl-C into one sentence and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nStopped; what is finished is kept. Go on with: {command}", err=True)
        raise click.exceptions.Exit(STOPPED) from None
