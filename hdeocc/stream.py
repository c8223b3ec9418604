"""Training batches as a pure function of (seed, step), prepared one step ahead."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from typing import overload

import numpy as np

from hdeocc.augment import Augmentation, augment
from hdeocc.batch import Batch, collate
from synth.ahead import Ahead
from synth.live import Live
from synth.sample import Sample

CACHE_BYTES = 4 << 30


class Cached(Sequence[Sample]):
    """Samples kept in memory once read, up to ``limit`` bytes; the rest is read each time.

    Nothing is kept of an endless source, whose samples never come again.
    """

    def __init__(self, samples: Sequence[Sample], limit: int = CACHE_BYTES) -> None:
        self._samples = samples
        self._kept: dict[int, Sample] = {}
        self._free = 0 if endless(samples) else limit

    @property
    def endless(self) -> Live | None:
        """The endless source behind it, if it has one."""
        return endless(self._samples)

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


def endless(samples: Sequence[Sample]) -> Live | None:
    """The source of samples, seen through a cache, if it never runs out; else None."""
    if isinstance(samples, Cached):
        return samples.endless
    return samples if isinstance(samples, Live) and samples.endless else None


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
    """The augmented batch of one step: a pure function of its arguments.

    Of an endless source each step takes the next samples, which nobody has seen before.
    """
    if endless(samples) is not None:
        places = range(step * batch, (step + 1) * batch)
        return _fresh_batch([samples[place] for place in places], seed, step, how)
    rng = _batch_rng(seed, step)
    indices = batch_indices(len(samples), batch, seed, step)
    return collate([augment(samples, int(i), rng, how) for i in indices])


def _fresh_batch(fresh: list[Sample], seed: int, step: int, how: Augmentation) -> Batch:
    """The samples, varied; occluders are lent within the batch, where they are at hand."""
    rng = _batch_rng(seed, step)
    return collate([augment(fresh, place, rng, how) for place in range(len(fresh))])


def _batch_rng(seed: int, step: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, step)))


def training_batches(
    samples: Sequence[Sample], batch: int, seed: int, steps: range, how: Augmentation
) -> Iterator[Batch]:
    """Batches of the given steps in order, the next one made while this one is used.

    Samples of an endless source are made ahead by its processes; leaving early ends them.
    """
    with (
        _maker(samples, batch, seed, steps, how) as make,
        ThreadPoolExecutor(1, thread_name_prefix="batches") as pool,
    ):
        ahead = None
        for step in steps:
            now = ahead or pool.submit(make, step)
            ahead = pool.submit(make, step + 1) if step + 1 in steps else None
            yield now.result()


@contextmanager
def _maker(
    samples: Sequence[Sample], batch: int, seed: int, steps: range, how: Augmentation
) -> Iterator[Callable[[int], Batch]]:
    """What makes the batch of a step; an endless source is asked for the steps in order."""
    live = endless(samples)
    if live is None or not live.workers:
        yield lambda step: training_batch(samples, batch, seed, step, how)
        return
    places = range(steps.start * batch, steps.stop * batch)
    with closing(Ahead(live, places, live.workers)) as fresh:
        yield lambda step: _fresh_batch(list(islice(fresh, batch)), seed, step, how)
