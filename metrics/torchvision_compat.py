"""Lets `import torchvision` work where its compiled operators cannot be loaded.

torchvision registers Python-side rules for `torchvision::nms` and `torchvision::qnms` at import and
fails when nobody has declared these operators, which happens when its compiled library does not fit
the installed torch (for example a torchvision built for CUDA beside a CPU torch). Only the network
definitions and weights' names of torchvision are needed here, never those operators, so declaring
them without an implementation is enough: calling one still fails loudly.

Import this module before torchvision, lpips or pytorch_fid. Where the compiled operators load,
nothing is declared. Importing it again does nothing.
"""

import importlib.util
from pathlib import Path

import torch

SCHEMAS = {
    "nms": "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}

# Operators live as long as the Library object that declared them.
_library: torch.library.Library | None = None


def declared(name: str) -> bool:
    """Whether the operator `torchvision::name` is known to torch."""
    return hasattr(torch.ops.torchvision, name)


def _load_compiled_operators() -> None:
    """Load torchvision's own library if it is there and fits, without importing torchvision."""
    spec = importlib.util.find_spec("torchvision")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or []:
        for library in sorted(Path(folder).glob("_C.*")):
            try:
                torch.ops.load_library(library)
            except (OSError, RuntimeError):
                continue  # Built for another torch: the very case this module is for.


def declare_missing_operators() -> list[str]:
    """Declare what is missing and return its names; an empty list where nothing was missing."""
    global _library
    if not declared("nms"):
        _load_compiled_operators()
    if declared("nms"):
        return []
    _library = torch.library.Library("torchvision", "FRAGMENT")
    missing = [name for name in SCHEMAS if not declared(name)]
    for name in missing:
        _library.define(SCHEMAS[name])
    return missing


declare_missing_operators()
