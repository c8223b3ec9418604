"""A trained pair of stages: where the two fitted methods of a model lie.

A model is a folder with ``mask/`` and ``content/``, each as ``hdeocc bench run`` leaves a fitted
method (fitted.json, method.json, weights.safetensors); or the output of such a run; or the name
"owner/name" of a model on the Hugging Face hub that is laid out so.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from synth.errors import InputError

if TYPE_CHECKING:
    from hdeocc.fitted import Fitted

BUILT_IN = Path(__file__).with_name("pretrained") / "small"
_OF_A_RUN = ("models/mask.two-stage/seed-0", "models/content.two-stage/seed-0")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WANTED = (
    "give a folder with mask/ and content/, the output of a benchmark run, or owner/name on the "
    "Hugging Face hub"
)
HOW_TO_TRAIN = (
    "train one with `hdeocc train two-stage --preset small --data DATA --out MODEL` and give "
    "--model MODEL"
)


@dataclass(frozen=True)
class Pair:
    """The fitted methods of both stages, and the name of the model in words."""

    mask: "Fitted"
    content: "Fitted"
    name: str


def load_pair(model: str | Path | None) -> Pair:
    """Both stages of a model; None stands for the built-in one.

    Raises:
        InputError: no such model, or one whose files are missing, damaged or of something else.
    """
    if model is None:
        if not BUILT_IN.is_dir():
            raise InputError(f"--model: no model is built in; {HOW_TO_TRAIN}")
        return _loaded(BUILT_IN / "mask", BUILT_IN / "content", f"built-in {BUILT_IN.name}")
    folder = Path(model)
    if not folder.exists() and _HUB_NAME.fullmatch(str(model)):
        return _loaded(*_stages(_downloaded(str(model))), str(model))
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {what}; {_WANTED}")
    return _loaded(*_stages(folder), folder.resolve().name)


def _stages(folder: Path) -> tuple[Path, Path]:
    of_a_run = folder / _OF_A_RUN[0], folder / _OF_A_RUN[1]
    for mask, content in ((folder / "mask", folder / "content"), of_a_run):
        if mask.is_dir() and content.is_dir():
            return mask, content
    raise InputError(f"{folder}: holds no model; {_WANTED}")


def _loaded(mask: Path, content: Path, name: str) -> Pair:
    from hdeocc.fitted import load_fitted

    pair = Pair(load_fitted(mask), load_fitted(content), name)
    for folder, fitted, track in ((mask, pair.mask, "mask"), (content, pair.content, "content")):
        if fitted.method.track != track:
            raise InputError(
                f"{folder}: holds a method of the {fitted.method.track} track, not of the {track} "
                "track; exchange the two folders"
            )
    return pair


def _downloaded(name: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError:
        raise InputError(
            f"{name}: no such folder, and models on the Hugging Face hub need the package "
            "huggingface-hub; install hdeocc[hub], or give a folder"
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors"]))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{name}: cannot be fetched from the Hugging Face hub ({reason}); check "
                         "the name and the network, or give a folder") from None  # fmt: skip
