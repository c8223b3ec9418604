"""Verifying a result: what holds passes, and every kind of tampering is refused by name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from hdeocc.folders import digest
from leaderboards import verify as verifying
from leaderboards.cli_leaderboard import leaderboard
from leaderboards.folder import Folder
from leaderboards.records import Total
from leaderboards.verify import _total_fault, differs, verify

KEY = "content.telea-person.seed-0"
COMMITTED = Path(verifying.__file__).parent / "results" / "people-tiny"


def faults(folder: Path) -> list[str]:
    return verify(folder).faults


def tamper(folder: Path, change: Callable[[dict[str, Any]], None], key: str = KEY) -> Path:
    """Change a record and seal it again, as someone who knows the format would."""
    path = folder / "results" / f"{key}.json"
    content = json.loads(path.read_text())
    del content["sha256"]
    change(content)
    path.write_text(json.dumps(content | {"sha256": digest(content)}))
    return path


def predictions(folder: Path) -> Path:
    return Folder(folder).predictions("content", "telea-person", 0)


def test_an_honest_result_holds(tiny: Path) -> None:
    report = verify(tiny)
    assert report.faults == [] and report.unchecked == []
    assert report.records == 8 and report.claims > 1000


def test_a_lost_data_set_is_built_again_from_the_recipe(tiny: Path) -> None:
    shutil.rmtree(tiny / "data")
    assert faults(tiny) == []
    assert not (tiny / "data").exists()


def test_a_changed_number_breaks_the_seal(tiny: Path) -> None:
    path = tiny / "results" / f"{KEY}.json"
    text = path.read_text()
    path.write_text(text.replace('"n_scored": 8', '"n_scored": 7', 1))
    [fault] = faults(tiny)
    assert str(path) in fault and "was changed after it was written" in fault


def test_a_sample_score_that_is_off_is_named(tiny: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        sample = content["samples"][2]["scores"]
        sample["lucky"] = 1.0
        sample["hidden_pixels"] -= 3

    path = tamper(tiny, change)
    counted, invented = sorted(faults(tiny))
    assert counted.startswith(f"{path}: sample 000005: hidden_pixels = ")
    assert invented == f"{path}: sample 000005: lucky = 1.00, found no such number"


def test_totals_that_follow_from_false_samples_are_named(tiny: Path) -> None:
    """The record agrees with itself; only its pictures tell."""

    def change(content: dict[str, Any]) -> None:
        for sample in content["samples"]:
            sample["scores"]["l1_hole"] -= 0.01
        content["totals"]["l1_hole"]["value"] -= 0.01

    path = tamper(tiny, change)
    named = faults(tiny)
    assert named[0].startswith(f"{path}: l1_hole = ")
    assert sum("l1_hole" in fault for fault in named) == 5, "the total, and four of the samples"
    assert named[-1] == f"{path}: 4 more claims of samples are off"


@pytest.mark.parametrize(("name", "words"), [("value", " = "), ("n", " claims ")])
def test_numbers_within_a_bin_that_are_off_are_named(tiny: Path, name: str, words: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["bins"][0]["totals"]["pooled_iou"][name] += 1

    path = tamper(tiny, change, "mask.convex-hull.seed-0")
    [fault] = faults(tiny)
    assert fault.startswith(f"{path}: visible 0") and f": pooled_iou{words}" in fault


@pytest.mark.parametrize("end", ["low", "high"])
def test_the_ends_of_an_interval_are_claims_as_well(end: str) -> None:
    claimed = Total(value=0.5, n=8, low=0.4, high=0.6)
    assert _total_fault(claimed, claimed.model_copy(), 4) is None
    found = claimed.model_copy(update={end: 0.45})
    said = _total_fault(claimed, found, 4)
    assert said == f"= {getattr(claimed, end):.6f} ({end} end), found 0.450000"


def test_an_interval_that_the_pictures_do_not_give_is_named(tiny: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["totals"]["pooled_iou"] |= {"low": 0.4, "high": 0.5}

    path = tamper(tiny, change, "mask.convex-hull.seed-0")
    assert faults(tiny) == [f"{path}: pooled_iou = 0.400000 (low end), found none"]


def test_another_person_or_hidden_share_than_the_data_set_s_is_named(tiny: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["samples"][2]["person"] = "builtin:somebody"
        content["samples"][3]["hidden_share"] = 0.125

    path = tamper(tiny, change)
    assert [fault.removeprefix(f"{path}: ")[:13] for fault in faults(tiny)] == [
        "sample 000005",
        "sample 000006",
    ]


def test_a_claim_within_its_rounding_holds(tiny: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for sample in content["samples"]:
            sample["scores"]["l1_hole"] += 4e-5
        content["totals"]["l1_hole"]["value"] += 4e-5

    tamper(tiny, change)
    assert faults(tiny) == []


def test_other_test_data_are_named(tiny: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["data"]["test_fingerprint"] = "0" * 64

    tamper(tiny, change)
    [fault] = faults(tiny)
    assert "claims the test split 000000000000, but the data set's is" in fault


def test_another_protocol_than_claimed_is_noticed(tiny: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        content["protocol"]["name"] = "official"

    tamper(tiny, change)
    assert any("holds the result content.telea-person.seed-0.official" in f for f in faults(tiny))


def test_missing_extra_and_resized_predictions_are_named(tiny: Path) -> None:
    folder = predictions(tiny)
    (folder / "000004.png").unlink()
    shutil.copyfile(folder / "000003.png", folder / "000099.png")
    small = np.zeros((32, 32, 3), np.uint8)
    (folder / "000005.png").write_bytes(cv2.imencode(".png", small)[1].tobytes())
    (folder / "000006.png").write_bytes(b"no picture")
    named = [fault for fault in faults(tiny) if KEY + ".json" in fault]
    for words in ("missing: {}/000004.png", "extra: {}/000099.png",
                  "wrong: {}/000005.png is 32x32 pixels, not 64x64",
                  "wrong: {}/000006.png is not a readable PNG"):  # fmt: skip
        assert any(words.format(folder) in fault for fault in named), words


def test_an_exchanged_prediction_is_noticed(tiny: Path) -> None:
    folder = predictions(tiny)
    shutil.copyfile(folder / "000003.png", folder / "000004.png")
    named = faults(tiny)
    assert any("sample 000004: l1_hole" in fault for fault in named)


def test_a_result_without_predictions_is_no_result(tiny: Path) -> None:
    shutil.rmtree(predictions(tiny))
    assert any("no such folder" in fault for fault in faults(tiny))


def test_claims_of_networks_that_are_not_here_are_said_to_be_unchecked(tiny: Path) -> None:
    def change(content: dict[str, Any]) -> None:
        for sample in content["samples"]:
            sample["scores"]["lpips"] = 0.1
        content["totals"]["lpips"] = Total(value=0.1, n=8).model_dump()
        content["empty"].pop("lpips")

    tamper(tiny, change)
    report = verify(tiny)
    assert report.faults == []
    assert any("lpips: " in line and "hdeocc weights" in line for line in report.unchecked)


def test_the_command_exits_with_two_and_a_line_a_fault(tiny: Path) -> None:
    done = CliRunner().invoke(leaderboard, ["verify", str(tiny)])
    assert done.exit_code == 0 and "claims of 8 results hold" in done.output
    (predictions(tiny) / "000004.png").unlink()
    done = CliRunner().invoke(leaderboard, ["verify", str(tiny)])
    assert done.exit_code == 2
    lines = done.output.strip().splitlines()
    assert lines and all(line.startswith("Error: ") and "000004.png" in line for line in lines)


@pytest.mark.parametrize(
    ("claimed", "found", "places", "off"),
    [
        (0.5, 0.50004, 4, False),
        (0.5, 0.50006, 4, True),
        (None, None, 4, False),
        (None, 0.5, 4, True),
        (0.5, None, 4, True),
        (40.0, 40.0, 0, False),
        (40.0, 41.0, 0, True),
    ],
)
def test_rounding(claimed: float | None, found: float | None, places: int, off: bool) -> None:
    assert differs(claimed, found, places) is off


def test_the_committed_result_holds() -> None:
    """leaderboards/results/people-tiny; its README says how it was made."""
    report = verify(COMMITTED)
    assert report.faults == [] and report.unchecked == [] and report.records == 8
    size = sum(path.stat().st_size for path in COMMITTED.rglob("*") if path.is_file())
    assert size < 300_000
