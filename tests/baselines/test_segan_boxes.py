"""Boxes around masks: their edges, pooling over them, and the way in and out of them."""

import math

import pytest
import torch
from torch import Tensor

from baselines.segan_boxes import Boxes, crop, paste, roi_max_pool, visible_boxes

WHOLE = Boxes(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 1.0]]))


def mask_of(rows: slice, columns: slice, height: int = 20, width: int = 40) -> Tensor:
    mask = torch.zeros(1, 1, height, width)
    mask[:, :, rows, columns] = 1
    return mask


def test_a_box_grows_by_a_share_of_its_own_size_on_each_side() -> None:
    mask = mask_of(slice(5, 10), slice(10, 30))  # 5 x 20 of 20 x 40
    boxes = visible_boxes(mask, torch.tensor([[0.2, 0.4, 0.1, 0.3]]))
    assert boxes.rows.tolist() == [pytest.approx([4 / 20, 12 / 20])]
    assert boxes.columns.tolist() == [pytest.approx([8 / 40, 36 / 40])]


def test_a_box_ends_at_the_frame() -> None:
    boxes = visible_boxes(mask_of(slice(0, 20), slice(1, 39)), torch.full((1, 4), 0.2))
    assert boxes.rows.tolist() == [[0, 1]] and boxes.columns.tolist() == [[0, 1]]


def test_an_empty_mask_has_the_whole_frame_and_a_soft_one_is_cut_at_a_half() -> None:
    empty = visible_boxes(torch.full((1, 1, 20, 40), 0.49), torch.full((1, 4), 0.2))
    assert empty.rows.tolist() == [[0, 1]] and empty.columns.tolist() == [[0, 1]]
    soft = 0.4 + 0.1 * mask_of(slice(8, 12), slice(4, 8))
    boxes = visible_boxes(soft, torch.zeros(1, 4))
    assert boxes.rows.tolist() == [pytest.approx([8 / 20, 12 / 20])]


def test_every_sample_has_its_own_box() -> None:
    masks = torch.cat([mask_of(slice(0, 4), slice(0, 4)), mask_of(slice(10, 20), slice(20, 40))])
    boxes = visible_boxes(masks, torch.zeros(2, 4))
    assert boxes.rows.tolist() == [pytest.approx([0, 0.2]), pytest.approx([0.5, 1])]


def slow_pool(cells: Tensor, rows: list[float], columns: list[float], bins: int) -> Tensor:
    """The definition, bin by bin, for one map (h, w)."""

    def parts(span: list[float], count: int) -> list[slice]:
        low, size = span[0] * count, (span[1] - span[0]) * count
        edges = [low + size * i / bins for i in range(bins + 1)]
        return [slice(math.floor(a), math.ceil(b)) for a, b in zip(edges, edges[1:], strict=False)]

    height, width = cells.shape
    return torch.tensor(
        [[float(cells[r, c].max()) for c in parts(columns, width)] for r in parts(rows, height)]
    )


@pytest.mark.parametrize("bins", [1, 3, 6])
def test_pooling_takes_the_largest_cell_that_a_bin_touches(bins: int) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 3, 9, 14, generator=generator)
    ends = torch.rand(5, 4, generator=generator)
    rows = torch.stack([0.5 * ends[:, 0], 0.5 + 0.5 * ends[:, 1]], dim=1)
    columns = torch.stack([0.3 * ends[:, 2], 0.3 + 0.2 * ends[:, 3]], dim=1)  # 6 bins share cells
    pooled = roi_max_pool(features, Boxes(rows, columns), bins)
    assert pooled.shape == (5, 3, bins, bins)
    for i in range(5):
        for channel in range(3):
            wanted = slow_pool(features[i, channel], rows[i].tolist(), columns[i].tolist(), bins)
            assert torch.equal(pooled[i, channel], wanted)


def test_bins_that_end_on_a_cell_do_not_touch_the_next() -> None:
    features = torch.randn(1, 2, 18, 12, generator=torch.Generator().manual_seed(0))
    exact = Boxes(torch.tensor([[1 / 3, 2 / 3]]), torch.tensor([[0.5, 1.0]]))
    assert torch.equal(roi_max_pool(features, exact, 6), features[:, :, 6:12, 6:])
    # The smallest box that a mask can have: one pixel of a thousand.
    tiny = Boxes(torch.tensor([[0.5, 0.501]]), torch.tensor([[0.999, 1.0]]))
    assert bool((roi_max_pool(features, tiny, 6) == features[:, :, 9:10, 11:]).all())


def test_pooling_hands_its_gradient_to_the_cells_that_it_took() -> None:
    features = torch.zeros(1, 1, 4, 4)
    features[0, 0, 1, 2] = 1
    features.requires_grad_(True)
    roi_max_pool(features, WHOLE, 1).sum().backward()
    assert features.grad is not None
    assert features.grad.nonzero().tolist() == [[0, 0, 1, 2]]


def test_a_crop_holds_the_labels_of_its_box() -> None:
    labels = torch.arange(48.0).reshape(1, 1, 6, 8)
    boxes = Boxes(torch.tensor([[2 / 6, 4 / 6]]), torch.tensor([[0.5, 0.75]]))
    assert crop(labels, boxes, 2).tolist() == [[[[20, 21], [28, 29]]]]
    twice = labels[:, :, 2:4, 4:6].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert torch.equal(crop(labels, boxes, 4), twice)


def test_a_pasted_mask_lies_in_its_box_and_nothing_lies_outside() -> None:
    boxes = Boxes(torch.tensor([[0.25, 0.75]]), torch.tensor([[0.5, 1.0]]))
    pasted = paste(torch.ones(1, 1, 3, 3), boxes, 8, 12)
    inside = torch.zeros(1, 1, 8, 12)
    inside[:, :, 2:6, 6:] = 1  # to the edge: no fading
    assert torch.equal(pasted, inside)


def test_pasting_undoes_cropping() -> None:
    picture = torch.rand(1, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    boxes = Boxes(torch.tensor([[0.25, 0.75]]), torch.tensor([[1 / 3, 2 / 3]]))
    again = paste(crop(picture, boxes, 4), boxes, 8, 12)
    torch.testing.assert_close(again[:, :, 2:6, 4:8], picture[:, :, 2:6, 4:8])
