"""Results of other programs: scored, put beside ours, verified; and two runs compared."""

import csv
import json
import re
import shutil
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from hdeocc.cli import main
from leaderboards import cli_predict
from leaderboards.cost import macs_together
from leaderboards.diff import diff
from leaderboards.folder import Folder
from leaderboards.foreign import facts_of
from leaderboards.records import read_record, read_records, write_record
from leaderboards.verify import verify
from synth.errors import InputError
from tests.leaderboards.fakes import content_record


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def masks(tiny: Path, to: Path) -> Path:
    """The masks of a foreign program: ours of the convex hull, without a word about them."""
    to.mkdir()
    for path in Folder(tiny).predictions("mask", "convex-hull", 0).glob("*.png"):
        shutil.copyfile(path, to / path.name)
    return to


def test_foreign_masks_are_scored_with_intervals(tiny: Path, tmp_path: Path) -> None:
    theirs, out = masks(tiny, tmp_path / "theirs"), tmp_path / "theirs.json"
    done = call("score", theirs, tiny / "data", "--consumes", "initial", "--out", out)
    assert done.exit_code == 0, done.output
    record = read_record(out)
    ours = read_record(tiny / "results" / "mask.convex-hull.seed-0.json")
    assert record.totals == ours.totals and record.samples == ours.samples
    assert (record.method, record.milliseconds, record.device) == ("theirs", None, "not measured")
    assert record.parameters is None and record.macs is None, "nobody said, so it is not 0"
    assert record.learned is None
    [line] = [one for one in done.output.splitlines() if one.split()[:1] == ["iou"]]
    assert f"{ours.total('iou'):.4f}" in line and "[0." in line and line.endswith("n 8")


def test_foreign_photos_need_their_masks_on_the_full_track(tiny: Path, tmp_path: Path) -> None:
    photos = Folder(tiny).predictions("full", "convex-hull+telea-person", 0)
    hulls = Folder(tiny).predictions("mask", "convex-hull", 0)
    out = tmp_path / "full.json"
    data = tiny / "data"
    assert call("score", photos, data, "--masks", hulls, "--protocol", "official", "--name", "Both",
                "--out", out).exit_code == 0  # fmt: skip
    ours = tiny / "results" / "full.convex-hull+telea-person.seed-0.official.json"
    assert read_record(out).totals == read_record(ours).totals
    assert read_record(out).consumes == ("image", "initial"), "it reads no true mask"
    done = call("score", photos, data, "--track", "full")
    assert done.exit_code == 2 and "give them with --masks DIR" in done.output


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("missing", "1 predictions are missing (000004.png); add them"),
        ("extra", "000099.png belong to no sample of the split"),
        ("resized", "000004.png: is 32x32 pixels, not 64x64"),
        ("text", "000004.png: is not a readable PNG"),
        ("colour", "000004.png: is 8-bit RGB, not 8-bit grey"),
        ("silent", "nothing says what the method was given; say it with --consumes"),
    ],
)
def test_faulty_folders_are_refused_by_name(
    fault: str, words: str, tiny: Path, tmp_path: Path
) -> None:
    theirs = masks(tiny, tmp_path / "theirs")
    path = theirs / "000004.png"
    if fault == "missing":
        path.unlink()
    elif fault == "extra":
        shutil.copyfile(path, theirs / "000099.png")
    elif fault == "resized":
        path.write_bytes(cv2.imencode(".png", np.zeros((32, 32), np.uint8))[1].tobytes())
    elif fault == "colour":
        path.write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    elif fault == "text":
        path.write_bytes(b"no picture")
    given = () if fault == "silent" else ("--consumes", "initial")
    done = call("score", theirs, tiny / "data", *given)
    assert done.exit_code == 2 and words in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_unknown_inputs_get_the_closest_names(tiny: Path, tmp_path: Path) -> None:
    done = call("score", masks(tiny, tmp_path / "theirs"), tiny / "data", "--consumes", "inital")
    assert done.exit_code == 2 and "did you mean initial" in done.output


def test_predictions_of_another_split_are_refused(tiny: Path) -> None:
    folder = Folder(tiny).predictions("mask", "identity", 0)
    done = call("score", folder, tiny / "data", "--split", "val")
    assert done.exit_code == 2 and "these predictions are of the split" in done.output


def _foreign(tiny: Path, tmp_path: Path, **options: Any) -> tuple[Path, Path]:
    theirs, out = masks(tiny, tmp_path / "theirs"), tmp_path / "theirs.json"
    given = [word for name, value in options.items() for word in (f"--{name}", value)]
    done = call("score", theirs, tiny / "data", "--consumes", "initial", "--out", out, *given)
    assert done.exit_code == 0, done.output
    return theirs, out


