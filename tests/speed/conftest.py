"""The report of the speed program: a small table at the end, and the same as JSON."""

import json
import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.speed.report import Report, costs_markdown

_REPORT = pytest.StashKey[Report]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--out", default=os.environ.get("OUT"), help="folder for speed.json")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_REPORT] = Report()


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """Where a test puts what it measured."""
    yield request.config.stash[_REPORT]


@pytest.fixture(scope="module")
def one_core() -> Iterator[None]:
    """torch computes on one core."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    report = config.stash.get(_REPORT, None)
    if report is None or not report.table():
        return
    terminalreporter.section("speed")
    terminalreporter.write_line(report.table())
    folder = config.getoption("--out", default=None)
    if folder:
        path = Path(folder) / "speed.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        machine = {"cores": os.cpu_count(), "machine": platform.machine()}
        path.write_text(json.dumps(machine | report.as_dict(), indent=1) + "\n")
        if report.costs:
            path.with_name("costs.md").write_text(costs_markdown(report.costs), encoding="utf-8")
        terminalreporter.write_line(f"written to {path}")
