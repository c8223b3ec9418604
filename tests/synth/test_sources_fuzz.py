"""Broken and hostile files: every reader gives people, rejections, or one line, and soon."""

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter

from synth.errors import InputError
from synth.source_specs import OccluderSpec, PeopleSpec
from synth.sources.label_sets import ATR, LIP, PASCAL_PARTS
from synth.sources.open import open_occluders, open_people
from tests.synth.coco_files import WHOLE, dataset, write
from tests.synth.figures import PARTS, PASCAL, drawn, photo, save

FILES = {
    "photos/a.jpg": photo(),
    "photos/b.jpg": photo(1),
    "masks/a.png": (drawn(LIP, PARTS) > 0).astype(np.uint8) * 255,
    "masks/b.png": (drawn(LIP, PARTS) > 0).astype(np.uint8),
    "lip/a.png": drawn(LIP, PARTS),
    "lip/b.png": drawn(LIP, PARTS),
    "atr/a.png": drawn(ATR, PARTS),
    "pascal/a.png": drawn(PASCAL_PARTS, PASCAL),
    "cut/a.png": np.dstack([photo(), (drawn(LIP, PARTS) > 0) * np.uint8(255)]),
    "cut/b.webp": np.dstack([photo(), (drawn(LIP, PARTS) > 0) * np.uint8(255)]),
}
PEOPLE = [
    {"source": "lip", "images": "photos", "parsings": "lip"},
    {"source": "atr", "images": "photos", "parsings": "atr"},
    {"source": "pascal-parts", "images": "photos", "parsings": "pascal"},
    {"source": "ahp", "images": "photos", "masks": "masks"},
    {"source": "folder", "images": "photos", "masks": "masks", "parsings": "lip"},
    {"source": "rgba", "path": "cut", "max_border_contact": 1.0},
    {"source": "coco", "annotations": "a.json", "images": "images"},
]
OCCLUDERS = [
    {"source": "folder", "images": "photos", "masks": "masks"},
    {"source": "rgba", "path": "cut"},
    {"source": "coco", "annotations": "a.json", "images": "images", "exclude": [], "min_area": 300},
]


def lay_out(root: Path) -> None:
    for name, array in FILES.items():
        save(root / name, array, palette=name.startswith("pascal"))
    write(root, dataset(WHOLE))


def open_and_load(root: Path) -> list[str]:
    """Every source that opens, with everybody in it loaded once; what fails must be one line."""
    opened = []
    entries: list[tuple[Callable, TypeAdapter, list]] = [
        (open_people, TypeAdapter(PeopleSpec), [e | {"min_area": 300} for e in PEOPLE]),
        (open_occluders, TypeAdapter(OccluderSpec), OCCLUDERS),
    ]
    for opener, adapter, specs in entries:
        for entry in specs:
            try:
                source = opener(adapter.validate_python(entry), root)
                for identity in source.ids():
                    source.load(identity, 16, np.random.default_rng(0))
                opened.append(f"{opener.__name__} {source.name}")
                assert all("\n" not in r.reason and r.file for r in source.rejected)
            except InputError as error:
                assert "\n" not in error.message and str(root) in error.message
    return opened


def test_the_unharmed_files_all_open(tmp_path: Path) -> None:
    lay_out(tmp_path)
    assert len(open_and_load(tmp_path)) == len(PEOPLE) + len(OCCLUDERS)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_files_with_changed_bytes(tmp_path: Path, data: st.DataObject) -> None:
    lay_out(tmp_path)
    name = data.draw(st.sampled_from([*sorted(FILES), "a.json", "images/one.png"]))
    content = bytearray((tmp_path / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        # Most of what matters stands near the start: sizes, modes, palettes.
        place = data.draw(st.one_of(st.integers(0, 80), st.integers(0, len(content) - 1)))
        content[min(place, len(content) - 1)] = data.draw(st.integers(0, 255))
    keep = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    (tmp_path / name).write_bytes(bytes(content[:keep]))
    open_and_load(tmp_path)


MODES = ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I;16", "F"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(sorted(FILES)), st.sampled_from(MODES), st.data())
def test_pictures_of_every_kind_and_shape(
    tmp_path: Path, name: str, mode: str, data: st.DataObject
) -> None:
    lay_out(tmp_path)
    shape = data.draw(st.sampled_from([(120, 80), (1, 1), (80, 120), (1, 500), (500, 1)]))
    values = data.draw(st.sampled_from([[0], [0, 1], [0, 255], [255], list(range(7)), [3, 200]]))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    image = Image.fromarray(rng.choice(values, shape).astype(np.uint8)).convert(mode)
    exif = Image.Exif()
    exif[0x0112] = data.draw(st.sampled_from([0, 1, 3, 6, 9]))
    # What counts is what a file holds, not its suffix; TIFF is no format that is read.
    kind = {"CMYK": "JPEG", "F": "TIFF"}.get(mode, "PNG")
    image.save(tmp_path / name, format=kind, exif=exif)
    open_and_load(tmp_path)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few kilobytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    rows = zlib.compress(bytes(2_000_000), 9)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


LIMITED = """
import resource, sys
from pathlib import Path
from tests.synth.test_sources_fuzz import open_and_load
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
print(*open_and_load(Path(sys.argv[1])), sep="\\n")
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its size from /proc")
def test_bombs_are_refused_in_bounded_memory(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for number, size in enumerate([(60_000, 60_000), (2_000_000, 40), (2**31 - 1, 1)]):
        for name in ("photos", "masks", "lip", "atr", "pascal", "cut", "images"):
            (tmp_path / name / f"bomb{number}.png").write_bytes(bomb(*size))
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        cwd=Path(__file__).resolve().parents[2], env={**os.environ, **threads},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(PEOPLE) + len(OCCLUDERS)
