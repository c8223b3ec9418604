"""Shape templates: clustering, and the rule that normalised scores choose the right shape."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hdeocc.templates import TemplateReweighting, fit_templates

SIZE = 16
box = st.tuples(*[st.integers(0, SIZE - 1)] * 4)


def box_mask(corners: tuple[int, int, int, int]) -> np.ndarray:
    y0, y1, x0, x1 = corners
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[min(y0, y1) : max(y0, y1) + 1, min(x0, x1) : max(x0, x1) + 1] = 1
    return mask


def branch(templates: np.ndarray, score: str = "cosine", **switches: object) -> TemplateReweighting:
    net = TemplateReweighting(*templates.shape[:2], 4, score, **switches)
    net.set_templates(templates)
    return net


def scores(net: TemplateReweighting, mask: np.ndarray, size: int = SIZE) -> np.ndarray:
    shown = torch.nn.functional.interpolate(torch.as_tensor(mask)[None, None], size=(size, size))
    return net.scores(shown)[0].detach().numpy()


@settings(max_examples=40, deadline=None)
@given(st.lists(box, min_size=3, max_size=6, unique=True), st.sampled_from(["cosine", "coverage"]))
def test_the_template_equal_to_the_mask_wins(corners: list, score: str) -> None:
    templates = np.stack([box_mask(c) for c in corners])
    assume(len(np.unique(templates, axis=0)) == len(templates) and templates[1].mean() < 1)
    assert scores(branch(templates, score), templates[1], 4 * SIZE).argmax() == 1


@settings(max_examples=20, deadline=None)
@given(box)
def test_a_fat_template_wins_only_with_raw_scores(corners: tuple) -> None:
    mask = box_mask(corners)
    assume(0.02 < mask.mean() < 0.8)
    templates = np.stack([np.ones_like(mask), mask, np.roll(mask, 3, axis=1)])
    for score in ("cosine", "coverage"):
        assert scores(branch(templates, score), mask).argmax() == 1
    soft = mask * 0.9 + 0.05
    assert scores(branch(templates, "raw"), soft).argmax() == 0


def test_raw_scores_are_sums_over_the_pixels_of_the_frame() -> None:
    rng = np.random.default_rng(0)
    templates = rng.random((3, SIZE, SIZE), np.float32)
    mask = rng.random((SIZE, SIZE), np.float32)
    wide = np.kron(mask, np.ones((4, 4), np.float32))
    stretched = np.kron(templates, np.ones((1, 4, 4), np.float32))
    wanted = (wide * stretched).sum(axis=(1, 2))
    assert np.allclose(scores(branch(templates, "raw"), wide, 4 * SIZE), wanted, rtol=1e-5)


def test_cosine_equals_its_definition() -> None:
    rng = np.random.default_rng(1)
    templates = rng.random((5, SIZE, SIZE), np.float32)
    mask = rng.random((SIZE, SIZE), np.float32)
    norms = np.sqrt((templates**2).sum((1, 2)) * (mask**2).sum())
    wanted = 10 * (templates * mask).sum((1, 2)) / norms
    assert np.allclose(scores(branch(templates), mask), wanted, rtol=1e-5)


@pytest.mark.parametrize("score", ["cosine", "coverage", "raw"])
def test_empty_masks_and_missing_templates_do_no_harm(score: str) -> None:
    net = branch(np.zeros((3, SIZE, SIZE), np.float32), score)
    assert torch.isfinite(net(torch.zeros(2, 1, 32, 32))).all()
    templates = np.zeros((3, SIZE, SIZE), np.float32)
    templates[1, 4:8, 4:8] = 1
    weights = branch(templates, score).scores(torch.rand(2, 1, 32, 32)).softmax(dim=1)
    assert torch.allclose(weights, torch.tensor([0.0, 1.0, 0.0]))


def test_no_gradient_reaches_the_mask_but_the_temperature_learns() -> None:
    rng = np.random.default_rng(2)
    net = branch(rng.random((4, SIZE, SIZE), np.float32))
    mask = torch.rand(2, 1, 32, 32, requires_grad=True)
    net(mask).square().sum().backward()
    assert mask.grad is None
    assert net.temperature.grad is not None and net.temperature.grad.abs() > 0


def test_hard_templates_are_binary_and_the_buffer_stays_soft() -> None:
    templates = np.random.default_rng(3).random((4, SIZE, SIZE), np.float32)
    net = branch(templates, hard=True)
    assert set(net.used_templates().unique().tolist()) == {0.0, 1.0}
    assert np.array_equal(net.state_dict()["templates"].numpy(), templates)


def test_set_templates_refuses_another_shape_or_range() -> None:
    net = branch(np.zeros((2, SIZE, SIZE), np.float32))
    with pytest.raises(ValueError, match="shape"):
        net.set_templates(np.zeros((3, SIZE, SIZE), np.float32))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        net.set_templates(np.full((2, SIZE, SIZE), 2, np.float32))
    with pytest.raises(ValueError, match="cosine"):
        TemplateReweighting(2, SIZE, 4, "cosin")


def people(count: int, seed: int = 0) -> list[np.ndarray]:
    """Masks of two kinds, standing and lying, each a little different."""
    rng = np.random.default_rng(seed)
    masks = []
    for i in range(count):
        mask = np.zeros((64, 64), bool)
        a, b = rng.integers(0, 4, 2)
        kind = (slice(4 + a, 60 - b), slice(24, 40)) if i % 2 else (slice(24, 40), slice(4, 60))
        mask[kind] = True
        masks.append(mask)
    return masks


def test_clustering_finds_the_kinds_of_shape_and_repeats_itself() -> None:
    found = fit_templates(people(40), 2, 32, seed=1)
    assert found.shape == (2, 32, 32) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() <= 1
    upright = found[:, :8, 14:18].mean(axis=(1, 2))
    assert sorted(upright.round()) == [0, 1]
    assert np.array_equal(found, fit_templates(people(40), 2, 32, seed=1))


def test_fewer_masks_than_templates_leave_the_rest_empty() -> None:
    masks = [*people(2), np.zeros((64, 64), bool)]
    found = fit_templates(masks, 5, 32, seed=0)
    assert (found[:2].max(axis=(1, 2)) == 1).all() and not found[2:].any()
    with pytest.raises(ValueError, match="no mask"):
        fit_templates([np.zeros((8, 8), bool)], 2, 8, seed=0)


def test_tight_templates_fill_their_frame() -> None:
    found = fit_templates(people(1), 1, 32, seed=0, tight=True)
    assert found.min() == 1


def test_the_limit_keeps_a_sample_of_all_masks() -> None:
    masks = people(60)
    found = fit_templates(masks, 4, 64, seed=0, limit=4)
    originals = {mask.tobytes() for mask in masks}
    assert {(t > 0.5).tobytes() for t in found} <= originals
    other = fit_templates(masks, 4, 64, seed=5, limit=4)
    assert not np.array_equal(found, other)
