"""Writing down what this pass observed."""

from __future__ import annotations

from collections.abc import Sequence

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


def _always(_: Recorded) -> None:
    return None
