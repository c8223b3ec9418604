"""The smooth continuation of known colours into a hole."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hdeocc.smooth_fill import part_fill, smooth_fill


def _case(seed: int, size: int, share: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, size, size, generator=generator)
    known = (torch.rand(2, 1, size, size, generator=generator) < share).float()
    known[:, :, 0, 0] = 1
    return image, known


cases = st.tuples(st.integers(0, 99), st.integers(1, 33), st.floats(0.02, 1.0))


@settings(max_examples=40, deadline=None)
@given(cases)
def test_known_pixels_stay_and_unknown_ones_are_not_read(case: tuple[int, int, float]) -> None:
    image, known = _case(*case)
    filled = smooth_fill(image, known)
    assert torch.equal(filled * known, image * known)
    other = torch.where(known > 0, image, torch.full_like(image, float("nan")))
    assert torch.equal(filled, smooth_fill(other, known))


@settings(max_examples=40, deadline=None)
@given(cases)
def test_the_fill_stays_within_the_known_colours(case: tuple[int, int, float]) -> None:
    image, known = _case(*case)
    filled = smooth_fill(image, known)
    for picture, mask, made in zip(image, known, filled, strict=True):
        seen = picture[:, mask[0] > 0]
        assert (made.amin(dim=(1, 2)) >= seen.amin(dim=1) - 1e-5).all()
        assert (made.amax(dim=(1, 2)) <= seen.amax(dim=1) + 1e-5).all()


def test_one_colour_is_continued_exactly() -> None:
    known = torch.zeros(1, 1, 48, 48)
    known[..., 20:24, 5:9] = 1
    image = torch.full((1, 3, 48, 48), 0.3)
    assert torch.allclose(smooth_fill(image, known), image, atol=1e-6)


def test_a_step_is_smoothed_from_one_side_to_the_other() -> None:
    known = torch.ones(1, 1, 32, 32)
    known[..., 12:20] = 0
    image = torch.zeros(1, 1, 32, 32)
    image[..., 20:] = 1
    row = smooth_fill(image, known)[0, 0, 16]
    assert (row.diff() >= -1e-6).all() and 0.3 < float(row[15:17].mean()) < 0.7


def test_nothing_known_gives_zero() -> None:
    assert not smooth_fill(torch.rand(1, 3, 17, 9), torch.zeros(1, 1, 17, 9)).any()


def test_each_part_continues_its_own_colour() -> None:
    """Red above, blue below, the lower right corner hidden: it becomes blue, not a mixture."""
    upper = torch.zeros(1, 1, 64, 64)
    upper[..., :32, :] = 1
    image = torch.cat([upper, torch.zeros_like(upper), 1 - upper], dim=1)
    whole = torch.cat([upper, 1 - upper], dim=1)
    seen = torch.ones(1, 1, 64, 64)
    seen[..., 40:, 24:] = 0
    filled = part_fill(torch.where(seen > 0, image, 0.5), whole * seen, whole)
    corner = filled[0, :, 56:, 56:].mean(dim=(1, 2))
    assert corner[2] > 0.9 and corner[0] < 0.1


def test_an_unseen_part_takes_the_colours_of_the_person() -> None:
    whole = torch.zeros(1, 2, 64, 64)
    whole[:, 0, :32], whole[:, 1, 32:] = 1, 1
    seen = torch.zeros(1, 1, 64, 64)
    seen[..., :32, :] = 1
    image = torch.full((1, 3, 64, 64), 0.7) * seen
    assert torch.allclose(part_fill(image, whole * seen, whole)[..., 48:, :], torch.tensor(0.7))


def test_part_colours_do_not_read_hidden_pixels() -> None:
    image, known = _case(3, 64, 0.5)
    parts = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
    other = torch.where(known > 0, image, torch.full_like(image, float("nan")))
    one, two = (part_fill(x, parts * known, parts) for x in (image, other))
    assert torch.equal(one, two)
