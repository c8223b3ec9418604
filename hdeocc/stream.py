"""Training batches as a pure function of (seed, step), prepared one step ahead."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import overload

import numpy as np

from hdeocc.augment import Augmentation, augment
from hdeocc.batch import Batch, collate
from synth.sample import Sample

CACHE_BYTES = 4 << 30


class Cached(Sequence[Sample]):
    """Samples kept in memory once read, up to ``limit`` bytes; the rest is read each time."""

    def __init__(self, samples: Sequence[Sample], limit: int = CACHE_BYTES) -> None:
        self._samples = samples
        self._kept: dict[int, Sample] = {}
        self._free = limit

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        kept = self._kept.get(index)
        if kept is None:
            kept = self._samples[index]
            cost = 16 * kept.amodal.size
            if cost <= self._free:
                self._free -= cost
                self._kept[index] = kept
        return kept


def batch_indices(n: int, batch: int, seed: int, step: int) -> np.ndarray:
    """Sample indices of one step: every sample once an epoch, in a new order each epoch.

    Returns:
        (batch,) int64 in [0, n).
    """
    places = np.arange(step * batch, (step + 1) * batch)
    indices = np.empty(batch, np.int64)
    for epoch in np.unique(places // n):
        order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, int(epoch))))
        mine = places // n == epoch
        indices[mine] = order.permutation(n)[places[mine] % n]
    return indices


def training_batch(
    samples: Sequence[Sample], batch: int, seed: int, step: int, how: Augmentation
) -> Batch:
    """The augmented batch of one step: a pure function of its arguments."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, step)))
    indices = batch_indices(len(samples), batch, seed, step)
    return collate([augment(samples, int(i), rng, how) for i in indices])


def training_batches(
    samples: Sequence[Sample], batch: int, seed: int, steps: range, how: Augmentation
) -> Iterator[Batch]:
    """Batches of the given steps in order, the next one made while this one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        ahead = None
        for step in steps:
            now = ahead or pool.submit(training_batch, samples, batch, seed, step, how)
            ahead = (
                pool.submit(training_batch, samples, batch, seed, step + 1, how)
                if step + 1 in steps
                else None
            )
            yield now.result()
