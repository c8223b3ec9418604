"""MI-GAN: what is done around a stand-in for its graph, and what the real graph does."""

import importlib.util
import sys
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines import mi_gan
from baselines.arrays import from_masks, from_pictures, to_pictures
from baselines.mi_gan import (
    REACH,
    SIDE,
    WEIGHTS,
    MiGan,
    enlarged,
    from_outside,
    run_graph,
    widened,
)
from hdeocc.batch import Batch
from hdeocc.fitted import unfitted
from metrics import weights
from synth.errors import InputError
from tests.conformance import ContentConformance

RED, BLUE = np.array([200, 10, 10], np.uint8), np.array([10, 10, 200], np.uint8)


class FakeGraph:
    """Paints the mean of the known, and blends in what it was given as deep as the real graph."""

    def __init__(self) -> None:
        self.image, self.mask = np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint8)
        self.runs = 0

    def run(self, output_names: None, input_feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        image, mask = input_feed["image"], input_feed["mask"]
        assert image.dtype == mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        assert image.shape[:2] == (1, 3) and mask.shape == (1, 1, *image.shape[2:])
        self.image, self.mask = image[0].transpose(1, 2, 0), mask[0, 0]
        self.runs += 1
        known = self.mask > 0
        mean = self.image[known].mean(axis=0) if known.any() else np.full(3, 128.0)
        depth = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_C, 3)
        weight = (1 - depth / (REACH + 1)).clip(0, 1)[..., None]
        blended = weight * self.image + (1 - weight) * mean
        return [blended.round().astype(np.uint8).transpose(2, 0, 1)[None]]


@pytest.fixture(scope="class")
def graph() -> Iterator[FakeGraph]:
    """The graph that every method of a test runs."""
    with pytest.MonkeyPatch.context() as patch:
        fake = FakeGraph()
        patch.setattr(mi_gan, "open_graph", lambda: fake)
        yield fake


def missing() -> str:
    """What the real graph needs and is not here; "" where all is."""
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed: pip install 'hdeocc[onnx]'"
    there, reason = weights.available(mi_gan.WEIGHTS)
    return "" if there else reason


