"""What `fsck` found, and what it recorded: as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from reconciler.core.findings import Finding, Severity, failures
from reconciler.core.fsck import Check, ListedQueue, RebuiltSubmission
from reconciler.core.identity import Place
from reconciler.model.base import JSON
from reconciler.render.text import Style, count, lines_text, place_line, plain, sentence


def fsck_text(
    place: Place, ledger: str, places: Sequence[ListedQueue], found: Sequence[Finding], color: bool = False
) -> str:
    """One line for each place that was read, ``[OK]``, and for each finding, ``[NG]`` or ``[SKIP]`` by its severity,
    with commands below it. `ledger` describes what was read. Without a line end."""
    style = Style(color)
    good = style.paint("[OK]", "green")
    marks = {Severity.FAIL: style.paint("[NG]", "red"), Severity.WARN: style.paint("[SKIP]", "yellow")}
    lines = [place_line(place), "", f"{good} {plain(ledger)}"]
    for listed in places:
        if listed.error is None:
            told = (
                f"{listed.kind}, {listed.place}: {count(listed.runs, 'run')}, {listed.ours} of this project and target"
            )
            lines.append(f"{good} {plain(told)}")
    for finding in found:
        lines.append(f"{marks[finding.severity]} {sentence(finding.message)}")
        lines += [f"       {plain(command)}" for command in finding.commands]
    if any(finding.check is Check.UNKNOWN_TOKEN for finding in found):
        lines += ["", plain(f"To record what the ledger lacks: reconciler fsck --adopt -t {place.target}")]
    failed = len(failures(found))
    lines += ["", style.bold(f"{count(failed, 'finding')}." if failed else "No findings.")]
    return lines_text(lines)


def rebuilt_lines(made: Sequence[RebuiltSubmission]) -> list[str]:
    """What is recorded of each run, in words."""
    return [plain(f"{each.run.name}: run {each.run.run_id}, {each.run.state}, {_as(each)}") for each in made]


def _as(numbered: RebuiltSubmission) -> str:
    content = "what the spec asks for now" if numbered.known else "its content is not known"
    return f"as {numbered.key.label}: {content}"


def fsck_json(
    place: Place,
    position: int,
    places: Sequence[ListedQueue],
    found: Sequence[Finding],
    adopted: Sequence[RebuiltSubmission],
) -> JSON:
    """One value: the places, the findings that are left, what was adopted. Nothing is masked."""
    return {
        **asdict(place),
        "ledger_position": position,
        "places": [asdict(listed) for listed in places],
        "findings": [_finding_json(finding) for finding in found],
        "adopted": [
            {
                "name": numbered.run.name,
                "run_id": numbered.run.run_id,
                "client_token": numbered.run.token,
                "generation": numbered.key.generation,
                "slot": numbered.key.slot,
                "attempt": numbered.key.attempt,
                "content_known": numbered.known,
            }
            for numbered in adopted
        ],
        "ok": not failures(found),
    }


def _finding_json(finding: Finding) -> JSON:
    return {
        "check": str(finding.check),
        "message": finding.message,
        "name": finding.name,
        "run_id": finding.run_id,
        "token": finding.token,
        "commands": finding.commands,
    }
