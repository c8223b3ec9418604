"""A photo and the visible part of a person in, the whole person out.

The person is looked at in square crops whose place comes from the given mask and from what stage 1
makes of it, never from a truth: wide looks find where the whole person may be, and the last one
frames that as the training data frame a whole person. Stage 2 paints the hidden part, which is
enlarged into the photo. Every pixel of the photo outside the hidden part stays as it is.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from hdeocc import crops
from hdeocc.batch import Batch
from hdeocc.crops import Square
from hdeocc.fast import for_inference
from hdeocc.learned import Learned
from hdeocc.method import SIZES, Method
from hdeocc.model_folder import Pair, load_pair
from hdeocc.whole_person import WholePerson
from synth.errors import InputError
from synth.sources.crop import fill_labels

# What can be known of a photo in which only the visible part of a person is marked.
KNOWN = {"mask": {"image", "initial"}, "content": {"image", "initial", "modal", "amodal"}}
# Sides of the first looks, in those of the rule: with half a person hidden, mostly all of it fits.
WIDE = 1.4
# A look whose person runs out of the square is followed by one from farther away; at most so many.
LOOKS = 8
HALF = 0.5


class Deoccluder:
    """Both stages, applied to photos of any size.

    Args:
        mask, content: fitted methods of the two tracks that need no more than a photo tells.
        device: where the networks compute, as "cpu" or "cuda"; None leaves them where they are.
        sizes: pixels of the square crops that each of the two looks at, which are those it was
            trained at; None stands for what its preset is made for. They may differ.

    Raises:
        InputError: a method of the wrong track, or one that needs what nobody knows of a photo.
    """

    def __init__(
        self,
        mask: Method,
        content: Method,
        device: torch.device | str | None = None,
        sizes: tuple[int | None, int | None] = (None, None),
    ) -> None:
        self.mask = _usable(mask, "mask")
        self.content = _usable(content, "content")
        self._mask_size = sizes[0] or SIZES[mask.preset]
        self._content_size = sizes[1] or SIZES[content.preset]
        for method in (mask, content):
            networks = method.networks()
            if device is not None and networks is not None:
                networks.to(device)

    @classmethod
    def from_pretrained(
        cls, where: str | Path | None = None, device: torch.device | str | None = None
    ) -> "Deoccluder":
        """Both stages of a trained model, made fast; see ``hdeocc.model_folder`` for what it is.

        Args:
            where: a folder, or "owner/name" on the Hugging Face hub; None is the built-in model.
            device: as for the class; None takes an accelerator where there is one.

        Raises:
            InputError: no such model, or one that is damaged or does not fit.
        """
        return cls.from_pair(load_pair(where), device)

    @classmethod
    def from_pair(cls, pair: Pair, device: torch.device | str | None = None) -> "Deoccluder":
        """Both stages of a loaded model, which are made fast: they can be trained no more."""
        for method in (pair.mask.method, pair.content.method):
            if isinstance(method, Learned):
                generator = for_inference(method.nets.generator, modal_parsing=False)
                method.nets.generator = generator
        sizes = pair.mask.size, pair.content.size
        return cls(pair.mask.method, pair.content.method, device, sizes)

    def __call__(self, photo: np.ndarray, modal: np.ndarray) -> WholePerson:
        """Complete one person.

        Args:
            photo: (H, W, 3) uint8 RGB.
            modal: (H, W) bool, what is visible of the person; not empty.

        Raises:
            ValueError: arrays of other shapes or types, or an empty mask.
            InputError: a method predicted nan.
        """
        _check(photo, modal)
        square, soft, labels = self._look(photo, modal)
        window = crops.window_of(square, photo.shape)
        probability = np.zeros(modal.shape, np.float32)
        probability[window] = crops.enlarge_soft(soft, square, window)
        hidden = np.zeros(modal.shape, bool)
        hidden[window] = (probability[window] >= HALF) & ~modal[window]
        hidden[window] = _without_slivers(hidden[window], square.side / soft.shape[0])
        amodal = modal | hidden
        return WholePerson(
            modal=modal,
            amodal=amodal,
            probability=probability,
            parsing=_parsing(labels, amodal, square),
            recovered=self._paint(photo, modal, amodal, square),
            square=square,
            beyond=_beyond(soft >= HALF, square, modal.shape),
        )

    def _look(
        self, photo: np.ndarray, modal: np.ndarray
    ) -> tuple[Square, np.ndarray, np.ndarray | None]:
        """Where the whole person is framed; its probability and, if known, its parts there.

        Both are (S, S), float32 and uint8.
        """
        seen = whole = crops.person_box(crops.main_pieces(modal))
        for _ in range(LOOKS):
            wide = crops.square_about(whole, WIDE)
            batch = self._seen(photo, modal, wide)
            found = _numbers(self.mask, self.mask.predict(batch))[0] >= HALF
            whole = crops.joined(seen, crops.box_in_photo(found, wide))
            if not _runs_out(found, wide, modal.shape):
                break
        square = crops.square_about(whole)
        soft, labels = self.mask.predict_with_parsing(self._seen(photo, modal, square))
        parts = None if labels is None else labels[0].numpy().astype(np.uint8)
        return square, _numbers(self.mask, soft)[0], parts

    def _seen(self, photo: np.ndarray, modal: np.ndarray, square: Square) -> Batch:
        batch = _batch(photo, square, self._mask_size, initial=modal)
        return batch.only(self.mask.consumes)

    def _paint(
        self, photo: np.ndarray, modal: np.ndarray, amodal: np.ndarray, square: Square
    ) -> np.ndarray:
        size = self._content_size
        batch = _batch(photo, square, size, initial=modal, modal=modal, amodal=amodal)
        colours = _numbers(self.content, self.content.predict(batch.only(self.content.consumes)))
        small = np.rint(colours.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)
        known = batch.amodal[0, 0].numpy() >= HALF
        window = crops.window_of(square, photo.shape)
        painted = crops.enlarge_colours(small, known, square, window)
        recovered = photo.copy()
        hole = (amodal & ~modal)[window]
        recovered[window][hole] = painted[hole]
        return recovered


def _usable(method: Method, track: str) -> Method:
    if method.track != track:
        raise InputError(
            f"method {method.title}: is of the {method.track} track, where one of the {track} "
            "track is needed; give the two the other way round"
        )
    unknown = sorted(set(method.consumes) - KNOWN[track])
    if unknown:
        raise InputError(
            f"method {method.title}: needs {', '.join(unknown)}, which is not known of a photo; "
            "choose another method"
        )
    return method


def _check(photo: np.ndarray, modal: np.ndarray) -> None:
    if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8:
        raise ValueError(f"photo is {photo.shape} {photo.dtype}, not (H, W, 3) uint8")
    if modal.shape != photo.shape[:2] or modal.dtype != np.bool_:
        raise ValueError(f"mask is {modal.shape} {modal.dtype}, not {photo.shape[:2]} bool")
    if not modal.any():
        raise ValueError("the mask is empty: nobody is visible")


def _batch(photo: np.ndarray, square: Square, size: int, **masks: np.ndarray) -> Batch:
    """The square of a photo as a method gets it."""
    image = torch.from_numpy(crops.in_square(photo, square, size))
    fields = {"image": image.permute(2, 0, 1)[None].float() / 255}
    for name, mask in masks.items():
        small = crops.mask_in_square(mask, square, size).astype(np.float32)
        fields[name] = torch.from_numpy(small)[None, None]
    return Batch(["photo"], fields)


def _parsing(labels: np.ndarray | None, amodal: np.ndarray, square: Square) -> np.ndarray | None:
    """Body parts (H, W) uint8 of ``amodal`` (H, W) from those of the square, (S, S)."""
    if labels is None:
        return None
    window = crops.window_of(square, amodal.shape)
    parsing = np.zeros(amodal.shape, np.uint8)
    parsing[window] = crops.enlarge_labels(labels, square, window)
    parsing[~amodal] = 0
    # What was given as the person may lie far from what stage 1 takes for it.
    return fill_labels(parsing, amodal) if (amodal & (parsing == 0)).any() else parsing


def _numbers(method: Method, output: Tensor) -> np.ndarray:
    """A method's prediction for the one sample of its batch, (C, S, S) float32."""
    values = output[0].float().cpu().numpy()
    if not np.isfinite(values).all():
        raise InputError(f"method {method.title}: predicted nan or inf; train it again")
    return np.asarray(values)


