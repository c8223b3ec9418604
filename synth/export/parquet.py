"""Parquet: one table a split, one row a sample, pictures and masks inside."""

import json
from typing import Any, ClassVar

from synth.codec import encode_mask
from synth.errors import InputError
from synth.export.target import Target
from synth.export.writer import Row, Writer, credit
from synth.sample import Sample

_PICTURES = ("image", "clean", "parsing", "initial")
_MASKS = ("amodal", "modal", "invisible", "occluder")
# Rows of a group: a reader fetches a group at a time, some ten megabytes of 256 pixel pictures.
_GROUP = 64


class ParquetWriter(Writer):
    """``SPLIT.parquet``, written group by group."""

    about: ClassVar[str] = """
`SPLIT.parquet` has a row a sample. `image`, `clean`, `parsing` and `initial` are PNG files as bytes
(null where unknown; `initial` is null where it equals the visible mask). `amodal`, `modal`,
`invisible` and `occluder` are COCO's compressed run lengths with their size, as pycocotools decodes
them. `person_source` and `occluder_sources` (JSON) name file, address and licence of each picture,
`meta` (JSON) is all else that is known.

    import pandas, pycocotools.mask
    table = pandas.read_parquet("test.parquet")
    whole = pycocotools.mask.decode(table.amodal[0])
"""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise InputError(
                "--to parquet: needs pyarrow; install it with: pip install 'hdeocc[parquet]'"
            ) from None
        self._arrow: Any = pyarrow
        self._rows: list[Row] = []
        self._file: Any = None

    def start(self, split: str) -> None:
        schema = _schema(self._arrow).with_metadata(
            {"title": self.target.title, "fingerprint": self.target.dataset.fingerprint}
        )
        self._file = self._arrow.parquet.ParquetWriter(
            self.target.folder / f"{split}.parquet", schema
        )

    def add(self, sample: Sample, members: dict[str, bytes]) -> None:
        self._rows.append(_row(sample, members))
        if len(self._rows) == _GROUP:
            self._flush()

    def finish(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        self._file.write_table(self._arrow.Table.from_pylist(self._rows, self._file.schema))
        self._rows = []


def _schema(arrow: Any) -> Any:
    mask = arrow.struct([("size", arrow.list_(arrow.int32())), ("counts", arrow.string())])
    texts = arrow.list_(arrow.string())
    fields = [("id", arrow.string()), ("split", arrow.string()), ("person_id", arrow.string())]
    fields += [("occluder_ids", texts), ("occluder_classes", texts)]
    fields += [("hidden_share", arrow.float64()), ("height", arrow.int32())]
    fields += [("width", arrow.int32())]
    fields += [(name, arrow.binary()) for name in _PICTURES]
    fields += [(name, mask) for name in _MASKS]
    fields += [(n, arrow.string()) for n in ("person_source", "occluder_sources", "meta")]
    return arrow.schema(fields)


def _row(sample: Sample, members: dict[str, bytes]) -> Row:
    occluders = [credit(one) for one in sample.meta.get("occluders", [])]
    height, width = sample.amodal.shape
    return {
        "id": sample.sample_id,
        "split": sample.split,
        "person_id": sample.person_id,
        "occluder_ids": list(sample.occluder_ids),
        "occluder_classes": [one.get("category", "") for one in occluders],
        "hidden_share": sample.hidden_share,
        "height": height,
        "width": width,
        **{name: members.get(f"{name}.png") for name in _PICTURES},
        **{name: encode_mask(getattr(sample, name)) for name in _MASKS},
        "person_source": json.dumps(credit(sample.meta.get("person", {})), ensure_ascii=False),
        "occluder_sources": json.dumps(occluders, ensure_ascii=False),
        "meta": json.dumps(sample.meta, ensure_ascii=False),
    }
