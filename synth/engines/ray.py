"""The engine of a Ray cluster: one that runs, or one of this machine for this build alone."""

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from synth.engines.base import Engine, Function, WorkerLostError
from synth.errors import InputError
from synth.shards import Job

_LEAST_STORE = 80_000_000  # bytes; shards go to the disk, Ray carries only answers of one line
_END_SECONDS = 10
_KNOCK_SECONDS = 5
# Ray listens on all addresses of a machine by default, and runs what it is sent: a cluster for
# this build alone must not. The variable is named after the systems where that is the default.
_ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


def import_ray(address: str | None = None) -> ModuleType:
    """Ray; without an address set up to stay on this machine.

    Raises:
        InputError: it is not installed.
    """
    if address is None:
        for name, value in _ALONE.items():
            os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError:
        raise InputError("ray is not installed; install hdeocc[ray]") from None
    return ray


class RayEngine(Engine[Any]):
    """One Ray task a shard; Ray starts a task again whose worker died.

    Args:
        workers: tasks at a time; by default one a CPU of the cluster. More than there are makes
            a cluster grow that can.
        address: of the cluster ("10.0.0.1:6379", "auto"); None starts Ray here, and ends it.
    """

    def __init__(self, workers: int | None, address: str | None) -> None:
        self._ray = import_ray(address)
        self._ours = not self._ray.is_initialized()
        self._folder = ""
        if self._ours:
            self._connect(workers, address)
        self.width = workers or max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        self._call = self._ray.remote(num_cpus=1, max_retries=3)(_call)
        self._under_way: set[Any] = set()

    def _connect(self, workers: int | None, address: str | None) -> None:
        _knock(address)
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            # Short, for the paths of sockets are; Ray's usual folder is shared by all users.
            self._folder = tempfile.mkdtemp(prefix="ray-")
            quiet |= {"num_cpus": workers or os.cpu_count(), "include_dashboard": False,
                      "object_store_memory": _LEAST_STORE, "_temp_dir": self._folder}  # fmt: skip
        try:
            self._ray.init(address or "local", **quiet)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise _unreachable(address, (str(error).splitlines() or ["no answer"])[0]) from None

    def submit(self, function: Function, jobs: Sequence[Job]) -> Any:
        handle = self._call.remote(function, jobs)
        self._under_way.add(handle)
        return handle

    def wait(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        done, _ = self._ray.wait(list(handles), num_returns=1, timeout=seconds)
        return list(done)

    def result(self, handle: Any) -> str:
        self._under_way.discard(handle)
        try:
            return str(self._ray.get(handle))
        except self._ray.exceptions.RayTaskError:
            raise
        except self._ray.exceptions.RayError as error:
            reason = (str(error).splitlines() or [""])[0]
            raise WorkerLostError(f"a Ray worker was lost ({reason})") from error

    def close(self) -> None:
        for handle in self._under_way:
            self._ray.cancel(handle)
        if self._under_way:
            handles = list(self._under_way)
            self._ray.wait(handles, num_returns=len(handles), timeout=_END_SECONDS)
            self._under_way.clear()
        if self._ours:
            self._ray.shutdown()
            self._ours = False
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def _call(function: Function, jobs: Sequence[Job]) -> str:
    return function(jobs)


def _knock(address: str | None) -> None:
    """Raise InputError where nobody listens; Ray itself would try for more than a minute."""
    host, _, port = (address or "").rpartition(":")
    if not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from None


def _unreachable(address: str | None, reason: str) -> InputError:
    return InputError(
        f"--address {address or 'local'}: no Ray cluster can be used there ({reason}); "
        "start one with: ray start --head"
    )
