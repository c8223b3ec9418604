"""The command `hdeocc leaderboard`: results that are there are shown, checked, compared, joined."""

from pathlib import Path

import click

from leaderboards.cli import WIDE

folder = click.Path(path_type=Path)
track_option = click.option(
    "--track", type=click.Choice(["mask", "content", "full"]), help="Only this track."
)


@click.group(context_settings=WIDE)
def leaderboard() -> None:
    """Render, verify, compare and extend results.

    \b
    Examples:
      hdeocc leaderboard render out/people
      hdeocc leaderboard verify out/people
      hdeocc leaderboard diff out/monday out/tuesday
    """


@leaderboard.command("render", context_settings=WIDE)
@click.argument("out", metavar="FOLDER", type=folder)
def render_command(out: Path) -> None:
    """Make the tables, the page and the contact sheet again.

    FOLDER is the --out of a benchmark run. Nothing is computed anew.

    \b
    Example:
      hdeocc leaderboard render out/people
    """
    from leaderboards.render import render

    records = render(out)
    click.echo(f"{len(records)} results -> {out / 'leaderboard.html'}")


@leaderboard.command("print", context_settings=WIDE)
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=folder)
@track_option
@click.option("--intervals", is_flag=True, help="With the 95 % interval below every number.")
@click.option("--no-times", is_flag=True, help="Without the milliseconds.")
@click.option("--consumes", help="Only rows that read nothing but these, with commas.")
def print_command(
    folders: tuple[Path, ...],
    track: str | None,
    intervals: bool,
    no_times: bool,
    consumes: str | None,
) -> None:
    """Print the tables of kept results as Markdown.

    FOLDER is the --out of a benchmark run, or a folder of its records alone, such as those of
    leaderboards/results. Several make one table, as if one machine had run all of it.

    \b
    Examples:
      hdeocc leaderboard print leaderboards/results/photos-small --track mask
      hdeocc leaderboard print out/here out/there --no-times
      hdeocc leaderboard print out/here --track mask --consumes initial
    """
    click.echo(_printed(folders, track, intervals, no_times, consumes))


def _printed(
    folders: tuple[Path, ...],
    track: str | None,
    intervals: bool,
    no_times: bool,
    consumes: str | None,
) -> str:
    from leaderboards.printed import printed

    read = None if consumes is None else _inputs(consumes)
    return printed(folders, track, read, intervals, times=not no_times)


@leaderboard.command("refresh", context_settings=WIDE)
@click.argument("pages", metavar="PAGE...", nargs=-1, required=True, type=folder)
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where a table is stale.")
def refresh_command(pages: tuple[Path, ...], check: bool) -> None:
    """Print the tables in Markdown pages again, where they stand.

    Between two comments a PAGE holds what `print` prints of kept results. What stands there is
    replaced by what follows from the records today; the rest of the page stays as it is.

    \b
      <!-- hdeocc leaderboard print leaderboards/results/photos-64 --track mask -->
      <!-- end -->

    \b
    Examples:
      hdeocc leaderboard refresh README.md docs/results.md
      hdeocc leaderboard refresh README.md --check
    """
    from leaderboards.printed import read_page, refreshed
    from synth.atomic import write_together

    before = {page: read_page(page) for page in pages}
    after = {page: refreshed(text, str(page), _tell) for page, text in before.items()}
    stale = {page: text for page, text in after.items() if text != before[page]}
    if not check:
        write_together({page: text.encode() for page, text in stale.items()})
    for page in pages:
        said = ("is stale" if check else "refreshed") if page in stale else "is up to date"
        click.echo(f"{page}: {said}")
    if check and stale:
        raise click.exceptions.Exit(1)


def _tell(words: list[str]) -> str:
    """What `print` prints when it is given these words."""
    from synth.errors import InputError

    try:
        with print_command.make_context("print", words) as context:
            return _printed(**context.params)
    except click.UsageError as error:
        raise InputError(error.format_message()) from None


@leaderboard.command("keep", context_settings=WIDE)
@click.argument("folders", metavar="FOLDER...", nargs=-1, required=True, type=folder)
@click.option("--to", "out", required=True, type=folder, help="Where to keep them.")
@click.option("--replace", is_flag=True, help="Results that are there already give way.")
def keep_command(folders: tuple[Path, ...], out: Path, replace: bool) -> None:
    """Keep the records of runs in a folder that fits into a repository.

    FOLDER is the --out of a benchmark run, or a folder of records. They are put beside those that
    are there, and the tables (leaderboard.md, leaderboard.csv) are made of all: so a benchmark is
    run in pieces, on several machines.

    \b
    Examples:
      hdeocc bench run photos-64 --methods unet,pix2pix --out out/here
      hdeocc leaderboard keep out/here out/there --to results/photos-64
    """
    from leaderboards.keep import keep

    records = keep(folders, out, replace)
    click.echo(f"{len(records)} results -> {out / 'leaderboard.md'}")


