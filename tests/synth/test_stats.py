"""The page of a data set: its numbers are those of a direct count, and it needs nothing else."""

import base64
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.build import build
from synth.cli_stats import stats as command
from synth.occlusion_spec import Occlusion
from synth.parsing import LIP_LABELS
from synth.recipe import SPLITS, parse_recipe
from synth.sample import Sample
from synth.stats.bins import Bins, overlaps
from synth.stats.collect import PARTS, Collected, collect, declared, summary, visible_shares
from synth.stats.page import render, write_stats
from synth.store import Dataset
from tests.fakes import make_samples
from tests.synth.tiny import RECIPE, write_tiny


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Tiny people, unlabelled, with a faulty initial mask; one input is rejected."""
    data = write_tiny(tmp_path_factory.mktemp("data"))
    (data / "people" / "lone.png").write_bytes((data / "people" / "000.png").read_bytes())
    text = RECIPE.format(train=30, shard_size=8) + "\n[occlusion]\nhidden = [0.1, 0.6]\n"
    made = build(parse_recipe(text, "t"), tmp_path_factory.mktemp("set"), data, progress=False)
    assert made is not None
    return made


def everything(dataset: Dataset) -> list[Sample]:
    return [sample for split in SPLITS for sample in dataset.split(split)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0, 1))
def test_bins_count_as_numpy_does(values: list[float], share: float) -> None:
    bins = Bins(0, 1, 100)
    for value in values:
        bins.add(value)
    # A value on the edge of two bins may fall in either, by a rounding error.
    inner = [v for v in values if abs(v * 100 - round(v * 100)) > 1e-9 or v in (0, 1)]
    if len(inner) == len(values):
        assert np.array_equal(bins.counts, np.histogram(values, 100, (0, 1))[0])
    assert bins.n == len(values) and bins.coarse(20).sum() == bins.n
    told: Any = bins.quantile(share)
    assert abs(told - np.quantile(values, share, method="inverted_cdf")) <= 0.0101
    assert bins.summary(20)["mean"] == pytest.approx(np.mean(values), abs=1e-6)
    assert (bins.least, bins.most) == (min(values), max(values))


def test_values_beyond_the_ends_and_ranges_are_counted_once() -> None:
    bins = Bins(0, 1, 4)
    bins.add(-3)
    bins.add(7)
    bins.add_range(0.25, 1.0)
    assert bins.counts.tolist() == pytest.approx([1, 1 / 3, 1 / 3, 4 / 3])
    assert bins.summary(2)["counts"] == pytest.approx([1.333, 1.667])
    assert Bins(0, 1, 4).quantile(0.5) is None


def test_what_a_recipe_declares() -> None:
    edges = np.linspace(0, 1, 11)
    uniform = declared(Occlusion(hidden=(0.1, 0.5)), edges)
    assert uniform is not None
    assert uniform.tolist() == pytest.approx([0, *[0.25] * 4, *[0] * 5])
    shares: Any = {"edges": [0.0, 0.2, 0.5], "shares": [3, 1]}
    histogram = declared(Occlusion(hidden=shares), edges)
    assert histogram is not None
    assert histogram.tolist() == pytest.approx([0.375] * 2 + [1 / 12] * 3 + [0] * 5)
    assert declared(Occlusion(hidden=(0.1, 0.5), reach="reject"), edges) is None
    assert overlaps(edges, 0.33, 0.34).sum() == pytest.approx(1)


def test_numbers_are_those_of_a_direct_count(dataset: Dataset) -> None:
    told = summary(dataset, collect(dataset, progress=False))
    samples = everything(dataset)
    got = np.array([sample.hidden_share for sample in samples])
    asked = np.array([sample.meta["asked_share"] for sample in samples])
    edges = np.linspace(0, 1, 21)
    assert told["samples"] == len(samples) == 40
    assert told["hidden"]["got"]["counts"] == np.histogram(got, edges)[0].tolist()
    assert told["hidden"]["asked"]["counts"] == np.histogram(asked, edges)[0].tolist()
    assert told["hidden"]["got"]["mean"] == pytest.approx(got.mean(), abs=1e-6)
    assert told["hidden"]["off"]["most"] == pytest.approx(abs(got - asked).max(), abs=1e-6)
    assert told["hidden"]["missed"] == sum(bool(s.meta.get("missed")) for s in samples)
    assert told["splits"] == {"train": 30, "test": 6, "val": 4}
    assert told["people"] == {"folder": 40}
    assert told["occluders of a sample"] == dict(
        Counter(str(len(s.occluder_ids)) for s in samples).most_common()
    )
    kinds = Counter(one["kind"] for s in samples for one in s.meta["placements"])
    assert told["placements"] == dict(kinds)
    iou = [
        ((s.initial > 0.5) & s.modal).sum() / ((s.initial > 0.5) | s.modal).sum() for s in samples
    ]
    assert told["initial_iou"]["mean"] == pytest.approx(np.mean(iou), abs=1e-6) and min(iou) < 1
    heights = [np.ptp(np.flatnonzero(s.amodal.any(axis=1))) + 1 for s in samples]
    assert told["person_height"]["mean"] == pytest.approx(np.mean(heights) / 32, abs=1e-6)
    assert sum(told["rejected"].values()) == len(dataset.info["skipped"]) >= 1
    json.dumps(told)


def test_extremes_are_the_twelve_most_and_least_hidden(dataset: Dataset) -> None:
    told = summary(dataset, collect(dataset, progress=False))
    ranked = sorted(everything(dataset), key=lambda s: (s.hidden_share, s.sample_id))
    assert told["least_hidden"] == [s.sample_id for s in ranked[:12]]
    most = sorted(everything(dataset), key=lambda s: (-s.hidden_share, s.sample_id))
    assert told["most_hidden"] == [s.sample_id for s in most[:12]]


def test_parts_are_counted_by_label() -> None:
    found, samples = Collected(), make_samples(9, 48, np.random.default_rng(1))
    for number, sample in enumerate([*samples, replace(samples[0], parsing=None)]):
        found.add(sample, ("train", number))
    assert found.parsed == 9 and found.samples == 10
    told = {part: (seen, size) for part, seen, size in visible_shares(found)}
    whole = np.concatenate([s.parsing[s.parsing > 0] for s in samples])  # type: ignore[index]
    for part, names in PARTS.items():
        labels = [LIP_LABELS.index(name) for name in names]
        of_part = [np.isin(s.parsing, labels) for s in samples]  # type: ignore[arg-type]
        if not any(mask.any() for mask in of_part):
            assert part not in told
            continue
        seen = sum(int((m & s.modal).sum()) for m, s in zip(of_part, samples, strict=True))
        all_of_it = sum(int(mask.sum()) for mask in of_part)
        assert told[part] == pytest.approx((seen / all_of_it, all_of_it / len(whole)))
    assert sorted(name for names in PARTS.values() for name in names) == sorted(LIP_LABELS[1:])


def test_asked_ranges_and_cuts_by_the_frame_are_no_occluders() -> None:
    found, [sample] = Collected(), make_samples(1, 32, np.random.default_rng(0))
    meta: dict[str, Any] = {
        "asked_share": None,
        "asked_range": [0.1, 0.3],
        "missed": True,
        "occluders": [{"category": "frame"}, {"category": "car", "licence": "CC"}],
        "placements": [
            {"kind": "frame", "box": [0, 0, 32, 4]},
            {"kind": "below", "box": [0, 0, 16, 8]},
        ],
    }
    found.add(replace(sample, meta=meta, occluder_ids=("frame", "coco:7")), ("train", 0))
    assert found.asked.n == 1 and found.off.n == 0 and found.missed == 1
    assert found.asked.coarse(20)[2:6].tolist() == pytest.approx([0.25] * 4)
    assert found.truncated == 1 and found.sizes.n == 1
    assert found.tally("classes") == [("car", 1)] and found.tally("placements") == [("below", 1)]
    assert found.tally("occluders") == [("coco", 1)]
    assert found.tally("occluders of a sample") == [("1", 1)]


def test_memory_does_not_grow_with_the_samples() -> None:
    found, samples = Collected(), make_samples(3, 16, np.random.default_rng(0))

    def held() -> int:
        counted = sum(len(counter) for counter in found.counters.values())
        arrays = [found.asked, found.got, found.sizes, found.iou, found.heights]
        return counted + len(found.most) + len(found.least) + sum(len(a.counts) for a in arrays)

    for number in range(40):
        found.add(samples[number % 3], ("train", number))
    before = held()
    for number in range(40, 400):
        found.add(samples[number % 3], ("train", number))
    assert held() == before and found.samples == 400


class _References(HTMLParser):
    """What a page refers to, and its pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.pictures: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src", "srcset", "xlink:href", "action", "data") and value:
                self.found.append(value)
            if tag == "img" and name == "src" and value:
                self.pictures.append(value)
            if name == "id" and value:
                self.ids.append(value)


