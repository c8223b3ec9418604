"""A run on fake people: resumes at every step, scores what is stored, leaks no truth."""

import json
import re
import shutil
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import leaderboards.score
from hdeocc import fitted, precision, provenance
from hdeocc.batch import UndeclaredInput
from hdeocc.folders import file_digests, read_json
from leaderboards.benchmark import Benchmark, parse_benchmark
from leaderboards.cli import bench
from leaderboards.cli_leaderboard import leaderboard
from leaderboards.folder import Folder, read_claim
from leaderboards.pictures import read_png
from leaderboards.plan import planned
from leaderboards.records import Record, read_records
from leaderboards.run import run_benchmark
from leaderboards.score_pictures import truth_of
from leaderboards.status import status
from metrics import samples
from metrics.samples import make_pair
from metrics.truth import Prediction, Rules
from synth.errors import InputError
from synth.recipe import load_recipe
from tests.leaderboards import fakes

ALL = fakes.benchmark(["identity", "learned"], ["paint"], [["learned", "paint"]])
CONTENT_ONLY = fakes.benchmark([], ["paint"], [])


def _run(out: Path, benchmark: Benchmark = ALL, **options: object) -> dict[str, Record]:
    made = run_benchmark(benchmark, out, None, progress=False, **options)  # type: ignore[arg-type]
    return {record.key: record for record in made}


def _times(out: Path) -> dict[str, int]:
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.parent.name not in ("data", "out")
    }


def test_a_budget_that_takes_for_ever_is_refused_before_anything_is_built(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "bf16_slowdown", lambda device: 200.0)
    halves = fakes.toml(["identity", "learned"], [], []).replace("32-true", "bf16-mixed")
    with pytest.raises(InputError, match=r'use .*precision = "32-true" in the budget'):
        _run(fake_world, parse_benchmark(halves, "fake"))
    assert not fake_world.exists()
    assert _run(fake_world, fakes.benchmark(["identity"], [], [])), "nothing of it learns"


def test_makes_one_record_a_row_and_every_output(fake_world: Path) -> None:
    made = _run(fake_world)
    rows = ["mask.identity", "mask.learned", "content.paint", "full.learned+paint"]
    assert set(made) == {f"{row}.seed-0" for row in rows}
    for name in ("leaderboard.html", "leaderboard.md", "leaderboard.csv", "contact-sheet.png"):
        assert (fake_world / name).stat().st_size > 500
    assert all(record.complete and record.n_expected == 6 for record in made.values())
    full = made["full.learned+paint.seed-0"]
    assert full.title == "Fake mask + Fake content" and full.parameters == 2
    assert full.consumes == ("image", "initial")
    assert made["mask.identity.seed-0"].budget is None
    assert set(full.weights_sha256) == {"mask/weights.safetensors", "content/weights.safetensors"}


def test_scores_are_those_of_the_stored_pictures(fake_world: Path) -> None:
    made = _run(fake_world)
    test = fakes.FakeDataset(load_recipe("people-quick")).split("test")
    folder = Folder(fake_world)
    masks, content = (
        folder.predictions("mask", "learned", 0),
        folder.predictions("full", "learned+paint", 0),
    )
    record = made["full.learned+paint.seed-0"]
    for sample, scored in zip(test, record.samples, strict=True):
        mask = read_png(masks / f"{sample.sample_id}.png", (32, 32))
        photo = read_png(content / f"{sample.sample_id}.png", (32, 32, 3))
        assert mask is not None and photo is not None and sample.clean is not None
        hole = (mask >= 128) & ~(sample.initial >= 0.5)
        assert (photo[hole] == 64).all() and (photo[~hole] == sample.image[~hole]).all()
        truth, prediction = truth_of(sample, "full"), Prediction(mask=mask, photo=photo)
        pair = make_pair("full", truth, prediction, Rules())
        expected = samples.score("full", truth, prediction, pair)
        assert scored.scores["iou"] == expected["iou"]
        assert scored.scores["l1_hole"] == pytest.approx(expected["l1_hole"], abs=1e-12)
        assert scored.person == sample.person_id
    by_hand = np.mean([s.numbers()["l1_hole"] for s in record.samples])
    assert record.total("l1_hole") == pytest.approx(by_hand, abs=1e-12)


