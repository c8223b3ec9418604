"""MI-GAN as released, pre-trained on Places2: what a general inpainter makes of a hidden person.

Sargsyan et al., "MI-GAN: A Simple Baseline for Image Inpainting on Mobile Devices", ICCV 2023: an
encoder and a decoder at 512 px without attention, distilled from Co-Mod-GAN. It learns nothing
here and has seen photos that no other row has, so it is marked and ranked apart.

What runs is the authors' own pipeline in one ONNX graph, in onnxruntime (the extra `onnx`), with
the weights of `hdeocc weights mi-gan`. For one picture:

* in: ``image`` (1, 3, H, W) uint8 RGB, ``mask`` (1, 1, H, W) uint8, 255 where known, else 0;
* out: (1, 3, H, W) uint8.

It crops a square around the unknown pixels (their larger side and 256 pixels more, 512 at least),
resizes that to 512 x 512, masks it, paints it, resizes it back and blends it with what was given.
"""

from functools import cache
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from baselines.content_floors import ContentFloor
from metrics import weights
from metrics.errors import MetricsError
from synth.errors import InputError

WEIGHTS = "mi-gan"
SIDE = 512
# How deep into the unknown the graph's output still holds what it was given: its known mask grows
# by one pixel and is blurred by a window of five, which is two more. Its resizing reaches less far:
# it is bilinear, before the mask and with another idea of where pixels lie, so that a known pixel
# takes from one pixel beyond it, and from three only in crops of more than five times `SIDE`.
REACH = 3


class Session(Protocol):
    """What of `onnxruntime.InferenceSession` is used."""

    def run(self, output_names: None, input_feed: dict[str, np.ndarray]) -> list[Any]:
        """All outputs of the graph."""
        ...


@cache
def open_graph() -> Session:
    """The graph, opened once a process; one thread, so that the same input gives the same bytes.

    Raises:
        InputError: onnxruntime or the weights are missing, or the weights are not the pinned ones.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            f"MI-GAN needs onnxruntime ({error}): pip install 'hdeocc[onnx]'"
        ) from None
    try:
        graph = weights.load(WEIGHTS)["graph"].tobytes()
    except MetricsError as error:
        raise InputError(error.message) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # it warns of its own optimisations
    session: Session = onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"]
    )
    return session


class MiGan(ContentFloor):
    """MI-GAN-512 with its own pre- and post-processing, given everything but the hole.

    So it sees the occluder, and like any plain inpainter it may well continue that into the hole.
    """

    title: ClassVar[str] = "MI-GAN"
    pretrained: ClassVar[str | None] = "Places2"

    @classmethod
    def require(cls) -> None:
        open_graph()

    def paint(self, image: np.ndarray, visible: np.ndarray, hole: np.ndarray) -> np.ndarray:
        height, width = hole.shape
        large, unknown = enlarged(from_outside(image, hole), hole)
        painted = run_graph(large, widened(unknown, REACH))
        # The same size back where nothing was enlarged: a copy.
        return cv2.resize(painted, (width, height), interpolation=cv2.INTER_AREA)

    def outside_weights(self) -> dict[str, str]:
        return {WEIGHTS: weights.sha256(WEIGHTS)}

    def parameters_used(self) -> int:
        return 5_893_144  # weights and biases; not the fixed filters and noise


def run_graph(image: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """The graph's picture (H, W, 3) uint8 of an image (H, W, 3) uint8 and a mask (H, W) bool."""
    feed = {
        "image": np.ascontiguousarray(image.transpose(2, 0, 1))[None],
        "mask": np.where(unknown, np.uint8(0), np.uint8(255))[None, None],
    }
    (result,) = open_graph().run(None, feed)
    return np.ascontiguousarray(result[0].transpose(1, 2, 0))


def from_outside(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The picture with the colour of the nearest pixel outside the hole in each of its pixels.

    Enlarging and the graph's own resizing mix neighbours before the hole is masked: so they find
    there what stands beside it, neither what was in the hole nor the black of a blank.
    """
    rows, columns = distance_transform_edt(hole, return_distances=False, return_indices=True)
    return image[rows, columns]


def enlarged(image: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture and hole with a longer side of `SIDE`, as the graph would enlarge them itself.

    At that size the rim that must be given up around the hole is `REACH` of 512 pixels wide. In a
    picture of 128 px it would be four times as wide. Larger pictures stay as they are.
    """
    longer = max(hole.shape)
    if longer >= SIDE:
        return image, hole
    height, width = (max(1, round(side * SIDE / longer)) for side in hole.shape)
    large = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    unknown = cv2.resize(
        hole.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return large, unknown.astype(bool)


def widened(mask: np.ndarray, reach: int) -> np.ndarray:
    """The mask (H, W) bool and everything up to ``reach`` pixels beside it, diagonals too."""
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), square).astype(bool)
