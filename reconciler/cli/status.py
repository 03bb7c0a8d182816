"""`reconciler status`: the state of each spec, once or repeatedly."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from reconciler.cli.exit_codes import DONE, status_exit_code
from reconciler.cli.options import format_option, ledger_options, selection_options, takes_options
from reconciler.cli.output import coloured, harmless, out, out_json, print_problems, terminal_width
from reconciler.errors import ReconcilerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from reconciler.app.options import CommandOptions
    from reconciler.app.session import ReusableSession
    from reconciler.core.plan import Plan
    from reconciler.render.status import StatusRow

PAUSE_SECONDS = 5.0


@click.command("status")
@format_option("json")
@click.option("--no-refresh", is_flag=True, help="Show the recorded state without calling AWS.")
@click.option("--watch", is_flag=True, help="Refresh the table every few seconds until interrupted, on a terminal.")
@selection_options
@ledger_options
@takes_options
def status(options: CommandOptions, output_format: str, no_refresh: bool, watch: bool) -> int:
    """Show for each spec which run it should have, its last run, the state of that run, and its age. Writes nothing.

    \b
    Examples:
      reconciler status -t prod
      reconciler status -t prod --only orders-daily --format json
      reconciler status -t prod --watch

    Exit code 3 if a spec is on hold, lost or unknown.
    """
    from reconciler.app.reconcile import preview
    from reconciler.app.session import opened
    from reconciler.render.plan_json import status_json
    from reconciler.render.status import rows

    if watch:
        if output_format == "json":
            raise click.UsageError("--watch cannot be combined with --format json")
        return _watch(options, refresh=not no_refresh)
    with opened(options) as session:
        inputs, plan = preview(session, refresh=not no_refresh, tolerant=True)
    table = rows(plan, inputs.recorded)
    print_problems(plan.problems)
    if output_format == "json":
        out_json(status_json(table, plan.problems))
    else:
        out(_table_text(plan, table))
    return status_exit_code(plan, inputs.recorded, [row.state for row in table])


def _table_text(plan: Plan, table: Sequence[StatusRow]) -> str:
    """Returns the table as text, with ages relative to the time of the plan."""
    from reconciler.core.times import parse_time
    from reconciler.render.status_table import status_text

    return status_text(table, parse_time(plan.created_at), color=coloured(), width=terminal_width())


def _watch(options: CommandOptions, *, refresh: bool) -> int:
    """Shows the table until it is interrupted, which is not a failure. Later errors are shown above the last table.

    Raises `UsageError` without a terminal, and `ReconcilerError` if the first table fails.
    """
    if not sys.stdout.isatty():
        raise UsageError("--watch needs a terminal; for a script use status --format json")
    import time

    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from reconciler.app.session import ReusableSession

    sessions = ReusableSession(options)
    try:
        shown = table = _watched_table(sessions, refresh=refresh)
        with Live(shown, console=Console(), auto_refresh=False, screen=True) as live:
            while True:
                live.update(shown, refresh=True)
                time.sleep(PAUSE_SECONDS)
                try:
                    shown = table = _watched_table(sessions, refresh=refresh)
                except ReconcilerError as error:
                    sessions.close()
                    shown = Text.assemble((f"Error: {harmless(str(error))}\n\n", "red"), table)
    except KeyboardInterrupt:
        return DONE
    finally:
        sessions.close()


def _watched_table(sessions: ReusableSession, *, refresh: bool) -> Text:
    from rich.text import Text

    from reconciler.app.reconcile import preview
    from reconciler.render.problems import problems_text
    from reconciler.render.status import rows

    inputs, plan = preview(sessions.session(), refresh=refresh, tolerant=True)
    table = _table_text(plan, rows(plan, inputs.recorded))
    problems = problems_text(plan.problems, color=coloured())
    return Text.from_ansi(f"{plan.created_at}  (Ctrl-C ends)\n\n{table}\n\n{problems}")
