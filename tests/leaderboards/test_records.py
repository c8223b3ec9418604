"""Records: they come back as they were, and nothing else comes back at all."""

import json
import math
from importlib import resources
from pathlib import Path

import pytest
from pydantic import ValidationError

from hdeocc.folders import digest
from leaderboards.records import (
    OldRecord,
    Protocol,
    bins_of,
    read_record,
    read_records,
    record_key,
    total,
    totals,
    write_record,
)
from metrics import protocol
from synth.errors import InputError
from tests.leaderboards.fakes import content_record, record


def _reseal(path: Path, content: dict[str, object]) -> None:
    content.pop("sha256", None)
    path.write_text(json.dumps({**content, "sha256": digest(content)}))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "results" / "mask.alpha.seed-0.json"
    made = record(ious=(1 / 3, 0.7, 0.9))
    write_record(path, made)
    assert read_record(path) == made
    assert read_records(path.parent) == [made]


def test_every_record_of_the_project_is_whole() -> None:
    folder = Path(str(resources.files("leaderboards"))) / "results"
    kept = sorted(folder.rglob("*.seed-*.json"))
    assert len({path.parent for path in kept}) >= 3
    for path in kept:
        assert read_record(path).complete, path


def test_a_record_that_says_nothing_of_pre_training_has_none(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, record())
    content = json.loads(path.read_text())
    assert content.pop("pretrained") is None
    _reseal(path, content)
    assert read_record(path) == record()
    made = record(pretrained="Places2")
    write_record(path, made)
    assert read_record(path) == made


def test_pictures_are_kept_of_built_in_people_alone() -> None:
    """Those of photos show what others have the rights to, however small they are drawn."""
    folder = Path(str(resources.files("leaderboards"))) / "results"
    kept = [one for one in folder.iterdir() if any(one.rglob("*.png"))]
    assert kept
    for path in kept:
        records = [read_record(one) for one in path.rglob("*.seed-*.json")]
        people = {sample.person for found in records for sample in found.samples}
        assert people and all(person.startswith("builtin:") for person in people), path


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "extra"),
        ({"schema_version": 1}, "made by an earlier version .* score again"),
        ({"schema_version": 3}, "made by a later version"),
        ({"schema_version": "two"}, "schema_version"),
        ({"bins": [{"low": 0, "high": 0.1, "totals": {}}], "n_expected": 9, "totals": {}}, "part"),
        ({"floor": {"fid": {"value": 1, "n": 2, "low": 3, "high": 2}}}, "exchanged"),
        ({"floor": {"fid": {"value": 1, "n": 2, "low": 3}}}, "two ends"),
        ({"protocol": {"name": "mine", "version": "2"}}, "protocol.name"),
        ({"method": "x/../../../../evil"}, "method: String should match"),
        ({"method": "a/b"}, "method: String should match"),
        ({"method": ".."}, "method: String should match"),
        ({"method": ".hidden+b"}, "method: String should match"),
        ({"method": "a+b+c"}, "method: String should match"),
        ({"method": ""}, "method: String should match"),
    ],
)
def test_unknown_keys_schemas_and_broken_rules_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = tmp_path / "r.json"
    write_record(path, record())
    _reseal(path, json.loads(path.read_text()) | change)
    with pytest.raises(InputError, match=message) as caught:
        read_record(path)
    assert caught.value.message.startswith(f"{path}: ") and "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["unet", "two-stage+pcnet_2", "my.U-Net_v1.2", "_x", "3d"])
def test_methods_are_called_as_their_packages_call_them(name: str) -> None:
    assert record(name).method == name


def test_an_earlier_record_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, record())
    _reseal(path, {"schema_version": 1, "whatever": "it held"})
    with pytest.raises(OldRecord):
        read_record(path)


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


def test_intervals_and_bins_of_a_set_come_back(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    made = content_record(floor={"fid": total(3.25, 1)}, options={"net.templates": 0})
    write_record(path, made)
    assert read_record(path) == made
    assert made.totals["fid"].low == 1.0 and len(made.bins) == 2


def test_what_scoring_makes_is_kept_with_nan_as_none() -> None:
    scored = {"fid": protocol.Total(2.0, 5, 1.0, 3.0), "kid": protocol.Total(math.nan, 0)}
    kept = totals(scored)
    assert kept["fid"].model_dump() == {"value": 2.0, "n": 5, "low": 1.0, "high": 3.0}
    assert kept["kid"].value is None and kept["kid"].low is None
    (one,) = bins_of([protocol.Bin(0.0, 0.1, scored)])
    assert one.totals == kept


def test_a_record_is_named_after_its_protocol_unless_it_is_ours() -> None:
    assert record().key == record_key("mask", "alpha", 0) == "mask.alpha.seed-0"
    official = record(protocol=Protocol(name="official", border_band=3))
    assert official.key == "mask.alpha.seed-0.official"
    assert str(official.protocol) == f"official {protocol.VERSION}, border band 3 px"
    assert official.group != record().group