def test_the_page_stands_alone(dataset: Dataset) -> None:
    page = render(dataset, collect(dataset, progress=False))
    seen = _References()
    seen.feed(page)
    assert all(one.startswith(("#", "data:")) for one in seen.found)
    assert re.findall(r"url\((?!#)|@import|<script|<link(?! rel=\"icon\" href=\"data:)", page) == []
    assert {one[1:] for one in seen.found if one.startswith("#")} <= set(seen.ids)
    assert len(seen.ids) == len(set(seen.ids))
    assert len(seen.pictures) == 24 * 3
    for picture in seen.pictures:
        content = base64.b64decode(picture.removeprefix("data:image/jpeg;base64,"))
        assert cv2.imdecode(np.frombuffer(content, np.uint8), 1).shape == (192, 192, 3)
    for words in ("Hidden share, asked and reached", "The mask a method starts from", "Placement",
                  "What was left out", "The most hidden", "not stated"):  # fmt: skip
        assert words in page
    assert "Visible share by body part" not in page  # nobody labelled these people
    assert page == render(dataset, collect(dataset, progress=False))


def test_a_recipe_that_takes_whatever_comes_asks_for_nothing(dataset: Dataset) -> None:
    anything = dataset.recipe.occlusion.model_copy(update={"reach": "reject"})
    recipe = dataset.recipe.model_copy(update={"occlusion": anything})
    shown = Dataset(dataset.path, recipe, dataset.info)
    found = collect(shown, progress=False)
    told = summary(shown, found)["hidden"]
    assert told["declared"] is None and told["asked"] is None
    page = render(shown, found)
    assert "whatever comes from 10 % to 60 %" in page and ">declared in the recipe<" not in page
    assert ">declared in the recipe<" in render(dataset, found)


