"""torch-fidelity as a second opinion on FID and KID; no weights are downloaded."""

from typing import Any

import cv2
import numpy as np
import pytest
import torch

from metrics import (
    features,
    fid,
    kid,
    torchvision_compat,  # noqa: F401  (before torch-fidelity imports torchvision)
    weights,
)
from metrics.inception import FrechetInception

fidelity: Any = pytest.importorskip("torch_fidelity", exc_type=ImportError)


@pytest.fixture(scope="module")
def photos(real_photos) -> np.ndarray:
    """(2, 20, 299, 299, 3) uint8: of the network's own size, since resizing differs."""
    large = np.stack([cv2.resize(photo, (299, 299)) for photo in real_photos])
    return large.reshape(2, 20, 299, 299, 3)


@pytest.fixture(scope="module")
def ours(installed_weights, photos) -> list[np.ndarray]:
    inception = FrechetInception()
    return [inception.features(part) for part in photos]


@pytest.fixture
def doubles(ours) -> list[torch.Tensor]:
    return [torch.from_numpy(part).double() for part in ours]


def test_kid_of_the_same_features_is_theirs(ours, doubles):
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    one_subset_of_all = {"kid_subsets": 1, "kid_subset_size": 20, "verbose": False}
    theirs = kid_features_to_metric(*doubles, **one_subset_of_all)[KEY_METRIC_KID_MEAN]
    assert kid.distance(*ours) == pytest.approx(theirs, abs=1e-9)
    same = kid_features_to_metric(doubles[0], doubles[0], **one_subset_of_all)
    assert kid.distance(ours[0], ours[0]) == pytest.approx(same[KEY_METRIC_KID_MEAN], abs=1e-9)


def test_fid_of_the_same_features_is_theirs(ours, doubles):
    from torch_fidelity import metric_fid

    statistics = [metric_fid.fid_features_to_statistics(part) for part in doubles]
    theirs = metric_fid.fid_statistics_to_metric(*statistics, verbose=False)
    expected = theirs[metric_fid.KEY_METRIC_FID]
    assert expected > 1 and fid.distance(*ours) == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_their_own_network_with_our_weights_says_nearly_the_same(ours, photos, tmp_path):
    path = tmp_path / "inception.pth"
    with features.pytorch_fid_weights(features.to_tensors(weights.load("inception"))):
        import pytorch_fid.inception as package

        torch.save(package.load_state_dict_from_url(""), path)
    theirs = fidelity.calculate_metrics(
        input1=_Pictures(photos[0]),
        input2=_Pictures(photos[1]),
        feature_extractor_weights_path=str(path),
        fid=True,
        kid=True,
        kid_subsets=1,
        kid_subset_size=20,
        cuda=False,
        cache=False,
        verbose=False,
    )
    # They scale 0 to 255 by (x - 128) / 128, pytorch-fid to [-1, 1]: half a grey level apart;
    # and their kernel sums are of single precision.
    found = {"frechet": fid.distance(*ours), "kernel": kid.distance(*ours)}
    assert found["frechet"] == pytest.approx(theirs["frechet_inception_distance"], rel=0.01)
    assert found["kernel"] == pytest.approx(theirs["kernel_inception_distance_mean"], abs=2e-4)


class _Pictures(torch.utils.data.Dataset):
    """Photos as torch-fidelity wants them: (3, H, W) uint8."""

    def __init__(self, photos: np.ndarray) -> None:
        self.photos = photos

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.photos[index]).permute(2, 0, 1)
