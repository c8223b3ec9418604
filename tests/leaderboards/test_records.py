"""Records: they come back as they were, and nothing else comes back at all."""

import json
import math
from pathlib import Path

import pytest
from pydantic import ValidationError

from leaderboards.folder import digest
from leaderboards.records import read_record, read_records, write_record
from synth.errors import InputError
from tests.leaderboards.fakes import record


def _reseal(path: Path, content: dict[str, object]) -> None:
    content.pop("sha256", None)
    path.write_text(json.dumps({**content, "sha256": digest(content)}))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "results" / "mask.alpha.seed-0.json"
    made = record(ious=(1 / 3, 0.7, 0.9))
    write_record(path, made)
    assert read_record(path) == made
    assert read_records(path.parent) == [made]


def test_same_record_same_bytes(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_record(tmp_path / name, record())
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


@pytest.mark.parametrize(
    ("old", "new"), [('"iou": 0.5', '"iou": 0.9'), ('"parameters": 12345', '"parameters": 1')]
)
def test_a_changed_number_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "r.json"
    write_record(path, record())
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=r"r\.json: was changed after it was written"):
        read_record(path)


def test_a_resealed_lie_about_a_total_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, record())
    content = json.loads(path.read_text())
    content["totals"]["iou"]["value"] = 0.99
    _reseal(path, content)
    with pytest.raises(InputError, match="total iou does not follow from the samples"):
        read_record(path)


def test_unknown_keys_and_schemas_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    for change, message in (({"extra": 1}, "extra"), ({"schema_version": 2}, "schema 2")):
        write_record(path, record())
        _reseal(path, json.loads(path.read_text()) | change)
        with pytest.raises(InputError, match=message) as caught:
            read_record(path)
        assert caught.value.message.startswith(f"{path}: ")


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00"])
def test_what_is_not_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"r\.json: not "):
        read_record(path)


def test_a_partial_run_has_no_score() -> None:
    partial = record(n_expected=5, totals={})
    assert not partial.complete
    assert math.isnan(partial.total("iou"))
    with pytest.raises(ValidationError, match="a partial run has no totals"):
        record(n_expected=5)


def test_counts_must_fit_the_samples() -> None:
    with pytest.raises(ValidationError, match="n_scored does not fit"):
        record(n_scored=1, n_expected=2, totals={})