def test_missing_networks_leave_columns_empty_with_a_reason(fake_world: Path) -> None:
    record = _run(fake_world)["content.paint.seed-0"]
    for name in ("lpips", "lpips_hole", "fid"):
        assert name not in record.totals and "hdeocc weights" in record.empty[name]
    assert "hdeocc weights" in (fake_world / "leaderboard.md").read_text()


def test_methods_see_only_what_they_declare(fake_world: Path) -> None:
    _run(fake_world)
    seen = {frozenset(fields) for fields in fakes.FakeMask.seen}
    assert seen == {frozenset({"initial"}), frozenset({"image", "amodal", "modal"})}
    with pytest.raises(UndeclaredInput, match="'amodal' is not among the inputs"):
        _run(fake_world, fakes.benchmark(["greedy"], [], []))


def test_the_full_track_feeds_predicted_masks_never_true_ones(fake_world: Path) -> None:
    _run(fake_world)
    test = fakes.FakeDataset(load_recipe("people-quick")).split("test")
    true = np.stack([s.amodal for s in test]).mean()
    shares = [float(f["amodal"].mean()) for f in fakes.FakeContent.seen if "amodal" in f]
    # The fake mask method predicts the whole frame, so its masks are easily told from true ones.
    assert shares.count(1.0) >= 6 and any(s < 2 * true for s in shares)


def test_a_second_run_computes_nothing(fake_world: Path) -> None:
    first = _run(fake_world)
    before, fits = _times(fake_world), list(fakes.FakeMask.fits)
    page = (fake_world / "leaderboard.html").read_bytes()
    assert _run(fake_world) == first
    assert _times(fake_world) == before and fakes.FakeMask.fits == fits
    assert (fake_world / "leaderboard.html").read_bytes() == page


def test_upstream_methods_are_fitted_first_and_once(fake_world: Path) -> None:
    _run(fake_world, CONTENT_ONLY)
    assert [name for name, _ in fakes.FakeMask.fits] == ["FakeMask", "FakeContent"]
    _run(fake_world)
    assert [name for name, _ in fakes.FakeMask.fits] == ["FakeMask", "FakeContent"]


def test_an_interrupted_run_goes_on_without_refitting(fake_world: Path) -> None:
    benchmark = fakes.benchmark(["learned", "stopped", "identity"], [], [])
    with pytest.raises(KeyboardInterrupt):
        _run(fake_world, benchmark)
    assert [r.method for r in read_records(fake_world / "results")] == ["learned"]
    assert not (fake_world / "models" / "mask.stopped" / "seed-0").exists()
    made = _run(fake_world, benchmark)
    assert len(made) == 3
    assert [name for name, _ in fakes.FakeMask.fits] == ["FakeMask", "Stopped", "Stopped"]


