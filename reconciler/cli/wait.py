"""`reconciler wait`, and the output of `apply --wait` until the runs have ended."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from reconciler.cli.exit_codes import ACTION_REQUIRED, DONE, ERROR
from reconciler.cli.options import format_option, ledger_options, takes_options, timeout_option
from reconciler.cli.output import coloured, echo_error, harmless, out, out_json, terminal_width
from reconciler.cli.signals import stop_on_signals
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from reconciler.app.options import CommandOptions
    from reconciler.app.session import Session
    from reconciler.app.wait import Waited
    from reconciler.core.awaited import Awaited
    from reconciler.core.identity import SubmissionKey


@click.command("wait")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Wait for the runs of all specs.")
@timeout_option
@format_option("json")
@ledger_options
@takes_options
def wait(
    options: CommandOptions, names: tuple[str, ...], *, everything: bool, timeout: float | None, output_format: str
) -> int:
    """Wait until the runs of these specs have ended, and submit the work that waits for them: dependent specs, retries,
    slots.

    Only applied changes are submitted. Changes in git that no `apply` has applied are left for `apply`.

    \b
    Examples:
      reconciler wait orders-daily -t prod
      reconciler wait --all -t prod --timeout 2h

    Exit code 0 if every run succeeded, 3 if a run failed or is held, 1 after a timeout.
    """
    from reconciler.app.session import opened

    if bool(names) == everything:
        raise click.UsageError("give the names of specs, or --all")
    with opened(options) as session:
        waited = wait_until_done(session, names or None, None, timeout, shown=output_format == "text")
    if output_format == "json":
        from reconciler.render.results import awaited_json

        out_json({"runs": awaited_json(waited.runs, session.place)})
    return exit_code(waited)


def wait_until_done(
    session: Session,
    names: Collection[str] | None,
    keys: Collection[SubmissionKey] | None,
    timeout: float | None,
    *,
    shown: bool,
) -> Waited:
    """Waits as `app.wait.wait` does. With `shown`, shows the states: on a terminal in a table that is updated,
    otherwise with a line for each change and a table at the end. Raises the errors of `wait`."""
    from reconciler.app.wait import wait as wait_for

    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals(lambda: echo_error("Stopping; the runs continue.")))
        report = stack.enter_context(_live_table()) if shown and sys.stdout.isatty() else _changed_lines(shown=shown)
        waited = wait_for(session, names, keys, report, timeout=timeout, stop=stop)
    if shown:
        from reconciler.render.results import awaited_text

        out("\n" + awaited_text(waited.runs, color=coloured(), width=terminal_width()))
    return waited


def exit_code(waited: Waited) -> int:
    """Returns the exit code of a wait. Raises `ReconcilerError` if the wait ended before the runs did."""
    from reconciler.core.awaited import Progress

    moving = ", ".join(each.key.name for each in waited.runs if each.progress is Progress.MOVING)
    if waited.timed_out:
        raise ReconcilerError(f"timed out before these ended: {moving or 'none could be read'}. They continue")
    if waited.stopped:
        echo_error(f"Interrupted. These have not ended: {moving or 'none could be read'}.")
        return ERROR
    return ACTION_REQUIRED if waited.unsuccessful else DONE


def _changed_lines(*, shown: bool) -> Callable[[Sequence[Awaited]], None]:
    """Returns a function that prints a line for each run whose state, or AWS's reason for it, has changed. It prints to
    standard error if a program reads standard output."""
    from reconciler.render.results import awaited_line

    before: dict[SubmissionKey, tuple[str, ...]] = {}

    def report(runs: Sequence[Awaited]) -> None:
        for each in runs:
            run = each.submission
            reason = run.detail if run is not None and run.live else None  # AWS may report it later than the state
            state = (each.state, each.progress, (run.run_id if run is not None else None) or "", reason or "")
            if before.get(each.key) != state:
                before[each.key] = state
                out(harmless(awaited_line(each))) if shown else echo_error(awaited_line(each))

    return report


@contextmanager
def _live_table() -> Iterator[Callable[[Sequence[Awaited]], None]]:
    """Context manager: shows a table on the terminal, and yields the function that updates it."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from reconciler.render.results import awaited_text

    with Live(console=Console(), transient=True, auto_refresh=False) as live:
        yield lambda runs: live.update(
            Text.from_ansi(awaited_text(runs, color=coloured(), width=terminal_width())), refresh=True
        )
