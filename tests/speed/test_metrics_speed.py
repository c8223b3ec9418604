"""How fast predictions are scored: ``make speed``.

Content samples of 256 px, everything but FID and KID (LPIPS by AlexNet is in): beside the 60 s that
a thousand may take on two cores, which is what is held to it. One core and the processor time,
which other work on the machine does not touch, stand beside it. Inception features: beside
pytorch-fid's own, which take turns with ours over the same PNGs, by processor time. The table says
PASS or SHORT OF; a slow machine fails no test.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from metrics import features, weights
from metrics.errors import MetricsError
from metrics.inception import FrechetInception
from metrics.scoring import Networks, SetScorer, load_networks
from metrics.truth import Prediction, Truth
from tests.speed.report import Report

pytestmark = pytest.mark.speed

_SIZE = 256
_SAMPLES, _ROUNDS = 50, 5
_SECONDS_OF_A_THOUSAND = 60.0
_PHOTOS, _FEATURE_ROUNDS = 32, 3


@pytest.fixture(scope="module")
def photos(real_data: Path) -> np.ndarray:
    """(_SAMPLES, 256, 256, 3) uint8 RGB."""
    paths = sorted((real_data / "ccp" / "photos").glob("*.jpg"))[:_SAMPLES]
    read = (cv2.imread(str(path)) for path in paths)
    return np.stack([cv2.resize(photo, (_SIZE, _SIZE))[..., ::-1] for photo in read])


@pytest.fixture(scope="module")
def networks() -> Networks:
    networks = load_networks()
    if networks.lpips is None or networks.inception is None:
        pytest.skip("the feature networks are not installed: run `hdeocc weights`")
    networks.inception = None
    return networks


def content_sample(number: int, clean: np.ndarray) -> tuple[Truth, Prediction]:
    """A person of a quarter of the frame, 5 to 40 % hidden, with a blurred prediction."""
    amodal, modal, legs = np.zeros((3, _SIZE, _SIZE), bool)
    amodal[16:240, 90:165] = modal[16:240, 90:165] = True
    modal[100 : 112 + 80 * number // _SAMPLES] = False
    legs[130:240, 90:165] = True
    image = np.where((amodal & ~modal)[..., None], 255 - clean, clean)
    parts = {"head": amodal & ~legs, "torso": amodal, "legs": legs}
    hidden = 1 - modal.sum() / amodal.sum()
    truth = Truth(
        f"{number}", f"{number}", hidden, amodal, modal, image=image, clean=clean, parts=parts
    )
    return truth, Prediction(photo=np.asarray(cv2.GaussianBlur(clean, (9, 9), 3), np.uint8))


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(number)
    cv2.setNumThreads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def test_scoring(benchmark: Any, photos: np.ndarray, networks: Networks, report: Report) -> None:
    samples = [content_sample(number, photo) for number, photo in enumerate(photos)]
    processor: list[float] = []

    def score() -> None:
        start = time.process_time()
        scorer = SetScorer("content", networks)
        for truth, prediction in samples:
            scorer.add(truth, prediction)
        scorer.finish()
        processor.append((time.process_time() - start) / _SAMPLES)

    for cores, name in ((1, "one core"), (2, "two cores")):
        processor.clear()
        with threads(cores):
            took = rounds_of(benchmark if cores == 2 else None, score)
        report.add(f"content 256 px, {name}: wall", took)
        report.add(f"content 256 px, {name}: processor", processor[-_ROUNDS:])
        for clock, seconds, declared in (
            ("processor", processor[-_ROUNDS:], None),
            ("wall", took, 1.0 if cores == 2 else None),
        ):
            shares = [_SECONDS_OF_A_THOUSAND / (1000 * each) for each in seconds]
            report.compare(f"60 s over 1,000 samples, {name}: {clock}", shares, declared)


def rounds_of(benchmark: Any, score: Any) -> list[float]:
    """Seconds a sample of each round; the first, which warms up, is left out."""
    score()
    if benchmark is not None:
        benchmark.pedantic(score, rounds=_ROUNDS, iterations=1)
        return [seconds / _SAMPLES for seconds in benchmark.stats.stats.data]
    took = []
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        score()
        took.append((time.perf_counter() - start) / _SAMPLES)
    return took


@pytest.mark.benchmark(timer=time.process_time)
def test_features(benchmark: Any, photos: np.ndarray, tmp_path: Path, report: Report) -> None:
    from pytorch_fid.fid_score import get_activations

    try:
        inception = FrechetInception()
        with features.pytorch_fid_weights(features.to_tensors(weights.load("inception"))):
            from pytorch_fid.inception import InceptionV3

            network = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
    except MetricsError as error:
        pytest.skip(error.message)
    paths = [tmp_path / f"{number}.png" for number in range(_PHOTOS)]
    for path, photo in zip(paths, photos, strict=False):
        cv2.imwrite(str(path), photo[..., ::-1])
    theirs: list[float] = []

    def ours() -> None:
        for start in range(0, _PHOTOS, 16):
            read = [cv2.imread(str(path))[..., ::-1] for path in paths[start : start + 16]]
            inception.features(np.stack(read))

    def theirs_first() -> None:
        start = time.process_time()
        get_activations(paths, network, 50, 2048, torch.device("cpu"), num_workers=0)
        theirs.append((time.process_time() - start) / _PHOTOS)

    with threads(1):
        benchmark.pedantic(
            ours, setup=theirs_first, rounds=_FEATURE_ROUNDS, iterations=1, warmup_rounds=1
        )
    took = [seconds / _PHOTOS for seconds in benchmark.stats.stats.data]
    theirs = theirs[-len(took) :]
    report.add("Inception features, one core: pytorch-fid", theirs)
    report.add("Inception features, one core", took)
    shares = [a / b for a, b in zip(theirs, took, strict=True)]
    report.compare("Inception features: of pytorch-fid's speed", shares, 1.0)
