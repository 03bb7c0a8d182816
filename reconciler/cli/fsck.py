"""`reconciler fsck`: check the ledger against AWS, and rebuild a lost one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli.decisions import decision_options
from reconciler.cli.exit_codes import ACTION_REQUIRED, DONE, ERROR
from reconciler.cli.options import resolved, takes_options, time_option
from reconciler.cli.output import coloured, confirm, out, out_json, terminal_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.app.fsck import Inspection
    from reconciler.app.options import CommandOptions
    from reconciler.cli.times import WrittenTime
    from reconciler.core.fsck import Finding, RebuiltSubmission


@click.command("fsck")
@click.option("--adopt", is_flag=True, help="Record the runs that are missing from the ledger.")
@time_option("--since", ago=True, help_text="Only runs created since this time, such as 2026-11-30 or 36h.")
@decision_options
@takes_options
def fsck(
    options: CommandOptions,
    *,
    adopt: bool,
    since: WrittenTime | None,
    reason: str | None,
    yes: bool,
    output_format: str,
) -> int:
    """Check the ledger against AWS. Reports runs with our tags that are missing from the ledger, runs that AWS does not
    have, and two runs of one submission. Writes nothing.

    With --adopt, a lost ledger is rebuilt from the tags of the runs that AWS still has, so that they do not run again.
    All runs of each application and queue are listed, and those that are missing from the ledger are described; --since
    leaves out older runs.

    \b
    Examples:
      reconciler fsck -t prod
      reconciler fsck -t prod --adopt --reason "the bucket was deleted"

    Exit code 3 if there is a finding, 1 if a queue or an application could not be read.
    """
    from reconciler.app.fsck import inspect, record
    from reconciler.app.session import opened
    from reconciler.core.times import time_text

    as_json, after = output_format == "json", resolved(since)
    with opened(options) as session:
        inspection = inspect(session, None if after is None else time_text(after))
        if not as_json:
            out(_findings_text(inspection, color=coloured(), width=terminal_width()))
        rebuilt = inspection.rebuilt() if adopt else []
        if rebuilt:
            if not as_json:
                out("\n" + _rebuilt_text(rebuilt))
            if not yes and not _confirmed(inspection, rebuilt, as_json=as_json):
                return ERROR
            record(inspection, rebuilt, reason)
        left = inspection.findings
        _print_result(inspection, rebuilt, left, as_json=as_json)
        return _exit_code(left)


def _findings_text(inspection: Inspection, color: bool = False, width: int | None = None) -> str:
    from reconciler.render.findings import fsck_text

    session, recorded = inspection.session, inspection.recorded
    number = session.ledger.recorded.number
    ledger = f"ledger {session.ledger.address}: {recorded.position} positions, {number} submissions"
    places, findings = inspection.inventory.places, inspection.findings
    return fsck_text(session.place, session.invocation, ledger, places, findings, color=color, width=width)


def _rebuilt_text(rebuilt: Sequence[RebuiltSubmission]) -> str:
    from reconciler.render.findings import rebuilt_lines

    return "\n".join(
        ["To be recorded, so that they do not run again:", *(f"  {line}" for line in rebuilt_lines(rebuilt))]
    )


def _confirmed(inspection: Inspection, rebuilt: Sequence[RebuiltSubmission], *, as_json: bool) -> bool:
    shown = f"{_findings_text(inspection)}\n\n{_rebuilt_text(rebuilt)}" if as_json else None
    return confirm("Do you want to record these runs?", command="fsck --adopt", refused="recorded", shown=shown)


def _print_result(
    inspection: Inspection, rebuilt: Sequence[RebuiltSubmission], left: Sequence[Finding], *, as_json: bool
) -> None:
    from reconciler.render.findings import fsck_json
    from reconciler.render.text import count

    if as_json:
        place, position = inspection.session.place, inspection.recorded.position
        out_json(fsck_json(place, position, inspection.inventory.places, left, rebuilt))
    elif rebuilt:
        again = inspection.session.invocation.command("fsck")
        rest = f"{count(len(left), 'finding')} left; see them with: {again}." if left else "No findings are left."
        out(f"\nRecorded {count(len(rebuilt), 'run')}. {rest}")


def _exit_code(left: Sequence[Finding]) -> int:
    from reconciler.core.fsck import Check, failures

    if any(finding.check is Check.UNREADABLE for finding in left):
        return ERROR
    return ACTION_REQUIRED if failures(left) else DONE
