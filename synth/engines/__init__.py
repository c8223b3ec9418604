"""Where the shards of a build are written: here, in processes, on Ray, or on Slurm."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from synth.engines.base import Engine
from synth.errors import InputError

KINDS = ("processes", "ray", "slurm")
# Opens an engine for the folder of a build; called once the recipe and its sources are known good.
Opener = Callable[[Path], Engine]


def choose(
    kind: str = "processes",
    workers: int | None = None,
    address: str | None = None,
    cluster: str = "slurm",
    sbatch: Mapping[str, str] | None = None,
) -> Opener:
    """How to open the engine that a user asks for.

    Args:
        kind: "processes", "ray" or "slurm".
        workers: calls at a time; by default 1, and with Ray every CPU of the cluster.
        address: of a Ray cluster that runs ("auto" finds one on this machine); by default Ray is
            started on this machine and stopped at the end.
        cluster: "slurm", or "local" for the same jobs as processes of this machine.
        sbatch: options of sbatch by their long names, such as partition, time, mem, account.

    Raises:
        InputError: no such engine, options of another engine, or its extra is not installed.
    """
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers}: give 1 or more")
    if kind not in KINDS:
        raise InputError(f"--engine {kind}: no such engine; there are {', '.join(KINDS)}")
    if address is not None and kind != "ray":
        raise InputError(f"--address {address}: is of Ray; add --engine ray")
    if (sbatch or cluster != "slurm") and kind != "slurm":
        raise InputError("--slurm and --cluster are of Slurm; add --engine slurm")
    if kind == "ray":
        from synth.engines.ray import RayEngine, import_ray

        import_ray(address)
        return lambda folder: RayEngine(workers, address)
    if kind == "slurm":
        from synth.engines.slurm import SlurmEngine, import_submitit

        import_submitit(cluster)
        return partial(SlurmEngine, workers=workers or 1, cluster=cluster, sbatch=sbatch or {})
    return lambda folder: in_processes(workers or 1)


def in_processes(workers: int) -> Engine:
    """An engine of this machine; one worker is this process itself."""
    from synth.engines.here import Here
    from synth.engines.processes import Processes

    return Here() if workers == 1 else Processes(workers)
