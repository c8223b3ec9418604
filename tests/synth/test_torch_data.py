"""Reading with PyTorch: map style and stream give the same items, each once, in any division."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from synth.build import build
from synth.codec import sample_hash
from synth.errors import InputError
from synth.sample import Sample
from synth.store import Dataset
from synth.torch_data import MASKS, SynthDataset, stream, to_tensors
from tests.fakes import make_samples
from tests.synth.tiny import ROOT, tiny_recipe, write_tiny

TRAIN = 22


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = write_tiny(tmp_path_factory.mktemp("data"))
    made = tmp_path_factory.mktemp("set")
    build(tiny_recipe(train=TRAIN, shard_size=4), made, data, progress=False)
    return made


def itself(sample: Sample) -> Sample:
    return sample


def assert_equal_items(one: dict[str, Any], two: dict[str, Any]) -> None:
    assert one.keys() == two.keys()
    for name, value in one.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == two[name].dtype, name
            assert torch.equal(value, two[name]), name
        else:
            assert value == two[name], name


def by_id(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        name = item.sample_id if isinstance(item, Sample) else item["sample_id"]
        assert name not in found, f"{name} came twice"
        found[name] = item
    return found


def test_an_item_holds_every_field_of_its_sample() -> None:
    [sample] = make_samples(1, 24, np.random.default_rng(0))
    item: dict[str, Any] = to_tensors(sample)
    for name in ("image", "clean"):
        assert np.array_equal(item[name].numpy().transpose(1, 2, 0), getattr(sample, name))
    for name in (*MASKS, "initial"):
        assert item[name].shape == (1, 24, 24)
        assert np.array_equal(item[name][0].numpy(), getattr(sample, name))
    assert np.array_equal(item["parsing"].numpy(), sample.parsing)
    assert item["hidden_share"] == sample.hidden_share
    assert tuple(json.loads(item["occluder_ids"])) == sample.occluder_ids
    assert json.loads(item["meta"]) == sample.meta
    assert item["has_clean"] and item["has_parsing"]


def test_unknown_pictures_are_flagged_zeros() -> None:
    [sample] = make_samples(1, 24, np.random.default_rng(0), clean=False, parsing=False)
    item: dict[str, Any] = to_tensors(sample)
    assert not item["has_clean"] and not item["has_parsing"]
    assert not item["clean"].any() and not item["parsing"].any()
    assert item["clean"].shape == (3, 24, 24) and item["parsing"].shape == (24, 24)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_map_and_stream_give_equal_items_each_once(folder: Path, workers: int) -> None:
    stored = SynthDataset(folder, "train")
    options: dict[str, Any] = {"batch_size": None, "num_workers": workers}
    mapped = by_id(DataLoader(stored, **options))
    for shuffle in (0, 6):
        streamed = by_id(DataLoader(stream(folder, "train", shuffle), **options))
        assert mapped.keys() == streamed.keys() == set(stored.samples.ids)
        for name, item in mapped.items():
            assert_equal_items(item, streamed[name])


def test_samples_themselves_come_through_unchanged(folder: Path) -> None:
    split = Dataset.open(folder).split("val")
    for given in (SynthDataset(folder, "val", itself), stream(folder, "val", transform=itself)):
        hashes = [sample_hash(s) for s in DataLoader(given, batch_size=None)]
        assert hashes == [sample_hash(s) for s in split]


def test_items_stack_into_batches(folder: Path) -> None:
    batches = list(DataLoader(SynthDataset(folder, "train"), batch_size=8))
    assert [len(b["sample_id"]) for b in batches] == [8, 8, 6]
    assert batches[0]["image"].shape == (8, 3, 32, 32)
    assert batches[0]["amodal"].dtype == torch.bool


def test_ranks_and_workers_share_the_shards_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    for rank in range(2):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        mine = list(DataLoader(stream(folder, "train", 4), batch_size=None, num_workers=2))
        assert 0 < len(mine) < TRAIN
        seen += mine
    assert len(by_id(seen)) == TRAIN


def test_a_shuffle_is_new_each_epoch_and_repeats(folder: Path) -> None:
    def order(epoch: int, seed: int = 0) -> list[str]:
        shuffled = stream(folder, "train", 8, seed, itself)
        shuffled.set_epoch(epoch)
        return [sample.sample_id for sample in shuffled]

    assert order(0) == order(0)
    assert len({tuple(order(0)), tuple(order(1)), tuple(order(0, 1)), tuple(sorted(order(0)))}) == 4


def test_addresses_pipes_and_patterns_are_read(folder: Path) -> None:
    wanted = [s.sample_id for s in Dataset.open(folder).split("val")]
    last = len(list(folder.glob("*.tar"))) - 1
    pattern = f"shard-{{00000..{last:05d}}}.tar"
    for source in (f"pipe:cat {folder}/{pattern}", f"file://{folder}/{pattern}"):
        assert [s.sample_id for s in stream(source, "val", transform=itself)] == wanted
        assert len(list(stream(source, transform=itself))) == TRAIN + 10


@pytest.mark.parametrize(
    ("source", "split", "message"),
    [
        ("nowhere", "train", "holds no data set"),
        ("nowhere", "valid", "no split 'valid'"),
        ("nowhere", None, "say which split"),
    ],
)
def test_bad_sources_are_one_line(source: str, split: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        stream(source, split)
    assert "\n" not in caught.value.message


def test_a_broken_shard_is_named(folder: Path, tmp_path: Path) -> None:
    missing = tmp_path / "shard-00000.tar"
    with pytest.raises(InputError, match=f"{missing}.*cannot be read"):
        list(stream(str(missing)))
    content = bytearray((folder / "shard-00000.tar").read_bytes())
    content[512:560] = b"x" * 48
    missing.write_bytes(content)
    with pytest.raises(InputError, match=f"{missing}: sample 000000 cannot be read"):
        list(stream(str(missing)))
    missing.write_bytes(content[:700])
    with pytest.raises(InputError, match="cannot be read") as caught:
        list(stream(str(missing)))
    assert str(missing) in caught.value.message and "\n" not in caught.value.message


def test_only_this_module_imports_torch() -> None:
    code = "import sys, synth.store, synth.live, synth.ahead, synth.cli\n"
    code += "assert 'torch' not in sys.modules"
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0


def test_workers_that_live_on_follow_the_epoch(folder: Path) -> None:
    shuffled = stream(folder, "train", 8, transform=itself)
    loader = DataLoader(shuffled, batch_size=None, num_workers=1, persistent_workers=True)
    orders = []
    for epoch in (0, 1, 0):
        shuffled.set_epoch(epoch)
        orders.append([sample.sample_id for sample in loader])
    assert orders[0] == orders[2] != orders[1]
