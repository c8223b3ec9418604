"""The plots of the page as SVG that takes its colours and letters from the page around it."""

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from synth.stats.bins import Bins

# Stand-ins that become variables of the page's style sheet, so that a plot is right in the dark.
INK, SOFT, LINE, ACCENT, WARM = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {INK: "--ink", SOFT: "--soft", LINE: "--line", ACCENT: "--accent", WARM: "--warm"}
# In inches, a 96th of which is a pixel of the page: plots are shown at their own size, and on a
# narrow screen a little smaller.
_WIDTH, _ROW, _EDGE, _LETTER = 4.7, 0.25, 0.05, 0.082
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "hdeocc",
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": SOFT,
    "axes.edgecolor": LINE,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.color": LINE,
    "ytick.labelcolor": SOFT,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 10,
}


def shares(got: Bins, asked: Bins, declared: np.ndarray | None, number: int) -> str:
    """Hidden shares that were reached as bars, those asked and declared as lines over them.

    Where nothing is declared, any share would do, and there is no line.
    """
    edges = np.linspace(0, 1, number + 1)

    def draw(axes: Axes) -> None:
        _bars(axes, edges, got.coarse(number), "reached")
        if declared is not None:
            counts = asked.coarse(number)
            axes.stairs(counts, edges, color=INK, linewidth=1.4, label="asked")
            label = "declared in the recipe"
            axes.stairs(declared * got.n, edges, color=WARM, linestyle=(0, (4, 2)), label=label)
        axes.set_xlabel("share of the person that is hidden")
        axes.xaxis.set_major_formatter(_percent())
        axes.legend(loc="lower left", bbox_to_anchor=(-0.09, 1.0), ncols=3, handlelength=1.4,
                    columnspacing=1.2)  # fmt: skip

    return _svg("shares", draw, 2.9, left=0.35, right=0.2, top=0.35, bottom=0.55)


def histogram(name: str, bins: Bins, number: int, label: str, unit: float | None = None) -> str:
    """Bars of one quantity: shares in percent, or multiplied by ``unit``."""
    edges = np.linspace(bins.low, bins.high, number + 1) * (unit or 1.0)

    def draw(axes: Axes) -> None:
        _bars(axes, edges, bins.coarse(number))
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if unit is None:
            axes.xaxis.set_major_formatter(_percent())

    return _svg(name, draw, 2.4, left=0.35, right=0.2, top=0.1, bottom=0.55)


def rows(name: str, values: Sequence[tuple[str, float]], percent: bool = False) -> str:
    """Horizontal bars, the first on top, with the number at the end of each."""
    names = [_short(one) for one, _ in values]
    sizes = [value for _, value in values]

    def draw(axes: Axes) -> None:
        if percent:
            axes.barh(range(len(sizes)), [1.0] * len(sizes), color=LINE, height=0.68)
        axes.barh(range(len(sizes)), sizes, color=ACCENT, height=0.68)
        axes.set_yticks(range(len(sizes)), names)
        axes.set_ylim(len(sizes) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines[["left", "bottom"]].set_visible(False)
        axes.set_xticks([])
        end = 1.0 if percent else max(sizes)
        axes.set_xlim(0, end)
        for place, size in enumerate(sizes):
            text = f"{100 * size:.0f} %" if percent else f"{size:,.0f}"
            axes.text(
                (1.0 if percent else size) + 0.015 * end,
                place,
                text,
                va="center",
                color=SOFT,
                clip_on=False,
            )

    left = 0.12 + _LETTER * max(map(len, names))
    return _svg(name, draw, 2 * _EDGE + _ROW * len(sizes), left, 0.6, _EDGE, _EDGE)


def _bars(axes: Axes, edges: np.ndarray, counts: np.ndarray, label: str | None = None) -> None:
    widths = np.diff(edges)
    axes.bar(
        edges[:-1] + 0.08 * widths, counts, 0.84 * widths, align="edge", color=ACCENT, label=label
    )
    axes.set_xlim(edges[0], edges[-1])
    axes.grid(axis="y")
    axes.tick_params(length=0)
    axes.tick_params(axis="x", pad=8)
    axes.spines["left"].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _percent() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f"{100 * value:.0f} %")


def _short(text: str, most: int = 38) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _svg(
    name: str,
    draw: Callable[[Axes], None],
    height: float,
    left: float,
    right: float,
    top: float,
    bottom: float,
) -> str:
    """A drawing of a height in inches with margins in inches."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, height))
        box = (left / _WIDTH, bottom / height)
        size = (1 - (left + right) / _WIDTH, 1 - (top + bottom) / height)
        draw(figure.add_axes((*box, *size)))
        content = io.BytesIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(content, format="svg", transparent=True, metadata=nothing)
    return _at_home(content.getvalue().decode(), name)


def _at_home(svg: str, name: str) -> str:
    """The drawing alone, in the page's colours and letters, its ids its own."""
    svg = svg[svg.index("<svg") :]
    for stand_in, variable in _VARIABLES.items():
        svg = svg.replace(stand_in, f"var({variable})")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