def _text_of_row(path: Path, title: str) -> tuple[str, str]:
    text = path.read_text()
    return text, next(line for line in text.splitlines() if title in line)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_foreign_result_stands_beside_ours_and_can_be_verified(
    tiny: Path, tmp_path: Path
) -> None:
    theirs, out = _foreign(tiny, tmp_path, name="Their hull")
    done = call("leaderboard", "add", out, tiny, "--predictions", theirs)
    assert done.exit_code == 0, done.output
    page, row = _text_of_row(tiny / "leaderboard.md", "Their hull")
    assert row.count("– <sup>1</sup>") == 3 and "made these predictions did not say" in page
    [row] = [r for r in _rows(tiny / "leaderboard.csv") if r["title"] == "Their hull"]
    assert row["parameters"] == row["macs"] == row["milliseconds"] == row["learned"] == ""
    [command] = re.findall("hdeocc bench run .*", (tiny / "leaderboard.html").read_text())
    assert "people-tiny --out people-tiny" in command, (
        "what the benchmark did not make is not in it"
    )
    assert verify(tiny).faults == [] and verify(tiny).records == 9
    done = call("leaderboard", "add", out, tiny)
    assert done.exit_code == 2 and "has a result mask.their-hull.seed-0" in done.output


def test_pictures_that_were_not_scored_are_refused(tiny: Path, tmp_path: Path) -> None:
    _, out = _foreign(tiny, tmp_path)
    (tmp_path / "empty").mkdir()
    other = Folder(tiny).predictions("mask", "identity", 0)
    photos = Folder(tiny).predictions("content", "telea-person", 0)
    wrong = [
        (tmp_path / "gone", "no such folder"),
        (tmp_path / "empty", "8 predictions are missing"),
        (other, f"holds other pictures than {out} was scored from"),
        (photos, "is 8-bit RGB, not 8-bit grey"),
    ]
    for folder, words in wrong:
        done = call("leaderboard", "add", out, tiny, "--predictions", folder)
        assert done.exit_code == 2 and words in done.output, done.output
        assert len(done.output.strip().splitlines()) == 1
    assert len(read_records(tiny / "results")) == 8
    assert not Folder(tiny).predictions("mask", "theirs", 0).exists()
    shutil.rmtree(tiny / "data")
    done = call("leaderboard", "add", out, tiny, "--predictions", tmp_path / "theirs")
    assert done.exit_code == 2 and "so no picture can be checked" in done.output


def test_pictures_that_are_there_are_not_replaced(tiny: Path, tmp_path: Path) -> None:
    place, data, out = Folder(tiny), tiny / "data", tmp_path / "theirs.json"

    def added(folder: Path, protocol: str) -> Result:
        more = ("--name", "Theirs", "--consumes", "image", "--protocol", protocol)
        done = call("score", folder, data, *more, "--track", "content", "--out", out)
        assert done.exit_code == 0, done.output
        return call("leaderboard", "add", out, tiny, "--predictions", folder)

    photos = tmp_path / "photos"
    shutil.copytree(place.predictions("content", "telea-person", 0), photos)
    assert added(photos, "strict").exit_code == 0
    kept = {path: path.read_bytes() for path in place.predictions("content", "theirs", 0).iterdir()}
    assert len(kept) == 8
    done = added(place.predictions("content", "mean-colour", 0), "official")
    assert done.exit_code == 2 and "theirs/seed-0: holds other pictures; score" in done.output
    assert all(path.read_bytes() == content for path, content in kept.items())
    assert added(photos, "official").exit_code == 0, "these are the same"
    assert verify(tiny).faults == []


def test_a_result_that_was_not_written_is_named(tiny: Path, tmp_path: Path) -> None:
    done = call("leaderboard", "add", tmp_path / "gone.json", tiny)
    assert done.exit_code == 2 and "gone.json: no such file; write one with" in done.output


def test_a_foreign_pipeline_brings_its_masks(tiny: Path, tmp_path: Path) -> None:
    photos = Folder(tiny).predictions("full", "convex-hull+telea-person", 0)
    theirs, out = masks(tiny, tmp_path / "theirs"), tmp_path / "full.json"
    call("score", photos, tiny / "data", "--masks", theirs, "--name", "P",
         "--consumes", "image,initial", "--out", out)  # fmt: skip
    done = call("leaderboard", "add", out, tiny, "--predictions", photos)
    assert done.exit_code == 2 and "need their masks" in done.output
    assert call("leaderboard", "add", out, tiny, "--predictions", photos,
                "--masks", theirs).exit_code == 0  # fmt: skip
    assert verify(tiny).faults == []


