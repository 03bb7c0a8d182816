"""Contains the procedures for all actions except submit: adopt, supersede, cancel, and record missed slots."""

from collections.abc import Callable
from dataclasses import asdict

from reconciler.apply.effects import (
    Append,
    Cancel,
    Procedure,
    always,
    moved,
    now,
    record_events,
    renamed_since,
    was_missed,
    what_moved,
)
from reconciler.core import events as e
from reconciler.core.plan import Action, ActionOutcome, ActionResult, Reason
from reconciler.core.ports import Moved, Precondition
from reconciler.core.state import Phase, Recorded, RunState
from reconciler.core.unresolved import proven_absent
from reconciler.errors import LedgerError


def adopt(action: Action, run_id: str) -> Procedure:
    """Records the run that has the submission's tag. This is always safe."""
    at = yield from now()
    token = action.client_token or ""
    event = e.Adopted(at=at, name=action.name, token=token, run_id=run_id)
    return (yield from record_events([event], ActionResult(ActionOutcome.ADOPTED, run_id)))


def adopt_unintended(event: e.ManuallyAdopted, action: Action) -> Procedure:
    """Records a run without an intent as the spec's current submission, if the spec has not changed since the plan."""

    def valid(recorded: Recorded) -> str | None:
        record = recorded.spec(action.name)
        fresh = record.head == action.ledger_head and event.token not in recorded.by_token and not record.unresolved
        return None if fresh else what_moved(action, recorded)

    return (yield from record_events([event], ActionResult(ActionOutcome.ADOPTED, event.run_id), valid))


def supersede(action: Action, settle_seconds: int) -> Procedure:
    """Records that a submission is no longer needed. The submission must be proven absent."""
    token = action.client_token or ""

    def valid(recorded: Recorded) -> str | None:
        submission = recorded.by_token.get(token)
        absent = submission is not None and submission.phase is Phase.INTENDED
        proven = submission is not None and absent and proven_absent(submission, settle_seconds)
        return None if proven else what_moved(action, recorded)

    event = e.Superseded(at=(yield from now()), name=action.name, token=token)
    return (yield from record_events([event], ActionResult(ActionOutcome.RECORDED), valid))


def cancel(
    action: Action, reason: str, actor: str, valid: Precondition = always, *, replacing: bool = False
) -> Procedure:
    """Cancels a run, if it is live and the precondition `valid` holds. The request is recorded before AWS is called, so
    that the end of the run counts as our cancellation and is not retried. With `replacing`, the run is cancelled to
    make room for a newer run of its spec."""
    at = yield from now()
    token, run_id = action.client_token or "", action.run_id or ""
    late = action.reason is Reason.NOT_STARTED and not replacing
    asked = e.CancelAsked(
        at=at,
        name=action.name,
        token=token,
        run_id=run_id,
        reason=reason,
        actor=actor,
        replacing=replacing or None,
        not_started=late or None,
    )
    try:
        appended = yield Append((asked,), lambda recorded: _may_cancel(action, recorded) or valid(recorded))
    except LedgerError as error:
        return ActionResult(ActionOutcome.UNSENT, run_id, f"nothing was cancelled: {error}")
    if isinstance(appended, Moved):
        return moved(appended)
    failure = yield Cancel(action.kind, token, run_id, reason)
    if isinstance(failure, str):
        # The request remains recorded, so the next pass asks AWS again (`SpecRecord.cancels_to_confirm`).
        return ActionResult(ActionOutcome.UNSENT, run_id, failure)
    accepted = e.CancelAccepted(at=(yield from now()), name=action.name, token=token, run_id=run_id)
    return (yield from record_events([accepted], ActionResult(ActionOutcome.CANCELLED, run_id)))


def miss(action: Action) -> Procedure:
    """Records slots as missed, all in one append. Does nothing if another pass has submitted or recorded them."""
    at, until = (yield from now()), action.handled_until
    events = [
        e.Missed(at=at, name=action.name, settled=until if missed is action.missed[-1] else None, **asdict(missed))
        for missed in action.missed
    ]
    return (yield from record_events(events, ActionResult(ActionOutcome.RECORDED), _may_miss(action)))


def _may_miss(action: Action) -> Callable[[Recorded], str | None]:
    """Returns the precondition that nothing was submitted for the slots, and that no other pass recorded them as
    missed."""

    def valid(recorded: Recorded) -> str | None:
        record = recorded.spec(action.name)
        if renamed := renamed_since(action, recorded):
            return renamed
        ran = {s.slot for s in record.submissions if s.counts and s.intent_position > action.ledger_head}
        for missed in action.missed:
            # A range of too many slots to list is compared by its ends.
            slots = missed.slots or (missed.first, missed.last)
            if ran.intersection(slots):
                return f"a slot of {action.name} was submitted since the plan was created: plan again"
            if any(was_missed(record, slot) for slot in slots):
                return f"another pass recorded missed slots of {action.name}: plan again"
        return None

    return valid


def _may_cancel(action: Action, recorded: Recorded) -> str | None:
    """Returns an objection unless the run is live and no other pass has cancelled it."""
    submission = recorded.by_token.get(action.client_token or "")
    if submission is None or not submission.live:
        return "its run has ended"
    if action.reason is Reason.NOT_STARTED and submission.run_state is not RunState.SUBMITTED:
        return "its run has started"
    return "another pass cancelled it" if submission.cancel_accepted_at else None
