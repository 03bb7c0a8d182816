"""The `reconciler` command: global options, and a table of commands that are imported when they run."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

import click

from reconciler import __version__
from reconciler.cli.options import GLOBAL_OPTIONS, given_here

COMMANDS = {
    "init": "Start a project: reconciler.yaml, an example of each kind, a schema for editors.",
    "validate": "Check every spec, offline.",
    "plan": "Show what an apply would do; write nothing.",
    "apply": "Plan, show, ask, do.",
    "reconcile": "One pass without asking, within the limits.",
    "status": "Each spec: what is asked for, its last run, how that stands.",
    "history": "Everything the ledger holds about one spec.",
    "why": "From a run to the commit that asked for it, or back.",
    "resolve": "Decide a submission whose outcome is unknown: send it again, or never.",
    "adopt": "Make an existing run a spec's current submission; submit nothing.",
    "graph": "Which spec waits for which.",
    "fsck": "Hold the ledger against AWS; with --adopt, record again what a lost one knew.",
    "schema": "JSON Schema of the files, for editors.",
    "emulator": "Serve the embedded AWS on a port, for tests of your own tools.",
    "completion": "Completion script for bash, zsh or fish.",
}
"""Every command with its line of help, in the order people meet them. Each is `reconciler.cli.NAME.command`."""

HELP = """Job runs from git: specs in YAML, a plan to review, each run submitted at most once.

\b
Example:
  reconciler plan -t prod
  reconciler apply -t prod

\b
Exit codes: 0 done, or nothing to do; 1 error; 2 changes pending (plan --detailed-exitcode);
3 something needs a person or is not known yet; 64 wrong usage.
"""


class Program(click.Group):
    """A group that knows its commands by name and imports one only when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, `None` where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = cast("click.Command", import_module(f"reconciler.cli.{cmd_name}").command)
        command.short_help = COMMANDS[cmd_name]  # what shells show beside a completion
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a name that is nearly one of ours."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"there is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing a single command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    "reconciler",
    cls=Program,
    help=HELP,
    params=GLOBAL_OPTIONS(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "--version", message="%(prog)s %(version)s")
@click.pass_context
def program(context: click.Context, /, **given: Any) -> None:  # noqa: ANN401 - click's own values
    """Keeps what was given before the command's name for the command."""
    context.obj = given_here({}, given)
