"""The engine of a Slurm cluster, through submitit."""

import os
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from synth.engines.base import Engine, Function, WorkerLostError, interrupts_held
from synth.errors import InputError
from synth.shards import Job

CLUSTERS = ("slurm", "local")
LOGS = ".build-slurm-"
_POLL_SECONDS = 0.2
_END_SECONDS = 15
_LOCAL_MINUTES = 60 * 24 * 30


def import_submitit(cluster: str = "slurm") -> ModuleType:
    """Submitit.

    Raises:
        InputError: it is not installed, or there is no such cluster here.
    """
    try:
        import submitit
    except ImportError:
        raise InputError("submitit is not installed; install hdeocc[slurm]") from None
    if cluster not in CLUSTERS:
        raise InputError(f"--cluster {cluster}: there are {' and '.join(CLUSTERS)}")
    if cluster == "slurm" and not (shutil.which("sbatch") and shutil.which("srun")):
        raise InputError(
            "--engine slurm: no sbatch and srun on this machine; start from a login node of the "
            "cluster, or try it out with --cluster local"
        )
    return submitit


class SlurmEngine(Engine[Any]):
    """``workers`` Slurm jobs of one CPU; each writes every ``workers``-th of the shards.

    Starting a job takes minutes where a queue is long, so there are no more jobs than workers.
    The logs of a job that fails stay in ``.build-slurm-...`` until the data set is done.

    Args:
        folder: of the data set, on a file system that the cluster shares.
        workers: jobs.
        cluster: "slurm", or "local" for processes of this machine.
        sbatch: options of sbatch by their long names. Without "time" the partition's own limit
            holds.
    """

    def __init__(self, folder: Path, workers: int, cluster: str, sbatch: Mapping[str, str]) -> None:
        submitit = import_submitit(cluster)
        self.width = workers
        self._logs = folder.resolve() / f"{LOGS}{socket.gethostname()}-{os.getpid()}"
        self._errors = submitit.core.utils.UncompletedJobError
        self._local = cluster == "local"
        self._jobs: list[Any] = []
        self._failed = False
        self._executor: Any = None
        self._make = submitit.LocalExecutor if self._local else submitit.SlurmExecutor
        self._options = {name.replace("-", "_"): value for name, value in sbatch.items()}

    def divide(self, todo: Sequence[Job]) -> list[Sequence[Job]]:
        calls = [todo[start :: self.width] for start in range(self.width)]
        return [jobs for jobs in calls if jobs]

    def submit(self, function: Function, jobs: Sequence[Job]) -> Any:
        try:
            if self._executor is None:
                self._executor = self._open()
            with interrupts_held():
                job = self._executor.submit(function, jobs)
        except (OSError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or ["no reason is known"])[-1]
            raise InputError(f"--engine slurm: a job cannot be submitted ({reason})") from None
        self._jobs.append(job)
        return job

    def _open(self) -> Any:
        executor = self._make(self._logs)
        if self._local:
            executor.update_parameters(timeout_min=_LOCAL_MINUTES)
        else:
            executor.update_parameters(
                job_name="hdeocc", cpus_per_task=1, time=None, additional_parameters=self._options
            )
        return executor

    def wait(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        end = time.monotonic() + seconds
        while not (done := [job for job in handles if job.done()]) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        return done

    def result(self, handle: Any) -> str:
        try:
            answer = str(handle.result())
        except self._errors as error:
            self._failed = True
            raise WorkerLostError(
                f"job {handle.job_id} ended without an answer; see {self._logs}"
            ) from error
        self._failed = self._failed or bool(answer)
        return answer

    def close(self) -> None:
        waiting = [job for job in self._jobs if not job.done()]
        for job in waiting:
            job.cancel(check=False)
        end = time.monotonic() + _END_SECONDS
        while not all(job.done() for job in waiting) and time.monotonic() < end:
            time.sleep(_POLL_SECONDS)
        self._jobs.clear()
        if not self._failed:
            shutil.rmtree(self._logs, ignore_errors=True)
