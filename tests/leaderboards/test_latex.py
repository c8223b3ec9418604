"""LaTeX: it compiles where there is a TeX, and is well formed everywhere."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboards.latex import escaped, to_latex
from leaderboards.tables import make_tables
from tests.leaderboards.fakes import content_record, record

LOW = [0.3, 0.31, 0.29, 0.3, 0.32, 0.3, 0.28, 0.3]
MIDDLE = [0.5, 0.51, 0.49, 0.5, 0.52, 0.5, 0.48, 0.5]
HIGH = [0.61, 0.6, 0.59, 0.61, 0.61, 0.6, 0.58, 0.6]

# Commands that `escaped` writes, and then nothing that TeX would take for anything but a letter.
_WRITTEN = re.compile(r"\\(?:[&%$#_{}]|text[a-z]+\{\})|\$\\(?:pm|times|uparrow|downarrow)\$")
_ACTIVE = set("\\&%$#_{}~^")


def _tex() -> str:
    title = r"50% of $x_1$ & {y} ~^\ #1"
    empty = {"kid": "run `hdeocc weights` & wait"}
    totals = {k: v for k, v in content_record().totals.items() if k != "kid"}
    return to_latex(
        make_tables(
            [
                record("a", LOW, title=title),
                record("b", MIDDLE),
                record("c", HIGH),
                record("c", HIGH, seed=1),
                content_record(empty=empty, totals=totals),
            ]
        ),
        intervals=True,
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30))
def test_escaped_text_holds_no_active_character(text: str) -> None:
    left = _WRITTEN.sub("", escaped(text))
    assert not _ACTIVE & set(left) and "\n" not in left


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % & more_less", r"50 \% \& more\_less"),
        ("a\\b", r"a\textbackslash{}b"),
        ("{x}^2~y#$", r"\{x\}\textasciicircum{}2\textasciitilde{}y\#\$"),
        ("two\nlines", "two lines"),
    ],
)
def test_special_characters_are_printed(text: str, expected: str) -> None:
    assert escaped(text) == expected


def test_best_is_bold_second_underlined_and_arrows_point_up() -> None:
    made = [record("a", LOW), record("b", MIDDLE), record("c", HIGH)]
    lines = to_latex(make_tables(made)).splitlines()
    head = next(line for line in lines if "Method" in line)
    assert r"IoU $\uparrow$" in head and r"L1 $\downarrow$" in head
    best, second, last = (next(li for li in lines if f"& {name} &" in li) for name in "CBA")
    assert best.startswith(r"1 & C & \textbf{0.6000} &")
    assert second.startswith(r"2 & B & \underline{0.5000} &")
    assert last.startswith("3 & A & 0.3000 &")


def test_a_negative_number_has_a_minus_not_a_hyphen() -> None:
    kid = content_record().totals["kid"].model_copy(update={"value": -0.5, "low": -1.0})
    made = content_record(totals=content_record().totals | {"kid": kid})
    assert r"\textbf{$-$0.50000}" in to_latex(make_tables([made]))


def test_rows_of_intervals_are_optional() -> None:
    tables = make_tables([record("a", LOW)])
    assert r"\scriptsize" not in to_latex(tables)
    text = to_latex(tables, intervals=True)
    assert re.search(r"^ &  & \{\\scriptsize \[0\.29\d+, 0\.30\d+\]\}", text, re.MULTILINE)


def test_every_line_has_as_many_cells_as_columns() -> None:
    for part in _tex().split(r"\begin{tabular}")[1:]:
        spec = re.match(r"\{([rl]+)\}", part)
        assert spec is not None
        body = part.split(r"\end{tabular}")[0]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) >= 2
        for line in lines:
            assert len(re.findall(r"(?<!\\)&", line)) == len(spec[1]) - 1


def test_environments_and_braces_are_closed_and_rules_are_those_of_booktabs() -> None:
    text = _tex()
    for name in ("table", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == 3
    plain = text.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [3, 3, 3]
    assert r"\hline" not in text and text.isascii()
    assert r"\textsuperscript{1} run `hdeocc weights` \& wait." in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="there is no pdflatex")
def test_it_compiles(tmp_path: Path) -> None:
    document = "\n".join(
        [r"\documentclass{article}\usepackage{booktabs}", r"\begin{document}", _tex(),
         r"\end{document}"]
    )  # fmt: skip
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout[-2000:]


def test_an_unknown_cost_is_an_empty_cell_with_its_reason() -> None:
    tables = make_tables([record("a", LOW, parameters=None, macs=None, milliseconds=None)])
    text = to_latex(tables)
    row = next(line for line in text.splitlines() if "& A &" in line)
    assert row.endswith(" & ".join([r"--\textsuperscript{1}"] * 3) + r" \\")
    assert "did not say." in text and "did not say" not in to_latex(tables, cost=False)


def test_one_person_has_no_row_of_intervals() -> None:
    text = to_latex(make_tables([record("a", LOW, people=["x"] * 8)]), intervals=True)
    assert r"\scriptsize" not in text and "One person tells nothing of others" in text
