"""Slurm through submitit: its local executor, and a cluster of shell scripts for its real one."""

import os
from pathlib import Path

import pytest

from synth.build import build
from synth.engines import choose
from synth.errors import InputError
from tests.synth.scenarios import (
    Running,
    assert_not_done_again,
    files_of,
    finished_files,
    message_in,
)
from tests.synth.tiny import LONG, leftovers, tiny_recipe, write_tiny

pytest.importorskip("submitit", reason="submitit is not installed; install hdeocc[slurm]")

LOCAL = ("--engine", "slurm", "--cluster", "local", "--workers", 2)

# What submitit calls. A job is a shell in the background; its state is whether that lives. As the
# real one, sbatch copies the script: submitit renames its own as soon as it has a number.
SCRIPTS = {
    "sbatch": """#!/bin/sh
cp "$1" "$FAKE_SLURM/script"
cp "$1" "$FAKE_SLURM/script.$$"
SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0 \\
SLURM_JOB_NODELIST=here \\
sh -c 'export SLURM_JOB_ID=$$; exec sh "$0"' "$FAKE_SLURM/script.$$" >/dev/null 2>&1 &
echo "Submitted batch job $!"
""",
    "srun": """#!/bin/sh
while [ "${1#--}" != "$1" ]; do
    case "$1" in --output|--error) shift 2 ;; *) shift ;; esac
done
exec "$@"
""",
    "sacct": """#!/bin/sh
echo "JobID|State|NodeList"
for word in "$@"; do
    case "$word" in
        [0-9]*) if kill -0 "$word" 2>/dev/null
                then echo "$word|RUNNING|here"; else echo "$word|COMPLETED|here"; fi ;;
    esac
done
""",
    "scancel": """#!/bin/sh
kill "$1"
""",
}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the PATH with the commands of Slurm."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in SCRIPTS.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("FAKE_SLURM", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_jobs_killed_with_the_command_and_started_again(
    long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    """The jobs of a command that was killed live on; the next command makes them stop."""
    out = tmp_path / "out"
    first = Running(long_toml, out, data, *LOCAL)
    first.wait_for_file("shard-00003.json")
    first.kill()
    done = finished_files(out)
    Running(long_toml, out, data, *LOCAL).end(0)
    assert_not_done_again(out, done)
    seen = files_of(out)  # jobs of the first command may still tidy up
    assert {name: seen[name] for name in seen if not name.startswith(".")} == long_reference


@pytest.mark.slow  # submitit waits 15 s for an answer that a slow file system may hide
def test_a_killed_job_is_one_line_and_the_build_can_go_on(
    long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    running = Running(long_toml, out, data, *LOCAL)
    running.kill_a_worker()
    message = message_in(running.end(2))
    assert "ended without an answer; see " in message
    logs = Path(message.split("see ")[1].split(";")[0])
    assert list(logs.glob("*_log.err"))
    done = finished_files(out)
    build(LONG, out, data, progress=False)
    assert_not_done_again(out, done)
    assert files_of(out) == long_reference


def test_ctrl_c_cancels_the_jobs(
    long_toml: Path, long_reference: dict[str, bytes], data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    running = Running(long_toml, out, data, *LOCAL)
    running.wait_for_file("shard-00003.json")
    running.interrupt()
    assert "Run the same command again" in running.end(130)
    assert leftovers(out) == []
    build(LONG, out, data, progress=False)
    assert files_of(out) == long_reference


def test_what_a_job_finds_wrong_is_one_line(data: Path, tmp_path: Path) -> None:
    """Ten photos break after the command has looked at them: its jobs cannot do with the rest."""
    engine = choose("slurm", 2, cluster="local")

    def later(folder: Path) -> object:
        for path in sorted((copied / "people").iterdir()):
            path.write_bytes(path.read_bytes()[:200])
        return engine(folder)

    copied = write_tiny(tmp_path / "data")
    with pytest.raises(InputError) as caught:
        build(tiny_recipe(), tmp_path / "out", copied, progress=False, engine=later)  # type: ignore[arg-type]
    assert "\n" not in caught.value.message
    assert str(copied) in caught.value.message


def test_sbatch_gets_the_options_and_no_limit_of_time(
    cluster: Path, data: Path, tmp_path: Path
) -> None:
    engine = choose("slurm", 2, sbatch={"partition": "cpu", "mem-per-cpu": "2G"})
    dataset = build(tiny_recipe(5), tmp_path / "out", data, progress=False, engine=engine)
    assert dataset is not None
    alone = build(tiny_recipe(5), tmp_path / "alone", data, progress=False)
    assert alone is not None
    assert files_of(tmp_path / "out") == files_of(tmp_path / "alone")
    lines = (cluster / "script").read_text().splitlines()
    assert {"#SBATCH --partition=cpu", "#SBATCH --mem-per-cpu=2G"} <= set(lines)
    assert "#SBATCH --cpus-per-task=1" in lines and "#SBATCH --job-name=hdeocc" in lines
    assert not any("--time" in line for line in lines)


def test_a_limit_of_time_is_passed_on(cluster: Path, data: Path, tmp_path: Path) -> None:
    engine = choose("slurm", 1, sbatch={"time": "04:00:00"})
    build(tiny_recipe(5), tmp_path / "out", data, progress=False, engine=engine)
    assert "#SBATCH --time=04:00:00" in (cluster / "script").read_text().splitlines()


def test_a_refused_job_is_one_line(cluster: Path, data: Path, tmp_path: Path) -> None:
    (cluster / "sbatch").write_text(
        "#!/bin/sh\necho 'sbatch: error: invalid partition' >&2\nexit 1"
    )
    with pytest.raises(InputError, match="cannot be submitted.*invalid partition") as caught:
        build(tiny_recipe(), tmp_path / "out", data, progress=False, engine=choose("slurm", 1))
    assert "\n" not in caught.value.message
    assert leftovers(tmp_path / "out") == []


def test_no_cluster_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="no sbatch and srun.*--cluster local"):
        choose("slurm", 2)
    with pytest.raises(InputError, match="--cluster kubernetes: there are slurm and local"):
        choose("slurm", 2, cluster="kubernetes")
