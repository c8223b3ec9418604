"""A sample out of files that anybody may have made: checked first, decoded second.

``synth.codec`` takes what was once encoded. Here nothing is allocated on the word of a file, and a
sample that comes out has arrays that fit together and labels of their kinds, and its id is a
number, so that it may become the name of a file. Whether it is true, ``synth.check`` finds out.
"""

import json
from collections.abc import Mapping
from typing import Any

import cv2
from pydantic import ValidationError

from synth.codec import SIGNATURE, decode
from synth.info import Labels
from synth.parsing import NUM_LABELS
from synth.sample import Sample

# No recipe makes larger pictures, so a larger one is no picture of a data set.
_LONGEST_SIDE = 2048
_SIDES = slice(16, 24)  # width and height in the first chunk of a PNG file


def decode_untrusted(members: Mapping[str, bytes]) -> Sample:
    """`synth.codec.decode` of files that nobody vouches for.

    Raises:
        ValueError, InputError: what is wrong with them; the message names no file.
    """
    _check_pictures(members)
    try:
        if "json" in members:
            _check_labels(members["json"])
        sample = decode(members)
    except RecursionError:
        raise ValueError("has broken labels (nested too deeply)") from None
    except (cv2.error, OverflowError, AttributeError):
        raise ValueError("has labels or pictures that cannot be decoded") from None
    _check_arrays(sample)
    return sample


def _check_pictures(members: Mapping[str, bytes]) -> None:
    for name, content in members.items():
        sides = content[_SIDES] if content.startswith(SIGNATURE) else b""
        if max(int.from_bytes(sides[:4]), int.from_bytes(sides[4:])) > _LONGEST_SIDE:
            raise ValueError(f"has a {name} of more than {_LONGEST_SIDE} pixels a side")


def _check_arrays(sample: Sample) -> None:
    """What whoever uses a sample relies on; ``violations`` finds more, and takes longer."""
    shape = sample.amodal.shape
    for name in ("image", "clean", "parsing", "initial"):
        array = getattr(sample, name)
        if array is not None and array.shape[:2] != shape:
            raise ValueError(f"has {name} of {array.shape[:2]} pixels and masks of {shape}")
    if not sample.amodal.any() or (sample.modal > sample.amodal).any():
        raise ValueError("has an empty mask, or more of the person seen than there is")
    if sample.parsing is not None and sample.parsing.max() >= NUM_LABELS:
        raise ValueError(f"has a parsing label {sample.parsing.max()}, which LIP-20 lacks")


def _check_labels(content: bytes) -> None:
    try:
        labels: Any = json.loads(content)
        Labels.model_validate(labels)
        # Half a surrogate pair is valid JSON, but no text that could be written again.
        if b"\\u" in content:
            json.dumps(labels, ensure_ascii=False).encode()
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(map(str, fault["loc"])) or "they"
        raise ValueError(f"has broken labels ({key}: {fault['msg'].lower()})") from None
    except UnicodeEncodeError:
        raise ValueError("has broken labels (half a character)") from None
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise ValueError("has broken labels (no JSON)") from None
