"""Half precision is refused where a device would take for ever in it."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from hdeocc import precision
from hdeocc.cli import main
from hdeocc.fabric import make_fabric
from hdeocc.method import Budget
from hdeocc.precision import bf16_slowdown, check_precision, too_slow
from synth.errors import InputError

CPU = torch.device("cpu")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that multiplies 200 times slower in bfloat16."""
    monkeypatch.setattr(precision, "bf16_slowdown", lambda device: 200.0)


def test_the_slowdown_is_measured() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert bf16_slowdown(CPU) > 0
        assert bf16_slowdown(CPU) == bf16_slowdown(CPU), "once a process"
        assert torch.get_num_threads() == 2, "it measures in one thread and gives the others back"
    finally:
        torch.set_num_threads(threads)


@pytest.mark.usefixtures("slow")
def test_a_slow_precision_is_refused_with_a_way_out() -> None:
    check_precision("32-true", CPU)
    assert too_slow("32-true", CPU) is None
    with pytest.raises(
        InputError, match=r"bf16-mixed: this cpu multiplies 200 times slower.*32-true"
    ):
        check_precision("bf16-mixed", CPU)
    with pytest.raises(InputError, match="200 times slower"):
        make_fabric(Budget(samples=8, precision="bf16-mixed"), accelerator="cpu")


def test_a_fast_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda device: 1.5)
    check_precision("bf16-mixed", CPU)
    fabric = make_fabric(Budget(samples=8, precision="bf16-mixed"), accelerator="cpu")
    with fabric.autocast():
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.usefixtures("slow")
def test_training_says_so_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "model"
    command = ["train", "two-stage", "--data", "people-quick", "--out", str(out)]
    done = CliRunner().invoke(main, [*command, "--accelerator", "cpu", "--precision", "bf16-mixed"])
    assert done.exit_code == 2 and "use --precision 32-true" in done.output
    assert not out.exists()
