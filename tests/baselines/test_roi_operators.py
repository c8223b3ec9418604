"""Plain operators on boxes: equal to torchvision's, and used only where its own do not load."""

import importlib

import pytest
import torch
from torch import Tensor

from baselines.roi_operators import align, stand_in, suppress
from hdeocc.detector import operators_work

# isort: split
from torchvision.models.detection import roi_heads
from torchvision.ops import box_iou, boxes, poolers


def some_boxes(count: int, size: int, generator: torch.Generator) -> Tensor:
    places = torch.rand(count, 2, 2, generator=generator) * (size - 1)
    low, high = places.min(dim=1).values, places.max(dim=1).values
    return torch.cat([low, high + 0.5], dim=1)


@pytest.mark.parametrize("seed", range(5))
def test_suppression_is_greedy(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners, scores = some_boxes(80, 20, generator), torch.rand(80, generator=generator)
    kept: list[int] = []
    for i in scores.argsort(descending=True).tolist():
        if all(float(box_iou(corners[i : i + 1], corners[j : j + 1])) <= 0.3 for j in kept):
            kept.append(i)
    assert 5 < len(kept) < 60
    assert suppress(corners, scores, 0.3).tolist() == kept
    assert suppress(corners[:0], scores[:0], 0.3).tolist() == []


@pytest.mark.parametrize(("scale", "ratio"), [(1.0, -1), (0.5, 2), (0.25, 3)])
def test_alignment_is_torchvision_s(scale: float, ratio: int) -> None:
    """Against its own implementation in Python, which it else compiles first."""
    theirs = importlib.import_module("torchvision.ops.roi_align")._roi_align.__wrapped__
    generator = torch.Generator().manual_seed(0)
    size = round(24 / scale)
    maps = [torch.rand(3, 2, 24, 20, generator=generator).requires_grad_() for _ in range(2)]
    maps[1].data.copy_(maps[0].data)
    corners = some_boxes(11, size, generator).clamp(max=20 / scale)
    corners[0] = torch.tensor([0, 0, 20 / scale, 24 / scale])
    rois = torch.cat([torch.randint(0, 3, (11, 1), generator=generator), corners], dim=1)
    ours = align(maps[0], rois, (7, 5), scale, ratio)
    wanted = theirs(maps[1], rois, scale, 7, 5, ratio, False)
    torch.testing.assert_close(ours, wanted)
    weight = torch.rand(ours.shape, generator=generator)
    (ours * weight).sum().backward()
    (wanted * weight).sum().backward()
    torch.testing.assert_close(maps[0].grad, maps[1].grad)


def test_alignment_of_nothing() -> None:
    assert align(torch.rand(2, 3, 8, 8), torch.zeros(0, 5), (4, 4)).shape == (0, 3, 4, 4)
    assert align(torch.rand(0, 1, 8, 8), torch.zeros(0, 5), (4, 4)).shape == (0, 1, 4, 4)


def test_plain_operators_stand_in_only_where_compiled_ones_do_not_load() -> None:
    stand_in()
    replaced = [boxes.nms is suppress, roi_heads.roi_align is align, poolers.roi_align is align]
    assert replaced == [not operators_work()] * 3