@leaderboard.command("verify", context_settings=WIDE)
@click.argument("out", metavar="FOLDER", type=folder)
@click.option("--data", type=folder, help="The built data set [default: FOLDER/data].")
@click.option("--photos", type=folder, help="Photos to build it from, where it is not there.")
def verify_command(out: Path, data: Path | None, photos: Path | None) -> None:
    """Score the stored predictions again and compare with what the results claim.

    Exit code 2, and one line for each fault, where a claim is off by more than its rounding, a
    result was changed, or a prediction is missing, extra or resized. Where the data set is not
    there it is built again from its recipe, in a temporary folder.

    \b
    Examples:
      hdeocc leaderboard verify out/people
      hdeocc leaderboard verify leaderboards/results/people-tiny
      hdeocc leaderboard verify their-results --data data/mine
    """
    from leaderboards.verify import verify

    report = verify(out, data, photos)
    for line in report.unchecked:
        click.echo(f"Not checked: {line}", err=True)
    for line in report.faults:
        click.echo(f"Error: {line}", err=True)
    if report.faults:
        raise click.exceptions.Exit(2)
    click.echo(f"{out}: {report.claims} claims of {report.records} results hold.")


@leaderboard.command("add", context_settings=WIDE)
@click.argument("result", type=folder)
@click.argument("out", metavar="FOLDER", type=folder)
@click.option("--predictions", type=folder, help="Its pictures, kept so that it can be verified.")
@click.option("--masks", type=folder, help="Its masks too, on the full track.")
def add_command(result: Path, out: Path, predictions: Path | None, masks: Path | None) -> None:
    """Put a result beside those of FOLDER, and render its tables and page again.

    RESULT is what `hdeocc score --out` wrote. Refused where it is of another test split or
    protocol, or there already.

    \b
    Example:
      hdeocc score theirs data/mine --consumes image,initial --out theirs.json
      hdeocc leaderboard add theirs.json out/mine --predictions theirs
    """
    from leaderboards.add import add
    from leaderboards.render import render

    record = add(result, out, predictions, masks)
    render(out)
    click.echo(f"{record.key} -> {out / 'leaderboard.html'}")


@leaderboard.command("diff", context_settings=WIDE)
@click.argument("first", metavar="A", type=folder)
@click.argument("second", metavar="B", type=folder)
def diff_command(first: Path, second: Path) -> None:
    """Compare two output folders, or two results.

    Prints rows that only one has, every number that differs, with the paired 95 % interval of B
    minus A over people, and whether the tables agree byte for byte, timing apart. Exit code 1 when
    anything differs.

    \b
    Examples:
      hdeocc leaderboard diff out/monday out/tuesday
      hdeocc leaderboard diff out/a/results/mask.one.seed-0.json out/a/results/mask.two.seed-0.json
    """
    from leaderboards.diff import diff, report

    found = diff(first, second)
    click.echo(report(found, str(first), str(second)))
    if not found.same:
        raise click.exceptions.Exit(1)


@leaderboard.command("matrix", context_settings=WIDE)
@click.argument("out", metavar="FOLDER", type=folder)
@track_option
@click.option("--metric", help="Which number [default: the headline of each track].")
@click.option("--csv", "as_csv", is_flag=True, help="One line a pair, with p, instead of a table.")
def matrix_command(out: Path, track: str | None, metric: str | None, as_csv: bool) -> None:
    """Print which differences between methods are more than chance.

    \b
    Examples:
      hdeocc leaderboard matrix out/people --track mask
      hdeocc leaderboard matrix out/people --track content --metric lpips_hole --csv
    """
    from leaderboards.diff import records_at
    from leaderboards.significance import significance, to_csv, to_markdown
    from leaderboards.tables import TRACK_TITLES, filtered, make_tables
    from synth.errors import InputError

    tables = filtered(make_tables(records_at(out)), track=track)
    if not tables:
        raise InputError(f"{out}: has no results of the {track} track; choose another --track")
    # Tracks have metrics of their own; one that no table has is refused as the first table does.
    having = [table for table in tables if metric in {spec.name for spec in table.specs}]
    matrices = [significance(table, metric) for table in having or tables]
    if as_csv:
        click.echo(to_csv(matrices), nl=False)
        return
    for matrix in matrices:
        table = matrix.table
        click.echo(f"#### {TRACK_TITLES[table.track]}, protocol {table.first.protocol}\n")
        click.echo(to_markdown(matrix))


@leaderboard.command("figures", context_settings=WIDE)
@click.argument("out", metavar="FOLDER", type=folder)
@click.option("--people", help="Samples or people by id, with commas, in this order.")
@click.option("--count", type=click.IntRange(1), help="So many people [default: 6].")
@click.option("--seed", type=click.IntRange(0), help="Draw them [default: evenly spread].")
@track_option
@click.option("--to", "target", type=folder, help="Where to write [default: FOLDER/figures].")
def figures_command(
    out: Path,
    people: str | None,
    count: int | None,
    seed: int | None,
    track: str | None,
    target: Path | None,
) -> None:
    """Draw figures for a paper: one row a person, one column a method, as PNG and PDF.

    \b
    Examples:
      hdeocc leaderboard figures out/people --count 5 --seed 3
      hdeocc leaderboard figures out/people --people 000451,000460 --track mask
    """
    from leaderboards.cli_figures import draw_figures
    from synth.errors import InputError

    if people is not None and (count is not None or seed is not None):
        raise InputError("--people names who is shown; leave --count and --seed out")
    ids = [] if people is None else [one.strip() for one in people.split(",") if one.strip()]
    for path in draw_figures(out, target or out / "figures", ids, count, seed, track):
        click.echo(path)


def _inputs(text: str) -> list[str]:
    """The inputs that --consumes names."""
    from hdeocc.batch import INPUTS
    from synth.errors import InputError
    from synth.settings import hint

    names = [one.strip() for one in text.split(",")]
    for one in names:
        if one not in INPUTS:
            raise InputError(f"--consumes {one}: no such input; {hint(one, INPUTS)}")
    return names