def test_plots_take_the_colours_of_the_page(dataset: Dataset) -> None:
    page = render(dataset, collect(dataset, progress=False))
    drawings = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(drawings) >= 7
    for drawing in drawings:
        assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", drawing)) <= {
            "none", *(f"var(--{name})" for name in ("ink", "soft", "line", "accent", "warm"))
        }  # fmt: skip
        assert "DejaVu" not in drawing


@pytest.mark.parametrize("clean", [True, False])
def test_labels_are_shown_where_known_and_unknown_pictures_left_out(
    dataset: Dataset, clean: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = make_samples(5, 32, np.random.default_rng(0), clean=clean)
    monkeypatch.setattr(Dataset, "split", lambda self, name: samples)
    info = dataset.info | {"counts": {"train": 5, "val": 0, "test": 0}, "skipped_by_reason": {}}
    shown = Dataset(dataset.path, dataset.recipe, info)
    page = render(shown, collect(shown, progress=False))
    assert "Visible share by body part" in page and "What was left out" not in page
    assert page.count("<img") == (30 if clean else 20)
    assert "The mask a method starts from" not in page  # it is the visible mask itself


def test_the_page_and_its_numbers_are_written_together(dataset: Dataset, tmp_path: Path) -> None:
    write_stats(dataset, tmp_path / "new" / "page.html", progress=False)
    told = json.loads((tmp_path / "new" / "page.json").read_text())
    assert told["samples"] == 40 and told["fingerprint"] == dataset.fingerprint
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["page.html", "page.json"]


def test_the_command(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    out = tmp_path / "page.html"
    done = CliRunner().invoke(command, [str(dataset.path), "--out", str(out)])
    assert done.exit_code == 0 and f"{out}: 40 samples" in done.output and opened == []
    CliRunner().invoke(command, [str(dataset.path), "--out", str(out), "--open", "yes"])
    assert opened == [out.as_uri()]
    for arguments, message in (
        ([str(tmp_path / "no")], "holds no data set"),
        ([str(dataset.path), "--out", str(tmp_path / "page.pdf")], "ends in .html"),
    ):
        refused = CliRunner().invoke(command, arguments)
        assert refused.exit_code == 2 and message in refused.output
        assert len(refused.output.strip().splitlines()) == 1
