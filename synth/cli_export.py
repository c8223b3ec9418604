"""``hdeocc synth export``: a data set in the formats of others."""

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", "kind", required=True, metavar="FORMAT", help="One of the formats above.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--split", "splits", multiple=True, help="Only this split; may be given again.")
def export(folder: Path, kind: str, out: Path, splits: tuple[str, ...]) -> None:
    """Write the data set in FOLDER in another format, masks to the pixel, licences included.

    \b
    coco     COCO instances: whole, visible and hidden mask, keypoints where known
    cocoa    COCO-Amodal: regions in their order of depth
    kins     KINS: amodal and inmodal mask of each instance
    folder   PNG files by kind and id, and samples.csv
    parquet  one table a split with pictures and masks inside (needs hdeocc[parquet])

    The folder appears when it is complete. An earlier export there is replaced; anything else is
    never touched.

    \b
    Examples:
      hdeocc synth export data/people --to coco --out people-coco
      hdeocc synth export data/people --to parquet --out people-tables --split train
      hdeocc synth export data/people --to folder --out people-png --split val --split test
    """
    from synth.export import export as write
    from synth.export import writer_of
    from synth.store import Dataset

    writer_of(kind)
    count = write(Dataset.open(folder), kind, out, splits or None)
    click.echo(f"{out}: {count} samples as {kind}")
