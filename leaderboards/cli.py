"""The commands `hdeocc bench`, `hdeocc leaderboard` and `hdeocc quickstart`."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
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
    "--workers", type=click.IntRange(1), help="Processes that build the data [default: cores]."
)


@click.group(context_settings=WIDE)
def bench() -> None:
    """Fit, predict and score the methods of a benchmark.

    \b
    Examples:
      hdeocc bench list
      hdeocc bench run people-quick --out out/people
      hdeocc bench run photos-small --out out/photos --data ../shared/data
    """


@bench.command("list")
def list_benchmarks() -> None:
    """List the benchmarks that come with the package."""
    from leaderboards.benchmark import bundled, load_benchmark

    for name in bundled():
        benchmark = load_benchmark(name)
        tracks = benchmark.tracks
        rows = f"{len(tracks.mask)} mask, {len(tracks.content)} content, {len(tracks.full)} full"
        click.echo(f"{name:16s} {benchmark.title} ({rows})")


@bench.command(context_settings=WIDE)
@click.argument("benchmark")
@out_option
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of the photos [default: $HDEOCC_DATA, else ../shared/data].",
)
@click.option("--methods", help="Only these, by name, with commas: telea,mask.pix2pix")
@click.option(
    "--rerun",
    type=click.Choice(["only-missing", "always", "never"]),
    default="only-missing",
    show_default=True,
    help="Which steps that were done before are done again.",
)
@workers_option
def run(
    benchmark: str,
    out: Path,
    data: Path | None,
    methods: str | None,
    rerun: "Rerun",
    workers: int | None,
) -> None:
    """Run a benchmark, by name or from a .toml file, and render its tables and page.

    Stop it at any time; the same command goes on where it stopped.

    \b
    Examples:
      hdeocc bench run people-quick --out out/people
      hdeocc bench run people-quick --out out/people --methods telea,telea-person
      hdeocc bench run my-benchmark.toml --out out/mine --rerun always
    """
    command = f"hdeocc bench run {benchmark} --out {out}"
    command += f" --data {data}" if data else ""
    command += f" --methods {methods}" if methods else ""
    _run(benchmark, out, data, methods, rerun, workers, command)


@click.group(context_settings=WIDE)
def leaderboard() -> None:
    """Render tables and the page from results.

    \b
    Example:
      hdeocc leaderboard render out/people
    """


@leaderboard.command("render")
@click.argument("folder", type=click.Path(path_type=Path))
def render_command(folder: Path) -> None:
    """Make leaderboard.html, .md, .csv and contact-sheet.png again.

    FOLDER is the --out of a benchmark run. Nothing is computed anew.
    """
    from leaderboards.render import render

    records = render(folder)
    click.echo(f"{len(records)} results -> {folder / 'leaderboard.html'}")


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
    """
    started = time.monotonic()
    default = click.get_current_context().get_parameter_source("out")
    given = default is not None and default.name != "DEFAULT"
    command = f"hdeocc quickstart{f' --out {out}' if given else ''}"
    _run("people-quick", out, None, None, "only-missing", workers, command)
    seconds = round(time.monotonic() - started)
    click.echo(f"Total time: {seconds // 60} min {seconds % 60} s")


def _run(
    name: str,
    out: Path,
    data: Path | None,
    methods: str | None,
    rerun: "Rerun",
    workers: int | None,
    command: str,
) -> None:
    from leaderboards.benchmark import load_benchmark

    benchmark = load_benchmark(name)
    chosen = None if methods is None else [m.strip() for m in methods.split(",") if m.strip()]
    with _interruptible(command):
        from leaderboards.run import run_benchmark

        records = run_benchmark(
            benchmark,
            out,
            data,
            rerun,
            chosen,
            workers=workers or _workers(),
        )
        _print_tables(records)
    click.echo(f"Page: {(out / 'leaderboard.html').resolve()}")


def _print_tables(records: "list[Record]") -> None:
    from leaderboards.markdown import terminal_table
    from leaderboards.tables import TRACK_TITLES, footnotes, make_tables

    for table in make_tables(records):
        click.echo(f"\n{TRACK_TITLES[table.track]}: {table.first.data.title}\n")
        click.echo(terminal_table(table))
        for reason in footnotes(table):
            click.echo(f"Empty columns are left out: {reason}")
    click.echo()


@contextmanager
def _interruptible(command: str) -> Iterator[None]:
    """Turn Ctrl-C into one sentence and exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nStopped; what is finished is kept. Go on with: {command}", err=True)
        raise click.exceptions.Exit(STOPPED) from None
