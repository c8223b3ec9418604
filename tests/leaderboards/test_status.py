"""How far a run is, and going on with it."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import leaderboards.run
from hdeocc.cli import main
from leaderboards.benchmark import load_benchmark
from leaderboards.folder import Asked, Folder, claim, read_claim
from leaderboards.plan import planned
from leaderboards.run import run_benchmark
from leaderboards.status import status, status_table
from synth.errors import InputError


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def states(out: Path) -> dict[str, tuple[str, str, str]]:
    return {row.row: (row.fitted, row.predicted, row.scored) for row in status(out).rows}


def test_a_finished_run_is_done(finished_tiny: Path) -> None:
    found = status(finished_tiny)
    assert found.done and found.data == "yes" and len(found.rows) == 5
    assert "All rows are scored." in status_table(found)


def test_what_is_lost_is_open(tiny: Path) -> None:
    folder = Folder(tiny)
    folder.result("content", "mean-colour", 0, "official").unlink()
    (folder.predictions("content", "telea-person", 0) / "000005.png").unlink()
    shutil.rmtree(folder.predictions("full", "convex-hull+telea-person", 0))
    (folder.results / "mask.identity.seed-0.json").write_text("{")
    shutil.rmtree(folder.model("mask.convex-hull", 0))
    found = states(tiny)
    assert found["content.mean-colour"] == ("yes", "yes", "-")
    assert found["content.telea-person"] == ("yes", "7 of 8", "yes")
    assert found["full.convex-hull+telea-person"] == ("-", "-", "yes")
    assert found["mask.identity"] == ("yes", "yes", "-")
    text = status_table(status(tiny))
    assert "mask.identity.seed-0.json cannot be read" in text and "5 of 5 rows are open." in text


def test_a_training_is_as_far_as_its_checkpoint(tmp_path: Path) -> None:
    folder = claim(tmp_path / "out", load_benchmark("people-quick"))
    training = folder.training("mask.pix2pix", 0)
    training.mkdir(parents=True)
    (training / "training.json").write_text('{"key": "k"}')
    assert states(tmp_path / "out")["mask.pix2pix"] == ("step 0 of 400", "-", "-")
    (training / "step-00000120").mkdir()
    found = states(tmp_path / "out")
    assert found["mask.pix2pix"][0] == "step 120 of 400"
    assert found["full.pix2pix+pix2pix"][0] == "step 120 of 400"
    assert found["mask.two-stage"] == ("-", "-", "-")
    assert status(tmp_path / "out").data == "-"


def test_a_fit_of_another_budget_is_not_this_one(tmp_path: Path) -> None:
    folder = claim(tmp_path / "out", load_benchmark("people-quick"))
    model = folder.model("mask.pix2pix", 0)
    model.mkdir(parents=True)
    given = load_benchmark("people-quick").budget_of("mask", "pix2pix", 0).facts()
    for change, state in (
        ({}, "yes"),
        ({"samples": 7}, "other budget"),
        ({"lr": 7}, "other budget"),
    ):
        (model / "fitted.json").write_text(json.dumps({"budget": given | change}))
        assert states(tmp_path / "out")["mask.pix2pix"][0] == state


def test_the_command_shows_chosen_methods_only(tmp_path: Path) -> None:
    claim(tmp_path / "out", load_benchmark("people-quick"), None, ["telea"])
    done = call("bench", "status", tmp_path / "out")
    assert done.exit_code == 0 and "content.telea" in done.output
    assert "1 of 1 rows are open." in done.output
    done = call("bench", "status", tmp_path / "nowhere")
    assert done.exit_code == 2 and "no output of a benchmark" in done.output


def test_what_was_asked_for_stays_asked_for_and_nothing_else_is(tmp_path: Path) -> None:
    benchmark = load_benchmark("photos-full")

    def asked(methods: list[str] | None, seeds: list[int] | None = None) -> int:
        claim(tmp_path / "out", benchmark, None, methods, seeds)
        return len(read_claim(tmp_path / "out").rows())

    assert asked(["telea"]) == asked(["telea"]) == 1
    assert asked(["identity"]) == 2
    assert asked(["unet", "two-stage"], [1, 2]) == 2 + 2 * 4, "U-Net, ours twice, ours in a row"
    # Not the U-Net at seed 0, which nobody asked for.
    assert asked(["pix2pix"]) == 2 + 2 * 4 + 3 * 3
    assert asked(["pix2pix"], [0]) == 2 + 2 * 4 + 3 * 3
    assert [len(one.methods or ()) for one in read_claim(tmp_path / "out").asked] == [1, 1, 2, 1]
    assert asked(None) == asked(["telea"]) == len(planned(benchmark))
    assert read_claim(tmp_path / "out").asked == (Asked(),)


def test_what_an_earlier_version_was_asked_for_is_read(tmp_path: Path) -> None:
    claim(tmp_path / "out", load_benchmark("people-quick"), None, ["telea"], [0])
    marker = tmp_path / "out" / "bench.json"
    about = json.loads(marker.read_text())
    (one,) = about.pop("asked")
    marker.write_text(json.dumps(about | one))
    assert read_claim(tmp_path / "out").asked == (Asked(("telea",), (0,)),)


def test_resuming_takes_the_same_benchmark_photos_and_methods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[object, ...]] = []

    def noted(benchmark: object, out: Path, data: object, rerun: str, methods: object,
              workers: int, seeds: object, jobs: int) -> list[object]:  # fmt: skip
        seen.append((benchmark, out, data, rerun, methods, seeds, jobs))
        return []

    monkeypatch.setattr(leaderboards.run, "run_benchmark", noted)
    benchmark, photos = load_benchmark("photos-small"), tmp_path / "photos"
    claim(tmp_path / "out", benchmark, photos, ["telea", "mask.identity"], [0])
    claim(tmp_path / "out", benchmark, photos, ["biharmonic"])
    done = call("bench", "resume", tmp_path / "out", "--rerun", "never", "--jobs", "3")
    assert done.exit_code == 0, done.output
    methods = ["telea", "mask.identity"]
    same = (benchmark, tmp_path / "out", photos.resolve(), "never")
    assert seen == [(*same, methods, [0], 3), (*same, ["biharmonic"], None, 3)]
    done = call("bench", "resume", tmp_path)
    assert done.exit_code == 2 and "make one with `hdeocc bench run`" in done.output


def test_resuming_finishes_a_broken_run(tiny: Path) -> None:
    shutil.rmtree(Folder(tiny).predictions("content", "telea-person", 0))
    assert not status(tiny).done
    assert call("bench", "resume", tiny, "--workers", "1").exit_code == 0
    assert status(tiny).done


def test_a_recipe_of_ones_own_is_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text("x")
    benchmark = load_benchmark("people-tiny").model_copy(update={"recipe": "mine.toml"})
    claim(tmp_path / "out", benchmark)
    assert read_claim(tmp_path / "out").benchmark.recipe == str(tmp_path / "mine.toml")


@pytest.mark.parametrize("content", ["{", '{"schema": 2}', '{"schema": 2, "benchmark": {}}'])
def test_a_damaged_marker_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text(content)
    with pytest.raises(InputError, match=r"bench\.json: is damaged"):
        read_claim(tmp_path)
    (tmp_path / "bench.json").write_text('{"schema": 1, "benchmark": {"name": "x"}}')
    with pytest.raises(InputError, match=r"bench\.json: schema 1 of another version"):
        read_claim(tmp_path)


def test_other_photos_than_the_benchmark_is_about_are_refused(tiny: Path) -> None:
    benchmark = load_benchmark("people-tiny").model_copy(update={"fingerprint": "0" * 12})
    with pytest.raises(InputError, match="is about the test split 000000000000, but these photos"):
        run_benchmark(benchmark, tiny, None, progress=False)