@pytest.mark.parametrize(
    ("key", "change", "words"),
    [
        ("data", {"test_fingerprint": "0" * 64}, "is of the test split 000000000000, the folder's"),
        ("protocol", {"name": "official"}, "is of protocol official 2, the folder's is strict 2"),
        ("protocol", {"border_band": 2}, "border band 2 px, the folder's is strict 2"),
    ],
)
def test_what_may_not_stand_beside_ours_is_refused(
    key: str, change: dict[str, Any], words: str, tiny: Path, tmp_path: Path
) -> None:
    _, out = _foreign(tiny, tmp_path)
    record = read_record(out)
    changed = getattr(record, key).model_copy(update=change)
    write_record(out, record.model_copy(update={key: changed}))
    done = call("leaderboard", "add", out, tiny)
    assert done.exit_code == 2 and words in done.output
    assert len(read_records(tiny / "results")) == 8


def test_equal_runs_do_not_differ_whatever_their_timing(tiny: Path, finished_tiny: Path) -> None:
    path = tiny / "results" / "mask.identity.seed-0.json"
    record = read_record(path)
    write_record(path, record.model_copy(update={"milliseconds": 99.0, "device": "another"}))
    found = diff(tiny, finished_tiny)
    assert found.same and found.compared > 50
    done = call("leaderboard", "diff", tiny, finished_tiny)
    assert done.exit_code == 0 and "The tables agree byte for byte" in done.output


def test_what_differs_is_printed_with_its_paired_interval(tiny: Path, finished_tiny: Path) -> None:
    results = tiny / "results"
    shutil.copyfile(results / "mask.convex-hull.seed-0.json", results / "x.json")
    hull = read_record(results / "x.json")
    (results / "x.json").unlink()
    write_record(
        results / "mask.identity.seed-0.json", hull.model_copy(update={"method": "identity"})
    )
    (results / "content.mean-colour.seed-0.json").unlink()
    done = call("leaderboard", "diff", finished_tiny, tiny)
    assert done.exit_code == 1
    assert f"only in {finished_tiny}: content.mean-colour.seed-0" in done.output
    [line] = [one for one in done.output.splitlines() if "mask.identity.seed-0 iou:" in one]
    mean = hull.total("iou")
    assert f"-> {mean:.6f}" in line and "95 %" in line
    assert "The tables differ" in done.output


def test_numbers_of_body_parts_and_those_that_one_lacks_are_told(tmp_path: Path) -> None:
    whole = content_record("paint")
    changed = content_record("paint", [0.1, 0.4])
    totals = {k: v for k, v in changed.totals.items() if k != "fid"}
    for name, one in (("a", whole), ("b", changed.model_copy(update={"totals": totals}))):
        (tmp_path / name).mkdir()
        write_record(tmp_path / name / f"{one.key}.json", one)
    found = diff(tmp_path / "a", tmp_path / "b")
    assert "l1_hole@head" in {change.spec.name for change in found.changes}
    assert found.lacking == (f"{whole.key} fid: only in the first",)
    same = diff(tmp_path / "a", tmp_path / "a")
    assert same.same and not same.lacking


def test_two_records_of_different_methods_can_be_compared(tiny: Path) -> None:
    first, second = (
        tiny / "results" / f"mask.{m}.seed-0.json" for m in ("identity", "convex-hull")
    )
    found = diff(first, second)
    iou = next(change for change in found.changes if change.spec.name == "iou")
    assert iou.interval is not None
    assert iou.interval.low <= iou.second - iou.first <= iou.interval.high
    assert not diff(first, second).same and diff(first, first).same
    other = tiny / "results" / "content.telea-person.seed-0.json"
    assert diff(first, other).unlike == ("mask.identity.seed-0",)


def test_results_that_are_not_there_are_named(tmp_path: Path, tiny: Path) -> None:
    with pytest.raises(InputError, match="holds no results"):
        diff(tmp_path / "tiny" / "data", tiny)
    with pytest.raises(InputError, match="no such folder"):
        diff(tmp_path / "nowhere", tiny)