def test_interrupted_scoring_keeps_models_and_pictures(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(leaderboards.score.Scorer, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            _run(fake_world, fakes.benchmark(["learned"], [], []))
    before = _times(fake_world)
    _run(fake_world, fakes.benchmark(["learned"], [], []))
    after = _times(fake_world)
    assert {k: v for k, v in after.items() if k in before} == before
    assert len(fakes.FakeMask.fits) == 1


def test_pictures_and_records_do_not_outlive_the_weights_that_made_them(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A model of the same recipe, trained again, may come out otherwise: on another machine, say.
    before = _run(fake_world)
    shutil.rmtree(fake_world / "models" / "mask.learned")

    def otherwise(method: fakes.FakeMask, *_: object) -> None:
        method.constant = 0.3

    monkeypatch.setattr(fakes.FakeMask, "fit", otherwise)
    after = _run(fake_world)
    assert fakes.FakeMask.fits == [("FakeMask", 0), ("FakeContent", 0)], "content was left alone"
    changed = {key for key in after if after[key].weights_sha256 != before[key].weights_sha256}
    assert changed == {"mask.learned.seed-0", "full.learned+paint.seed-0"}
    for key in changed:
        assert after[key].totals != before[key].totals
    about = read_json(Folder(fake_world).predictions("mask", "learned", 0) / "predictions.json")
    [weights] = file_digests(fake_world / "models" / "mask.learned" / "seed-0").values()
    assert weights in about["weights_sha256"].values()


def test_a_folder_of_another_benchmark_is_not_rendered_as_this_one(fake_world: Path) -> None:
    _run(fake_world)
    other = ALL.model_copy(update={"name": "other"})
    with pytest.raises(InputError, match="runs benchmark fake, not other"):
        _run(fake_world, other, rerun="never")


def test_records_tell_the_code_that_trained_from_the_code_that_scored(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitted, "code_version", lambda: "first")
    monkeypatch.setattr(provenance, "code_version", lambda: "second")
    made = _run(fake_world)
    by = {key: (one.trained_by, one.code_version) for key, one in made.items()}
    assert by["mask.learned.seed-0"] == by["full.learned+paint.seed-0"] == ("first", "second")
    assert by["mask.identity.seed-0"] == ("", "second")


def test_another_budget_is_another_fit(fake_world: Path) -> None:
    _run(fake_world)
    budget = ALL.budget.model_copy(update={"mask": ALL.budget.mask.model_copy(update={"lr": 1e-3})})
    made = _run(fake_world, ALL.model_copy(update={"budget": budget}))
    # The content method builds on the mask method, so it is fitted again as well.
    assert [name for name, _ in fakes.FakeMask.fits] == ["FakeMask", "FakeContent"] * 2
    used = made["mask.learned.seed-0"].budget
    assert used is not None and used["mask"]["lr"] == 1e-3


def test_always_does_all_again_and_never_does_nothing(fake_world: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        _run(fake_world, rerun="never")
    assert not fake_world.exists()
    _run(fake_world)
    _run(fake_world, rerun="never")
    assert len(fakes.FakeMask.fits) == 2
    _run(fake_world, rerun="always")
    assert len(fakes.FakeMask.fits) == 4


def test_a_lost_picture_is_predicted_again(fake_world: Path) -> None:
    first = _run(fake_world)
    lost = Folder(fake_world).predictions("mask", "learned", 0) / "000003.png"
    lost.unlink()
    again = _run(fake_world)
    assert lost.is_file() and len(fakes.FakeMask.fits) == 2
    assert again["mask.learned.seed-0"].totals == first["mask.learned.seed-0"].totals


def test_a_damaged_picture_is_named(fake_world: Path) -> None:
    _run(fake_world)
    path = Folder(fake_world).predictions("mask", "learned", 0) / "000003.png"
    (fake_world / "results" / "mask.learned.seed-0.json").unlink()
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(InputError, match=r"000003\.png: not a readable picture"):
        _run(fake_world)
    path.write_bytes(cv2.imencode(".png", np.zeros((16, 16), np.uint8))[1].tobytes())
    with pytest.raises(InputError, match=r"000003\.png: is \(16, 16\) uint8, not \(32, 32\)"):
        _run(fake_world)


def test_changed_weights_are_refused(fake_world: Path) -> None:
    _run(fake_world)
    folder = Folder(fake_world).model("mask.learned", 0)
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="not those that were fitted"):
        _run(fake_world)


def test_what_a_row_lacks_is_said_before_anything_is_made(
    fake_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking() -> None:
        raise InputError("Fake needs a graph: run `hdeocc weights fake`")

    monkeypatch.setattr(fakes.FakeContent, "require", staticmethod(lacking))
    rows = fakes.benchmark(["learned"], ["paint"], [])
    with pytest.raises(InputError, match="row content.paint: Fake needs a graph.*leave it out"):
        _run(fake_world, rows)
    assert not fake_world.exists() and fakes.FakeMask.fits == []
    run_benchmark(rows, fake_world, None, methods=["learned"], progress=False)
    assert fakes.FakeMask.fits == [("FakeMask", 0)]


def test_rows_that_do_not_fit_on_each_other_are_refused_before_anything_is_made(
    tmp_path: Path,
) -> None:
    text = fakes.toml(["ovsr", "ovsr-iterated"], ["ovsr"], [])
    text += "[options.mask]\novsr.generator_width = 12\n"
    with pytest.raises(InputError, match=r"row mask\.ovsr-iterated: .*generator_width"):
        _run(tmp_path / "out", parse_benchmark(text, "fake"))
    assert not (tmp_path / "out").exists()


def test_seeds_give_a_row_each(fake_world: Path) -> None:
    two = fakes.benchmark(["learned"], [], []).model_copy(update={"seeds": (0, 5)})
    assert set(_run(fake_world, two)) == {"mask.learned.seed-0", "mask.learned.seed-5"}
    assert fakes.FakeMask.fits == [("FakeMask", 0), ("FakeMask", 5)]


def test_only_repeated_rows_are_trained_with_every_seed(fake_world: Path) -> None:
    rows = fakes.benchmark(["learned"], ["paint"], [("learned", "paint")])
    text = {"seeds": (0, 5, 6), "repeated": ("mask.learned",)}
    once = rows.model_copy(update=text)
    made = [(row.track, row.name, row.seed) for row in planned(once)]
    assert made[:3] == [
        ("mask", "learned", 0),
        ("content", "paint", 0),
        ("full", "learned+paint", 0),
    ]
    assert made[3:] == [("mask", "learned", 5), ("mask", "learned", 6)], "paint learns as well"
    both = rows.model_copy(update=text | {"repeated": ("learned", "paint")})
    again = [(row.track, row.seed) for row in planned(both)][3:]
    assert again == [(track, seed) for seed in (5, 6) for track in ("mask", "content", "full")]


def test_some_of_the_seeds_now_and_the_others_later(fake_world: Path) -> None:
    three = fakes.benchmark(["identity", "learned"], [], [])
    three = three.model_copy(update={"seeds": (0, 5, 6)})

    def asked() -> list[str]:
        return [row.row for row in status(fake_world).rows]

    def run(seeds: list[int] | None) -> list[str]:
        before = len(fakes.FakeMask.fits)
        run_benchmark(three, fake_world, None, progress=False, seeds=seeds)
        return [f"{name} {seed}" for name, seed in fakes.FakeMask.fits[before:]]

    assert run([6]) == ["FakeMask 6"]
    assert [path.name for path in (fake_world / "results").iterdir()] == [
        "mask.learned.seed-6.json"
    ], "what learns nothing belongs to the first seed"
    assert [one.seeds for one in read_claim(fake_world).asked] == [(6,)]
    assert asked() == ["mask.learned (seed 6)"]
    assert run([6, 0]) == ["FakeMask 0"]
    assert len(asked()) == 3
    assert run(None) == ["FakeMask 5"]
    assert [one.seeds for one in read_claim(fake_world).asked] == [None] and len(asked()) == 4


@pytest.mark.parametrize(
    ("seeds", "words"),
    [("7", "--seeds: 7; benchmark fake has 0"), (",", "names no seed"), ("one", "are no numbers")],
)
def test_seeds_that_are_not_there_are_refused(fake_world: Path, seeds: str, words: str) -> None:
    code, text = _invoke(fake_world, "--seeds", seeds)
    assert code == 2 and words in text and not fake_world.exists()


def test_renders_without_data_or_predictions(fake_world: Path, tmp_path: Path) -> None:
    _run(fake_world)
    bare = tmp_path / "bare"
    bare.mkdir()
    (fake_world / "results").rename(bare / "results")
    done = CliRunner().invoke(leaderboard, ["render", str(bare)])
    assert done.exit_code == 0, done.output
    assert (bare / "leaderboard.html").is_file()
    assert "<img src" not in (bare / "leaderboard.html").read_text()


def _invoke(out: Path, *more: str) -> tuple[int, str]:
    text = fakes.toml(["identity", "stopped"], [], [])
    path = out.parent / "fake.toml"
    path.write_text(text)
    done = CliRunner().invoke(bench, ["run", str(path), "--out", str(out), "--workers", "1", *more])
    return done.exit_code, done.output


def test_ctrl_c_says_how_to_go_on(fake_world: Path) -> None:
    code, text = _invoke(fake_world)
    assert code == 130 and f"--out {fake_world}" in text and "Go on with" in text
    code, text = _invoke(fake_world)
    assert code == 0 and "leaderboard.html" in text and "IoU ↑" in text


def test_a_folder_that_holds_something_else_is_refused_untouched(fake_world: Path) -> None:
    fake_world.mkdir()
    (fake_world / "thesis.tex").write_text("mine")
    code, text = _invoke(fake_world)
    assert code == 2 and "holds something else" in text and text.count("\n") == 1
    assert [p.name for p in fake_world.iterdir()] == ["thesis.tex"]


def test_a_folder_of_another_benchmark_is_refused(fake_world: Path) -> None:
    _run(fake_world, fakes.benchmark(["identity"], [], []))
    marker = fake_world / "bench.json"
    content = json.loads(marker.read_text())
    content["benchmark"]["name"] = "other"
    marker.write_text(json.dumps(content))
    code, text = _invoke(fake_world)
    assert code == 2 and "runs benchmark other, not fake" in text


def test_unknown_methods_are_named_with_the_closest(fake_world: Path) -> None:
    code, text = _invoke(fake_world, "--methods", "identiti")
    assert code == 2 and "did you mean identity" in text
    assert not fake_world.exists()


def test_other_data_than_the_benchmark_is_about_are_refused_before_anything_is_fitted(
    fake_world: Path,
) -> None:
    found = fakes.FakeDataset(load_recipe("people-quick")).split("test").fingerprint
    pinned = ALL.model_copy(update={"fingerprint": "0" * 64})
    with pytest.raises(InputError, match=f"photos give {found[:12]}; .* say --on people-quick"):
        _run(fake_world, pinned)
    assert not (fake_world / "models").exists() and not (fake_world / "results").exists()
    same = ALL.model_copy(update={"fingerprint": found})
    assert _run(fake_world, same)


def test_list_names_the_bundled_benchmarks() -> None:
    done = CliRunner().invoke(bench, ["list"])
    assert done.exit_code == 0 and "people-quick" in done.output and "photos-small" in done.output


def test_a_recipe_with_an_empty_split_is_refused_before_anything_is_written(
    fake_world: Path, tmp_path: Path
) -> None:
    text = (resources.files("synth") / "recipes" / "people-quick.toml").read_text()
    emptied = re.sub(r"^val = \d+$", "val = 0", text, count=1, flags=re.MULTILINE)
    (tmp_path / "none.toml").write_text(emptied)
    for recipe, words in (("none.toml", "has no val samples"), ("gone.toml", "no such recipe")):
        benchmark = ALL.model_copy(update={"recipe": str(tmp_path / recipe)})
        with pytest.raises(InputError, match=words):
            _run(tmp_path / "new", benchmark)
    assert not (tmp_path / "new").exists()


def test_an_output_that_cannot_be_written_is_one_line(fake_world: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match=r"file/out/\S*: cannot be written"):
        _run(tmp_path / "file" / "out")
    _run(fake_world)
    (fake_world / "leaderboard.html").unlink()
    (fake_world / "leaderboard.html").mkdir()
    with pytest.raises(InputError, match=r"leaderboard\.html: (cannot be written|is not the name)"):
        _run(fake_world)
    assert not list(fake_world.glob("*.tmp"))


@pytest.mark.parametrize("content", ["{", '{"benchmark": 3}'])
def test_a_damaged_marker_is_named(content: str, fake_world: Path) -> None:
    _run(fake_world)
    (fake_world / "bench.json").write_text(content)
    with pytest.raises(InputError, match=r"bench\.json: is damaged; restore it or give another"):
        _run(fake_world)


def test_a_damaged_note_on_predictions_has_them_made_again(fake_world: Path) -> None:
    first = _run(fake_world)
    path = fake_world / "predictions" / "mask" / "learned" / "seed-0" / "predictions.json"
    about = json.loads(path.read_text())
    del about["milliseconds"]
    path.write_text(json.dumps(about))
    assert _run(fake_world).keys() == first.keys()
    assert "milliseconds" in json.loads(path.read_text())


@pytest.mark.parametrize("cut", [0, 8, 60])
def test_a_cut_prediction_is_named_and_nothing_else_is_printed(
    cut: int, fake_world: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _run(fake_world)
    path = next((fake_world / "predictions" / "mask" / "learned" / "seed-0").glob("*.png"))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputError, match=rf"{path.name}: not a readable picture"):
        read_png(path, (32, 32))
    assert "libpng" not in (shown := capfd.readouterr().err) and "WARN" not in shown
