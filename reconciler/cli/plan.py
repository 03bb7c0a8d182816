"""`reconciler plan` and `apply`: show what would change, confirm, and apply it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from reconciler.cli import options as shared
from reconciler.cli.exit_codes import ACTION_REQUIRED, DONE, ERROR, apply_exit_code, plan_exit_code
from reconciler.cli.output import coloured, confirm, echo_error, out, out_parts, progress
from reconciler.cli.plan_output import PlanOutput, annotate_holds, annotate_results, print_recorded, print_results
from reconciler.cli.signals import stop_on_signals
from reconciler.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from reconciler.app.inputs import PassInputs
    from reconciler.app.options import CommandOptions
    from reconciler.app.session import Session
    from reconciler.cli.times import WrittenTime
    from reconciler.core.plan import ActionResult, Plan
    from reconciler.core.suggestions import Invocation
    from reconciler.model.project import Limits

plan_options = shared.stacked(shared.selection_options, shared.pass_options, shared.cache_option, shared.ledger_options)


@click.command("plan")
@click.option(
    "--out", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Save the plan in a file."
)
@shared.format_option("json", "markdown", "junit")
@click.option(
    "--max-bytes",
    type=click.IntRange(min=2_000),
    default=60_000,
    show_default=True,
    metavar="N",
    help="With --format markdown: omit the least important parts until the page has at most N bytes.",
)
@click.option("--no-refresh", is_flag=True, help="Do not call AWS; plan from the recorded state.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit 2 if changes are pending, 3 if an action is required.")
@shared.time_option("--at", help_text="Plan as if it were this time, such as 2026-11-30, tomorrow 02:00 or in 2h.")
@click.option(
    "--base", metavar="REF", help="Separate the changes of this checkout from those that are already on the branch REF."
)
@click.option(
    "--fail-on-pending", is_flag=True, help="With --base: exit 1 if changes on REF have not been applied yet."
)
@click.option(
    "--ledger-snapshot",
    "snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --no-refresh: plan from a file of `ledger export --snapshot`, without credentials or network.",
)
@plan_options
@shared.takes_options
def plan(
    options: CommandOptions,
    *,
    file: Path | None,
    output_format: str,
    max_bytes: int,
    no_refresh: bool,
    detailed_exitcode: bool,
    at: WrittenTime | None,
    base: str | None,
    fail_on_pending: bool,
    snapshot: Path | None,
) -> int:
    """Show what an apply would do, and write nothing.

    Queries AWS for the state of every run that may still change; with --no-refresh, the plan uses the recorded state.
    With --out, the plan is also saved in a file. `reconciler apply FILE` carries out exactly this plan, and refuses it
    if a spec in it has changed since then.

    \b
    Examples:
      reconciler plan
      reconciler plan -t prod --out prod.plan
      reconciler plan -t prod --format markdown --base origin/main

    By default, the exit code is 0 if a plan could be made, with or without changes. With --detailed-exitcode: 2 if
    there is something to do, 3 if something is on hold or unknown. With --fail-on-pending: 1 if a change was already on
    the base; this takes precedence.
    """
    from reconciler.app.stored_output import StoredOutput

    _require_base(base, needed=fail_on_pending)
    _require_shown(snapshot, refresh=not no_refresh, saved=file is not None)
    plain = output_format in {"text", "json"} and not any((file, at, base, snapshot))
    stored = StoredOutput(options, "plan", output_format, coloured(), no_refresh, used=plain)
    if (earlier := stored.find()) is not None:
        out_parts((earlier,))
        return DONE
    from reconciler.app.session import opened

    moment, output = shared.resolved(at), PlanOutput(options, output_format, max_bytes)
    with output.failures(), opened(options, export=snapshot) as session:
        inputs, plan = _make_plan(session, base, moment, output_format, refresh=not no_refresh, saved=file is not None)
        refusal = plan.refusal(session.limits)
    shown = output.show(plan, refusal)
    if shown:
        stored.keep_plan(shown, session, plan, inputs.specs, asks=not no_refresh, as_json=output_format == "json")
    # After the plan was shown, and before it is saved.
    if refusal is not None:
        raise refusal
    if file is not None:
        _save(file, plan, session.invocation if output_format == "text" else None)
    if fail_on_pending and plan.pending_on_base:
        echo_error(f"Error: changes on {base} are not applied yet: {_names_on_base(plan)}. Apply them first")
    return plan_exit_code(plan, inputs.recorded, detailed=detailed_exitcode, fail_on_pending=fail_on_pending)


def _require_base(base: str | None, *, needed: bool) -> None:
    if needed and base is None:
        raise click.UsageError("--fail-on-pending needs --base REF, the branch to check for pending changes")


def _require_shown(snapshot: Path | None, *, refresh: bool, saved: bool) -> None:
    if snapshot is not None and (refresh or saved):
        raise click.UsageError("--ledger-snapshot needs --no-refresh, and its plan cannot be saved: leave out --out")


def _names_on_base(plan: Plan) -> str:
    return ", ".join(change.name for change in plan.pending_on_base)


def _make_plan(
    session: Session, base: str | None, moment: datetime | None, output_format: str, *, refresh: bool, saved: bool
) -> tuple[PassInputs, Plan]:
    """Makes the plan with field differences and, with a `base`, the origin of each change. Also returns the inputs."""
    from reconciler.app.field_changes import with_field_changes
    from reconciler.app.reconcile import preview

    start = None
    if base is not None:
        from reconciler.specs.specs_at_commit import read_base

        start = read_base(session.root, base, session.place)  # before AWS is called
    inputs, made = preview(session, refresh=refresh, now=moment, applied_later=saved, shown=output_format)
    plan = with_field_changes(session, made)
    if start is None:
        return inputs, plan
    from reconciler.core.approval import with_origins

    return inputs, with_origins(plan, start, inputs.specs, inputs.recorded)


def _save(file: Path, plan: Plan, invocation: Invocation | None) -> None:
    """Writes the plan file, and prints how to apply it if there is an `invocation` to repeat."""
    from reconciler.app.plan_file import write
    from reconciler.redact.escape import inert
    from reconciler.render.text import plain

    write(file, plan, os.environ)
    if invocation is None:
        return
    command = invocation.command("apply", str(file))
    out("\n" + inert(f"Saved in {plain(str(file))}. To apply exactly this plan: {plain(command)}"))


def _plan_id(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Returns a plan id. Raises a usage error for any other text, such as the empty value of a variable that is not
    set."""
    if value is None:
        return None
    from reconciler.core.approval import is_plan_id

    if is_plan_id(value):
        return value
    raise click.BadParameter(f"{value!r} is not a plan id: give the id that `plan` prints, p- and 16 hex digits")