def test_the_matrix_and_the_figures(tiny: Path) -> None:
    done = call("leaderboard", "matrix", tiny, "--track", "mask")
    assert done.exit_code == 0 and "Convex hull" in done.output
    done = call("leaderboard", "matrix", tiny, "--track", "mask", "--csv", "--metric", "iou")
    assert done.output.splitlines()[0].startswith("track,metric,first,second,difference")
    done = call("leaderboard", "matrix", tiny, "--metric", "iuo", "--track", "mask")
    assert done.exit_code == 2 and "did you mean iou" in done.output
    done = call("leaderboard", "matrix", tiny, "--csv")
    assert done.output.count("track,metric") == 1
    assert {row["track"] for row in csv.DictReader(done.output.splitlines())} == {"mask", "content"}
    done = call("leaderboard", "matrix", tiny, "--metric", "iou", "--csv")
    assert done.exit_code == 0, "the content track has no such metric"
    assert {row["track"] for row in csv.DictReader(done.output.splitlines())} == {"mask"}
    done = call("leaderboard", "matrix", tiny, "--metric", "iuo")
    assert done.exit_code == 2 and "did you mean iou" in done.output
    done = call("leaderboard", "figures", tiny, "--track", "mask", "--count", "2", "--seed", "1")
    assert done.exit_code == 0, done.output
    assert (tiny / "figures" / "figure-mask.png").read_bytes()[:4] == b"\x89PNG"
    assert (tiny / "figures" / "figure-mask.pdf").read_bytes()[:4] == b"%PDF"
    done = call("leaderboard", "figures", tiny, "--people", "000003", "--count", "2")
    assert done.exit_code == 2 and "leave --count and --seed out" in done.output


def test_records_keep_what_predictions_say_of_themselves(tiny: Path, tmp_path: Path) -> None:
    folder, out = Folder(tiny).predictions("mask", "convex-hull", 0), tmp_path / "hull.json"
    assert call("score", folder, tiny / "data", "--out", out).exit_code == 0
    record = read_record(out)
    about = json.loads((folder / "predictions.json").read_text())
    assert record.method == "convex-hull" and record.consumes == tuple(about["consumes"])
    assert record.milliseconds == about["milliseconds"] and not record.learned
    assert record.parameters == 0 and record.macs is None


def test_a_pipeline_costs_and_reads_what_both_steps_do(tiny: Path) -> None:
    place = Folder(tiny)
    photos = place.predictions("full", "convex-hull+telea-person", 0)
    hulls = place.predictions("mask", "convex-hull", 0)
    split = json.loads((photos / "predictions.json").read_text())["fingerprint"]
    whole = read_record(place.result("full", "convex-hull+telea-person", 0))
    both = facts_of(photos, "b", split, masks=hulls)
    assert (both.parameters, both.milliseconds) == (whole.parameters, whole.milliseconds)
    assert both.consumes == whole.consumes
    for holds, parameters in (([], 7), (["mask.convex-hull"], 5)):
        for where, own in ((photos, {"parameters": 5, "holds": holds}), (hulls, {"parameters": 2})):
            about = json.loads((where / "predictions.json").read_text())
            (where / "predictions.json").write_text(json.dumps(about | own))
        assert facts_of(photos, "b", split, masks=hulls).parameters == parameters
    (hulls / "predictions.json").unlink()
    alone = facts_of(photos, "b", split, consumes=["image"], masks=hulls)
    assert alone.parameters is None and alone.milliseconds is None, "of one step alone"


@pytest.mark.parametrize("silent", ["mask", "full"])
def test_a_pipeline_is_not_taken_to_read_what_one_step_does(
    silent: str, tiny: Path, tmp_path: Path
) -> None:
    place = Folder(tiny)
    photos = place.predictions("full", "convex-hull+telea-person", 0)
    hulls = place.predictions("mask", "convex-hull", 0)
    lacks = hulls if silent == "mask" else photos
    (lacks / "predictions.json").unlink()
    asked = ("score", photos, tiny / "data", "--masks", hulls, "--out", tmp_path / "full.json")
    done = call(*asked)
    assert done.exit_code == 2 and done.output.startswith(f"Error: {lacks}: nothing says what")
    assert "--consumes" in done.output and len(done.output.strip().splitlines()) == 1
    assert call(*asked, "--consumes", "image,initial,amodal").exit_code == 0
    assert read_record(tmp_path / "full.json").consumes == ("amodal", "image", "initial")


