"""Renders the findings of `fsck` and `ledger verify`, and the runs that `fsck` records, as text and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict

from reconciler.core.fsck import Check, Finding, ListedQueue, RebuiltSubmission, Severity, failures
from reconciler.core.identity import Place
from reconciler.core.suggestions import Invocation
from reconciler.model.base import JSON
from reconciler.redact.escape import lines_text
from reconciler.render.runs import location_text, where_text
from reconciler.render.text import Style, count, hanging, place_line, plain, sentence

MARKS = {Severity.OK: "OK", Severity.WARN: "SKIP", Severity.FAIL: "NG"}
"""The printed form of a severity, in text and in the JSON of `ledger verify`."""

MARK_COLOURS = {Severity.OK: "green", Severity.WARN: "yellow", Severity.FAIL: "red"}


def _marked(severity: Severity, text: str, style: Style, width: int | None) -> list[str]:
    return hanging(style.paint(f"[{MARKS[severity]}]", MARK_COLOURS[severity]), text, width)


def fsck_text(
    place: Place,
    invocation: Invocation,
    ledger: str,
    places: Sequence[ListedQueue],
    findings: Sequence[Finding],
    *,
    color: bool = False,
    width: int | None = None,
) -> str:
    """Returns one ``[OK]`` line for each queue or application that was read, and one ``[NG]`` or ``[SKIP]`` line for
    each finding, depending on its severity, with commands below it. `ledger` describes the ledger that was read. There
    is no final line break. `width` is as in `columns`."""
    style = Style(color)
    read = [ledger, *(_listed(queue) for queue in places if queue.error is None)]
    lines = [place_line(place), ""]
    for text in read:
        lines += _marked(Severity.OK, plain(text), style, width)
    for finding in findings:
        lines += _marked(finding.severity, sentence(finding.message), style, width)
        url = place.console_url(finding.kind, finding.location, finding.run_id)
        where = where_text(finding.location, url)
        lines += [f"       {text}" for text in (where, *map(plain, finding.commands)) if text]
    if any(finding.check is Check.UNKNOWN_TOKEN for finding in findings):
        lines += ["", plain(f"To record the missing runs: {invocation.command('fsck', '--adopt')}")]
    failed = len(failures(findings))
    lines += ["", style.bold(f"{count(failed, 'finding')}." if failed else "No findings.")]
    return lines_text(lines)


def _listed(queue: ListedQueue) -> str:
    return f"{queue.kind}, {queue.place}: {count(queue.runs, 'run')}, {queue.ours} of this project and target"


def rebuilt_lines(rebuilt: Sequence[RebuiltSubmission]) -> list[str]:
    """Returns one line for each run that is recorded again."""
    return [
        plain(f"{run.name}: run {run.run_id} ({location_text(run.location)}), {run.state}, {_as(each)}")
        for each in rebuilt
        for run in [each.run]
    ]


def _as(rebuilt: RebuiltSubmission) -> str:
    return f"as {rebuilt.key.label}: {'content of the current spec' if rebuilt.content_known else 'unknown content'}"


def fsck_json(
    place: Place,
    position: int,
    places: Sequence[ListedQueue],
    findings: Sequence[Finding],
    adopted: Sequence[RebuiltSubmission],
) -> JSON:
    """Returns the listed queues and applications, the remaining findings and the adopted runs. Nothing is masked."""
    return {
        **asdict(place),
        "ledger_position": position,
        "places": [asdict(listed) for listed in places],
        "findings": [_finding_json(finding, place) for finding in findings],
        "adopted": [
            {
                "name": rebuilt.run.name,
                "run_id": rebuilt.run.run_id,
                "client_token": rebuilt.run.token,
                "generation": rebuilt.key.generation,
                "slot": rebuilt.key.slot,
                "attempt": rebuilt.key.attempt,
                "content_known": rebuilt.content_known,
                "location": dict(rebuilt.run.location),
                "console_url": place.console_url(rebuilt.run.kind, rebuilt.run.location, rebuilt.run.run_id),
            }
            for rebuilt in adopted
        ],
        "ok": not failures(findings),
    }


def _finding_json(finding: Finding, place: Place) -> JSON:
    return {
        "check": str(finding.check),
        "message": finding.message,
        "name": finding.name,
        "run_id": finding.run_id,
        "token": finding.token,
        "commands": finding.commands,
        "location": dict(finding.location),
        "console_url": place.console_url(finding.kind, finding.location, finding.run_id),
    }


def verify_text(
    ledger: str,
    positions: int,
    events: int,
    findings: Sequence[Finding],
    *,
    color: bool = False,
    width: int | None = None,
) -> str:
    """Returns one line for each finding of `ledger verify`, marked ``[OK]``, ``[NG]`` or ``[SKIP]``, with advice below
    it, and a summary. There is no final line break. `width` is as in `columns`."""
    style = Style(color)
    lines = []
    for finding in findings:
        position = "" if finding.position is None else f"position {finding.position}: "
        text = f"{finding.check}: {plain(position + finding.message)}"
        lines += _marked(finding.severity, text, style, width)
        lines += [f"     {plain(finding.advice)}"] if finding.advice else []
    checks, failed = ({finding.check for finding in group} for group in (findings, failures(findings)))
    result = f"{len(failed)} of {len(checks)} checks failed." if failed else "nothing is wrong."
    return lines_text([*lines, "", plain(f"{ledger}: {positions} positions, {events} events, {result}")])


def verify_json(
    ledger: str, ledger_id: str | None, positions: int, events: int, head: str | None, *, findings: Sequence[Finding]
) -> JSON:
    """Returns ``{"ledger", "ledger_id", "ok", "positions", "events", "head", "checks": [{"check", "result", …}]}``."""
    return {
        "ledger": ledger,
        "ledger_id": ledger_id,
        "ok": not failures(findings),
        "positions": positions,
        "events": events,
        "head": head,
        "checks": [
            {
                "check": str(finding.check),
                "result": MARKS[finding.severity],
                "position": finding.position,
                "message": finding.message,
                "advice": finding.advice,
            }
            for finding in findings
        ],
    }
