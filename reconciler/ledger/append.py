"""Appends one batch to a store, with retries if the reply is lost, and checks whether a batch may be appended."""

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import fields

from reconciler.core import events as e
from reconciler.core.archive import Recall, where_of
from reconciler.core.event_codec import decode, encode
from reconciler.core.fold import fold
from reconciler.core.ports import Clock, Store
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.submission import Submission
from reconciler.errors import LedgerError, LedgerUnreachable

WRITE_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds to wait between attempts to write a batch after a reply was lost: six attempts, about three seconds in
total."""


def append_with_retries(store: Store, clock: Clock, position: int, raw: bytes) -> bytes:
    """Writes a batch at a position, and retries until the position is taken. Returns the batch stored there.

    After a lost reply, only reading the position shows whether the write succeeded (R8 of docs/protocol.md). Raises
    `LedgerUnreachable` if the outcome is unknown, or another `LedgerError` if nothing was written.
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
            # This attempt wrote nothing, but an earlier one may have, so the outcome remains unknown.
            raise LedgerUnreachable(f"{unclear} Then: {error}") from error
        if pause is not None:
            clock.sleep(pause)
    raise LedgerUnreachable(
        f"the ledger {store.address} did not confirm a write at position {position} in {len(WRITE_PAUSES) + 1} "
        f"tries; the next read shows whether it succeeded. Last error: {unclear}"
    ) from unclear


def intended_before(recorded: Recorded, events: Sequence[e.Event], recall: Recall) -> str | None:
    """Returns why the events are refused, or `None`. Events are refused if they contain an intent for a submission that
    already has an intent with another token.

    This rule is part of the log itself and does not depend on a caller's precondition.
    """
    for event in events:
        if isinstance(event, e.Intended):
            record = recorded.spec(event.name)
            archive = record.archive
            archived: Sequence[Submission] = ()
            if archive is not None and archive.may_have(event.key.slot, event.key.generation):
                archived = recall.of_group(recorded, record, where_of(event.key))
            for submission in (*record.submissions, *archived):
                if submission.key == event.key and submission.token != event.token:
                    return f"this submission of {event.name} was intended before, with token {submission.token}"
    return None


def check_appendable(recorded: Recorded, events: Sequence[e.Event], recall: Recall) -> None:
    """Checks that the events can be read again and can follow the recorded ones, so that an unreadable batch is never
    written. Folds them into copies of the state that they change. Raises `LedgerError`, and the errors of `fold`.
    """
    for event in events:
        try:
            decode(encode(event))
        except LedgerError as error:
            raise LedgerError(f"nothing was written or sent, because it could not be read again: {error}") from None
    scratch, begun = Recorded(), {event.token for event in events if isinstance(event, e.Intended)}
    for event in events:
        if isinstance(event, e.SpecRenamed):
            names = (name for name in (event.renamed_from, event.name) if name in recorded.specs)
            scratch.specs.update({name: deepcopy(recorded.specs[name]) for name in names})
        if not isinstance(event, e.SubmissionEvent) or event.token in scratch.by_token:
            continue
        submission = recorded.by_token.get(event.token)
        # The event may be about an archived submission, whose events are only in the ledger.
        if submission is None and event.token not in begun and recorded.archives:
            submission = next((s for s in recall.of_token(recorded, event.token) if s.token == event.token), None)
        if submission is not None:
            scratch.by_token[event.token] = copied = _copied(submission)
            scratch.specs.setdefault(copied.name, SpecRecord(copied.name)).submissions.append(copied)
    fold(scratch, recorded.position + 1, events)


_LISTS = tuple(field.name for field in fields(Submission) if field.default_factory is list)


def _copied(submission: Submission) -> Submission:
    """Returns a copy that shares with the original only values that no event changes. This is twenty times faster than
    `deepcopy`, which would take a tenth of the time of a submission."""
    copied = copy(submission)
    for name in _LISTS:
        setattr(copied, name, [*getattr(submission, name)])
    copied.sends = [copy(send) for send in submission.sends]
    return copied
