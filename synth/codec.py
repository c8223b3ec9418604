"""A sample as the files of a tar shard and back, and the hash of what it holds.

Members of sample 000000: ``image.png``, ``clean.png``, ``parsing.png`` (where known),
``initial.png`` (only where it differs from the modal mask) and ``json`` with everything else.
"""

import hashlib
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from synth.sample import Sample
from synth.segmentation import decode_rle

# Runs of one filter: of the quick ways that with the smallest files, photos and labels alike.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 2, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_PNG += [cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_PAETH]
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HASHED = ("image", "clean", "amodal", "modal", "occluder", "parsing", "initial")


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Compressed COCO run-length code of a (H, W) bool mask, with ``counts`` as text."""
    code = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode()}


def sample_labels(sample: Sample) -> dict[str, Any]:
    """The JSON member of a sample."""
    return {
        "id": sample.sample_id,
        "split": sample.split,
        "size": list(sample.amodal.shape),
        "person_id": sample.person_id,
        "occluder_ids": list(sample.occluder_ids),
        "hidden_share": round(sample.hidden_share, 6),
        "amodal": encode_mask(sample.amodal),
        "modal": encode_mask(sample.modal),
        "occluder": encode_mask(sample.occluder),
        "meta": sample.meta,
    }


def encode(sample: Sample) -> dict[str, bytes]:
    """Content of each member of a sample, by its ending."""
    members = {"image.png": _png(_swapped(sample.image))}
    if sample.clean is not None:
        members["clean.png"] = _png(_swapped(sample.clean))
    if sample.parsing is not None:
        members["parsing.png"] = _png(sample.parsing)
    if not np.array_equal(sample.initial, sample.modal):
        members["initial.png"] = _png(np.rint(sample.initial * 255).astype(np.uint8))
    members["json"] = canonical(sample_labels(sample))
    return members


def decode(members: Mapping[str, bytes]) -> Sample:
    """The sample that ``encode`` was given.

    Raises:
        ValueError: a member is missing or broken; the message says which.
    """
    try:
        labels = json.loads(members["json"])
        height, width = labels["size"]
        masks = {n: decode_rle(labels[n], height, width) for n in ("amodal", "modal", "occluder")}
        modal = masks["modal"]
        soft = _optional(members, "initial.png")
        clean = _optional(members, "clean.png", colour=True)
        return Sample(
            sample_id=labels["id"],
            split=labels["split"],
            image=_read_png(members, "image.png", colour=True),
            clean=clean,
            parsing=_optional(members, "parsing.png"),
            initial=modal.astype(np.float32) if soft is None else soft / np.float32(255),
            person_id=labels["person_id"],
            occluder_ids=tuple(labels["occluder_ids"]),
            meta=labels["meta"],
            **masks,
        )
    except KeyError as error:
        raise ValueError(f"lacks {error.args[0]}") from None
    except (TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"has broken labels ({error})") from None


def sample_hash(sample: Sample) -> str:
    """SHA-256 (hex) over every array (name, type, shape, pixels) and every label of a sample."""
    digest = hashlib.sha256()
    for name in _HASHED:
        array = getattr(sample, name)
        if array is not None:
            digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            digest.update(np.ascontiguousarray(array).data)
    ids = [sample.sample_id, sample.split, sample.person_id, list(sample.occluder_ids)]
    digest.update(canonical({"ids": ids, "meta": sample.meta}))
    return digest.hexdigest()


def combined_hash(hashes: Iterable[str]) -> str:
    """Fingerprint of a row of samples, from their hashes in index order."""
    digest = hashlib.sha256()
    for one in hashes:
        digest.update(f"{one}\n".encode())
    return digest.hexdigest()


def canonical(value: Any) -> bytes:
    """One byte string for one JSON value: sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _swapped(rgb: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)


def _png(array: np.ndarray) -> bytes:
    done, content = cv2.imencode(".png", array, _PNG)
    if not done:
        raise ValueError(f"an array of {array.shape} {array.dtype} cannot be stored as PNG")
    return content.tobytes()


def _optional(members: Mapping[str, bytes], name: str, colour: bool = False) -> np.ndarray | None:
    return _read_png(members, name, colour) if name in members else None


def is_whole_png(content: bytes) -> bool:
    """Whether the chunks of a PNG file are all there and unchanged (libpng complains aloud)."""
    place = len(SIGNATURE)
    if not content.startswith(SIGNATURE):
        return False
    while place + 12 <= len(content):
        size, kind = int.from_bytes(content[place : place + 4]), content[place + 4 : place + 8]
        end = place + 8 + size
        if zlib.crc32(content[place + 4 : end]) != int.from_bytes(content[end : end + 4]):
            return False
        if kind == b"IEND":
            return True
        place = end + 4
    return False


def _read_png(members: Mapping[str, bytes], name: str, colour: bool = False) -> np.ndarray:
    data = np.frombuffer(members[name], np.uint8)
    kind = cv2.IMREAD_COLOR if colour else cv2.IMREAD_GRAYSCALE
    array = cv2.imdecode(data, kind) if is_whole_png(members[name]) else None
    if array is None:
        raise ValueError(f"has a broken {name}")
    return cv2.cvtColor(array, cv2.COLOR_BGR2RGB) if colour else array