@pytest.fixture
def real() -> None:
    """Skips where the real graph cannot run."""
    if reason := missing():
        pytest.skip(f"the graph of MI-GAN: {reason}")


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A smooth coloured picture (height, width, 3) uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def rectangle(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """(height, width) bool, true in rows and columns [top, bottom) x [left, right)."""
    mask = np.zeros((height, width), bool)
    top, bottom, left, right = box
    mask[top:bottom, left:right] = True
    return mask


def refilled(image: np.ndarray, hole: np.ndarray, seed: int) -> np.ndarray:
    """The picture with noise of its own in the hole."""
    noise = np.random.default_rng(seed).integers(0, 256, image.shape).astype(np.uint8)
    return np.where(hole[..., None], noise, image)


@pytest.mark.usefixtures("graph")
class TestMiGan(ContentConformance):
    method = MiGan


class TestAroundTheGraph:
    @settings(deadline=None, max_examples=25)
    @given(
        sides=st.tuples(st.integers(3, 90), st.integers(3, 90)),
        corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
        share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
        seed=st.integers(0, 9),
    )
    def test_what_was_in_the_hole_changes_nothing_and_the_rest_is_handed_through(
        self,
        graph: FakeGraph,
        sides: tuple[int, int],
        corner: tuple[float, float],
        share: tuple[float, float],
        seed: int,
    ) -> None:
        """At any size, wherever the hole lies: nowhere, at a border, over the whole picture."""
        starts = [int(at * side) for at, side in zip(corner, sides, strict=True)]
        ends = [
            start + round(part * (side - start))
            for start, part, side in zip(starts, share, sides, strict=True)
        ]
        hole = rectangle(*sides, (starts[0], ends[0], starts[1], ends[1]))
        image = refilled(picture(*sides, seed), hole, seed)
        other = refilled(image, hole, seed + 100)
        results = [MiGan().recover(one, ~hole, hole) for one in (image, other)]
        assert np.array_equal(*results)
        assert results[0].shape == image.shape and results[0].dtype == np.uint8
        assert np.array_equal(results[0][~hole], image[~hole])

    @pytest.mark.parametrize("corner", [(0, 0), (70, 0), (20, 33)])
    def test_the_hole_is_painted_to_its_edge(
        self, graph: FakeGraph, corner: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The rim that the graph blends lies outside the hole: all in it is the mean, and flat."""
        top, left = corner
        hole = rectangle(100, 63, (top, top + 30, left, left + 30))
        image = refilled(picture(100, 63), hole, 0)
        painted = MiGan().recover(image, ~hole, hole)[hole]
        known = graph.mask > 0
        assert np.ptp(painted, axis=0).max() == 0
        assert np.array_equal(painted[0], graph.image[known].mean(axis=0).round())
        monkeypatch.setattr(mi_gan, "REACH", REACH - 3)
        assert np.ptp(MiGan().recover(image, ~hole, hole)[hole], axis=0).max() > 0

    def test_the_graph_sees_512_pixels_and_everything_but_the_hole_and_its_rim(
        self, graph: FakeGraph
    ) -> None:
        hole = rectangle(96, 128, (30, 60, 40, 70))
        image = np.where(hole[..., None], BLUE, RED)
        MiGan().recover(image, ~hole, hole)
        assert graph.image.shape == (384, SIDE, 3)
        unknown = rectangle(384, SIDE, (120 - REACH, 240 + REACH, 160 - REACH, 280 + REACH))
        assert np.array_equal(graph.mask == 0, unknown)
        assert np.array_equal(np.unique(graph.image.reshape(-1, 3), axis=0), [RED])

    @pytest.mark.parametrize("sides", [(SIDE, 40), (600, 530)])
    def test_large_pictures_are_left_as_large_as_they_are(
        self, graph: FakeGraph, sides: tuple[int, int]
    ) -> None:
        hole = rectangle(*sides, (100, 130, 10, 30))
        image = picture(*sides)
        MiGan().recover(image, ~hole, hole)
        assert np.array_equal(graph.image[~hole], image[~hole])
        assert np.array_equal(graph.mask == 0, widened(hole, REACH))

    def test_nothing_and_everything_hidden_need_no_graph(self, graph: FakeGraph) -> None:
        image, nothing = picture(20, 30), np.zeros((20, 30), bool)
        before = graph.runs
        assert np.array_equal(MiGan().recover(image, ~nothing, nothing), image)
        assert np.unique(MiGan().recover(image, nothing, ~nothing)).tolist() == [128]
        assert graph.runs == before

    def test_a_batch_may_be_of_any_size_and_shape(self, graph: FakeGraph) -> None:
        images = [picture(37, 53, seed) for seed in range(3)]
        holes = [rectangle(37, 53, (5 * i, 5 * i + 9, 4, 20)) for i in range(3)]
        fields = {
            "image": from_pictures(images),
            "amodal": from_masks(holes),
            "modal": from_masks([np.zeros((37, 53), bool)] * 3),
        }
        found = to_pictures(MiGan().predict(Batch("abc", fields)))
        for image, hole, one in zip(images, holes, found, strict=True):
            assert np.array_equal(one, MiGan().recover(image, ~hole, hole))


class TestWhatIsMissing:
    @pytest.fixture(autouse=True)
    def closed(self) -> Iterator[None]:
        mi_gan.open_graph.cache_clear()
        yield
        mi_gan.open_graph.cache_clear()

    def test_without_onnxruntime_one_line_says_what_to_install(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(InputError, match=r"onnxruntime .*pip install 'hdeocc\[onnx\]'") as one:
            MiGan().require()
        assert "\n" not in one.value.message

    def test_without_weights_one_line_says_what_to_run(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: object
    ) -> None:
        monkeypatch.setitem(sys.modules, "onnxruntime", object())  # type: ignore[arg-type]
        monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path))
        with pytest.raises(InputError, match="run `hdeocc weights mi-gan`") as caught:
            MiGan.require()
        assert "\n" not in caught.value.message


def test_it_is_marked_as_pre_trained_and_learns_nothing() -> None:
    assert MiGan.pretrained == "Places2" and not MiGan.learned
    made_by = unfitted("content.mi-gan", "small")
    assert made_by.weights == {WEIGHTS: weights.sha256(WEIGHTS)}, "a record names its graph"


def test_from_outside_takes_the_nearest_pixel() -> None:
    image = np.where(rectangle(5, 9, (0, 5, 0, 4))[..., None], RED, BLUE)
    hole = rectangle(5, 9, (1, 4, 2, 8))
    filled = from_outside(np.where(hole[..., None], np.uint8(0), image), hole)
    assert np.array_equal(filled[~hole], image[~hole])
    assert {tuple(colour) for colour in filled[hole]} == {tuple(RED), tuple(BLUE)}
    assert np.array_equal(filled[2, [2, 7]], [RED, BLUE])


def test_an_enlarged_hole_is_the_hole_enlarged() -> None:
    hole = rectangle(64, 32, (10, 20, 0, 7))
    image, unknown = enlarged(picture(64, 32), hole)
    assert image.shape == (SIDE, 256, 3)
    assert np.array_equal(unknown, rectangle(SIDE, 256, (80, 160, 0, 56)))


@pytest.mark.usefixtures("real")
class TestTheGraph:
    def test_what_it_is_given_shows_as_deep_as_we_say(self) -> None:
        unknown = rectangle(SIDE, SIDE, (0, 200, 150, 400))  # touches the border
        image = picture(SIDE, SIDE)
        dark, light = (
            run_graph(np.where(unknown[..., None], np.uint8(blank), image), unknown)
            for blank in (0, 255)
        )
        depth = cv2.distanceTransform(
            cv2.copyMakeBorder(unknown.astype(np.uint8), 9, 9, 9, 9, cv2.BORDER_REPLICATE),
            cv2.DIST_C,
            3,
        )[9:-9, 9:-9]
        differs = (dark != light).any(axis=2)
        assert depth[differs].max() == REACH and depth[differs].min() == 1

    @pytest.mark.parametrize("sides", [(70, 101), (1200, 1150)])
    def test_its_resizing_reaches_no_deeper(self, sides: tuple[int, int]) -> None:
        """Whether it enlarges or reduces what it crops: with the rim, the blank does not matter."""
        height, width = sides
        hole = rectangle(*sides, (height // 9, height // 2, width // 9, width - width // 9))
        image = picture(*sides)
        dark, light = (
            run_graph(np.where(hole[..., None], np.uint8(blank), image), widened(hole, REACH))
            for blank in (0, 255)
        )
        assert np.array_equal(dark[hole], light[hole])

    def test_the_hole_is_continued_from_around_it_and_what_was_in_it_is_not_read(self) -> None:
        hole = rectangle(90, 77, (30, 55, 0, 40))
        image = refilled(np.full((90, 77, 3), RED), hole, 0)
        first, second = (
            MiGan().recover(one, ~hole, hole) for one in (image, refilled(image, hole, 1))
        )
        assert np.array_equal(first, second)
        assert np.array_equal(first[~hole], image[~hole])
        assert np.abs(first[hole].astype(int) - RED).mean() < 10

    def test_its_parameters_are_counted(self) -> None:
        onnx = pytest.importorskip("onnx", reason="onnx is not installed")
        stored = onnx.load_from_string(weights.load(mi_gan.WEIGHTS)["graph"].tobytes()).graph
        trained = [
            tensor
            for tensor in stored.initializer
            if tensor.name.endswith((".weight", ".bias")) and ".filter." not in tensor.name
        ]
        assert sum(int(np.prod(tensor.dims)) for tensor in trained) == MiGan().parameters_used()
