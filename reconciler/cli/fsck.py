"""`reconciler fsck`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.by_hand import agreed, deciding_options
from reconciler.cli.options import chosen, moment
from reconciler.cli.process import DONE, ERROR, PERSON
from reconciler.cli.terminal import coloured, out

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from reconciler.app.fsck import Inspection
    from reconciler.core.findings import Finding
    from reconciler.core.fsck import RebuiltSubmission

HELP = """Hold the ledger against AWS: runs with our tags that it does not know, runs that it knows and AWS does not,
two runs of one submission. Writes nothing.

With --adopt, what a lost ledger knew is recorded again from the tags of the runs that AWS still has, so that what ran
is not run again. Every run of each application and queue is listed, and described where the ledger does not know it:
--since leaves out older ones.

\b
Examples:
  reconciler fsck -t prod
  reconciler fsck -t prod --adopt --reason "the bucket was deleted"

Exit code 3 when something is not as it should be, 1 when a part could not be read.
"""


@click.command("fsck", help=HELP)
@click.option("--adopt", is_flag=True, help="Record the runs that the ledger lacks.")
@click.option("--since", callback=moment, metavar="TIME", help="Only runs created since then (ISO 8601 with a zone).")
@deciding_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    adopt: bool,
    since: datetime | None,
    reason: str | None,
    yes: bool,
    form: str,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Compares, and records again what can be."""
    from reconciler.app.fsck import inspect, record
    from reconciler.app.session import opened
    from reconciler.core.times import time_text

    with opened(chosen(context, shared)) as session:
        inspection = inspect(session, None if since is None else time_text(since))
        if form == "text":
            out(_found(inspection, color=coloured(sys.stdout)))
        made = inspection.rebuilt() if adopt else []
        if made:
            shown = _rebuilding(made)
            if form == "text":
                out("\n" + shown)
            if not yes and not agreed("fsck --adopt", _found(inspection) + "\n\n" + shown, form):
                return ERROR
            record(inspection, made, reason)
        left = inspection.findings
        _tell(inspection, made, left, form)
        return _code(left)


def _found(inspection: Inspection, color: bool = False) -> str:
    from reconciler.render.findings import fsck_text

    session, recorded = inspection.session, inspection.recorded
    ledger = f"ledger {session.ledger.address}: {recorded.position} positions, {len(recorded.by_token)} submissions"
    return fsck_text(session.place, ledger, inspection.stock.places, inspection.findings, color=color)


def _rebuilding(made: Sequence[RebuiltSubmission]) -> str:
    from reconciler.render.findings import rebuilt_lines

    return "\n".join(["To be recorded, and not run again:", *(f"  {line}" for line in rebuilt_lines(made))])


def _tell(inspection: Inspection, made: Sequence[RebuiltSubmission], left: Sequence[Finding], form: str) -> None:
    from reconciler.render.findings import fsck_json
    from reconciler.render.plan_json import dumps
    from reconciler.render.text import count

    place, stock = inspection.session.place, inspection.stock
    if form == "json":
        out(dumps(fsck_json(place, inspection.recorded.position, stock.places, left, made)))
    elif made:
        rest = f"{count(len(left), 'finding')} left; see `reconciler fsck`." if left else "Nothing is left."
        out(f"\nRecorded {count(len(made), 'run')}. {rest}")


def _code(left: Sequence[Finding]) -> int:
    from reconciler.core.findings import failures
    from reconciler.core.fsck import Check

    if any(finding.check is Check.UNREADABLE for finding in left):
        return ERROR
    return PERSON if failures(left) else DONE
