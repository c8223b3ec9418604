import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from metrics.errors import MetricsError
from metrics.untrusted import read_numpy_pickle, read_torchscript


class Bomb:
    """A pickle that runs a command when it is read."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def _arrays() -> dict:
    return {"net": {"a": np.arange(6, dtype=np.float32).reshape(2, 3)}, "b": np.ones(2, "f4")}


def test_nested_arrays_come_back_whichever_numpy_wrote_them():
    content = pickle.dumps(_arrays(), protocol=3)
    old = content.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert old != content
    for written in (content, old, pickle.dumps(_arrays(), protocol=4)):
        found = read_numpy_pickle(written, "x")
        assert list(found) == ["net.a", "b"]
        np.testing.assert_array_equal(found["net.a"], _arrays()["net"]["a"])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_bomb_does_not_go_off(protocol, tmp_path):
    marker = tmp_path / "marker"
    content = pickle.dumps({"kernel": Bomb(marker)}, protocol=protocol)
    with pytest.raises(MetricsError, match="fake.ckpt was refused.*asks for") as caught:
        read_numpy_pickle(content, "fake.ckpt")
    assert not marker.exists()
    assert "\n" not in caught.value.message
    pickle.loads(content)  # it is a real one
    assert marker.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80",
        b"no pickle at all",
        pickle.dumps(_arrays(), protocol=4)[:-20],
        pickle.dumps({"a": np.arange(3)}, protocol=3),
        pickle.dumps({"a": np.array([{}])}, protocol=3),
        pickle.dumps([1, 2]),
        pickle.dumps({"a": print}),
    ],
)
def test_what_is_no_plain_file_of_arrays_is_refused_or_empty(content):
    try:
        assert read_numpy_pickle(content, "odd.ckpt") == {}
    except MetricsError as error:
        assert error.message.startswith("odd.ckpt was refused") and "\n" not in error.message


def _script(network: nn.Module) -> bytes:
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(network.eval()), stream)
    return stream.getvalue()


def test_torchscript_parameters_are_read_in_order_without_its_program():
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.Linear(5, 2, bias=False)))
    found = read_torchscript(_script(network), "x.pt")
    assert list(found) == list(network.state_dict())
    for name, value in network.state_dict().items():
        np.testing.assert_array_equal(found[name], value.numpy())


def _with_pickle(content: bytes, replacement: bytes) -> bytes:
    """The same archive with another data.pkl."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            new.writestr(name, replacement if name.endswith("/data.pkl") else old.read(name))
    return stream.getvalue()


def test_a_bomb_in_a_torchscript_archive_does_not_go_off(tmp_path):
    marker = tmp_path / "marker"
    content = _with_pickle(_script(nn.Linear(2, 2)), pickle.dumps(Bomb(marker)))
    with pytest.raises(MetricsError, match="x.pt was refused.*asks for posix.system"):
        read_torchscript(content, "x.pt")
    assert not marker.exists()


class _Views(nn.Module):
    """Half of a storage, and a transposed view of one: numbers that are not laid out densely."""

    def __init__(self, transposed: bool) -> None:
        super().__init__()
        whole = torch.arange(12.0).reshape(3, 4)
        self.register_buffer("view", whole.T if transposed else whole[1:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def test_views_are_read_right_or_refused():
    found = read_torchscript(_script(_Views(transposed=False)), "x.pt")
    np.testing.assert_array_equal(found["view"], np.arange(4, 12).reshape(2, 4))
    with pytest.raises(MetricsError, match="not dense"):
        read_torchscript(_script(_Views(transposed=True)), "x.pt")


def test_broken_archives_are_refused():
    content = _script(nn.Linear(2, 2))
    for broken in (b"", content[: len(content) // 2], _with_pickle(content, b"junk")):
        with pytest.raises(MetricsError, match="x.pt was refused"):
            read_torchscript(broken, "x.pt")
    with pytest.raises(MetricsError, match="asks for torch.DoubleStorage"):
        read_torchscript(_script(nn.Linear(2, 2).double()), "x.pt")
