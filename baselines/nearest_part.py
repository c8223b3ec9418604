"""The colour of the nearest visible pixel of the same body part, by the parsing of stage 1.

    image (B, 3, H, W), initial, modal and amodal mask (B, 1, H, W) -> RGB (B, 3, H, W)

A floor for stage 2: it knows the same parts, and paints without learning how. A pixel whose part is
hidden altogether takes the nearest visible pixel of any part, as `NearestPersonPixel` does.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from baselines.arrays import from_pictures, to_masks, to_pictures
from baselines.content_floors import NearestPersonPixel
from hdeocc.batch import Batch
from hdeocc.folders import read_json
from hdeocc.guided_recovery import predicted_parsing
from hdeocc.method import Budget, FitData, Method, Preset, Track
from hdeocc.two_stage_mask import TwoStageMask
from synth.atomic import write_text
from synth.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

STAGE_1 = "mask.two-stage"
OPTIONS = "stage_1.json"


class NearestPart(Method):
    """Nearest visible pixel of the same body part; the parts are those that stage 1 predicts."""

    track: ClassVar[Track] = "content"
    title: ClassVar[str] = "Nearest pixel of the part"
    consumes: ClassVar[frozenset[str]] = frozenset({"image", "initial", "modal", "amodal"})
    learned: ClassVar[bool] = True
    upstream: ClassVar[tuple[str, ...]] = (STAGE_1,)

    def __init__(self, preset: Preset = "quick") -> None:
        super().__init__(preset)
        self.stage_1 = TwoStageMask(preset)

    def fit(self, data: FitData, budget: Budget, fabric: "Fabric") -> None:
        """Take the fitted stage 1; there is nothing else to learn."""
        stage_1 = data.upstream[STAGE_1]
        assert isinstance(stage_1, TwoStageMask)
        if not stage_1.net.config.parsing:
            raise InputError(f"{self.title}: stage 1 has no parsing; give one that has")
        self.stage_1 = _as(stage_1.options, self.preset)
        self.stage_1.net.load_state_dict(stage_1.net.state_dict())

    def parts(self, batch: Batch) -> np.ndarray:
        """LIP-20 labels (B, H, W) of the whole person, 1 to 19 in the mask and 0 outside it."""
        net = self.stage_1.net.eval()
        seen = batch.to(next(net.parameters()).device)
        return predicted_parsing(net, seen, seen.amodal).argmax(dim=1).cpu().numpy()

    @torch.inference_mode()
    def predict(self, batch: Batch) -> Tensor:
        modal, amodal = to_masks(batch.modal), to_masks(batch.amodal)
        pictures = to_pictures(batch.image)
        each = zip(pictures, modal, amodal & ~modal, self.parts(batch), strict=True)
        return from_pictures([recover(*sample) for sample in each])

    def save(self, folder: Path) -> None:
        self.stage_1.save(folder)
        options = json.dumps(self.stage_1.options, indent=1)
        write_text(folder / OPTIONS, options + "\n")

    def load(self, folder: Path) -> None:
        path = folder / OPTIONS
        if path.is_file():
            self.stage_1 = _as(read_json(path), self.preset)
        self.stage_1.load(folder)

    def parameters_used(self) -> int:
        return self.stage_1.parameters_used()


def _as(options: Mapping[str, Any], preset: Preset) -> TwoStageMask:
    """An unfitted stage 1 with some of its settings changed."""
    method = TwoStageMask.variant(preset, options)
    assert isinstance(method, TwoStageMask)
    return method


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
