"""Options that several commands share and that may be given before or after the command's name, and the completion of
their values in a shell.

Completion reads only names. It validates nothing, calls no service, and prints nothing about a project that it cannot
read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.app.options import CommandOptions
from reconciler.cli.output import annotate, echo_error
from reconciler.errors import ReconcilerError, SpecErrors
from reconciler.values import regex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reconciler.cli.times import WrittenTime
    from reconciler.specs.project import ProjectFile

NAME = r"[\"']?([a-z0-9][-a-z0-9]*)"
SPEC_NAMES = (
    regex(rf"^metadata:[ \t]*(?:#.*)?\n(?:[ \t]+.*\n|[ \t]*\n)*?[ \t]+name:[ \t]*{NAME}", re.MULTILINE),
    regex(rf"[\"']?\bmetadata[\"']?[ \t]*:\s*\{{(?:[^{{}}]|\{{[^{{}}]*\}})*?[\"']?\bname[\"']?[ \t]*:\s*{NAME}"),
)
"""Matches the name in a spec's metadata, in block and in flow style, because this is faster than parsing YAML."""


def complete_specs(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the names of specs that start with `incomplete`, sorted. Returns no names if the project cannot be
    read."""
    try:
        return _beginning(incomplete, _spec_names(_project(context)))
    except Exception:  # noqa: BLE001 - a shell must not show an error in the middle of a line
        return []


def complete_targets(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """Returns the targets that start with `incomplete`, sorted. Returns no targets if the project cannot be read."""
    try:
        return _beginning(incomplete, _project(context).project.spec.targets)
    except Exception:  # noqa: BLE001 - a shell must not show an error in the middle of a line
        return []


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})


def _project(context: click.Context) -> ProjectFile:
    from reconciler.specs.project import find_root, read_project

    chosen = context.params.get("directory") or context.find_root().params.get("directory")
    return read_project(find_root(chosen, Path.cwd()))


def _spec_names(file: ProjectFile) -> Iterator[str]:
    from reconciler.specs.files import NotReadable

    paths, _problems = file.files.find(file.patterns)
    for path in paths:
        try:
            text = file.files.read(path).text
        except NotReadable:
            continue
        for pattern in SPEC_NAMES:
            yield from pattern.findall(text)


Command = TypeVar("Command", bound=Callable[..., Any])

SHARED = {"verbose", *(field.name for field in fields(CommandOptions))}
"""The parameters that `takes_options` collects in one `CommandOptions`."""


def stacked(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Returns one decorator that adds several options. The help lists them in this order."""

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
    "-t",
    "--target",
    metavar="NAME",
    shell_complete=complete_targets,
    help="Target to use, from reconciler.yaml.  [default: RECONCILER_TARGET, else defaultTarget]",
)
_only = click.option(
    "--only", multiple=True, metavar="NAME", shell_complete=complete_specs, help="Only this spec; repeatable."
)
_labels = click.option(
    "-l",
    "--selector",
    "labels",
    multiple=True,
    metavar="LABEL=VALUE",
    help="Only specs with this label, such as team=growth; repeatable.",
)
_verbose = click.option("-v", "--verbose", count=True, help="Log to standard error; -vv for more.")

global_options = stacked(_directory, _target, _only, _labels, _verbose)
"""The options that are also accepted before the command's name."""

place_options = stacked(_directory, _target, _verbose)
directory_options = stacked(_directory, _verbose)
"""The options of commands that have no target."""

ledger_options = stacked(
    place_options,
    click.option(
        "--local-ledger",
        is_flag=True,
        help="Accept a SQLite ledger even if CI=true. Use this only if the file outlives the runner.",
    ),
)
"""The options of commands that read a ledger."""

selection_options = stacked(_only, _labels)
allow_rollback_option = click.option(
    "--allow-rollback", is_flag=True, help="Let this checkout change specs that a newer commit submitted."
)
cache_option = click.option("--no-cache", is_flag=True, help="Do not read or write the local cache.")
"""The option of commands that read specs."""

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
"""The options that limit one pass."""

