"""Writing down what this pass observed, and the schedules that begin with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciler.plan.begins import Begin, event_of
from reconciler.ports import Ledger
from reconciler.recorded.events import SubmissionEvent
from reconciler.recorded.state import Recorded

BATCH_EVENTS = 200
"""Observations in one append: a batch stays far below DynamoDB's item of 400 KB."""


def record_observations(ledger: Ledger, observed: Sequence[SubmissionEvent]) -> None:
    """Appends the states of runs as AWS gave them, and looks that found nothing. Raises `LedgerError`.

    Two passes that saw the same leave it written twice, which changes nothing.
    """
    for start in range(0, len(observed), BATCH_EVENTS):
        ledger.append(observed[start : start + BATCH_EVENTS], _always)


def record_begins(ledger: Ledger, begins: Sequence[Begin], now: datetime, actor: str) -> None:
    """Appends since when schedules are in force, or stand still; what another pass has written down already stays as
    it is. Raises `LedgerError`."""
    for start in range(0, len(begins), BATCH_EVENTS):
        chosen = begins[start : start + BATCH_EVENTS]
        made = ((begin, event_of(begin, ledger.recorded.spec(begin.name), now, actor)) for begin in chosen)
        events = {begin: event for begin, event in made if event is not None}

        def valid(recorded: Recorded, wanted: Sequence[Begin] = tuple(events)) -> str | None:
            taken = [begin.name for begin in wanted if event_of(begin, recorded.spec(begin.name), now, actor) is None]
            return f"another pass wrote down the schedule of {', '.join(taken)}" if taken else None

        if events:
            ledger.append(tuple(events.values()), valid)


def _always(_: Recorded) -> None:
    return None
