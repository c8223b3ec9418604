"""Reading a data set: lazily, by index, and with other people's tools."""

import io
import json
import os
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from synth import store
from synth.build import build
from synth.codec import decode, encode, is_whole_png, sample_hash
from synth.errors import InputError
from synth.plan import make_sample, open_plan
from synth.sample import Sample, violations
from synth.shards import Entry, Job, Marker, read_marker
from synth.store import Dataset, Split
from tests.synth.tiny import tiny_recipe


@pytest.fixture(scope="module")
def dataset(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("set")
    build(tiny_recipe(), folder, data, progress=False)
    return Dataset.open(folder)


@pytest.fixture
def copy(dataset: Dataset, tmp_path: Path) -> Path:
    for path in dataset.path.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def random_sample(seed: int, labelled: bool, known: bool) -> Sample:
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(3, 40, 2))
    amodal = rng.random((height, width)) < 0.6
    amodal[0, 0] = True
    parsing = (rng.integers(0, 20, (height, width)) * amodal).astype(np.uint8)
    image = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Sample(
        sample_id="000007",
        split="val",
        image=image,
        clean=image[::-1].copy() if known else None,
        amodal=amodal,
        modal=amodal & (rng.random((height, width)) < 0.5),
        occluder=rng.random((height, width)) < 0.5,
        parsing=parsing if labelled else None,
        initial=(rng.integers(0, 256, (height, width)) / np.float32(255)).astype(np.float32),
        person_id="søurce:1",
        occluder_ids=("a:1", "b:2"),
        meta={"licence": "x", "n": [1, 2.5, None]},
    )


def assert_equal(one: Sample, two: Sample) -> None:
    for name in one.__dataclass_fields__:
        a, b = getattr(one, name), getattr(two, name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype, name
            assert np.array_equal(a, b), name
        else:
            assert a == b, name


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.booleans(), st.booleans())
def test_a_sample_survives_storage_exactly(seed: int, labelled: bool, known: bool) -> None:
    sample = random_sample(seed, labelled, known)
    again = decode(encode(sample))
    assert_equal(sample, again)
    assert sample_hash(sample) == sample_hash(again)


def test_the_hash_sees_every_field() -> None:
    from dataclasses import replace

    sample = random_sample(0, True, True)
    changed: list[dict[str, Any]] = [{"person_id": "z"}, {"split": "test"}, {"sample_id": "000008"}]
    changed += [{"occluder_ids": ("b:2", "a:1")}, {"meta": {}}, {"clean": None}, {"parsing": None}]
    for name in ("image", "clean", "amodal", "modal", "occluder", "parsing", "initial"):
        array = getattr(sample, name).copy()
        array.flat[-1] = not array.flat[-1]
        changed.append({name: array})
    hashes = {sample_hash(replace(sample, **change)) for change in changed}
    assert len(hashes | {sample_hash(sample)}) == len(changed) + 1


def test_initial_is_stored_only_where_it_differs() -> None:
    from dataclasses import replace

    sample = random_sample(0, True, True)
    same = replace(sample, initial=sample.modal.astype(np.float32))
    assert "initial.png" in encode(sample)
    assert "initial.png" not in encode(same)
    assert_equal(same, decode(encode(same)))


def test_stored_samples_are_those_of_the_plan(dataset: Dataset, data: Path) -> None:
    plan = open_plan(tiny_recipe(), data)
    stored = [sample for name in ("train", "val", "test") for sample in dataset.split(name)]
    assert len(stored) == len(plan) == len(dataset) == 24
    for index in (0, 5, 13, 14, 23):
        assert_equal(make_sample(plan, index), stored[index])


def test_split_is_a_lazy_picklable_sequence(dataset: Dataset) -> None:
    split = pickle.loads(pickle.dumps(dataset.split("train")))
    assert len(split) == 14
    assert split.size == 32
    assert split.ids == [f"{i:06d}" for i in range(14)]
    assert split[-1].sample_id == split[13].sample_id == split[np.int64(13)].sample_id == "000013"
    assert [s.sample_id for s in split[2:5]] == ["000002", "000003", "000004"]
    for wrong in (14, -15):
        with pytest.raises(IndexError):
            split[wrong]
    assert split.fingerprint == dataset.info["split_fingerprints"]["train"]
    assert split.fingerprint != dataset.split("test").fingerprint


