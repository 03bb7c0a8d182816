"""Options that commands share, and what was given for them before and after the command's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.app.options import CommandOptions
from reconciler.cli.logs import start_logging

if TYPE_CHECKING:
    from datetime import datetime

Command = TypeVar("Command", bound=Callable[..., Any])

FORMAT_TEXT_JSON = click.Choice(["text", "json"])


def _directory() -> click.Option:
    return click.Option(
        ["-C", "--directory", "directory"],
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Project folder.  [default: . if it holds reconciler.yaml, else ./specs]",
    )


def _target() -> click.Option:
    return click.Option(
        ["-t", "--target", "target"],
        metavar="NAME",
        help="Target of the project.  [default: RECONCILER_TARGET, else defaultTarget]",
    )


def _only() -> click.Option:
    return click.Option(["--only"], multiple=True, metavar="NAME", help="Only this spec; may be given again.")


def _labels() -> click.Option:
    return click.Option(
        ["-l", "--selector", "labels"],
        multiple=True,
        metavar="LABEL=VALUE",
        help="Only specs with this label, as in team=growth; may be given again.",
    )


def _verbose() -> click.Option:
    return click.Option(["-v", "--verbose", "verbose"], count=True, help="Log to standard error; -vv for more.")


def _local_ledger() -> click.Option:
    return click.Option(
        ["--local-ledger"], is_flag=True, help="Accept a SQLite ledger with CI=true: the file outlives the runner."
    )


def _allow_rollback() -> click.Option:
    return click.Option(
        ["--allow-rollback"], is_flag=True, help="Let this checkout change specs that a newer commit submitted."
    )


def _max_submissions() -> click.Option:
    return click.Option(
        ["--max-submissions"],
        type=click.IntRange(min=0),
        metavar="N",
        help="Allow up to N new submissions this once.",
    )


def _max_cancellations() -> click.Option:
    return click.Option(
        ["--max-cancellations"], type=click.IntRange(min=0), metavar="N", help="Allow up to N cancellations this once."
    )


def GLOBAL_OPTIONS() -> list[click.Parameter]:  # noqa: N802 - a table, made anew for each command
    """The options that go before or after the command's name."""
    return [_directory(), _target(), _only(), _labels(), _verbose()]


_PLACE = (_directory, _target, _verbose)
_SELECTION = (_only, _labels)
_PASS = (_allow_rollback, _max_submissions, _max_cancellations)


def _adding(makers: tuple[Callable[[], click.Option], ...]) -> Callable[[Command], Command]:
    """A decorator that gives a command function these options, as `click.option` would."""

    def decorate(command: Command) -> Command:
        params: list[click.Parameter] = command.__dict__.setdefault("__click_params__", [])
        params.extend(make() for make in reversed(makers))
        return command

    return decorate


place_options = _adding(_PLACE)
"""-C, -t, -v."""

directory_options = _adding((_directory, _verbose))
"""-C, -v: for commands that are about no target."""

ledger_options = _adding((*_PLACE, _local_ledger))
"""-C, -t, -v and --local-ledger: for commands that read a ledger."""

selection_options = _adding(_SELECTION)
"""--only, -l."""

allow_rollback_option = _adding((_allow_rollback,))
"""--allow-rollback: for commands that record what a checkout asks for."""

pass_options = _adding(_PASS)
"""What one pass may do."""


def moment(_context: click.Context, _option: click.Parameter, value: str | None) -> datetime | None:
    """A time given as an option; a usage error for one that is no time, or has no zone."""
    from reconciler.core.times import parse_time

    try:
        return None if value is None else parse_time(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write a time with its zone, as in 2026-12-01T00:00:00Z") from None


def given_here(before: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given before the command's name with what was given after it laid over: lists and counts add up, and
    of two single values the later one counts."""
    merged = dict(before)
    for name, value in given.items():
        earlier = merged.get(name)
        if isinstance(value, tuple):
            merged[name] = (*(earlier or ()), *value)
        elif isinstance(value, int) and not isinstance(value, bool) and name == "verbose":
            merged[name] = (earlier or 0) + value
        elif value is not None or name not in merged:
            merged[name] = value
    return merged


def chosen(context: click.Context, given: Mapping[str, Any]) -> CommandOptions:
    """The choice of one command, from what was given before and after its name; starts the logs on the way.

    Raises a usage error for an option that was given before the name of a command that has no use for it.
    """
    before = context.find_root().obj or {}
    own = {parameter.name for parameter in context.command.params}
    for name, value in before.items():
        if value and name not in own:
            raise click.UsageError(f"{context.info_name} takes no {_spelling(name)}", context)
    merged = given_here(before, given)
    start_logging(merged.pop("verbose", 0))
    known = {field.name for field in fields(CommandOptions)}
    return CommandOptions(**{name: value for name, value in merged.items() if name in known and value is not None})


def _spelling(name: str) -> str:
    return next(option.opts[0] for option in GLOBAL_OPTIONS() if option.name == name)