yes_option = click.option("-y", "--yes", is_flag=True, help="Skip confirmation.")


def format_option(*formats: str) -> Callable[[Command], Command]:
    """Returns the decorator that adds --format with the values ``text`` (the default) and `formats`."""
    return click.option(
        "--format", "output_format", type=click.Choice(["text", *formats]), default="text", show_default=True
    )


def output_option(*forms: str) -> Callable[[Command], Command]:
    """Returns the decorator that adds -o with `forms`, which takes precedence over --format."""
    return click.option("-o", "--output", type=click.Choice(forms), help="Output format; the same as --format.")


def time_option(
    *names: str, help_text: str, required: bool = False, end: bool = False, ago: bool = False
) -> Callable[[Command], Command]:
    """Returns the decorator that adds an option for a time. Its value is a `WrittenTime` with this `end` and `ago`."""

    def read(_context: click.Context, option: click.Parameter, value: str | None) -> WrittenTime | None:
        if value is None:
            return None
        from reconciler.app.session import SystemClock
        from reconciler.cli.times import WrittenTime

        now = datetime.fromtimestamp(int(SystemClock().now()), UTC)
        written = WrittenTime(option.opts[0], value, now, end, ago)
        try:
            written.utc()
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
        return written

    return click.option(*names, callback=read, metavar="TIME", required=required, help=help_text)


def resolved(written: WrittenTime | None, time_zone: str = "UTC") -> datetime | None:
    """Returns the time in UTC. Also prints it to standard error, unless the user wrote it in the same form.

    `time_zone` applies to a time that was written without a zone. Raises a usage error if the time does not exist in
    the zone, or occurs twice.
    """
    if written is None:
        return None
    from reconciler.core.times import seconds_text

    try:
        moment = written.utc(time_zone)
    except ValueError as error:
        raise click.UsageError(f"{written.option}: {error}") from None
    if written.text != seconds_text(moment):
        zone = f" ({time_zone})" if moment != written.utc() else ""
        echo_error(f"{written.option}: {written.text} is {seconds_text(moment)}{zone}")
    return moment


def parse_duration(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """Parses ``90s``, ``5m`` or ``1h30m`` into seconds. Raises a usage error for anything else, including zero."""
    from reconciler.core.times import seconds_of

    try:
        seconds = None if value is None else seconds_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds == 0:
        raise click.BadParameter(f"{value!r} is zero; write 60s, 5m or 1h30m")
    return seconds


timeout_option = click.option(
    "--timeout", callback=parse_duration, metavar="TIME", help="Stop waiting after this time, such as 30m or 2h."
)


def combined(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Combines option values from before and after the command's name. Lists are concatenated, counts are added, and a
    single value after the name replaces the value before it."""
    merged = dict(before)
    for name, value in after.items():
        if isinstance(value, tuple):
            merged[name] = (*(merged.get(name) or ()), *value)
        elif name == "verbose":
            merged[name] = (merged.get(name) or 0) + value
        elif value is not None or name not in merged:
            merged[name] = value
    return merged


@contextmanager
def _explained_errors(options: CommandOptions) -> Iterator[None]:
    """Context manager: prints problems in files as annotations if the CI runner shows annotations, and adds the project
    folder to the commands in the messages of other errors."""
    try:
        yield
    except SpecErrors as error:
        annotate(error.problems, options)
        raise
    except ReconcilerError as error:
        # The error itself is raised again, because its type determines the exit code.
        error.args = (options.invocation.completed(str(error)),)
        raise


def takes_options(command: Callable[..., int]) -> Callable[..., int]:
    """Decorates `command`. The result starts logging, and calls `command` with the shared options as one
    `CommandOptions` and with its own options.

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
        from reconciler.cli.output import start_logging

        start_logging(shared.pop("verbose", 0))
        chosen = CommandOptions(**{name: value for name, value in shared.items() if value is not None})
        with _explained_errors(chosen):
            return command(chosen, **values)

    return run
