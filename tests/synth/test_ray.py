"""Ray: a real cluster that listens on loopback alone, and one that a build starts for itself."""

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from synth.build import build
from tests.synth.scenarios import (
    Running,
    assert_not_done_again,
    files_of,
    finished_files,
    message_in,
)
from tests.synth.tiny import LONG, leftovers

if importlib.util.find_spec("ray") is None:
    pytest.skip("ray is not installed; install hdeocc[ray]", allow_module_level=True)

_LISTENS = "0A"
# Without the first Ray takes the address of the network for its own and listens everywhere.
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


@pytest.fixture(scope="module")
def environment() -> Iterator[None]:
    """Only this machine may reach the cluster, and only who knows the token may use it."""
    settings = LOOPBACK | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def cluster(environment: None) -> Iterator[tuple[str, int]]:
    """Address of a cluster of two CPUs, and the process group it runs in."""
    port, client_port = free_port(), free_port()
    # Ray puts sockets there, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        command = [
            str(Path(sys.executable).with_name("ray")), "start", "--head", "--block",
            "--node-ip-address", "127.0.0.1", "--port", str(port),
            "--ray-client-server-port", str(client_port), "--include-dashboard=false",
            "--num-cpus", "2", "--object-store-memory", "80000000", "--disable-usage-stats",
            "--temp-dir", folder,
        ]  # fmt: skip
        log = Path(folder, "start.log")
        with log.open("w") as file:
            head = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            wait_until_started(head, log)
            yield f"127.0.0.1:{port}", head.pid
        finally:
            end_group(head)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until_started(head: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 90
    while "Ray runtime started" not in log.read_text():
        assert head.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def end_group(head: "subprocess.Popen[bytes]") -> None:
    """End the cluster's processes, which are all in the group of the one that started them."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        for _ in range(50):
            if not pids_of_group(head.pid):
                break
            os.killpg(head.pid, kind)
            head.poll()
            time.sleep(0.1)
    head.wait(10)


def pids_of_group(group: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = status.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(int(status.parent.name))
    return found


def listening(group: int) -> set[str]:
    """The addresses that the processes of a group listen at, as the kernel writes them."""
    inodes = set()
    for pid in pids_of_group(group):
        for handle in Path(f"/proc/{pid}/fd").glob("*"):
            try:
                target = os.readlink(handle)
            except OSError:
                continue
            inodes.add(target.removeprefix("socket:[").removesuffix("]"))
    rows = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    return {row[1].rpartition(":")[0] for row in rows if row[3] == _LISTENS and row[9] in inodes}


def assert_only_loopback(addresses: set[str]) -> None:
    loopback = ("0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000")
    assert addresses and addresses <= set(loopback)


def on(cluster: tuple[str, int], workers: int) -> tuple[object, ...]:
    return "--engine", "ray", "--address", cluster[0], "--workers", workers


def test_the_cluster_listens_on_loopback_alone(cluster: tuple[str, int]) -> None:
    assert_only_loopback(listening(cluster[1]))


def test_ray_writes_the_same_files(
    cluster: tuple[str, int],
    long_toml: Path,
    long_reference: dict[str, bytes],
    data: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    for part, workers in (("2/2", 1), ("1/2", 2)):
        Running(long_toml, out, data, *on(cluster, workers), "--part", part).end(0)
    assert files_of(out) == long_reference


@pytest.mark.slow
def test_ray_gives_the_shard_of_a_killed_worker_to_another(
    cluster: tuple[str, int],
    long_toml: Path,
    long_reference: dict[str, bytes],
    data: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    running = Running(long_toml, out, data, *on(cluster, 2))
    running.kill_a_worker()
    running.end(0)
    assert files_of(out) == long_reference


@pytest.mark.slow
def test_killed_and_started_again(
    cluster: tuple[str, int],
    long_toml: Path,
    long_reference: dict[str, bytes],
    data: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    running = Running(long_toml, out, data, *on(cluster, 2))
    running.wait_for_file("shard-00003.json")
    running.kill()
    done = finished_files(out)
    Running(long_toml, out, data, *on(cluster, 2)).end(0)
    assert_not_done_again(out, done)
    seen = files_of(out)  # workers of the first command may still tidy up
    assert {name: seen[name] for name in seen if not name.startswith(".")} == long_reference


@pytest.mark.slow
def test_ctrl_c_stops_the_workers(
    cluster: tuple[str, int],
    long_toml: Path,
    long_reference: dict[str, bytes],
    data: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    running = Running(long_toml, out, data, *on(cluster, 2))
    running.wait_for_file("shard-00003.json")
    running.interrupt()
    assert "Run the same command again" in running.end(130)
    assert leftovers(out) == []
    done = finished_files(out)
    build(LONG, out, data, progress=False)
    assert_not_done_again(out, done)
    assert files_of(out) == long_reference


@pytest.mark.slow
def test_what_a_worker_cannot_write_is_one_line(
    cluster: tuple[str, int], long_toml: Path, data: Path, tmp_path: Path
) -> None:
    """A folder in the place of a shard's file cannot be replaced."""
    out = tmp_path / "out"
    running = Running(long_toml, out, data, *on(cluster, 1))
    running.wait_for_file("recipe.json")
    (out / "shard-00020.tar").mkdir()
    message = message_in(running.end(2))
    assert "shard-00020.tar: cannot be written" in message
    assert leftovers(out) == []


def test_ray_on_its_own_listens_on_loopback_alone_and_leaves_nothing(
    environment: None, long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", folder)
            for name in LOOPBACK:
                patch.delenv(name)
            running = Running(long_toml, out, data, "--engine", "ray", "--workers", 2)
        running.wait_for_file("shard-00001.json")
        addresses = listening(running.process.pid)
        running.end(0)
        assert list(Path(folder).iterdir()) == []
    assert_only_loopback(addresses)
    assert files_of(out) == long_reference


def test_no_cluster_is_one_line(
    environment: None, long_toml: Path, data: Path, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    running = Running(long_toml, tmp_path / "out", data, "--engine", "ray", "--address", address)
    assert f"--address {address}: no Ray cluster" in message_in(running.end(2))
    assert not (tmp_path / "out").exists()
