"""Contextual attention (Yu et al., CVPR 2018, section 4.1): paint with patches seen elsewhere.

    features (B, C, h, w) and where they are not to be copied from (B, 1, h, w) -> (B, C, h, w)

Every place of a grid of half the size is matched with all other places of it, by patches of 3x3;
what is pasted are the patches of 4x4 of the full size under the places that match. The relation of
all places to all is held at once: (B, n, n) with n = h * w / 4.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

RATE = 2  # the grid that is matched is this much coarser than the features
MATCHED, PASTED = 3, 2 * RATE  # sides of the patches
SMALLEST = 1e-4  # a patch of a smaller norm is not scaled up to one


def contextual_attention(
    features: Tensor,
    closed: Tensor,
    *,
    scale: float = 10.0,
    fuse: bool = True,
    cosine: bool = True,
) -> Tensor:
    """Each place as the softmax-weighted mean of the open places that look like it, float32.

    features (B, C, h, w), h and w even; closed (B, 1, h, w) bool, the hole: a place whose 3x3
    neighbours are not all open is copied nowhere. Each sample has its own hole; nothing is copied
    where a sample has no open place. A closed place keeps the score 0 in the softmax's sum, as in
    the released code, so that weights add up to less than 1 where little matches.

    scale: what scores are multiplied with before the softmax.
    fuse: add up the scores of neighbours, which favours the copying of whole regions.
    cosine: the score is the cosine of two patches, as in the paper; False: that of the released
        code, which divides by the norm of the copied patch alone.
    """
    height, width = features.shape[-2:]
    if height % RATE or width % RATE:
        raise ValueError(f"contextual attention needs even sizes, not {height}x{width}")
    with torch.autocast(features.device.type, enabled=False):
        x = features.to(torch.promote_types(features.dtype, torch.float32))
        grid = (height // RATE, width // RATE)
        scores = _match(x[..., ::RATE, ::RATE], cosine)
        if fuse:
            scores = fuse_neighbours(scores, grid)
        weights = _attend(scores, open_places(closed[..., ::RATE, ::RATE]), scale)
        return _paste(x, weights)


def _match(grid: Tensor, cosine: bool) -> Tensor:
    """(B, C, h, w) -> how well each place (rows) matches each other one (columns), (B, n, n)."""
    patches = F.unfold(grid, MATCHED, padding=MATCHED // 2)
    unit = patches / torch.linalg.vector_norm(patches, dim=1, keepdim=True).clamp_min(SMALLEST)
    return (unit if cosine else patches).transpose(1, 2) @ unit


def fuse_neighbours(scores: Tensor, grid: tuple[int, int]) -> Tensor:
    """Add to each pair's score those of the pairs one place on and one place back, twice.

    scores (B, n, n) of a grid of (h, w) places: once along the rows, once along the columns of the
    grid. The end of a row is neighbour to the begin of the next, as in the released code.
    """
    height, width = grid
    summed = _diagonal_sum(scores)
    return _turned(_diagonal_sum(_turned(summed, height, width)), width, height)


def _diagonal_sum(scores: Tensor) -> Tensor:
    """Convolution of every (n, n) with a 3x3 identity, zero beyond the border."""
    before = F.pad(scores[:, :-1, :-1], (1, 0, 1, 0))
    after = F.pad(scores[:, 1:, 1:], (0, 1, 0, 1))
    return before + scores + after


def _turned(scores: Tensor, height: int, width: int) -> Tensor:
    """Both lists of places, which count row by row, now column by column."""
    places = scores.unflatten(2, (height, width)).unflatten(1, (height, width))
    return places.permute(0, 2, 1, 4, 3).reshape(scores.shape)


def open_places(closed: Tensor) -> Tensor:
    """(B, 1, h, w) bool -> (B, 1, n) bool: no place among the 3x3 around it is closed."""
    return F.max_pool2d(closed.float(), MATCHED, 1, MATCHED // 2).flatten(2) == 0


def _attend(scores: Tensor, opened: Tensor, scale: float) -> Tensor:
    """Weights (B, n, n) of the places that are copied: the softmax over columns, 0 where closed."""
    usable = opened.to(scores.dtype)
    return (scores * usable * scale).softmax(dim=2) * usable


def _paste(x: Tensor, weights: Tensor) -> Tensor:
    """Lay the mean patches over each other; four of them meet in every pixel off the border."""
    settings = {"kernel_size": PASTED, "stride": RATE, "padding": RATE // 2}
    patches = F.unfold(x, **settings) @ weights.transpose(1, 2)
    return F.fold(patches, x.shape[-2:], **settings) / (PASTED // RATE) ** 2
