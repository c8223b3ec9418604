"""A built data set in the formats of others; every format keeps the masks to the pixel."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from synth.errors import InputError
from synth.export.target import new_export
from synth.export.writer import Writer
from synth.recipe import SPLITS
from synth.settings import hint
from synth.store import Dataset

# Name of a format -> where its writer is, and one line about it.
FORMATS: dict[str, tuple[str, str]] = {
    "coco": ("synth.export.coco:CocoWriter", "COCO instances, whole and visible masks, keypoints"),
    "cocoa": ("synth.export.cocoa:CocoaWriter", "COCO-Amodal: regions in their order of depth"),
    "kins": ("synth.export.kins:KinsWriter", "KINS: amodal and inmodal mask of each instance"),
    "folder": ("synth.export.folder:FolderWriter", "PNG files by kind and id, and a table"),
    "parquet": ("synth.export.parquet:ParquetWriter", "a table a split, pictures inside"),
}


def export(
    dataset: Dataset,
    kind: str,
    out: Path,
    splits: Sequence[str] | None = None,
    progress: bool = True,
) -> int:
    """Write a data set in another format; returns how many samples were written.

    The folder appears when it is complete: what was there before, an earlier export at most, stays
    until then.

    Args:
        dataset: what to write; read sample by sample.
        kind: a key of ``FORMATS``.
        out: the folder to make, new, empty, or an earlier export.
        splits: "train", "val", "test"; None takes all that have samples.
        progress: whether to show a bar on standard error.

    Raises:
        InputError: unknown format or split, a folder that holds something else, an extra that is
            not installed, or no room.
    """
    make = writer_of(kind)
    chosen = _chosen(dataset, splits)
    total = sum(dataset.info["counts"][name] for name in chosen)
    with new_export(out, kind, dataset, chosen) as target:
        writer = make(target)
        try:
            with tqdm(total=total, unit="sample", disable=not progress) as bar:
                for name in chosen:
                    _write_split(writer, dataset, name, bar)
        finally:
            writer.close()
        target.describe(writer.about)
    return total


def writer_of(kind: str) -> type[Writer]:
    """The writer of a format; InputError where there is none of that name, with the closest."""
    if kind not in FORMATS:
        raise InputError(f"--to {kind}: no such format; {hint(kind, FORMATS)}")
    module, _, name = FORMATS[kind][0].partition(":")
    writer: type[Writer] = getattr(import_module(module), name)
    return writer


def _chosen(dataset: Dataset, splits: Sequence[str] | None) -> list[str]:
    if splits is None:
        return [name for name in SPLITS if dataset.info["counts"][name]]
    for name in splits:
        dataset.split(name)  # refuses what is no split, or an empty one
    return [name for name in SPLITS if name in splits]


def _write_split(writer: Writer, dataset: Dataset, name: str, bar: Any) -> None:
    split = dataset.split(name)
    writer.start(name)
    for index in range(len(split)):
        writer.add(*split.read(index))
        bar.update()
    writer.finish()
