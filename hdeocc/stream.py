"""Training batches as a pure function of (seed, step), prepared one step ahead."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from typing import overload

import numpy as np

from hdeocc.across import Share
from hdeocc.augment import Augmentation, augment
from hdeocc.batch import Batch, collate
from synth.ahead import Ahead
from synth.live import Live
from synth.sample import Sample

CACHE_BYTES = 4 << 30
ALONE = Share()


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
    samples: Sequence[Sample],
    batch: int,
    seed: int,
    step: int,
    how: Augmentation,
    share: Share = ALONE,
) -> Batch:
    """The augmented batch of one step, or a share of it: a pure function of its arguments.

    Of an endless source each step takes the next samples, which nobody has seen before. The samples
    of all shares are those of the whole batch; how they are varied is drawn for each share apart.
    """
    places = share.places(step, batch)
    if endless(samples) is not None:
        return _fresh_batch([samples[place] for place in places], seed, step, how, share)
    rng = _batch_rng(seed, step, share)
    first = places.start - step * batch
    indices = batch_indices(len(samples), batch, seed, step)[first : first + len(places)]
    return collate([augment(samples, int(i), rng, how) for i in indices])


def _fresh_batch(
    fresh: list[Sample], seed: int, step: int, how: Augmentation, share: Share
) -> Batch:
    """The samples, varied; occluders are lent within the share, where they are at hand."""
    rng = _batch_rng(seed, step, share)
    return collate([augment(fresh, place, rng, how) for place in range(len(fresh))])


def _batch_rng(seed: int, step: int, share: Share) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, step, *share.spawn)))


def training_batches(
    samples: Sequence[Sample],
    batch: int,
    seed: int,
    steps: range,
    how: Augmentation,
    share: Share = ALONE,
) -> Generator[Batch, None, None]:
    """Batches of the given steps in order, the next one made while this one is used.

    Samples of an endless source are made ahead by its processes; leaving early ends them.
    """
    with (
        _maker(samples, batch, seed, steps, how, share) as make,
        ThreadPoolExecutor(1, thread_name_prefix="batches") as pool,
    ):
        ahead = None
        for step in steps:
            now = ahead or pool.submit(make, step)
            ahead = pool.submit(make, step + 1) if step + 1 in steps else None
            yield now.result()


@contextmanager
def _maker(
    samples: Sequence[Sample],
    batch: int,
    seed: int,
    steps: range,
    how: Augmentation,
    share: Share,
) -> Iterator[Callable[[int], Batch]]:
    """What makes the batch of a step; an endless source is asked for the steps in order."""
    live = endless(samples)
    if live is None or not live.workers:
        yield lambda step: training_batch(samples, batch, seed, step, how, share)
        return
    places = (place for step in steps for place in share.places(step, batch))
    size = batch // share.world
    with closing(Ahead(live, places, live.workers)) as fresh:
        yield lambda step: _fresh_batch(list(islice(fresh, size)), seed, step, how, share)
