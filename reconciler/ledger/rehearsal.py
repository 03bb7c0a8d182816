"""What a batch is checked for before it is written: that the log it makes can be read again, and says nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from reconciler.recorded import events as e
from reconciler.recorded.fold import fold
from reconciler.recorded.state import Recorded, SpecRecord


def intended_before(recorded: Recorded, events: Sequence[e.Event]) -> str | None:
    """Why a second intent for a submission under another token is refused, whatever its writer thinks of it; `None`
    where there is none."""
    for event in events:
        if isinstance(event, e.Intended):
            key = (event.generation, event.slot, event.attempt)
            for submission in recorded.spec(event.name).submissions:
                if submission.key == key and submission.token != event.token:
                    return f"this submission of {event.name} was intended before, with token {submission.token}"
    return None


def rehearse(recorded: Recorded, events: Sequence[e.Event]) -> None:
    """Folds the events over copies of what they touch: what could never be read again is never written. Raises as
    `fold` does."""
    scratch = Recorded()
    for event in events:
        if not isinstance(event, e.SubmissionEvent) or event.token in scratch.by_token:
            continue
        if (submission := recorded.by_token.get(event.token)) is not None:
            scratch.by_token[event.token] = copied = deepcopy(submission)
            scratch.specs.setdefault(copied.name, SpecRecord(copied.name)).submissions.append(copied)
    fold(scratch, recorded.position + 1, events)
