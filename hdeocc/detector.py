"""People in a photo by torchvision's Mask R-CNN (He et al., ICCV 2017), where its weights are.

The weights are never fetched: a file of the publisher's in the cache of ``hdeocc weights`` or of
torch is used, or one that is named.
"""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hdeocc.checkpoint import load_tensors
from hdeocc.crops import Box, person_box
from metrics import torchvision_compat  # must come before torchvision
from metrics.carriers import file_sha256
from metrics.weights import cache_folder
from synth.errors import InputError

# torchvision's maskrcnn_resnet50_fpn_v2; the name ends in the first digits of its SHA-256.
FILE = "maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth"
PERSON = 1  # COCO's number
_ABOUT = "torchvision's maskrcnn_resnet50_fpn_v2"


@dataclass(frozen=True, eq=False)
class Found:
    """A detected person: visible mask (H, W) bool, its box, score in [0, 1], and words for it."""

    mask: np.ndarray
    box: Box
    score: float

    @property
    def source(self) -> str:
        """In words."""
        return f"Mask R-CNN, score {self.score:.2f}"


def weights_file(given: Path | None = None) -> Path | None:
    """The weights: the file that is given, else the publisher's in a cache; None where none is.

    Raises:
        InputError: the given file does not exist, or one in a cache is not the publisher's.
    """
    if given is not None:
        if not given.is_file():
            raise InputError(f"{given}: no such file; give the weights of {_ABOUT}")
        return given
    torch_home = Path(os.environ.get("TORCH_HOME") or Path.home() / ".cache" / "torch")
    for folder in (cache_folder(), torch_home / "hub" / "checkpoints"):
        path = folder / FILE
        if path.is_file():
            if not file_sha256(path).startswith(path.stem.rsplit("-", 1)[1]):
                raise InputError(f"{path}: is not the file of its publisher; delete it")
            return path
    return None


class Detector:
    """Mask R-CNN on one device.

    Args:
        weights: a file of torchvision's maskrcnn_resnet50_fpn_v2, .pth or .safetensors.
        score: people below it are left out.
        device: where it computes.

    Raises:
        InputError: no such weights, or a torchvision whose operators do not work.
    """

    def __init__(self, weights: Path, score: float, device: torch.device | str = "cpu") -> None:
        if not operators_work():
            raise InputError(
                "Mask R-CNN needs the compiled operators of torchvision, which do not fit the "
                "torch installed here; install a torchvision for it, or give --mask"
            )
        self.score = score
        self._device = device
        self._net = build()
        try:
            self._net.load_state_dict(_tensors(weights))
        except (RuntimeError, AttributeError):
            raise InputError(f"{weights}: holds no weights of {_ABOUT}; give these") from None
        self._net.eval().to(device)

    @torch.inference_mode()
    def people(self, photo: np.ndarray) -> list[Found]:
        """Everybody in a photo (H, W, 3) uint8 RGB, the surest first."""
        image = torch.from_numpy(photo).permute(2, 0, 1).to(self._device).float() / 255
        [out] = self._net([image])
        found = []
        for label, score, soft in zip(out["labels"], out["scores"], out["masks"], strict=True):
            mask = (soft[0] >= 0.5).cpu().numpy()
            if int(label) == PERSON and float(score) >= self.score and mask.any():
                found.append(Found(mask, person_box(mask), float(score)))
        return sorted(found, key=lambda one: -one.score)


def build() -> torch.nn.Module:
    """The network with weights of no use."""
    from torchvision.models.detection import maskrcnn_resnet50_fpn_v2

    net: torch.nn.Module = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None)
    return net


def operators_work() -> bool:
    """Whether torchvision's compiled operators can be called here."""
    torchvision_compat.declare_missing_operators()
    from torchvision import extension

    return bool(extension._has_ops())


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        return load_tensors(path)
    try:
        tensors = torch.load(path, weights_only=True, map_location="cpu")
    # torch's reader raises RuntimeError or EOFError on a cut file, UnpicklingError on another.
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError,
            pickle.UnpicklingError):  # fmt: skip
        tensors = None
    if not isinstance(tensors, dict):
        raise InputError(f"{path}: is no file of weights; give those of {_ABOUT}")
    return tensors
