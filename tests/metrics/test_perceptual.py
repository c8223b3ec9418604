import warnings

import numpy as np
import pytest
import torch

from metrics import weights
from metrics.features import photos_to_tensor, to_tensors
from metrics.perceptual import Lpips

BACKBONE = {"alex": "alexnet", "vgg": "vgg16"}


@pytest.fixture(scope="module", params=["alex", "vgg"])
def lpips(request, installed_weights) -> Lpips:
    return Lpips(request.param)


@pytest.fixture(scope="module")
def pair(real_photos) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = (photos_to_tensor(real_photos[i : i + 3]) * 2 - 1 for i in (0, 3))
    return a, 0.7 * a + 0.3 * b


@pytest.fixture(scope="module")
def holes(pair) -> torch.Tensor:
    holes = torch.zeros(3, 144, 96, dtype=torch.bool)
    holes[0, 40:80, 30:60] = True
    holes[1, ::3] = True
    return holes  # the third has nothing hidden


def _reference(net: str, spatial: bool) -> torch.nn.Module:
    """The lpips package used as its README says, but for where the backbone comes from."""
    import lpips

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = lpips.LPIPS(net=net, spatial=spatial, pnet_rand=True, verbose=False)
    stored = to_tensors(weights.load(BACKBONE[net]))
    names = network.net.state_dict()
    network.net.load_state_dict({n: stored["features." + n.split(".", 1)[1]] for n in names})
    return network


@torch.no_grad()
def test_frame_and_hole_equal_the_lpips_package(lpips, pair, holes):
    frame, hole = lpips.frame_and_hole(*pair, holes)
    assert frame.shape == (3,) and (frame > 0.01).all()
    np.testing.assert_allclose(frame, _reference(lpips.net, False)(*pair).flatten(), atol=1e-6)
    maps = _reference(lpips.net, True)(*pair)[:, 0]
    for i in (0, 1):
        assert hole[i].item() == pytest.approx(maps[i][holes[i]].mean().item(), abs=1e-6)
    assert torch.isnan(hole[2])


def test_itself_symmetry_and_batches(lpips, pair, holes):
    a, b = pair
    assert (lpips(a, a) == 0).all()
    torch.testing.assert_close(lpips(a, b), lpips(b, a), atol=1e-7, rtol=0)
    together = torch.stack(lpips.frame_and_hole(a, b, holes))
    alone = [lpips.frame_and_hole(*(x[i : i + 1] for x in (a, b, holes))) for i in range(3)]
    separate = torch.cat([torch.stack(scores) for scores in alone], dim=1)
    torch.testing.assert_close(separate, together, atol=1e-6, rtol=0, equal_nan=True)


def test_photos_go_in_as_eight_bits(lpips, real_photos):
    a, b = real_photos[:2], real_photos[2:4]
    everything = np.ones(a.shape[:3], bool)
    frame, _ = lpips.of_photos(a, b, everything)
    expected = lpips(*(photos_to_tensor(x) * 2 - 1 for x in (a, b)))
    np.testing.assert_array_equal(frame, expected)


def test_what_does_not_fit_is_refused(lpips, pair):
    a, b = pair
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        lpips(a * 255, b)
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        lpips(a.to(torch.uint8), b)
    with pytest.raises(ValueError, match="two"):
        lpips(a, b[:, :, :100])
    with pytest.raises(ValueError, match="pixels"):
        lpips(a[..., :12, :12], b[..., :12, :12])
    with pytest.raises(ValueError, match="hole must be"):
        lpips.frame_and_hole(a, b, torch.ones(3, 5, 5, dtype=torch.bool))


def test_building_it_leaves_the_random_state_alone(installed_weights):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    Lpips("alex")
    assert torch.equal(torch.rand(4), expected)


def test_a_callers_autocast_does_not_touch_the_score(lpips, pair):
    with torch.autocast("cpu", torch.bfloat16):
        low = lpips(*pair)
    assert torch.equal(low, lpips(*pair))
