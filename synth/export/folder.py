"""Plain PNG files by kind and id, with a table: for people, and for tools that know nothing."""

import csv
from typing import ClassVar

import numpy as np

from synth.export.writer import Row, Writer, credit
from synth.preview import to_png
from synth.sample import Sample

_STORED = ("image", "clean", "parsing")
_MASKS = ("amodal", "modal", "occluder")
COLUMNS = (
    "id", "split", "person_id", "occluder_ids", "hidden_share", "height", "width", "has_clean",
    "has_parsing", "person_file", "person_licence", "person_licence_url", "person_url",
    "background_licence", "background_photos", "occluder_classes", "occluder_files",
    "occluder_licences", "occluder_licence_urls", "occluder_urls",
)  # fmt: skip


class FolderWriter(Writer):
    """``KIND/ID.png`` and ``samples.csv``."""

    about: ClassVar[str] = """
`image` (occluded), `clean` (without occluders, where known), `amodal` (the whole person), `modal`
(the visible part), `occluder` (what was pasted), `initial` (the mask a method starts from, 0 to
255) and `parsing` (LIP-20 labels, where known) hold one PNG a sample, named by its id; masks are 0
and 255. `samples.csv` has a row a sample: split, ids, hidden share, origin and licence. Where a
person lies behind several occluders, their entries are divided by " | ".

`hdeocc` itself reads these as a source of whole people: `clean` as images, `amodal` as masks and
`parsing` as parsings. Somebody who is in several samples is several people there, whom the splits
of a new recipe would divide: export the train split and give the entry `train_only = true`, or keep
one sample of each `person_id`.
"""

    def start(self, split: str) -> None:
        new = not (self.target.folder / "samples.csv").exists()
        for kind in (*_STORED, *_MASKS, "initial"):
            (self.target.folder / kind).mkdir(exist_ok=True)
        self._file = open(  # noqa: SIM115 (open across many calls)
            self.target.folder / "samples.csv", "a", newline="", encoding="utf-8"
        )
        self._table = csv.DictWriter(self._file, COLUMNS)
        if new:
            self._table.writeheader()

    def add(self, sample: Sample, members: dict[str, bytes]) -> None:
        for kind in _STORED:
            if f"{kind}.png" in members:
                self._write(kind, sample, members[f"{kind}.png"])
        for kind in _MASKS:
            self._write(kind, sample, _grey(getattr(sample, kind)))
        self._write("initial", sample, members.get("initial.png") or _grey(sample.modal))
        self._table.writerow(_row(sample))

    def _write(self, kind: str, sample: Sample, content: bytes) -> None:
        (self.target.folder / kind / f"{sample.sample_id}.png").write_bytes(content)

    def finish(self) -> None:
        self._file.close()

    def close(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()


def _grey(mask: np.ndarray) -> bytes:
    return to_png(mask.astype(np.uint8)[..., None] * np.uint8(255))


def _row(sample: Sample) -> Row:
    person = credit(sample.meta.get("person", {}))
    occluders = [credit(one) for one in sample.meta.get("occluders", [])]
    return {
        "id": sample.sample_id,
        "split": sample.split,
        "person_id": sample.person_id,
        "occluder_ids": " | ".join(sample.occluder_ids),
        "hidden_share": f"{sample.hidden_share:.6f}",
        "height": sample.amodal.shape[0],
        "width": sample.amodal.shape[1],
        "has_clean": int(sample.clean is not None),
        "has_parsing": int(sample.parsing is not None),
        "person_file": person.get("file", ""),
        "person_licence": person.get("licence", ""),
        "person_licence_url": person.get("licence_url", ""),
        "person_url": _url(person),
        "background_licence": person.get("background_licence", ""),
        "background_photos": person.get("background_photos", ""),
        "occluder_classes": " | ".join(one.get("category", "") for one in occluders),
        "occluder_files": " | ".join(one.get("file", "") for one in occluders),
        "occluder_licences": " | ".join(one.get("licence", "") for one in occluders),
        "occluder_licence_urls": " | ".join(one.get("licence_url", "") for one in occluders),
        "occluder_urls": " | ".join(_url(one) for one in occluders),
    }


def _url(source: Row) -> str:
    return str(source.get("flickr_url") or source.get("coco_url") or source.get("url") or "")
