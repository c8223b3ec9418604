"""Both stages at full size, layer by layer, against the tables of the method (256 px)."""

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from hdeocc.content_recovery import ContentRecovery, ContentRecoveryConfig, Level
from hdeocc.discriminators import ContentDiscriminator, MaskDiscriminator
from hdeocc.mask_completion import MaskCompletion, MaskCompletionConfig

Layer = tuple[int, int, int, int, int]  # inputs, outputs, kernel, stride, rows of the output


def layers_run(network: nn.Module, *inputs: Tensor) -> dict[str, Layer]:
    """Every convolution that a forward pass runs, by name, in order; no number is computed."""
    found: dict[str, Layer] = {}

    def note(name: str, conv: nn.Conv2d, out: Tensor) -> None:
        found[name] = (
            conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0], out.shape[-1]
        )  # fmt: skip

    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda m, _, out, name=name: note(name, m, out))
    network(*inputs)
    return found


def double(inputs: int, outputs: int, size: int) -> list[Layer]:
    return [(inputs, outputs, 3, 1, size), (outputs, outputs, 3, 1, size)]


def hourglass(inputs: int) -> list[Layer]:
    down = [(inputs, 64, 256), (64, 128, 128), (128, 256, 64), (256, 512, 32), (512, 512, 16)]
    up = [(1024, 256, 32), (512, 128, 64), (256, 64, 128), (128, 64, 256)]
    return [layer for block in down + up for layer in double(*block)]


def head(mask_inputs: int, hidden: int) -> tuple[list[Layer], list[Layer]]:
    block = [(64, 32, 3, 1, 256), (32, 32, 3, 1, 256), (64, 32, 3, 1, 256)]
    logits = [(32, 32, 3, 1, 256), (32, 20, 3, 1, 256)]
    return block + logits, [(mask_inputs, hidden, 3, 1, 256), (hidden, 2, 3, 1, 256)]


def under(found: dict[str, Layer], prefix: str) -> list[Layer]:
    return [layer for name, layer in found.items() if name.startswith(prefix)]


def test_stage_1() -> None:
    with FakeTensorMode():
        network = MaskCompletion(MaskCompletionConfig(width=4)).eval()
        found = layers_run(network, torch.zeros(1, 3, 256, 256), torch.zeros(1, 1, 256, 256))
    assert under(found, "modal_hourglass") == hourglass(4)
    assert under(found, "amodal_hourglass") == hourglass(67)
    for side, inputs, hidden in (("modal", 64 + 32, 16), ("amodal", 64 + 32 + 32, 32)):
        parsing, mask = head(inputs, hidden)
        assert sorted(under(found, f"{side}_parsing")) == sorted(parsing)
        assert under(found, f"{side}_mask") == mask
    assert under(found, "templates") == [(64, 32, 3, 1, 64)]
    assert len(found) == 2 * 18 + 2 * (5 + 2) + 1
    assert network.modal_parsing is not None and network.modal_parsing.excite is not None
    assert network.modal_parsing.excite.squeeze.out_features == 32 // 4


def test_hourglasses_normalise_and_rectify_every_convolution() -> None:
    with torch.device("meta"):
        network = MaskCompletion(MaskCompletionConfig(width=1))
    for convs in (m for m in network.modules() if type(m).__name__ == "DoubleConv"):
        kinds = [type(layer) for layer in convs.children()]
        assert kinds == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU] * 2


ENCODER = [
    (5, 64, 7, 2, 128), (64, 128, 5, 2, 64), (128, 256, 5, 2, 32), (256, 512, 3, 2, 16),
    (512, 512, 3, 2, 8), (512, 512, 3, 2, 4), (512, 512, 3, 2, 2),
]  # fmt: skip
DECODER = [
    (1024, 512, 3, 1, 4), (1024, 512, 3, 1, 8), (1024, 512, 3, 1, 16), (768, 256, 3, 1, 32),
    (384, 128, 3, 1, 64), (192, 64, 3, 1, 128),
]  # fmt: skip
BLOCKS = {"enc3": (256, 32), "enc5": (512, 8), "dec5": (512, 16), "dec3": (128, 64)}


@pytest.mark.parametrize("fusion", [1, 3])
def test_stage_2(fusion: int) -> None:
    with FakeTensorMode():
        network = ContentRecovery(ContentRecoveryConfig(pga_fusion_kernel=fusion)).eval()
        shapes = (3, 1, 1, 20)
        found = layers_run(network, *(torch.zeros(1, c, 256, 256) for c in shapes))
    assert under(found, "encoder") == ENCODER
    assert under(found, "decoder") == DECODER
    assert under(found, "last") == [(69, 3, 3, 1, 256)]
    for place, (c, size) in BLOCKS.items():
        wanted = {
            "parts.visible": (c, 19, 3, 1, size),
            "parts.whole": (c, 19, 3, 1, size),
            "parts.fuse": (c + 38, c, fusion, 1, size),
            "spatial.query": (c + 19, c // 8, 3, 1, size),
            "spatial.key": (c + 19, c // 8, 3, 1, size),
            "spatial.value": (c, c, 3, 1, size),
            "fuse": (3 * c, c, fusion, 1, size),
        }
        got = {n: layer for n, layer in found.items() if n.startswith(f"attention.{place}")}
        assert got == {f"attention.{place}.{name}": layer for name, layer in wanted.items()}
        assert network.attention[place].parts.excite.squeeze.out_features == c // 8
    assert len(found) == len(ENCODER) + len(DECODER) + 1 + 4 * 7


def test_stage_2_norms_and_activations() -> None:
    """No norm on the first level and on the last layer; ReLU going down, LeakyReLU 0.2 going up."""
    with torch.device("meta"):
        network = ContentRecovery(ContentRecoveryConfig())
    levels = [m for m in [*network.encoder, *network.decoder] if isinstance(m, Level)]
    normed = [isinstance(level.norm, nn.BatchNorm2d) for level in levels]
    assert normed == [False] + [True] * (len(levels) - 1)
    for level in network.encoder:
        assert isinstance(level.act, nn.ReLU)
    for level in network.decoder:
        assert isinstance(level.act, nn.LeakyReLU) and level.act.negative_slope == 0.2
    assert network.last.bias is not None and all(level.conv.bias is None for level in levels)


@pytest.mark.parametrize(
    ("kind", "masks", "wanted"),
    [
        (MaskDiscriminator, 1, [(4, 64, 5, 2, 128), (64, 128, 5, 2, 64), (128, 256, 5, 2, 32),
                                (256, 256, 3, 1, 32), (256, 1, 3, 1, 32)]),
        (ContentDiscriminator, 2, [(4, 64, 4, 2, 128), (64, 128, 4, 2, 64), (128, 256, 4, 1, 63),
                                   (256, 256, 4, 1, 62), (256, 1, 3, 1, 62)]),
    ],
)  # fmt: skip
def test_discriminators(kind: type[nn.Module], masks: int, wanted: list[Layer]) -> None:
    with FakeTensorMode():
        network = kind().eval()
        inputs = [torch.zeros(1, c, 256, 256) for c in (3, *[1] * masks)]
        found = layers_run(network, *inputs)
    assert list(found.values()) == wanted
    slopes = [m.negative_slope for m in network.modules() if isinstance(m, nn.LeakyReLU)]
    assert slopes == [0.2] * (len(wanted) - 1)