def test_photos_are_scored_on_the_track_that_they_were_made_for(tiny: Path) -> None:
    place, data = Folder(tiny), tiny / "data"
    photos = place.predictions("full", "convex-hull+telea-person", 0)
    for more in ((), ("--track", "content"), ("--consumes", "image")):
        done = call("score", photos, data, *more)
        assert done.exit_code == 2 and "of the full track" in done.output
        assert "give those with --masks DIR" in done.output
    hulls = place.predictions("mask", "convex-hull", 0)
    done = call("score", place.predictions("content", "telea-person", 0), data, "--masks", hulls)
    assert done.exit_code == 2 and "of the content track" in done.output


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"parameters": -3}, "parameters: Input should be greater than or equal to 0"),
        ({"weights_sha256": {"a": 1}}, "weights_sha256.a: Input should be a valid string"),
        ({"milliseconds": float("nan")}, "milliseconds: Input should be a finite number"),
        ({"method": "../evil"}, "method: String should match"),
    ],
)
def test_what_predictions_cannot_say_is_named_with_its_file(
    said: dict[str, Any], words: str, tiny: Path, tmp_path: Path
) -> None:
    theirs = masks(tiny, tmp_path / "theirs")
    (theirs / "predictions.json").write_text(json.dumps(said))
    done = call("score", theirs, tiny / "data", "--consumes", "initial")
    assert done.exit_code == 2, done.output
    assert done.output.startswith(f"Error: {theirs / 'predictions.json'}: ")
    assert words in done.output and len(done.output.strip().splitlines()) == 1


def _claims(width: int, height: int) -> bytes:
    """A PNG file whose header alone is sound."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (header, b"IEND")
    chunks = (struct.pack(">I", len(p) - 4) + p + struct.pack(">I", zlib.crc32(p)) for p in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a readable PNG; write it again"),
        (_claims(100_000, 100_000), "is 100000x100000 pixels, not 64x64"),
        (None, "cannot be read (Is a directory); write it again"),
    ],
)
def test_a_first_picture_that_tells_nothing_is_named(
    content: bytes | None, words: str, tiny: Path, tmp_path: Path
) -> None:
    theirs = masks(tiny, tmp_path / "theirs")
    first = min(theirs.iterdir())
    first.unlink()
    first.mkdir() if content is None else first.write_bytes(content)
    done = call("score", theirs, tiny / "data", "--consumes", "initial")
    assert done.exit_code == 2, done.output
    assert done.output.startswith(f"Error: {first}: {words}")
    assert len(done.output.strip().splitlines()) == 1


def test_why_nobody_has_a_number_of_parsing(tiny: Path) -> None:
    # Built-in people are labelled, so it is the method that does not parse.
    found = read_record(tiny / "results" / "mask.convex-hull.seed-0.json")
    assert found.empty == {"parsing_miou": "does not parse"}


def test_who_learned_elsewhere_says_so_or_it_is_said(tiny: Path, tmp_path: Path) -> None:
    folder, out = Folder(tiny).predictions("mask", "convex-hull", 0), tmp_path / "hull.json"
    assert call("score", folder, tiny / "data", "--out", out).exit_code == 0
    assert read_record(out).pretrained is None
    assert call("score", folder, tiny / "data", "--trained-on", "COCO", "--out", out).exit_code == 0
    assert read_record(out).pretrained == "COCO"
    about = json.loads((folder / "predictions.json").read_text()) | {"pretrained": "Places2"}
    (folder / "predictions.json").write_text(json.dumps(about))
    split = about["fingerprint"]
    assert facts_of(folder, "b", split).pretrained == "Places2"
    photos = Folder(tiny).predictions("full", "convex-hull+telea-person", 0)
    assert facts_of(photos, "b", split, masks=folder).pretrained == "Places2"


def test_a_result_is_there_before_it_is_printed(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs, out = masks(tiny, tmp_path / "theirs"), tmp_path / "theirs.json"

    def closed(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(cli_predict, "_print", closed)
    call("score", theirs, tiny / "data", "--consumes", "initial", "--out", out)
    assert read_record(out).complete


def test_where_no_result_can_lie_is_refused_before_scoring(tiny: Path, tmp_path: Path) -> None:
    theirs = masks(tiny, tmp_path / "theirs")
    (theirs / "000004.png").unlink()  # what scoring would refuse
    done = call("score", theirs, tiny / "data", "--consumes", "initial", "--out", tmp_path)
    assert done.exit_code == 2 and f"{tmp_path}: is not the name of a file" in done.output


@pytest.mark.parametrize(
    ("parts", "together"),
    [
        ([(5, 7), (6, 8)], 15),
        ([(0, None), (6, 8)], 8),
        ([(5, None), (6, 8)], None),
        ([(0, None), (0, None)], None),
        ([(None, None), (6, 8)], None),
    ],
)
def test_part_of_a_cost_is_no_cost(
    parts: list[tuple[int | None, int | None]], together: int | None
) -> None:
    assert macs_together(parts) == together