@click.command("apply")
@click.argument("plan_file", required=False, metavar="[PLANFILE]", type=click.Path(path_type=Path, dir_okay=False))
@shared.yes_option
@shared.format_option("json", "markdown")
@click.option(
    "--expect",
    metavar="PLAN_ID",
    callback=_plan_id,
    help="Apply only if the plan has this id, which `plan` prints.",
)
@click.option(
    "--detached",
    is_flag=True,
    help="With PLANFILE: do not compare it with the checkout. The plan needs an HMAC by RECONCILER_PLAN_KEY.",
)
@click.option(
    "--wait", "waits", is_flag=True, help="Wait until the runs have ended, and submit the specs that wait for them."
)
@shared.timeout_option
@plan_options
@shared.takes_options
def apply(
    options: CommandOptions,
    *,
    plan_file: Path | None,
    yes: bool,
    output_format: str,
    expect: str | None,
    detached: bool,
    waits: bool,
    timeout: float | None,
) -> int:
    """Show the plan, confirm, and apply it: submit the runs that the specs require and that were not submitted yet.

    Each change runs once, no matter how often you run this command. With PLANFILE, from `reconciler plan --out`,
    exactly that plan is applied. If the plan does not follow from the specs of its commit, or a spec in it has changed
    since then, nothing is submitted, and the error describes the difference.

    \b
    Examples:
      reconciler apply -t prod
      reconciler apply -t prod --yes --format json
      reconciler apply prod.plan
      reconciler apply -t prod --yes --expect p-0123456789abcdef
      reconciler apply -t prod --yes --wait --timeout 2h

    Exit code 3 if a job was rejected, or something is on hold or unknown; with --wait also if a run failed.
    """
    from reconciler.app.field_changes import with_field_changes
    from reconciler.app.reconcile import prepare
    from reconciler.app.session import opened
    from reconciler.app.webhooks import notify
    from reconciler.core.approval import check_expected

    if timeout is not None and not waits:
        raise click.UsageError("--timeout needs --wait")
    how = ApplyOptions(ask=not yes, format=output_format, waits=waits, timeout=timeout)
    if plan_file is not None:
        if expect is not None:
            raise click.UsageError("--expect cannot be combined with a plan file, which already determines the plan")
        if detached and waits:
            raise click.UsageError(
                "--wait needs the checkout, to submit what waits: it cannot be combined with --detached"
            )
        return _apply_file(options, plan_file, how, detached=detached)
    if detached:
        raise click.UsageError("--detached needs a plan file: give the file that `plan --out` wrote")
    with opened(options) as session:
        plan = with_field_changes(session, prepare(session)[1])
        if expect is not None:
            check_expected(plan, expect)
        applied = show_and_apply(session, plan, session.limits, how)
        notify(session, plan, applied.results)
        return applied.code if applied.is_over or not waits else _wait(session, plan, applied, how)


