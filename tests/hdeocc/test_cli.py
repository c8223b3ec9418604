"""The front door: every mistake is one line with exit code 2, an interruption one with 130."""

import errno
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from hdeocc import cli


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments), prog_name="hdeocc")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["synht"], "Did you mean 'synth'?; see hdeocc --help"),
        (["synth", "biuld"], "Did you mean 'build'?; see hdeocc synth --help"),
        (["synth", "build", "x"], "Missing option '--out'; see hdeocc synth build --help"),
        (["synth", "build", "x", "--out", "y", "--sed", "3"], "'--seed'"),
        (["bench", "run", "x", "--out", "y", "--workers", "0"], "'--workers': 0 is not in the"),
        (["quickstart", "--workers", "two"], "'two' is not a valid integer"),
    ],
)
def test_wrong_words_are_one_line(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_help_is_still_help() -> None:
    for arguments in ([], ["synth"], ["bench", "--help"], ["-h"]):
        shown = run(*arguments)
        assert "Usage: " in shown.output and len(shown.output.splitlines()) > 5


def every_command(group: click.Group, *words: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The words of each command that does something, and its help."""
    context = click.Context(group, info_name="hdeocc")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every_command(command, *words, name)
        else:
            assert command is not None
            yield (*words, name), command.get_help(click.Context(command, info_name=name))


def test_every_help_ends_with_examples_of_the_command() -> None:
    shown = list(every_command(cli.main))
    assert len(shown) > 20
    for words, text in shown:
        told, _, rest = text.partition("\n\nOptions:")
        examples = re.split(r"\n\n  Examples?:\n", told)
        assert rest and len(examples) == 2 and "\n\n" not in examples[1], words
        lines = [line.split() for line in examples[1].splitlines()]
        assert ["hdeocc", *words] in [line[: len(words) + 1] for line in lines], words


def command_of(words: Sequence[str]) -> tuple[click.Command, Sequence[str]]:
    """The command that words call, and the words that are left for it."""
    command: click.Command = cli.main
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"no command {words[0]!r}"
        command, words = found, words[1:]
    return command, words


def shown_commands() -> Iterator[str]:
    """Every command that a page of the docs or a help shows on a line of its own."""
    root = Path(__file__).parents[2]
    blocks = [told for _, told in every_command(cli.main)]
    # With the language too: the end of a block in TOML would else be taken for a beginning.
    fenced = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for page in (root / "README.md", *sorted(root.glob("docs/**/*.md"))):
        blocks += fenced.findall(page.read_text("utf-8"))
    for block in blocks:
        joined = re.sub(r"\\\n\s*", "", block)
        yield from re.findall(r"^ *(hdeocc .+)$", joined, re.MULTILINE)


@pytest.mark.parametrize("line", sorted(set(shown_commands())))
def test_what_is_shown_exists_with_its_options(line: str) -> None:
    command, words = command_of(re.split(r"  +#|  +\(| # ", line)[0].split()[1:])
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> Result:
    def command(*_: object) -> click.Command:
        def callback() -> None:
            raise error

        return click.Command("methods", callback=callback)

    monkeypatch.setattr(cli.LazyGroup, "get_command", command)
    return run("methods")


def test_what_the_file_system_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    full = raising(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/out/x.png"))
    assert full.exit_code == 2
    assert full.output.startswith("Error: /out/x.png: No space left on device; make room")
    assert len(full.output.splitlines()) == 1


def test_other_errors_of_the_program_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(raising(monkeypatch, KeyError("x")).exception, KeyError)
    gone = raising(monkeypatch, FileNotFoundError(errno.ENOENT, "No such file", "x"))
    assert isinstance(gone.exception, FileNotFoundError)


def test_an_interruption_has_the_code_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = raising(monkeypatch, KeyboardInterrupt())
    assert stopped.exit_code == 130
    assert stopped.output.strip() == "Stopped."
