"""The front door: names every command and imports none until it is called."""

import errno
from importlib import import_module
from typing import Any

import click

from hdeocc import __version__
from synth.errors import InputError

# Command -> where it lives and its line in the help. The help imports none of them.
COMMANDS: dict[str, tuple[str, str]] = {
    "quickstart": ("leaderboards.cli:quickstart", "The whole job on built-in people, in minutes."),
    "synth": ("synth.cli:synth", "Build, preview and check data sets of occluded people."),
    "bench": ("leaderboards.cli:bench", "Fit, predict and score the methods of a benchmark."),
    "train": ("hdeocc.train_cli:train", "Train the two-stage model, or any learned method."),
    "predict": ("leaderboards.cli_predict:predict", "Predict a data set with a fitted method."),
    "deocclude": ("hdeocc.deocclude_cli:deocclude", "Complete the people of a photo."),
    "score": ("leaderboards.cli_predict:score", "Score predictions of any program."),
    "leaderboard": (
        "leaderboards.cli_leaderboard:leaderboard",
        "Render, verify, compare and extend results.",
    ),
    "methods": ("hdeocc.commands:methods", "List the methods that can be compared."),
    "weights": ("metrics.cli:weights", "Install and check the feature networks of the metrics."),
}


STOPPED = 130
# What a file system refuses: a full disk, a missing permission, a file where a folder should be.
_ENVIRONMENT = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EISDIR,
                errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)  # fmt: skip


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in COMMANDS:
            raise click.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; faults that are not the program's become one line each."""
        try:
            return super().invoke(ctx)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else "hdeocc"
            text = error.format_message().rstrip(".")
            raise InputError(f"{text}; see {path} --help") from None
        except KeyboardInterrupt:
            click.echo("\nStopped.", err=True)
            raise click.exceptions.Exit(STOPPED) from None
        except OSError as error:
            if error.errno not in _ENVIRONMENT:
                raise
            name = error.filename2 or error.filename or "a file"
            raise InputError(
                f"{name}: {error.strerror}; make room or choose another folder, then start again"
            ) from error

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
