"""The front door: names every command and imports none until it is called."""

from importlib import import_module

import click

from hdeocc import __version__

# Command -> where it lives and its line in the help. The help imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": ("leaderboards.cli:quickstart", "The whole job on built-in people, in minutes."),
    "synth": ("synth.cli:synth", "Build, preview and check data sets of occluded people."),
    "bench": ("leaderboards.cli:bench", "Fit, predict and score the methods of a benchmark."),
    "leaderboard": ("leaderboards.cli:leaderboard", "Render tables and the page from results."),
    "methods": ("hdeocc.commands:methods", "List the methods that can be compared."),
    "weights": ("metrics.cli:weights", "Install and check the feature networks of the metrics."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: hdeocc quickstart",
)
@click.version_option(__version__, prog_name="hdeocc")
def main() -> None:
    """Human de-occlusion: find the whole shape of a hidden person, and paint what is hidden.

    Builds data sets with amodal ground truth, trains the two-stage model of "Human De-occlusion:
    Invisible Perception and Recovery for Humans" (CVPR 2021) and its baselines, and scores all of
    them into tables that can be rebuilt.
    """


if __name__ == "__main__":
    main()
