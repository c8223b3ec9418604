"""Damaged and hostile data sets: whoever reads one gets samples or one line, soon, in little room.

A hostile shard is consistent: its marker and ``dataset.json`` agree with what was forged.
"""

import copy
import io
import json
import math
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synth.build import build
from synth.codec import canonical
from synth.errors import InputError
from synth.export import FORMATS, export
from synth.shards import _add, _close, sealed
from synth.stats.collect import collect, summary
from synth.store import Dataset
from synth.torch_data import stream, to_tensors
from tests.synth.test_fuzz_sources import paths, put
from tests.synth.test_sources_fuzz import bomb
from tests.synth.tiny import ROOT, tiny_recipe, write_tiny

QUICK = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NASTY: list[Any] = [
    None, True, -1, 0, 10**12, 10**30, 1e308, math.nan, 0.5, "", "x", "\ud800", "../../evil",
    "a\0b", "y" * 5000, [], {}, [1], [None], ["a", "b"], [-1, 5], [0, 10**12], {"a": 1},
    [[0, 0, 5, 0, 5, 5]], {"size": [32, 32], "counts": [1024]}, {"size": [32, 32], "counts": "x"},
    {"person": 5}, {"occluders": [5]}, {"placements": [{"kind": "x"}]}, {"asked_range": [5]},
    {"person": {"keypoints": [["a", 1, 2]] * 17}}, {"asked_share": "x"},
]  # fmt: skip
SHARD = "shard-00000"
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set")
    photos = write_tiny(tmp_path_factory.mktemp("photos"))
    build(tiny_recipe(train=3, shard_size=3), folder, photos, progress=False)
    return folder


@pytest.fixture
def damaged(whole: Path, tmp_path: Path) -> Callable[[], Path]:
    """A maker of fresh copies, at ``tmp_path / "set"``."""

    def fresh() -> Path:
        shutil.rmtree(tmp_path / "set", ignore_errors=True)
        return Path(shutil.copytree(whole, tmp_path / "set"))

    return fresh


def read_all(folder: Path, kind: str = "coco") -> list[str]:
    """What stopped whoever read the data set, one line each that names a file of it."""
    readers: list[Callable[[], Any]] = [
        lambda: [to_tensors(s) for n in ("train", "val", "test") for s in _open(folder).split(n)],
        lambda: list(stream(folder, "train")),
        lambda: list(stream(str(folder / f"{SHARD}.tar"))),
        lambda: canonical(summary(_open(folder), collect(_open(folder), progress=False))),
        lambda: export(_open(folder), kind, folder.with_name("export"), progress=False),
    ]
    said = []
    for reader in readers:
        try:
            reader()
        except InputError as error:
            said.append(error.message)
    assert all(len(text.splitlines()) == 1 and str(folder) in text for text in said), said
    assert {path.name for path in folder.parent.iterdir()} <= {folder.name, "export"}
    return said


def _open(folder: Path) -> Dataset:
    return Dataset.open(folder)


def forge(folder: Path, change: Callable[[Members], None]) -> None:
    """Change the first sample's files; all else in the folder agrees with it."""
    marker = json.loads((folder / f"{SHARD}.json").read_bytes())
    old, new = (folder / f"{SHARD}.tar").read_bytes(), io.BytesIO()
    for sample in marker["samples"]:
        files = {ending: old[at : at + size] for ending, (at, size) in sample["members"].items()}
        if sample is marker["samples"][0]:
            change(files)
        sample["members"] = {k: list(_add(new, sample["id"], k, v)) for k, v in files.items()}
    _close(new)
    (folder / f"{SHARD}.tar").write_bytes(new.getvalue())
    info = json.loads((folder / "dataset.json").read_bytes())
    info["shards"][0]["bytes"] = marker["bytes"] = len(new.getvalue())
    (folder / "dataset.json").write_text(json.dumps(info))
    (folder / f"{SHARD}.json").write_bytes(sealed(marker))


def forge_label(folder: Path, path: tuple[Any, ...], value: Any) -> None:
    def change(files: Members) -> None:
        labels = json.loads(files["json"])
        put(labels, path, value)
        files["json"] = json.dumps(labels).encode()

    forge(folder, change)


def png(height: int, width: int) -> bytes:
    return bytes(cv2.imencode(".png", np.zeros((height, width), np.uint8))[1])


@pytest.mark.parametrize("kind", FORMATS)
def test_the_unharmed_data_set_reads(damaged: Callable[[], Path], kind: str) -> None:
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    folder = damaged()
    forge(folder, lambda files: None)
    assert read_all(folder, kind) == []


@QUICK
@given(st.data())
def test_any_byte_may_change(damaged: Callable[[], Path], data: st.DataObject) -> None:
    folder = damaged()
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.one_of(st.integers(0, 600), st.integers(0, len(content) - 1)))
        content[min(place, len(content) - 1)] = data.draw(st.integers(0, 255))
    keep = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path.write_bytes(bytes(content[:keep]))
    read_all(folder)


@QUICK
@given(st.sampled_from(["dataset.json", f"{SHARD}.json"]), st.data())
def test_any_value_of_an_index_may_be_anything(
    damaged: Callable[[], Path], name: str, data: st.DataObject
) -> None:
    folder = damaged()
    document = json.loads((folder / name).read_bytes())
    path = data.draw(st.sampled_from([(), *paths(document)]))
    value = copy.deepcopy(data.draw(st.sampled_from(NASTY)))
    if path:
        put(document, path, value)
    content = json.dumps(document if path else value).encode()
    if name == f"{SHARD}.json" and path:
        with suppress(UnicodeEncodeError):  # half a character, which no marker is sealed with
            content = sealed(document)
    (folder / name).write_bytes(content)
    # A recipe may plan any number of shards; that it is not the folder's is seen before.
    read_all(folder)


