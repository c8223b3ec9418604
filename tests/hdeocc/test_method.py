"""The registry of methods and the command line's front door."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
from click.testing import CliRunner

from hdeocc import method
from hdeocc.cli import COMMANDS, main
from synth.errors import InputError


def test_every_registered_method_loads_and_keeps_the_contract() -> None:
    for key in method.entries():
        track, name = key.split(".", 1)
        found = method.method_class(track, name)
        assert found.track == track and found.title and found.consumes
        assert {u.split(".", 1)[1] for u in found.upstream} <= {
            k.split(".", 1)[1] for k in method.entries()
        }


def test_an_unknown_method_gets_the_closest_names() -> None:
    with pytest.raises(InputError, match="did you mean two-stage") as caught:
        method.method_class("mask", "twostage")
    assert caught.value.exit_code == 2
    with pytest.raises(InputError, match="there are: .*identity"):
        method.check_names("mask", ["zzzzzz"], "my.toml")


def test_a_method_that_no_file_can_be_called_by_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("mask.a/b", "m:C", method.GROUP)
    monkeypatch.setattr(method, "_entries", lambda: {entry.name: entry})
    with pytest.raises(InputError, match="method 'a/b' of the mask track cannot name files"):
        method.check_names("mask", ["a/b"], "my.toml")


def test_two_packages_cannot_share_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [EntryPoint("mask.mine", v, method.GROUP) for v in ("a:A", "b:B")]
    monkeypatch.setattr(method, "entry_points", lambda group: twice)
    method._entries.cache_clear()
    try:
        with pytest.raises(InputError, match="registered twice"):
            method.entries()
    finally:
        method._entries.cache_clear()


def test_help_imports_no_torch() -> None:
    code = (
        "import sys; from hdeocc.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "assert not {'torch', 'cv2', 'pandas'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "hdeocc" in result.output, "the help shows an example call"


def test_an_unknown_command_exits_with_two() -> None:
    assert CliRunner().invoke(main, ["quikstart"]).exit_code == 2
