"""`reconciler ledger verify`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli.options import FORMAT_TEXT_JSON, chosen, place_options
from reconciler.cli.terminal import coloured, out

if TYPE_CHECKING:
    from reconciler.core.findings import Finding
    from reconciler.ledger.verify import Report
    from reconciler.model.base import JSON

RESULTS = {"OK": "OK", "WARN": "SKIP", "FAIL": "NG"}
"""How a severity is printed, in text and in JSON."""

HELP = """Walk the whole log of the target's ledger, without trusting a snapshot: gaps, the chain of checksums, events
that cannot be read or cannot follow each other, whose ledger it is, and whether the snapshot is right.

Ends with 1 where something is wrong, and says where and what to do. Changes nothing, but for --new-snapshot.

\b
Examples:
  reconciler ledger verify -t prod
  reconciler ledger verify -t prod --format json
"""


@click.command("verify", help=HELP)
@click.option("--format", "form", type=FORMAT_TEXT_JSON, default="text", show_default=True)
@click.option("--new-snapshot", is_flag=True, help="Keep a new snapshot of the ledger, if it is sound.")
@place_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    form: str,
    new_snapshot: bool,
    **shared: Any,  # noqa: ANN401 - click's own values
) -> int:
    """Walks the ledger and prints what was found."""
    from reconciler.app.ledgers import ledger_site, verified
    from reconciler.render.plan_json import dumps

    verdict = verified(ledger_site(chosen(context, shared)), renew=new_snapshot)
    out(dumps(verdict_json(verdict)) if form == "json" else verdict_text(verdict, color=coloured(sys.stdout)))
    return 1 if verdict.wrong() else 0


def verdict_text(verdict: Report, color: bool = False) -> str:
    """One line for each finding, ``[OK]``, ``[NG]`` or ``[SKIP]``, with what to do below, and a summary."""
    from reconciler.render.text import GREEN, RED, YELLOW, Style, lines_text, plain

    style = Style(color)
    paints = {"OK": GREEN, "FAIL": RED, "WARN": YELLOW}
    lines = []
    for finding in verdict.findings:
        mark = style.paint(f"[{RESULTS[finding.severity]}]", paints[finding.severity])
        lines.append(f"{mark} {finding.check}: {plain(_placed(finding))}")
        lines += [f"     {plain(finding.advice)}"] if finding.advice else []
    counts = f"{verdict.positions} positions, {verdict.events} events"
    wrong = len(verdict.wrong())
    end = (
        f"{wrong} of {len({finding.check for finding in verdict.findings})} checks failed."
        if wrong
        else "nothing is wrong."
    )
    return lines_text([*lines, "", plain(f"{verdict.address}: {counts}, {end}")])


def _placed(finding: Finding) -> str:
    return finding.message if finding.position is None else f"position {finding.position}: {finding.message}"


def verdict_json(verdict: Report) -> JSON:
    """``{"ledger", "ok", "positions", "events", "head", "checks": [{"check", "result", "position", …}]}``."""
    return {
        "ledger": verdict.address,
        "ok": not verdict.wrong(),
        "positions": verdict.positions,
        "events": verdict.events,
        "head": verdict.head,
        "checks": [
            {
                "check": str(finding.check),
                "result": RESULTS[finding.severity],
                "position": finding.position,
                "message": finding.message,
                "advice": finding.advice,
            }
            for finding in verdict.findings
        ],
    }
