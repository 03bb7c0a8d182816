"""`cancel`: decides which runs of a spec AWS is asked to stop."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.app.decisions import Decision, EventBatch, SpecView
from reconciler.core.desired import sentence
from reconciler.core.events import CancelAsked
from reconciler.core.plan import ActionType, Reason
from reconciler.core.submission import Submission
from reconciler.core.submits import of_submission
from reconciler.errors import ReconcilerError
from reconciler.model.spec import suspension


def decide_cancel(view: SpecView, *, run_id: str | None, slot: str | None) -> Decision:
    """Cancels the live runs of a spec, or the selected one, and unresolved submissions once their run is found.

    Raises `ReconcilerError` if there are none.
    """
    selected = [s for s in view.record.submissions if run_id in {None, s.run_id} and slot in {None, s.slot}]
    live = [s for s in selected if s.live]
    unknown = [s for s in selected if s.unresolved and not s.live]
    if not live and not unknown:
        raise ReconcilerError(_why_nothing(view, selected, run_id or slot))
    to_cancel = [s for s in live if s.cancel_accepted_at is None]
    runs = [f"run {s.run_id} of {s.key}" for s in to_cancel] + [
        f"the run of {s.key}, once it is found" for s in unknown
    ]
    summary = view.summary(
        "cancel",
        about=f"{view.name}: {len(live)} live, {len(unknown)} unknown",
        facts=_facts(live, unknown),
        does=f"cancel: ask AWS to stop {'; '.join(runs)}."
        if runs
        else "cancel: AWS was already asked to stop all live runs. Nothing to do.",
        warnings=_warnings(view),
        run_ids=[s.run_id for s in to_cancel],
        unresolved=[s.token for s in unknown],
    )
    cancels = tuple(of_submission(s, view.record, ActionType.CANCEL, Reason.ASKED) for s in to_cancel)
    batches = tuple(_cancel_once_adopted(view, s) for s in unknown)
    return Decision(summary, batches, cancels, whole=False)


def _cancel_once_adopted(view: SpecView, submission: Submission) -> EventBatch:
    """Requests the cancellation of a run that AWS does not list yet: a pass cancels it after adopting it."""
    token, reason, actor = submission.token, view.operator["reason"] or "asked for by hand", view.operator["actor"]
    return EventBatch(
        lambda at: [CancelAsked(at=at, name=view.name, token=token, reason=reason, actor=actor)],
        view.expected(submission).objection,
    )


def _why_nothing(view: SpecView, selected: list[Submission], selection: str | None) -> str:
    """Returns the sentence that says why there is nothing to cancel."""
    if selection is not None and not selected:
        return f"{view.name} has no run {selection} in the ledger"
    last = selected[-1] if selected else view.record.newest
    if last is None:
        return f"{view.name} was never submitted"
    state = f"{last.run_state} (run {last.run_id})" if last.run_id else str(last.phase)
    return f"{view.name} has no live run: {last.key.label} is {state}"


def _facts(live: list[Submission], unknown: list[Submission]) -> Iterator[tuple[str, str]]:
    for run in sorted(live, key=lambda s: s.cancel_accepted_at is None):  # first those that are stopping already
        requested = f", cancellation requested at {run.cancel_asked_at}" if run.cancel_asked_at else ""
        yield str(run.run_id), f"{run.key}: {run.run_state}, accepted at {run.submitted_at}{requested}"
    for submission in unknown:
        yield "unknown", f"{submission.key}: sent at {submission.newest_send.at}"


def _warnings(view: SpecView) -> Iterator[str]:
    spec, now = view.spec, view.session.now()
    spec_suspension = suspension(spec.policy.suspend) if spec is not None else None
    suspensions = (("the project", suspension(view.session.project.spec.suspend)), ("the spec", spec_suspension))
    for what, suspended in suspensions:
        if suspended is not None:
            yield f"{sentence(what, suspended, now)}. Manual decisions are carried out all the same."
    if spec is not None and spec.policy.restartPolicy == "Always":
        yield "a manually cancelled run is not restarted automatically. Use retry to start it again."
