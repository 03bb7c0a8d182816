"""Defines faults of submissions as rules for the emulator. Each rule acts on the first calls that start a run."""

from __future__ import annotations

from reconciler.emulator import Plan, Rule

SENDS = ("StartJobRun", "SubmitJob")


def _first(rule: Rule) -> Plan:
    return Plan((rule,))


PROCESSED = {
    "reply-lost": _first(Rule("processed", "closed", operation=SENDS, count=1)),
    "reset": _first(Rule("processed", "reset", operation=SENDS, count=1)),
    "500-after": _first(Rule("processed", "error", operation=SENDS, count=1, status=500)),
    "html": _first(Rule("processed", "html", operation=SENDS, count=1)),
    "empty": _first(Rule("processed", "empty", operation=SENDS, count=1)),
    "truncated": _first(Rule("processed", "truncated", operation=SENDS, count=1)),
    "garbage": _first(Rule("processed", "garbage", operation=SENDS, count=1)),
    "late": _first(Rule("late", "closed", operation=SENDS, count=1, late_seconds=0.5)),
}
"""The call starts a run, but the reply does not show it."""

LOST = {
    "lost": _first(Rule("lost", "closed", operation=SENDS, count=1)),
    "500-before": _first(Rule("lost", "error", operation=SENDS, count=1, status=500)),
}
"""The call starts no run, but the reply does not show that either."""

REFUSED = {
    "throttled": _first(Rule("lost", "error", operation=SENDS, count=1, code="ThrottlingException")),
}
"""The call starts no run, and AWS returns an error."""

SLOW = {"slow": _first(Rule("processed", "given", operation=SENDS, count=1, delay_seconds=0.5))}
"""The call succeeds, but with a delay."""

FAULTS = {**PROCESSED, **LOST, **REFUSED, **SLOW}
