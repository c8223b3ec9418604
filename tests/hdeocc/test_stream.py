"""Batches are a pure function of (seed, step), and augmentation keeps samples true."""

import multiprocessing
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hdeocc.augment import NO_AUGMENTATION, Augmentation, augment
from hdeocc.batch import Batch, UndeclaredInput, collate
from hdeocc.stream import Cached, batch_indices, endless, training_batch, training_batches
from synth.live import Live
from synth.occlusion_spec import Initial
from synth.plan import Plan, open_plan
from synth.sample import Sample, violations
from tests.fakes import make_samples
from tests.synth.tiny import tiny_recipe, write_tiny


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return make_samples(6, 48, np.random.default_rng(3))


@given(n=st.integers(1, 40), batch=st.integers(1, 17), seed=st.integers(0, 5))
def test_every_epoch_shows_every_sample_once(n: int, batch: int, seed: int) -> None:
    steps = -(-3 * n // batch)
    shown = np.concatenate([batch_indices(n, batch, seed, step) for step in range(steps)])[: 3 * n]
    for epoch in shown.reshape(3, n):
        assert sorted(epoch) == list(range(n))


def test_a_batch_depends_on_seed_and_step_alone(samples: list[Sample]) -> None:
    how = Augmentation()
    ahead = list(training_batches(samples, 4, 7, range(5), how))
    late = training_batch(Cached(samples), 4, 7, 3, how)
    assert ahead[3].ids == late.ids
    for name, tensor in late.fields.items():
        assert torch.equal(ahead[3].fields[name], tensor), name
    other = training_batch(samples, 4, 8, 3, how)
    assert not torch.equal(other.image, late.image)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), index=st.integers(0, 5))
def test_augmented_samples_keep_the_invariants(seed: int, index: int) -> None:
    samples = make_samples(6, 48, np.random.default_rng(3))
    how = Augmentation(recombine=1.0)
    varied = augment(samples, index, np.random.default_rng(seed), how)
    faults = [f for f in violations(varied) if "outside the occluders" not in f]
    assert faults == []  # interpolation may blend one pixel across an occluder's edge
    assert np.array_equal(varied.initial > 0.5, varied.modal)


def test_people_with_a_faulty_mask_are_not_recombined(samples: list[Sample]) -> None:
    """As the docstring says: their mask belongs to what hides them."""
    how = Augmentation(flip=0, scale=(1, 1), shift=0, recombine=1.0)
    faulty = []
    for sample in samples:
        initial = sample.initial.copy()
        initial[tuple(np.argwhere(sample.modal)[0])] = 0
        faulty.append(replace(sample, initial=initial))
    rng = np.random.default_rng(0)
    assert all(augment(faulty, i, rng, how) is faulty[i] for i in range(len(faulty)))


def test_recombination_changes_what_is_hidden(samples: list[Sample]) -> None:
    how = Augmentation(flip=0, scale=(1, 1), shift=0, recombine=1.0)
    made = [augment(samples, 0, np.random.default_rng(s), how) for s in range(8)]
    hidden = {m.modal.tobytes() for m in made}
    assert len(hidden) > 3
    for sample in made:
        assert violations(sample) == []
        assert sample.invisible.any()


OCCLUDER = 250


def coded(sample: Sample) -> Sample:
    """The sample with pictures that say what each pixel is: its label, or that it is occluder."""
    assert sample.parsing is not None
    clean = np.repeat(12 * sample.parsing[..., None], 3, axis=2)
    image = np.where(sample.occluder[..., None], np.uint8(OCCLUDER), clean)
    return replace(sample, image=image, clean=clean)


@pytest.mark.parametrize(
    "how",
    [
        Augmentation(flip=0, scale=(0.8, 1.2), shift=0, recombine=0),
        Augmentation(flip=0, scale=(1, 1), shift=0.2, recombine=0),
        Augmentation(flip=0, scale=(1, 1), shift=0, recombine=1),
    ],
    ids=["zoomed", "shifted", "recombined"],
)
def test_labels_and_masks_go_where_the_picture_goes(
    samples: list[Sample], how: Augmentation
) -> None:
    people, occluded = [coded(sample) for sample in samples], 0
    for seed in range(12):
        made = augment(people, seed % 6, np.random.default_rng(seed), how)
        assert made.parsing is not None and made.clean is not None
        labels = 12 * made.parsing
        shown = np.where(made.occluder, np.uint8(OCCLUDER), labels)
        for picture, wanted in ((made.clean, labels), (made.image, shown)):
            # Between two things zooming blends colours, but not labels.
            square = np.ones((5, 5), np.uint8)
            inside = cv2.erode(wanted, square) == cv2.dilate(wanted, square)
            assert (inside & (wanted > 0)).sum() > 50
            assert np.array_equal(picture[..., 0][inside], wanted[inside])
        occluded += int((shown == OCCLUDER).sum())
        assert np.array_equal(made.amodal, made.parsing > 0)
        assert np.array_equal(made.modal, made.amodal & ~made.occluder)
    assert occluded > 12 * 20


