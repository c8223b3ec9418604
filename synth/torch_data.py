"""A built data set for PyTorch: by index, or as a stream of tar shards; both give equal items.

>>> loader = DataLoader(SynthDataset("data/people", "train"), batch_size=16, shuffle=True)
>>> loader = DataLoader(stream("data/people", "train", shuffle=500), batch_size=16, num_workers=4)
>>> loader = DataLoader(stream("https://host/people/shard-{00000..00014}.tar"), batch_size=16)

An item is what ``to_tensors`` makes of a sample; give another function as ``transform`` to have
something else (``transform=lambda sample: sample`` gives the samples themselves).
"""

import json
import random
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webdataset
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset

from synth.errors import InputError
from synth.recipe import SPLITS
from synth.sample import Sample
from synth.store import Dataset
from synth.untrusted import decode_untrusted

Item = dict[str, Tensor | str]
MASKS = ("amodal", "modal", "invisible", "occluder")


def to_tensors(sample: Sample) -> Item:
    """A sample as tensors and texts that PyTorch's own collation can stack.

    Returns:
        ``image``, ``clean`` (3, H, W) uint8 RGB; ``amodal``, ``modal``, ``invisible``,
        ``occluder`` (1, H, W) bool; ``initial`` (1, H, W) float32 in [0, 1]; ``parsing`` (H, W)
        uint8 LIP-20; ``has_clean``, ``has_parsing`` () bool: where False, ``clean`` and
        ``parsing`` are zeros; ``hidden_share`` () float64; ``sample_id``, ``split``,
        ``person_id`` as text; ``occluder_ids`` and ``meta`` as JSON text.
    """
    clean = np.zeros_like(sample.image) if sample.clean is None else sample.clean
    parsing = np.zeros(sample.amodal.shape, np.uint8) if sample.parsing is None else sample.parsing
    masks = {name: torch.from_numpy(getattr(sample, name))[None] for name in MASKS}
    return {
        "image": _channels_first(sample.image),
        "clean": _channels_first(clean),
        **masks,
        "initial": torch.from_numpy(sample.initial)[None],
        "parsing": torch.from_numpy(parsing),
        "has_clean": torch.tensor(sample.clean is not None),
        "has_parsing": torch.tensor(sample.parsing is not None),
        "hidden_share": torch.tensor(sample.hidden_share, dtype=torch.float64),
        "sample_id": sample.sample_id,
        "split": sample.split,
        "person_id": sample.person_id,
        "occluder_ids": json.dumps(sample.occluder_ids),
        "meta": json.dumps(sample.meta, sort_keys=True),
    }


def _channels_first(picture: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))


class SynthDataset(TorchDataset[Any]):
    """One split of a built data set, by index.

    Args:
        folder: the data set.
        split: "train", "val" or "test".
        transform: what an item is made with.

    Raises:
        InputError: no data set there, or it has no such split.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        transform: Callable[[Sample], Any] = to_tensors,
    ) -> None:
        self.samples = Dataset.open(folder).split(split)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.samples[index])


class SampleStream(IterableDataset[Any]):
    """The samples of some tar shards, read from start to end; made by ``stream``.

    Every sample comes once an epoch: shards are shared out to the ranks of a distributed run
    (RANK and WORLD_SIZE, or torch.distributed), then to the workers of a DataLoader, so more
    than one shard a worker is needed to keep all of them busy. With ``shuffle`` the order is new
    in each epoch: call ``set_epoch`` before it. Ranks may get unequal numbers of samples, as
    their shards have: where every step waits for all ranks, end with the shortest.
    """

    def __init__(
        self,
        shards: list[str],
        split: str | None,
        shuffle: int,
        seed: int,
        transform: Callable[[Sample], Any],
    ) -> None:
        super().__init__()
        self.shards, self.split, self.transform = shards, split, transform
        self.shuffle, self.seed = shuffle, seed
        # Shared, so that workers that live through several epochs see it change.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch whose order is read."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the next iteration; nothing changes without ``shuffle``."""
        self._epoch.fill_(epoch)

    def __iter__(self) -> Iterator[Any]:
        for members in self._members():
            address, key = members["__url__"], members["__key__"]
            try:
                sample = decode_untrusted(_files(members))
            except (ValueError, InputError) as error:
                raise InputError(
                    f"{address}: sample {key} cannot be read ({error}); get that shard again"
                ) from None
            if self.split in (None, sample.split):
                yield self.transform(sample)

    def _members(self) -> Iterator[dict[str, Any]]:
        """The files of one sample after the other, by ending, as webdataset reads them."""
        mine = f"{self.seed}/{self.epoch}"
        shards = list(self.shards)
        where = self.shards[:1]
        stages: list[Any] = [webdataset.split_by_node, webdataset.split_by_worker]
        stages.append(partial(_noted, where))
        stages.append(webdataset.tarfile_to_samples())
        if self.shuffle:
            random.Random(mine).shuffle(shards)
            buffer = random.Random(f"{mine}/{_reader()}")
            stages.append(webdataset.shuffle(self.shuffle, initial=self.shuffle, rng=buffer))
        pipeline = webdataset.DataPipeline(webdataset.SimpleShardList(shards), *stages)
        try:
            yield from pipeline
        except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
            text = " ".join(str(error.args[0] if error.args else error).split())[:120]
            raise InputError(
                f"{where[0]}: cannot be read ({text}); check address and shard"
            ) from None


def _noted(where: list[str], shards: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The shards, each put into ``where`` before it is opened."""
    for shard in shards:
        where[:] = [shard["url"]]
        yield shard


def _files(members: dict[str, Any]) -> dict[str, bytes]:
    """What webdataset read, without its own notes."""
    return {ending: content for ending, content in members.items() if not ending.startswith("__")}


def _reader() -> str:
    """Rank and worker of this process, so that each shuffles its own way."""
    rank, _, worker, _ = webdataset.utils.pytorch_worker_info()
    return f"{rank}/{worker}"


def stream(
    source: str | Path,
    split: str | None = None,
    shuffle: int = 0,
    seed: int = 0,
    transform: Callable[[Sample], Any] = to_tensors,
) -> SampleStream:
    """Samples out of tar shards one after the other, without an index: from disk or an address.

    Args:
        source: folder of a built data set; or what webdataset reads: an address or "pipe:COMMAND",
            several with "{00000..00014}" or "::" between them.
        split: "train", "val" or "test"; a folder needs it, of an address it keeps only these.
        shuffle: samples held back to draw from, beside a new order of shards; 0 keeps the order.
        seed: of the shuffle.
        transform: what an item is made with.

    Raises:
        InputError: no data set in the folder, no such split, or, while iterating, a shard that
            cannot be read.
    """
    if split is not None and split not in SPLITS:
        raise InputError(f"{source}: no split {split!r}; there are {', '.join(SPLITS)}")
    if shuffle < 0:
        raise InputError(f"shuffle = {shuffle}: give 0 or more samples")
    if isinstance(source, str) and _is_address(source):
        shards = webdataset.shardlists.expand_urls(source)
    elif split is None:
        raise InputError(f"{source}: say which split of the folder; there are {', '.join(SPLITS)}")
    else:
        shards = [str(path) for path in Dataset.open(source).split(split).shards]
    return SampleStream(shards, split, shuffle, seed, transform)


def _is_address(source: str) -> bool:
    return source.startswith("pipe:") or "://" in source or source.endswith(".tar")