@QUICK
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_any_label_may_be_anything(
    damaged: Callable[[], Path], kind: str, data: st.DataObject
) -> None:
    folder = damaged()
    marker = json.loads((folder / f"{SHARD}.json").read_bytes())
    at, size = marker["samples"][0]["members"]["json"]
    labels = json.loads((folder / f"{SHARD}.tar").read_bytes()[at : at + size])
    path = data.draw(st.sampled_from(list(paths(labels))))
    forge_label(folder, path, copy.deepcopy(data.draw(st.sampled_from(NASTY))))
    read_all(folder, kind)


@pytest.mark.parametrize("value", ["../../evil", "/tmp/evil", "000001", "", 7, None])
def test_an_id_that_is_a_path_leads_nowhere(damaged: Callable[[], Path], value: Any) -> None:
    for kind in ("folder", "kins"):
        folder = damaged()
        forge_label(folder, ("id",), value)
        said = read_all(folder, kind)
        assert any(f"{SHARD}.tar: sample 000000 cannot be read" in text for text in said)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("image.png", png(8, 8), "has image of (8, 8) pixels"),
        ("clean.png", png(40, 40), "has clean of (40, 40) pixels"),
        ("parsing.png", png(1, 32), "has parsing of (1, 32) pixels"),
        ("initial.png", png(3000, 3), "more than 2048 pixels"),
        ("image.png", b"", "broken image.png"),
        ("json", b"\xff\xfe", "no JSON"),
        ("json", b'{"a":' + b"[" * 100_000, "nested too deeply"),
        ("parsing.png", cv2.imencode(".png", np.full((32, 32), 99, np.uint8))[1].tobytes(), "99"),
    ],
)
def test_files_that_do_not_fit_are_named(
    damaged: Callable[[], Path], name: str, content: bytes, words: str
) -> None:
    folder = damaged()
    forge(folder, lambda files: files.update({name: content}))
    said = read_all(folder)
    assert len(said) == 5 and all(words in text and "sample 000000" in text for text in said)


def test_another_shard_in_its_place_is_noticed(damaged: Callable[[], Path]) -> None:
    folder = damaged()
    for ending in ("tar", "json"):  # the first of val and the first of test
        one, two = folder / f"shard-00001.{ending}", folder / f"shard-00003.{ending}"
        one.rename(folder / "aside")
        two.rename(one)
        (folder / "aside").rename(two)
    info = json.loads((folder / "dataset.json").read_bytes())
    for row in info["shards"]:
        row["bytes"] = (folder / row["file"]).stat().st_size
    (folder / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"shard-00001.tar: sample 000003 cannot be read"):
        list(Dataset.open(folder).split("val"))


LIMITED = """
import resource, sys
from pathlib import Path
from tests.synth.test_fuzz_store import read_all
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 29),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for folder in sys.argv[1:]:
    print(len(read_all(Path(folder))))
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its size from /proc")
def test_nothing_large_is_allocated_on_the_word_of_a_file(whole: Path, tmp_path: Path) -> None:
    folders: list[Path] = []

    def fresh() -> Path:
        folders.append(tmp_path / str(len(folders)) / "set")
        shutil.copytree(whole, folders[-1])
        return folders[-1]

    for sides in ((60_000, 60_000), (16_000, 16_000), (2**31 - 1, 1)):
        for name in ("image.png", "parsing.png"):
            content = bomb(*sides)
            forge(fresh(), lambda files, n=name, c=content: files.update({n: c}))  # type: ignore[misc]
    forge_label(fresh(), ("size",), [10**9, 10**9])
    forge_label(fresh(), ("amodal",), {"size": [32, 32], "counts": [0, 10**18]})
    for place in ([0, 10**10], [10**15, 5], [0, -1], [0, 10**30]):
        index = fresh() / f"{SHARD}.json"
        marker = json.loads(index.read_bytes())
        marker["samples"][0]["members"]["image.png"] = place
        index.write_bytes(sealed(marker))
    for count in (10**12, 10**30):
        path = fresh() / "dataset.json"
        info = json.loads(path.read_bytes())
        info["recipe"]["counts"]["train"] = info["counts"]["train"] = count
        path.write_text(json.dumps(info))
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS")}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, folders)],
        cwd=ROOT, env={**os.environ, **threads}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = [int(line) for line in done.stdout.split()]
    assert len(told) == len(folders) and all(told)


def test_a_shard_that_claims_more_than_it_holds(damaged: Callable[[], Path]) -> None:
    folder = damaged()
    shard = folder / f"{SHARD}.tar"
    content = bytearray(shard.read_bytes())
    content[124:136] = b"77777777777\0"  # the size of the first member, in octal: 8 GB
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    shard.write_bytes(bytes(content))
    with pytest.raises(InputError, match=rf"{SHARD}.tar: cannot be read"):
        list(stream(folder, "train"))
    shard.write_bytes(zlib.compress(bytes(content)))
    with pytest.raises(InputError, match=rf"{SHARD}.tar: cannot be read"):
        list(stream(str(shard)))