def test_a_split_reads_one_index_a_shard_when_it_is_needed(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(folder: Path, job: Job) -> Any:
        read.append(job.name)
        return read_marker(folder, job)

    monkeypatch.setattr(store, "read_marker", counted)
    split = dataset.split("train")
    assert len(split) == 14 and len(split.ids) == 14 and read == []
    split[13], split[12], split[5], split[13]
    assert read == ["shard-00003.tar", "shard-00001.tar"]
    assert [s.sample_id for s in split] == split.ids
    assert sorted(read) == [f"shard-{i:05d}.tar" for i in range(4)]
    test = dataset.split("test")
    assert [s.sample_id for s in test] == test.ids == [f"{i:06d}" for i in range(18, 24)]


def test_few_indices_are_kept_however_many_samples_there_are(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "read_marker", lambda folder, job: _marker(job))
    planned = [Job(n, "train", 1000 * n, 1000) for n in range(1000)]
    split = Split(dataset.path, "train", 32, "", planned)
    assert len(split) == 1_000_000 and split.shards[-1].name == "shard-00999.tar"
    for index in range(0, 1_000_000, 10_000):
        with pytest.raises(InputError, match=f"sample {index:06d} cannot be read"):
            split[index]
    kept = split._entries.cache_info()
    assert kept.currsize == kept.maxsize <= 64
    assert len(pickle.dumps(split)) < 60_000


def _marker(job: Job) -> Marker:
    entries = [Entry(f"{i:06d}", "", {"json": (0, 1)}) for i in range(job.first, job.first + 1000)]
    return Marker("", job.split, job.first, 0, "", "", tuple(entries))


def test_files_of_a_sample_come_with_it(dataset: Dataset) -> None:
    sample, members = dataset.split("val").read(-1)
    assert sample.sample_id == "000017"
    assert_equal(decode(members), sample)


def test_unknown_and_empty_splits_are_input_errors(data: Path, tmp_path: Path) -> None:
    recipe = tiny_recipe().model_copy(
        update={"counts": tiny_recipe().counts.model_copy(update={"val": 0})}
    )
    made = build(recipe, tmp_path, data, progress=False)
    assert made is not None
    with pytest.raises(InputError, match="no val samples"):
        made.split("val")
    with pytest.raises(InputError, match="'valid'; there are train, val, test"):
        made.split("valid")


def test_webdataset_reads_the_same(dataset: Dataset) -> None:
    shards = sorted(str(path) for path in dataset.path.glob("*.tar"))
    ours: Iterator[Sample] = (s for name in ("train", "val", "test") for s in dataset.split(name))
    count = 0
    for theirs, sample in zip(webdataset.WebDataset(shards, shardshuffle=False), ours, strict=True):
        assert theirs["__key__"] == sample.sample_id
        assert np.array_equal(_picture(theirs["image.png"]), sample.image)
        assert sample.clean is not None
        assert np.array_equal(_picture(theirs["clean.png"]), sample.clean)
        assert json.loads(theirs["json"])["person_id"] == sample.person_id
        assert np.array_equal(_picture(theirs["initial.png"]), np.rint(sample.initial * 255))
        count += 1
    assert count == 24


def _picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_annotations_load_with_pycocotools(dataset: Dataset) -> None:
    coco = COCO(str(dataset.path / "annotations.json"))
    test = dataset.split("test")
    assert len(coco.getImgIds()) == len(coco.getAnnIds()) == 24
    for place, sample in enumerate(test):
        image = coco.loadImgs(18 + place)[0]
        assert (image["file_name"], image["split"]) == (f"{sample.sample_id}.image.png", "test")
        [annotation] = coco.loadAnns(coco.getAnnIds(imgIds=[18 + place]))
        assert np.array_equal(coco.annToMask(annotation), sample.amodal)
        for name in ("visible", "invisible", "occluder"):
            mask = coco_mask.decode(annotation[f"{name}_mask"])
            wanted = sample.modal if name == "visible" else getattr(sample, name)
            assert np.array_equal(mask, wanted), name
        assert annotation["area"] == sample.amodal.sum()
        assert annotation["visible_area"] == sample.modal.sum()
        assert annotation["occluder_ids"] == list(sample.occluder_ids)
        assert annotation["occlude_rate"] == pytest.approx(sample.hidden_share, abs=1e-6)


def test_tar_headers_depend_on_nothing_but_content(dataset: Dataset) -> None:
    with tarfile.open(dataset.path / "shard-00000.tar") as tar:
        members = tar.getmembers()
    assert [m.name for m in members[:4]] == [
        "000000.image.png",
        "000000.clean.png",
        "000000.initial.png",
        "000000.json",
    ]
    assert {(m.mtime, m.uid, m.gid, m.mode, m.uname) for m in members} == {(0, 0, 0, 0o644, "")}


def test_all_samples_hold_the_invariants(dataset: Dataset) -> None:
    for name in ("train", "val", "test"):
        for sample in dataset.split(name):
            assert violations(sample) == []
            assert sample.split == name


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (lambda f: (f / "dataset.json").unlink(), "is not finished"),
        (lambda f: (f / "dataset.json").write_text("{"), "damaged"),
        (lambda f: (f / "dataset.json").write_text('{"schema": 99}'), "schema 99"),
        (lambda f: (f / "dataset.json").write_text('{"schema": 1}'), "damaged"),
        (lambda f: (f / "shard-00001.tar").unlink(), "1 shards are missing.*shard-00001.tar"),
        (lambda f: os.truncate(f / "shard-00001.tar", 900), "missing or cut off"),
    ],
)
def test_open_refuses_what_is_not_whole(fault: Any, message: str, copy: Path) -> None:
    fault(copy)
    with pytest.raises(InputError, match=message) as caught:
        Dataset.open(copy)
    assert str(copy) in caught.value.message
    assert "\n" not in caught.value.message


def test_no_data_set_and_damaged_index(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no data set"):
        Dataset.open(tmp_path / "nothing")
    (copy / "shard-00000.json").write_text("[]")
    split = Dataset.open(copy).split("train")
    with pytest.raises(InputError, match="index of shard-00000.tar"):
        split[0]
    assert split[4].sample_id == "000004"


def test_a_damaged_sample_is_an_input_error_when_read(copy: Path) -> None:
    split = Dataset.open(copy).split("train")
    content = bytearray((copy / "shard-00000.tar").read_bytes())
    content[512:560] = b"x" * 48
    (copy / "shard-00000.tar").write_bytes(content)
    with pytest.raises(InputError, match="sample 000000 cannot be read"):
        split[0]
    assert split[1].sample_id == "000001"


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_or_cut_png_is_known_before_it_is_decoded(place: int, change: int) -> None:
    content = encode(random_sample(3, True, True))["image.png"]
    assert is_whole_png(content) and is_whole_png(content + b"tail")
    changed = bytearray(content)
    changed[place % len(content)] ^= change
    assert not is_whole_png(bytes(changed))
    assert not is_whole_png(content[: place % len(content)])
