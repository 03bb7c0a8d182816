"""Appends one batch to a store, with retries if the reply is lost, and checks whether a batch may be appended."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from reconciler.core import events as e
from reconciler.core.fold import fold
from reconciler.core.ports import Clock, Store
from reconciler.core.state import Recorded, SpecRecord
from reconciler.errors import LedgerError, LedgerUnreachable

WRITE_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between the tries of a write whose reply was lost: six tries, about three seconds."""


def append_with_retries(store: Store, clock: Clock, position: int, raw: bytes) -> bytes:
    """Puts a batch at a position, and tries again until the position is taken. Returns the batch that is there.

    A write whose reply was lost is neither won nor lost until the position is read (R8 of docs/protocol.md). Raises
    `LedgerUnreachable` if the outcome is unknown, another `LedgerError` if certainly nothing was written.
    """
    unclear: LedgerUnreachable | None = None
    for pause in (*WRITE_PAUSES, None):
        try:
            return store.append(position, raw)
        except LedgerUnreachable as error:
            unclear = error
        except LedgerError as error:
            if unclear is None:
                raise
            # This try wrote nothing, but the one before may have, so the outcome remains unknown.
            raise LedgerUnreachable(f"{unclear} Then: {error}") from error
        if pause is not None:
            clock.sleep(pause)
    raise LedgerUnreachable(
        f"the ledger {store.address} did not confirm a write at position {position} in {len(WRITE_PAUSES) + 1} "
        f"tries; the next read shows whether it is there. Last error: {unclear}"
    ) from unclear


def intended_before(recorded: Recorded, events: Sequence[e.Event]) -> str | None:
    """Returns why a second intent for a submission under another token is refused, `None` if there is no second one.

    This rule is part of the log itself, independent of a caller's precondition.
    """
    for event in events:
        if isinstance(event, e.Intended):
            for submission in recorded.spec(event.name).submissions:
                if submission.key == event.key and submission.token != event.token:
                    return f"this submission of {event.name} was intended before, with token {submission.token}"
    return None


def check_appendable(recorded: Recorded, events: Sequence[e.Event]) -> None:
    """Folds the events over copies of the state that they change, so that no batch is written that cannot be read
    again. Raises the errors of `fold`."""
    scratch = Recorded()
    for event in events:
        if isinstance(event, e.SpecRenamed):
            names = (name for name in (event.renamed_from, event.name) if name in recorded.specs)
            scratch.specs |= {name: deepcopy(recorded.specs[name]) for name in names}
        if not isinstance(event, e.SubmissionEvent) or event.token in scratch.by_token:
            continue
        if (submission := recorded.by_token.get(event.token)) is not None:
            scratch.by_token[event.token] = copied = deepcopy(submission)
            scratch.specs.setdefault(copied.name, SpecRecord(copied.name)).submissions.append(copied)
    fold(scratch, recorded.position + 1, events)
