"""When a run that AWS does not know any more is lost: two empty answers, the settling time apart."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from reconciler.identity.instant import parse, seconds_text, text
from reconciler.recorded.events import Observed, Unseen
from reconciler.recorded.state import Recorded
from reconciler.recorded.submission import RunState, Submission


def vanished(
    recorded: Recorded, unseen: Collection[str], looked_at: datetime, settle_seconds: int
) -> tuple[Unseen | Observed, ...]:
    """What is worth recording about live runs, by token, that AWS said it does not know; `looked_at` is when it was
    asked.

    The first empty answer since the run was seen last is recorded; one that comes at least `settle_seconds` after it
    says that the run is lost.
    """
    told = (recorded.by_token[token] for token in unseen)
    events = (_event(run, looked_at, settle_seconds) for run in sorted(told, key=lambda run: (run.name, run.token)))
    return tuple(event for event in events if event is not None)


def _event(run: Submission, looked_at: datetime, settle_seconds: int) -> Unseen | Observed | None:
    at, run_id = text(looked_at), run.run_id or ""
    if not run.live:
        return None
    if not run.unseen:
        return Unseen(at=at, name=run.name, token=run.token, run_id=run_id, looked_at=at)
    first = parse(run.unseen[0])
    if looked_at - first < timedelta(seconds=settle_seconds):
        return None
    detail = f"AWS has not known this run since {seconds_text(first)}"
    return Observed(
        at=at, name=run.name, token=run.token, run_id=run_id, state=str(RunState.LOST), aws_state="", detail=detail
    )