def _wait(session: Session, plan: Plan, applied: Applied, how: ApplyOptions) -> int:
    """Waits for the runs of a plan that was applied. Prints the results, unless they are already printed, and the
    states."""
    from reconciler.cli.wait import exit_code, wait_until_done
    from reconciler.core.awaited import first, keys_of_plan

    keys = keys_of_plan(plan)
    names = {key.name for key in keys}
    if not keys:
        if how.format != "text":
            print_results(session, plan, applied.results, how.format)
        return applied.code
    waited = wait_until_done(session, names, keys, how.timeout, shown=how.format == "text")
    if how.format != "text":
        print_results(session, plan, applied.results, how.format, waited.runs)
    held = any(action.key is None or first(action.key) not in keys for action in plan.held)
    return exit_code(waited) or (ACTION_REQUIRED if held else DONE)


def _apply_file(options: CommandOptions, file: Path, how: ApplyOptions, *, detached: bool) -> int:
    """Applies the plan in a file, which must follow from git unless it is `detached`."""
    from reconciler.app.plan_file import check, read
    from reconciler.app.session import opened
    from reconciler.app.webhooks import notify

    if options.only or options.labels:
        raise click.UsageError("a plan file is always applied as a whole: use --only and -l with `plan --out`")
    plan = read(file, os.environ, detached=detached)
    with opened(options, fallback_target=plan.place.target) as session:
        check(session, plan, detached=detached)
        applied = show_and_apply(session, plan, None, replace(how, exactly=True))
        # A hold in the file may be resolved by now. The next pass posts the holds that remain.
        sent = [pair for pair in zip(plan.actions, applied.results, strict=False) if pair[0].effective]
        notify(session, replace(plan, actions=tuple(action for action, _ in sent)), [result for _, result in sent])
        return applied.code if applied.is_over or not how.waits else _wait(session, plan, applied, how)


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to apply a plan: whether to ask for confirmation, the format of standard output, whether the plan must be
    applied exactly, and the name in the summary line on standard error (`None` for no line), which is JSON with
    `json_log`. With `waits`, the command then waits at most `timeout` seconds for the runs, and prints JSON and
    Markdown at the end."""

    ask: bool
    format: str
    exactly: bool = False
    log: str | None = None
    json_log: bool = False
    waits: bool = False
    timeout: float | None = None


class Applied(NamedTuple):
    """The results of a plan, which are empty if the operator declined, and the exit code. `is_over` is true if the
    operator declined or interrupted the command."""

    results: tuple[ActionResult, ...]
    code: int
    is_over: bool


def show_and_apply(session: Session, plan: Plan, limits: Limits | None, how: ApplyOptions) -> Applied:
    """Shows a plan, asks for confirmation if requested, applies the plan, and prints the results, unless they are
    printed after waiting for the runs.

    Raises `LimitExceeded` if the plan exceeds `limits` (`None` for no limits), `AccountMismatch` before anything is
    sent, and `ReconcilerError` if confirmation is required but there is no terminal.
    """
    from reconciler.app.reconcile import apply_plan, check_account_and_clock, record_applied
    from reconciler.render.plan_text import plan_text, plan_text_parts

    if how.format != "text":
        for warning in plan.warnings:  # the user reads standard error while a program reads the JSON
            echo_error(f"Warning: {warning}")
    else:
        out_parts(plan_text_parts(plan, color=coloured()))
    annotate_holds(plan, session.options)
    if limits is not None:
        # After the plan was shown, so that the operator sees what exceeds the limits.
        plan.check_limits(limits)
    if (plan.pending or plan.changes) and how.ask:
        check_account_and_clock(session, plan)  # before the question, so that a wrong account is reported first
        shown = plan_text(plan, color=False) if how.format != "text" else None
        question = f"Do you want to perform these actions in target {plan.place.target}?"
        if not confirm(question, command="apply", refused="submitted", shown=shown):
            return Applied((), ERROR, is_over=True)
        session.ledger.refresh()  # the operator may have taken long to answer
    with stop_on_signals(announce_stop) as stop, progress(len(plan.pending)) as shown_progress:
        results = apply_plan(session, plan, shown_progress, stop)
    # Before `record_applied`, so that the run ids are shown even if the ledger fails then.
    if how.format == "text" or not how.waits or stop.is_set():
        print_results(session, _with_suggestions(session, plan, results), results, how.format)
    annotate_results(plan, results, session.options)
    if not stop.is_set():
        record_applied(session, plan, results)
        print_recorded(plan, shown=how.format == "text")
    if how.log is not None:
        echo_error(summary(how.log, plan, results, session.ledger.recorded.position, as_json=how.json_log))
    if stop.is_set():
        echo_error("Interrupted. The ledger contains the calls without an outcome; the next pass resolves them.")
    else:
        session.ledger.refresh()  # another pass may have completed a submission that it sent first
    recorded = session.ledger.recorded
    code = apply_exit_code(plan, results, recorded, stopped=stop.is_set(), exactly=how.exactly)
    return Applied(results, code, is_over=stop.is_set())


def announce_stop() -> None:
    """Prints how the command will end, after the first signal."""
    echo_error("Stopping: no new calls are sent. Calls in progress have a few seconds to finish and be recorded.")


def _with_suggestions(session: Session, plan: Plan, results: Sequence[ActionResult]) -> Plan:
    """Adds suggested commands to each submission that became unknown."""
    from reconciler.core.plan import ActionOutcome
    from reconciler.core.suggestions import suggested_commands

    recorded, by, seconds = session.ledger.recorded, session.invocation, session.target.settleSeconds
    actions = [
        replace(action, suggested=suggested_commands(action.name, action.client_token, recorded, by, seconds))
        if result.outcome == ActionOutcome.UNKNOWN
        else action
        for action, result in zip(plan.actions, results, strict=True)
    ]
    return replace(plan, actions=tuple(actions))


def summary(name: str, plan: Plan, results: Sequence[ActionResult], position: int, *, as_json: bool) -> str:
    """Returns one line about a pass."""
    from reconciler.cli.output import json_line
    from reconciler.render.results import pass_json, pass_line

    line = pass_line(name, plan, results, position)
    return json_line(line, {"event": "pass", **pass_json(plan, results, position)}) if as_json else line