def test_a_recombined_person_is_hidden_within_the_range(samples: list[Sample]) -> None:
    how = Augmentation(flip=0, scale=(1, 1), shift=0, recombine=1.0, hidden=(0.2, 0.3))
    shares = []
    for seed in range(60):
        made = augment(samples, seed % 6, np.random.default_rng(seed), how)
        if made is not samples[seed % 6]:
            shares.append(made.hidden_share)
    assert len(shares) > 10 and min(shares) >= 0.2 and max(shares) <= 0.3


def test_mirroring_swaps_left_and_right(samples: list[Sample]) -> None:
    how = Augmentation(flip=1.0, scale=(1, 1), shift=0, recombine=0)
    mirrored = augment(samples, 0, np.random.default_rng(0), how)
    before, after = samples[0].parsing, mirrored.parsing
    assert before is not None and after is not None
    assert np.array_equal((before == 14)[:, ::-1], after == 15)
    assert np.array_equal(samples[0].image[:, ::-1], mirrored.image)


def test_no_augmentation_changes_nothing(samples: list[Sample]) -> None:
    same = augment(samples, 2, np.random.default_rng(0), NO_AUGMENTATION)
    assert np.array_equal(same.image, samples[2].image)


def test_a_method_sees_only_what_it_declares(samples: list[Sample]) -> None:
    batch = collate(samples[:2])
    narrow = batch.only({"image", "parsing"})
    assert set(narrow.fields) == {"image", "parsing", "has_parsing"}
    with pytest.raises(UndeclaredInput, match="amodal"):
        _ = narrow.amodal


def test_unknown_labels_and_pictures_are_flagged(samples: list[Sample]) -> None:
    bare = make_samples(2, 32, np.random.default_rng(0), clean=False, parsing=False)
    batch = collate([*bare])
    assert not batch.has_parsing.any() and not batch.has_clean.any()
    assert batch.parsing.shape == (2, 32, 32) and not batch.parsing.any()
    assert torch.equal(batch.clean, batch.image)
    assert isinstance(batch.to("cpu"), Batch)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return open_plan(tiny_recipe(), write_tiny(tmp_path_factory.mktemp("data")))


def test_an_endless_source_is_seen_through_a_cache_and_not_kept(plan: Plan) -> None:
    live, cached = Live(plan), Cached(Live(plan))
    assert endless(live) is live and endless(cached) is not None
    assert cached[3] is not cached[3] and len(cached) == len(live)
    finite = Cached(Live(plan, length=5))
    assert endless(finite) is None and finite[3] is finite[3]
    assert endless([]) is None


def assert_equal(one: Batch, two: Batch) -> None:
    assert one.ids == two.ids
    for name, tensor in one.fields.items():
        assert torch.equal(tensor, two.fields[name]), name


@pytest.mark.parametrize("workers", [0, 2])
def test_an_endless_source_never_gives_a_sample_twice(plan: Plan, workers: int) -> None:
    live, how = Live(plan, workers=workers), Augmentation()
    batches = list(training_batches(Cached(live), 5, 7, range(6), how))
    assert [i for batch in batches for i in batch.ids] == [live[i].sample_id for i in range(30)]
    for step, batch in enumerate(batches):
        assert_equal(batch, training_batch(live, 5, 7, step, how))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_training_gets_the_batches_it_would_have_had(plan: Plan, workers: int) -> None:
    live, how = Live(plan, workers=workers), Augmentation()
    straight = list(training_batches(live, 4, 3, range(6), how))
    for before, after in zip(straight[4:], training_batches(live, 4, 3, range(4, 6), how),
                             strict=True):  # fmt: skip
        assert_equal(before, after)


def test_leaving_early_ends_the_processes(plan: Plan) -> None:
    batches = training_batches(Live(plan, workers=1), 2, 0, range(1000), Augmentation())
    next(batches)
    children = multiprocessing.active_children()
    assert children
    batches.close()  # type: ignore[attr-defined]
    assert not any(child.is_alive() for child in children)


def test_occluders_are_lent_within_the_batch(plan: Plan) -> None:
    made: list[int] = []

    class Counting(Live):
        def __getitem__(self, index: Any) -> Any:
            made.append(index)
            return super().__getitem__(index)

    training_batch(Counting(plan), 6, 0, 2, Augmentation(recombine=1.0))
    assert made == list(range(12, 18))


@pytest.mark.parametrize("stored", [False, True])
def test_training_starts_from_the_initial_masks_of_the_data(
    stored: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Jittered as the recipe says, not replaced by the true modal masks, whatever is varied."""
    folder = write_tiny(tmp_path_factory.mktemp("jittered"))
    initial = Initial(kind="jitter", iou=(0.6, 0.8))
    live = Live(open_plan(tiny_recipe().model_copy(update={"initial": initial}), folder))
    samples = [live[i] for i in range(12)] if stored else live
    for step in range(3):
        batch = training_batch(samples, 4, 0, step, Augmentation(recombine=1.0))
        found, true = batch.initial >= 0.5, batch.modal >= 0.5
        iou = (found & true).sum((1, 2, 3)) / (found | true).sum((1, 2, 3))
        assert bool((iou < 0.95).all()) and float(iou.mean()) == pytest.approx(0.7, abs=0.15)
