"""The colour of the nearest visible pixel of the same body part, by the parsing of stage 1.

    image (B, 3, H, W), initial, modal and amodal mask (B, 1, H, W) -> RGB (B, 3, H, W)

A floor for stage 2: it knows the same parts, and paints without learning how. A pixel whose part is
hidden altogether takes the nearest visible pixel of any part, as `NearestPersonPixel` does.
"""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from baselines.arrays import from_pictures, to_masks, to_pictures
from baselines.borrowed import Borrowed
from baselines.content_floors import NearestPersonPixel
from hdeocc.batch import Batch
from hdeocc.guided_recovery import predicted_parsing
from hdeocc.learned import Learned
from hdeocc.method import Method, Track
from hdeocc.two_stage_mask import TwoStageMask
from synth.errors import InputError

STAGE_1 = "mask.two-stage"


class NearestPart(Borrowed):
    """Nearest visible pixel of the same body part; the parts are those that stage 1 predicts."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "Nearest pixel of the part"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial", "modal", "amodal"})
    lender: ClassVar[type[Learned]] = TwoStageMask
    upstream: ClassVar[tuple[str, ...]] = (STAGE_1,)
    holds: ClassVar[tuple[str, ...]] = (STAGE_1,)

    def check_upstream(self, upstream: Mapping[str, Method]) -> None:
        stage_1 = upstream[STAGE_1]
        assert isinstance(stage_1, TwoStageMask)
        if not stage_1.net.config.parsing:
            raise InputError(f"{self.title}: stage 1 has no parsing; give one that has")

    def parts(self, batch: Batch) -> np.ndarray:
        """LIP-20 labels (B, H, W) of the whole person, 1 to 19 in the mask and 0 outside it."""
        assert isinstance(self.lent, TwoStageMask)
        net = self.lent.net.eval()
        seen = batch.to(next(net.parameters()).device)
        return predicted_parsing(net, seen, seen.amodal).argmax(dim=1).cpu().numpy()

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Tensor:
        modal, amodal = to_masks(batch.modal), to_masks(batch.amodal)
        pictures = to_pictures(batch.image)
        each = zip(pictures, modal, amodal & ~modal, self.parts(batch), strict=True)
        return from_pictures([recover(*sample) for sample in each])


def recover(
    image: np.ndarray, visible: np.ndarray, hole: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """The picture (H, W, 3) uint8 with its hole painted, equal to ``image`` outside it.

    visible and hole (H, W) bool; parts (H, W) of 0 to 19, above 0 wherever a part is known.
    """
    painted = NearestPersonPixel("quick").recover(image, visible, hole)
    for part in np.unique(parts[hole]) if hole.any() else ():
        source = visible & (parts == part)
        if part == 0 or not source.any():
            continue
        rows, columns = distance_transform_edt(~source, return_distances=False, return_indices=True)
        where = hole & (parts == part)
        painted[where] = image[rows[where], columns[where]]
    return painted