def _runs_out(found: np.ndarray, square: Square, shape: tuple[int, ...]) -> bool:
    """Whether a mask (S, S) of a square reaches an edge of it behind which the photo goes on."""
    rim = max(found.shape[0] // 64, 1)
    right, bottom = square.left + square.side, square.top + square.side
    return bool(
        (square.top > 0 and found[:rim].any())
        or (square.left > 0 and found[:, :rim].any())
        or (bottom < shape[0] and found[-rim:].any())
        or (right < shape[1] and found[:, -rim:].any())
    )


def _without_slivers(hidden: np.ndarray, pixel: float) -> np.ndarray:
    """A hidden part (H, W) bool without what is thinner than two pixels of the network.

    Along the border of the given mask such slivers come from the network's coarser pixels alone;
    painted, they would be a blurred rim around the visible person. ``pixel`` is the size of a
    pixel of the network in those of the photo.
    """
    if pixel <= 1 or not hidden.any():
        return hidden
    deep = cv2.distanceTransform(hidden.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > pixel
    if not deep.any():
        return np.zeros_like(hidden)
    near = cv2.distanceTransform((~deep).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(hidden & (near <= pixel + 1))


def _beyond(found: np.ndarray, square: Square, shape: tuple[int, ...]) -> float:
    """The share of a mask (S, S) of a square that lies beyond a photo (H, W)."""
    if not found.any():
        return 0.0
    scale = square.side / found.shape[0]
    y, x = (scale * (np.argwhere(found).T + 0.5)) + np.array([[square.top], [square.left]])
    outside = (y < 0) | (x < 0) | (y >= shape[0]) | (x >= shape[1])
    return float(outside.mean())
