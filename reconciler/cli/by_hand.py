"""What the commands by hand share: show what was seen, ask, write it down, tell what follows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, ledger_options
from reconciler.cli.process import DONE, ERROR
from reconciler.cli.terminal import coloured, confirmed, echo_error, out
from reconciler.errors import ReconcilerError

if TYPE_CHECKING:
    from reconciler.app.decisions import Decision, SpecView

Command = TypeVar("Command", bound=Callable[..., Any])


def deciding_options(command: Command) -> Command:
    """--reason, --yes, --format, and those of every command that uses a ledger."""
    for option in (
        click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
        click.option("--reason", metavar="TEXT", help="Why: recorded with who decided."),
    ):
        command = option(command)
    return ledger_options(command)


def decide(sight: SpecView, proposal: Decision, *, yes: bool, form: str) -> int:
    """Shows a decision, asks unless `yes`, writes it down, and says what the next pass does. Returns the exit code.

    Raises `ReconcilerError` where it would have to ask and cannot, and where what was shown moved meanwhile.
    """
    from reconciler.app.decisions import carried_out, following
    from reconciler.render.decisions import decision_json, decision_text, done_text
    from reconciler.render.plan_json import dumps

    decision = proposal.decision
    if form == "text":
        out(decision_text(decision, color=coloured(sys.stdout)))
    if proposal.steps and not yes and not agreed(decision.command, decision_text(decision), form):
        return ERROR
    results = carried_out(sight.session, proposal)
    then = following(sight)
    out(dumps(decision_json(decision, results, then)) if form == "json" else "\n" + done_text(decision, results, then))
    return ERROR if any(result.error is not None for result in results) else DONE


def agreed(command: str, shown: str, form: str) -> bool:
    """Whether a person says yes; what is decided is on the terminal already, unless standard output is a machine's."""
    if not sys.stdin.isatty():
        raise ReconcilerError(
            f"{command} asks before it acts, and there is no terminal to ask on. Nothing was recorded; "
            "--yes does not ask"
        )
    if form == "json":
        echo_error(shown)
    if confirmed("Do you want to record this decision?"):
        return True
    echo_error(f"{command} cancelled: nothing was recorded.")
    return False
