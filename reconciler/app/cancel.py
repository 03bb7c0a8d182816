"""`cancel`: which runs of a spec a person stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.app.decisions import Decision, SpecView, hand, which
from reconciler.core.desired import sentence
from reconciler.core.plan import ActionType, Reason
from reconciler.core.unresolved import of_submission
from reconciler.errors import ReconcilerError
from reconciler.model.spec import suspension
from reconciler.render.decisions import DecisionSummary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reconciler.app.decisions import Operator
    from reconciler.apply.effects import Procedure
    from reconciler.core.submission import Submission


def cancellation(sight: SpecView, *, run_id: str | None, slot: str | None, reason: str | None) -> Decision:
    """Stops the live runs of a spec, or the one that is named, and those that are found of what is unknown. Raises
    `ReconcilerError` where there is none."""
    chosen = [s for s in sight.record.submissions if _meant(s, run_id, slot)]
    live = [s for s in chosen if s.live]
    unknown = [s for s in chosen if s.unresolved and not s.live]
    if not live and not unknown:
        raise ReconcilerError(_nothing(sight, chosen, run_id or slot))
    mine = hand(sight.session, reason)
    stopping = [s for s in live if s.cancel_accepted_at is not None]
    live = [s for s in live if s.cancel_accepted_at is None]
    runs = [f"run {s.run_id} of {which(s)}" for s in live]
    later = [f"the run of {which(s)}, once it is known" for s in unknown]
    return Decision(
        DecisionSummary(
            command="cancel",
            place=sight.session.place,
            name=sight.name,
            about=f"{sight.name}: {len(live) + len(stopping)} live, {len(unknown)} unknown",
            facts=tuple(_facts([*stopping, *live], unknown)),
            does=f"cancel: AWS is asked to stop {'; '.join([*runs, *later])}."
            if runs or later
            else "cancel: AWS was asked before to stop what is live. Nothing to do.",
            actor=mine.actor,
            reason=mine.reason,
            warnings=tuple(_warnings(sight)),
            form={"run_ids": [s.run_id for s in live], "unresolved": [s.token for s in unknown]},
        ),
        tuple(_steps(sight, live, unknown, mine)),
        whole=False,
    )


def _meant(submission: Submission, run_id: str | None, slot: str | None) -> bool:
    return run_id in {None, submission.run_id} and slot in {None, submission.slot}


def _nothing(sight: SpecView, chosen: list[Submission], named: str | None) -> str:
    """Why there is nothing to stop, in words."""
    if named is not None and not chosen:
        return f"{sight.name} has no run {named} in the ledger"
    told = chosen[-1] if chosen else sight.record.newest
    if told is None:
        return f"nothing of {sight.name} was ever submitted"
    stands = f"{told.run_state}, run {told.run_id}" if told.run_id else str(told.phase)
    return f"nothing of {sight.name} is live: {which(told)}, is {stands}"


def _facts(live: list[Submission], unknown: list[Submission]) -> Iterator[tuple[str, str]]:
    for run in live:
        asked = f", asked to stop at {run.cancel_asked_at}" if run.cancel_asked_at else ""
        yield str(run.run_id), f"{which(run)}: {run.run_state}, since {run.submitted_at}{asked}"
    for submission in unknown:
        yield "not known", f"{which(submission)}: sent {submission.newest_send.at}"


def _warnings(sight: SpecView) -> Iterator[str]:
    spec, now = sight.spec, sight.session.now()
    own = suspension(spec.policy.suspend) if spec is not None else None
    for what, stopped in (("the project", suspension(sight.session.project.spec.suspend)), ("the spec", own)):
        if stopped is not None:
            yield f"{sentence(what, stopped, now)}: what is done by hand is done all the same."
    if spec is not None and spec.policy.restartPolicy == "Always":
        yield "what is cancelled by hand is not restarted by itself; retry starts it again."


def _steps(sight: SpecView, live: list[Submission], unknown: list[Submission], mine: Operator) -> Iterator[Procedure]:
    from reconciler.app.decisions import ExpectedState, cancel_once_adopted
    from reconciler.apply.actions import cancel

    for run in live:
        action = of_submission(run, sight.record, ActionType.CANCEL, Reason.ASKED)
        why = mine.reason or f"reconciler: asked by {mine.actor}"
        yield cancel(action, why, mine.actor)
    for submission in unknown:
        yield cancel_once_adopted(ExpectedState.of(submission, sight.record.head), mine)
