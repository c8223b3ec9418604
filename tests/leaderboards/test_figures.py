"""Figures: the people that were asked for, every method a column, nothing cut, the same bytes."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from leaderboards import figures
from leaderboards.figures import DPI, choose, draw, write_figure, write_figures
from leaderboards.folder import Folder
from leaderboards.gallery import Shot, Strip
from leaderboards.pictures import encode_png, read_png
from leaderboards.tables import make_tables
from synth.errors import InputError
from tests.fakes import make_samples
from tests.leaderboards.fakes import FakeSplit, content_record, record

SIDE = 160
LONG = "An uncommonly long name of a method with $\\alpha$ and_underscores, and more of it"


@pytest.fixture
def test_split() -> Any:
    return FakeSplit(make_samples(8, 32, np.random.default_rng(0), split="test"), "c" * 64)


def _strips(titles: list[str], people: int = 2) -> list[Strip]:
    rng = np.random.default_rng(1)

    def shot(title: str, kind: str) -> Shot:
        score = "IoU 0.123 · IoU invisible 0.456" if kind == "method" else ""
        return Shot(title, rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8), score, kind=kind)

    return [
        Strip(f"{i:06d}", 0.4, (shot("Input", "input"), *(shot(t, "method") for t in titles),
                                shot("Truth", "truth")))
        for i in range(people)
    ]  # fmt: skip


def test_chosen_by_id_in_the_order_given(test_split: Any) -> None:
    found = choose(test_split, ids=["000003", "fake:test-1", "000000"])
    assert [sample.sample_id for sample in found] == ["000003", "000001", "000000"]
    with pytest.raises(InputError, match="00003: no such sample or person .* did you mean 000003"):
        choose(test_split, ids=["00003"])


def test_drawn_by_the_generator_handed_in(test_split: Any) -> None:
    drawn = [choose(test_split, rng=np.random.default_rng(s), people=3) for s in (0, 0, 1)]
    ids = [[sample.sample_id for sample in one] for one in drawn]
    assert ids[0] == ids[1] != ids[2] and len(set(ids[0])) == 3
    assert len(choose(test_split, rng=np.random.default_rng(0), people=99)) == 8
    assert [s.sample_id for s in choose(test_split, people=2)] == ["000000", "000007"]


def test_one_row_a_person_and_one_column_a_method_between_input_and_truth() -> None:
    figure = draw(_strips(["A", "Truth", "B"], people=3))
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == 3 * 5
    assert [axes.get_title() for axes in figure.axes[:5]] == ["Input", "A", "Truth", "B", "Truth"]
    rows = {round(axes.get_position().y0, 4) for axes in pictures}
    columns = {round(axes.get_position().x0, 4) for axes in pictures}
    assert (len(rows), len(columns)) == (3, 5)


def test_pictures_keep_their_pixels_and_no_text_is_cut_or_overlaps() -> None:
    figure = draw(_strips([LONG, "Short", LONG + "!"]))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()  # type: ignore[attr-defined]
    page = figure.bbox
    first = figure.axes[0].get_window_extent(renderer)
    assert first.width == pytest.approx(SIDE) and first.height == pytest.approx(SIDE)
    assert not any(axes.title.get_parse_math() for axes in figure.axes)
    titles = [axes.title.get_window_extent(renderer) for axes in figure.axes[:5]]
    texts = [text.get_window_extent(renderer) for axes in figure.axes for text in axes.texts]
    texts += [text.get_window_extent(renderer) for text in figure.texts]
    for box in [*titles, *texts]:
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= page.x1 + 1 and box.y1 <= page.y1 + 1
    for left, right in zip(titles, titles[1:], strict=False):
        assert left.x1 <= right.x0 + 1
    pictures = [axes.get_window_extent(renderer) for axes in figure.axes]
    assert not any(
        text.y0 < box.y1 - 1 and text.y1 > box.y0 + 1 and text.x0 < box.x1 - 1
        and text.x1 > box.x0 + 1
        for text in [*titles, *texts] for box in pictures
    )  # fmt: skip


def test_png_and_pdf_hold_the_pictures_and_are_the_same_bytes_again(tmp_path: Path) -> None:
    strips = _strips(["A", LONG])
    png, pdf = write_figure(tmp_path / "new" / "figure", strips)
    first = png.read_bytes(), pdf.read_bytes()
    assert [path.read_bytes() for path in write_figure(tmp_path / "b" / "figure", strips)] == [
        *first
    ]
    shape = cv2.imdecode(np.frombuffer(first[0], np.uint8), cv2.IMREAD_COLOR).shape
    assert shape[1] > 4 * SIDE and shape[0] > 2 * SIDE
    assert first[1].startswith(b"%PDF") and first[1].count(b"/Subtype /Image") == 2 * 4
    assert f"/Width {SIDE}".encode() in first[1] and DPI == 200


def test_png_says_its_resolution(tmp_path: Path) -> None:
    from PIL import Image

    png, _ = write_figure(tmp_path / "figure", _strips(["A"]))
    with Image.open(io.BytesIO(png.read_bytes())) as picture:
        assert picture.info["dpi"][0] == pytest.approx(DPI, abs=1)


def test_figures_of_a_result_folder(tmp_path: Path, test_split: Any) -> None:
    folder = Folder(tmp_path)
    for track, method, channels in (("mask", "alpha", 1), ("content", "paint", 3)):
        where = folder.predictions(track, method, 0)
        where.mkdir(parents=True)
        for sample in test_split.samples:
            picture = sample.image if channels == 3 else (sample.amodal * 255).astype(np.uint8)
            (where / f"{sample.sample_id}.png").write_bytes(encode_png(picture))
    tables = make_tables([record(ious=[0.5] * 8), content_record(errors=[0.1] * 8)])
    samples = choose(test_split, people=3)
    written = write_figures(tmp_path / "figures", tables, folder, samples, side=64)
    names = ["figure-mask.png", "figure-mask.pdf", "figure-content.png", "figure-content.pdf"]
    assert [path.name for path in written] == names
    nothing = Folder(tmp_path / "empty")
    assert write_figures(tmp_path / "none", tables, nothing, samples) == []
    assert not (tmp_path / "none").exists()
    assert read_png(folder.predictions("mask", "alpha", 0) / "000000.png", (32, 32)) is not None


def test_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one row"):
        draw([])
    assert figures.PEOPLE > 0
