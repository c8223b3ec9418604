"""The command that trains networks and prints what a recipe needs, and the table of IoUs."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synth.cli import synth
from synth.initial import FromModal
from synth.occlusion_spec import Initial
from synth.plan import make_sample, open_plan
from synth.recipe import parse_recipe
from synth.segmenter.measure import distance, measure, spread, table
from tests.synth.segmenters import MODAL, trained, with_networks
from tests.synth.tiny import RECIPE


@pytest.fixture(scope="module")
def networks(data: Path) -> Path:
    trained(data / "networks", data)
    return data / "networks"


def test_the_measured_samples_are_those_of_the_data_set(data: Path) -> None:
    plan = open_plan(parse_recipe(RECIPE.format(train=14, shard_size=4), "x"), data)
    seen: list[bytes] = []

    class Half(FromModal):
        def __call__(self, image: np.ndarray, modal: np.ndarray, *_: object) -> np.ndarray:
            seen.append(image.tobytes() + modal.tobytes())
            upper = np.cumsum(modal).reshape(modal.shape) * 2 <= modal.sum()
            return (modal & upper).astype(np.float32)

    found = measure(plan, [Half(Initial()), FromModal(Initial())], "val", 3, progress=False)
    samples = [make_sample(plan, 14 + number) for number in range(3)]
    assert seen == [sample.image.tobytes() + sample.modal.tobytes() for sample in samples]
    np.testing.assert_allclose(found, [[0.5] * 3, [1.0] * 3], atol=0.01)
    assert measure(plan, [FromModal(Initial())], "val", 99, progress=False).shape == (1, 4)


def test_a_table_says_how_ious_are_spread_and_how_far_apart() -> None:
    some, others = np.linspace(0, 1, 101), np.linspace(1, 0, 101) / 2 + 0.5
    found = spread(some)
    assert (found.count, found.mean, found.below_half) == (101, 0.5, 0.495)
    assert found.quantiles == {"5": 0.05, "25": 0.25, "50": 0.5, "75": 0.75, "95": 0.95}
    assert distance(some, others) == pytest.approx(0.25)
    rows = table(["a", "longer name"], np.array([some, others]), others).splitlines()
    assert len({len(row) for row in rows}) == 1
    numbers = [0.5, 0.05, 0.25, 0.5, 0.75, 0.95, 0.495, 0.25]
    assert rows[1].split() == ["a", *(f"{number:.3f}" for number in numbers)]
    assert rows[2].split()[-2:] == ["0.000", "0.000"] and rows[0].endswith("distance")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(synth, ["segmenter", *map(str, arguments)])


def test_the_command_prints_what_a_recipe_needs(data: Path, tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(MODAL)
    short = ("--folds", 2, "--steps", 2, "--composites", 12)
    made = run(tmp_path / "tiny.toml", "--out", tmp_path / "nets", "--data", data, *short)
    assert made.exit_code == 0, made.output
    measured, _, lines = made.stdout.partition("\n\n")
    said = [line.split(":")[0] for line in measured.splitlines()]
    assert said == [f"IoU with the visible mask, {n} samples" for n in ("14 train", "4 val")]
    printed = tomllib.loads(lines)
    assert printed == {"initial": {"kind": "segmenter", "networks": str(tmp_path / "nets")}}
    own = parse_recipe(MODAL.partition("[initial]")[0] + lines, "tiny.toml")
    assert make_sample(open_plan(own, data), 0).initial.any()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("people-quick", "--out: name a folder"),
        ("people-quick --out x --folds 1", "--folds 1: input should be greater than or equal to 2"),
        ("people-quick --out x --folds 65", "--folds 65"),
        ("people-quick --out x --steps 0", "--steps 0"),
        ("people-quick --out x --composites 0", "--composites 0"),
        ("people-quick --out x --seed -1", "--seed -1"),
        ("people-quik --out x", "did you mean people-quick"),
        ("gone.toml --measure yes", "no such recipe file"),
    ],
)
def test_mistakes_are_one_line(
    options: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*options.split())
    assert result.exit_code == 2 and words in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synth.segmenter.train.train", interrupted)
    stopped = run("people-quick", "--out", tmp_path)
    assert stopped.exit_code == 130
    assert f"{tmp_path} is sound. Run the same command again" in stopped.output


@pytest.mark.parametrize("own", ["modal", "segmenter"])
def test_measure_prints_a_table_and_writes_nothing(
    own: str, networks: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.toml").write_text(MODAL if own == "modal" else with_networks(networks))
    monkeypatch.chdir(tmp_path)
    result = run("tiny.toml", "--measure", "yes", "--data", data)
    assert result.exit_code == 0, result.output
    tables = [one.splitlines() for one in result.stdout.split("\n\n")]
    assert [one[0] for one in tables] == ["14 train samples", "4 val samples"]
    for _, head, *rows in tables:
        names = [row.partition("  ")[0] for row in rows]
        strengths = [f"jitter, strength {s}" for s in ("0.25", "0.5", "1", "2", "4")]
        assert names == strengths + ["of tiny"] * (own == "segmenter")
        means = [float(row.split("  ", 1)[1].split()[0]) for row in rows]
        assert means[:5] == sorted(means[:5], reverse=True) and means[0] > 0.95 > 0.8 > means[4]
        assert head.endswith("distance") == (own == "segmenter")
        if own == "segmenter":
            assert rows[-1].endswith(" 0.000") and means[-1] < means[4]
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.toml"]
