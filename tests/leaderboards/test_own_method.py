"""A method of one's own: the package of docs/methods.md, installed and run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from leaderboards.records import read_records
from tests.leaderboards.test_end_to_end import RECIPE

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _files() -> dict[str, str]:
    """The files on the page by name: the fenced blocks that name one."""
    return dict(BLOCK.findall((ROOT / "docs" / "methods.md").read_text(encoding="utf-8")))


class World:
    """A folder with the package, and where it is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        for name, text in _files().items():
            path = folder / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def run(self, *words: str, paths: tuple[Path, ...] = ()) -> str:
        """What ``python words`` prints where the package is installed."""
        found = os.pathsep.join(map(str, (self.site, *paths)))
        environment = os.environ | {"PYTHONPATH": found, "OMP_NUM_THREADS": "1"}
        # No feature networks: a fresh machine has none, and they would take most of the time.
        environment["HDEOCC_CACHE"] = str(self.folder / "none")
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("own"))
    source, site = made.folder / "source", made.site
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    made.run("-m", "pip", "install", *options, str(source))
    return made


def test_its_names_are_known(world: World) -> None:
    listed = world.run("-m", "hdeocc", "methods")
    assert "mask.dilated " in listed and "my_rows.floors:Dilated" in listed
    assert "mask.two-stage " in listed
    without = subprocess.run(
        [sys.executable, "-m", "hdeocc", "methods"], capture_output=True, text=True, check=True
    )
    assert "my_rows" not in without.stdout


def test_its_rows_stand_in_the_table(world: World) -> None:
    recipe = world.folder / "tiny.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    text = _files()["my-benchmark.toml"]
    text = text.replace('"people-quick"', f'"{recipe}"').replace("samples = 3200", "samples = 8")
    benchmark = world.folder / "my-benchmark.toml"
    benchmark.write_text(text, encoding="utf-8")
    out = world.folder / "out"
    world.run("-m", "hdeocc", "bench", "run", str(benchmark), "--out", str(out), "--workers", "1")
    records = {record.method: record for record in read_records(out / "results")}
    assert set(records) == {"identity", "convex-hull", "dilated", "three-layers", "wide-layers"}
    assert records["dilated"].consumes == ("initial",) and not records["dilated"].learned
    assert records["three-layers"].learned
    assert records["wide-layers"].options == {"width": 16}
    assert records["wide-layers"].parameters > records["three-layers"].parameters
    table = (out / "leaderboard.md").read_text(encoding="utf-8")
    assert all(f"| {title} " in table for title in ("Dilated by two", "Three wide layers"))


def test_it_keeps_what_every_row_must_keep(world: World) -> None:
    printed = world.run(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "source/test_my_rows.py", paths=(ROOT,)
    )
    assert re.search(r"^\d+ passed", printed, re.MULTILINE), printed
