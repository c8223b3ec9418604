"""The neck that LIP leaves unlabelled, between a face and the clothes below it.

LIP's face ends at the chin, and it has no label for other skin. Without the neck the head would
be a piece of its own, and the person would have a slit in the throat.
"""

import numpy as np

from synth.parsing import label
from synth.sources.crop import mask_edges

_FACE = label("face")
_CLOTHES = [label(name) for name in ("upper-clothes", "dress", "coat", "jumpsuits", "scarf")]
# A longer gap, as a share of the labelled height, is no neck.
_LONGEST = 0.1


def fill_neck(labels: np.ndarray) -> np.ndarray:
    """LIP-20 labels (H, W) uint8 with the neck as face, which throat and chest count as here.

    It is what has the face above and clothes below it in its column, with nothing in between.
    """
    if not (labels == _FACE).any():
        return labels
    left, top, right, bottom = mask_edges(labels > 0)
    box = labels[top:bottom, left:right]
    rows = np.arange(len(box), dtype=np.int32)[:, None]
    above = np.maximum.accumulate(np.where(box > 0, rows, np.int32(-1)), axis=0)
    below = np.minimum.accumulate(np.where(box > 0, rows, np.int32(len(box)))[::-1], axis=0)[::-1]
    columns = np.arange(box.shape[1])
    neck = (box == 0) & (above >= 0) & (below < len(box))
    neck &= below - above <= _LONGEST * len(box)
    neck &= box[above, columns] == _FACE
    neck &= np.isin(box[np.minimum(below, len(box) - 1), columns], _CLOTHES)
    filled = labels.copy()
    filled[top:bottom, left:right][neck] = _FACE
    return filled
