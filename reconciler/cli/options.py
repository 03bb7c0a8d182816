"""Options that several commands share, and how values before and after the command's name combine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.app.options import CommandOptions
from reconciler.cli.output import start_logging

if TYPE_CHECKING:
    from datetime import datetime

Command = TypeVar("Command", bound=Callable[..., Any])

SHARED = {"verbose", *(field.name for field in fields(CommandOptions))}
"""Names of the parameters that `takes_options` collects into one `CommandOptions`."""


def stacked(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Returns one decorator that adds several options, in this order in the help."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_directory = click.option(
    "-C",
    "--directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Project folder.  [default: . if it contains reconciler.yaml, else ./specs]",
)
_target = click.option(
    "-t", "--target", metavar="NAME", help="Target of the project.  [default: RECONCILER_TARGET, else defaultTarget]"
)
_only = click.option("--only", multiple=True, metavar="NAME", help="Only this spec; repeatable.")
_labels = click.option(
    "-l",
    "--selector",
    "labels",
    multiple=True,
    metavar="LABEL=VALUE",
    help="Only specs with this label, as in team=growth; repeatable.",
)
_verbose = click.option("-v", "--verbose", count=True, help="Log to standard error; -vv for more.")

global_options = stacked(_directory, _target, _only, _labels, _verbose)
"""The options that can also stand before the command's name."""

place_options = stacked(_directory, _target, _verbose)
directory_options = stacked(_directory, _verbose)
"""For commands that concern no target."""

ledger_options = stacked(
    place_options,
    click.option(
        "--local-ledger", is_flag=True, help="Accept a SQLite ledger although CI=true: the file outlives the runner."
    ),
)
"""For commands that read a ledger."""

selection_options = stacked(_only, _labels)
allow_rollback_option = click.option(
    "--allow-rollback", is_flag=True, help="Let this checkout change specs that a newer commit submitted."
)
pass_options = stacked(
    allow_rollback_option,
    click.option(
        "--max-submissions",
        type=click.IntRange(min=0),
        metavar="N",
        help="Allow up to N new submissions in this command.",
    ),
    click.option(
        "--max-cancellations",
        type=click.IntRange(min=0),
        metavar="N",
        help="Allow up to N cancellations in this command.",
    ),
)
"""What one pass may do."""

yes_option = click.option("-y", "--yes", is_flag=True, help="Skip confirmation.")


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Returns the decorator that adds --format: text, then the others."""
    return click.option(
        "--format", "output_format", type=click.Choice(["text", *formats]), default="text", show_default=True
    )


def parse_moment(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """Parses the time of an option. Raises a usage error for one that is no time, or has no zone."""
    from reconciler.core.times import parse_time

    try:
        return None if value is None else parse_time(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write a time with its zone, as in 2026-12-01T00:00:00Z") from None


def combined(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Combines values before and after the command's name: lists and counts add up, a single value after it wins."""
    merged = dict(before)
    for name, value in after.items():
        if isinstance(value, tuple):
            merged[name] = (*(merged.get(name) or ()), *value)
        elif name == "verbose":
            merged[name] = (merged.get(name) or 0) + value
        elif value is not None or name not in merged:
            merged[name] = value
    return merged


def takes_options(command: Callable[..., int]) -> Callable[..., int]:
    """Calls `command` with its shared options as one `CommandOptions`, then its own options; starts the logs first.

    Raises a usage error for an option before the command's name that the command does not have.
    """

    @click.pass_context
    @wraps(command)
    def run(context: click.Context, /, **values: Any) -> int:  # noqa: ANN401 - click's own values
        root = context.find_root()
        before = root.obj or {}
        own = {parameter.name for parameter in context.command.params}
        for option in root.command.params:
            if option.name not in own and before.get(option.name or ""):
                raise click.UsageError(f"{context.info_name} takes no {option.opts[0]}", context)
        shared = combined(before, {name: values.pop(name) for name in SHARED & values.keys()})
        start_logging(shared.pop("verbose", 0))
        chosen = CommandOptions(**{name: value for name, value in shared.items() if value is not None})
        return command(chosen, **values)

    return run
