"""`accept`: records the content of a spec as applied, without starting a run."""

from collections.abc import Iterator, Sequence

from reconciler import __version__
from reconciler.app.decisions import Decision, EventBatch, SpecView, all_of
from reconciler.app.field_changes import with_field_changes
from reconciler.app.reconcile import provenance_of
from reconciler.apply.recording import declaration_of
from reconciler.core.changes import policy_json
from reconciler.core.declarations import PendingDeclaration
from reconciler.core.desired import DesiredSpec
from reconciler.core.events import ContentAccepted, Event
from reconciler.core.identity import SubmissionKey, client_token
from reconciler.core.plan import ActionType, Reason
from reconciler.core.retries import decide_attempts
from reconciler.core.state import Recorded, Submission
from reconciler.core.submission import attempts_of
from reconciler.core.submit_actions import SpecContext
from reconciler.errors import ReconcilerError
from reconciler.render.diff import all_fields

OPS = {"add": "added", "remove": "removed", "change": "changed", "reorder": "reordered"}
CONTENT_UNCLEAR = frozenset({Reason.STALE_CHECKOUT, Reason.RENAME_CONFLICT})
"""Reasons for holds with which it is unclear what the current content of a spec is."""


def decide_accept(view: SpecView) -> Decision:
    """Accepts the content of a spec in git as applied: the next plan has no change for the spec, and a later change
    becomes the next generation.

    If the spec has a run that does not put it on hold, that run is recorded as the run of this content. Otherwise the
    content is recorded as a generation without a run. Raises `ReconcilerError` if the checkout is old, if the outcome
    of a run is unknown, if a run is being replaced, or if a run is tagged as another spec's.
    """
    spec = view.required_spec()
    _check(view)
    counted = _counted(view, spec)
    changed = any(change.name == view.name for change in view.plan.changes)
    if not changed and (counted is not None or spec.policy.schedule is not None):
        does = f"{view.name} has no change to accept: its content is already applied. Nothing to do."
        return Decision(view.summary("accept", about=view.name, does=does, generation=None, digest=spec.digest))
    generation = view.record.next_generation if counted is None else counted.generation
    summary = view.summary(
        "accept",
        about=f"{view.name} ({spec.kind})",
        facts=_facts(view, counted),
        does=_does(spec, counted, generation),
        warnings=_warnings(view, counted),
        generation=generation,
        digest=spec.digest,
        run_id=counted.run_id if counted is not None else None,
    )
    return Decision(summary, (_batch(view, spec, counted),))


def _check(view: SpecView) -> None:
    """Raises `ReconcilerError` if the content cannot be accepted now."""
    for action in view.plan.actions:
        if action.action is ActionType.HOLD and action.reason in CONTENT_UNCLEAR:
            raise ReconcilerError(f"{view.name}: {action.message}")
    for submission in view.record.submissions:
        if submission.unresolved or submission.conflict:
            raise ReconcilerError(
                f"cannot accept the content of {view.name} yet: the outcome of {submission.key.label} is unknown. "
                "Use resolve or adopt first"
            )
    baseline = view.record.baseline
    if baseline is not None and baseline.replaced and baseline.live:
        raise ReconcilerError(
            f"run {baseline.run_id} of {view.name} is being stopped because of a change. Wait until it has ended"
        )


def _counted(view: SpecView, spec: DesiredSpec) -> Submission | None:
    """Returns the submission whose run becomes the run of this content. Returns `None` if there is none, or if the end
    of the run puts the spec on hold. Slots of a scheduled spec keep the content that they ran with."""
    baseline = view.record.baseline
    if baseline is None or baseline.replaced:
        return None
    if baseline.applied or spec.policy.schedule is not None:
        return baseline if baseline.digest == spec.digest else None
    desired = view.desired_alone(spec)
    context = SpecContext(spec, view.record, view.recorded, desired, view.session.now())
    following = decide_attempts(context, attempts_of(view.record.submissions, baseline))
    return None if following.action is ActionType.HOLD else baseline


def _batch(view: SpecView, spec: DesiredSpec, counted: Submission | None) -> EventBatch:
    session, record, plan, place = view.session, view.record, view.plan, view.session.place
    generation = record.next_generation if counted is None else None
    declared_at = record.declared_at

    def events(at: str) -> Sequence[Event]:
        token = (
            client_token(place, spec.kind, SubmissionKey(spec.name, generation), spec.digest)
            if counted is None
            else counted.token
        )
        accepted = ContentAccepted(
            at=at,
            name=spec.name,
            token=token,
            kind=spec.kind,
            generation=generation,
            digest=spec.digest,
            revision=spec.content.revision,
            deletion_policy=spec.content.deletion_policy,
            source=spec.source,
            commit=plan.commit,
            uncommitted=plan.uncommitted or None,
            tool_version=__version__,
            **view.operator,
        )
        pending = PendingDeclaration(spec.name, spec.kind, declared_at, spec.content, policy_json(spec))
        # In one append, because with only one of them, a plan would still show a change, or would run it.
        return [accepted, declaration_of(pending, None, session.ledger, at, provenance_of(session, plan))]

    # Compared separately, because a declaration does not move the head of its spec.
    def declared_since(recorded: Recorded) -> str | None:
        same = recorded.spec(spec.name).declared_at == declared_at
        return None if same else f"{spec.name} changed since it was shown: another pass applied it"

    return EventBatch(events, all_of(view.expected().objection, declared_since))


def _facts(view: SpecView, counted: Submission | None) -> Iterator[tuple[str, str]]:
    if counted is not None:
        yield "run", f"{counted.run_id or '-'} ({counted.key.label}): {counted.run_state or counted.phase}"
    for change in with_field_changes(view.session, view.plan).changes:
        yield from ((OPS[field.op], field.path) for field in all_fields(change))


def _does(spec: DesiredSpec, counted: Submission | None, generation: int | None) -> str:
    if spec.policy.schedule is not None:
        return (
            "accept: the current content is recorded as applied. Nothing is submitted; the next slot runs this content."
        )
    by = f"as generation {generation}, without a run"
    if counted is not None and counted.run_id is not None:
        by = f"as the content of run {counted.run_id}"
    return f"accept: the current content is recorded {by}. Nothing is submitted; a later change runs."


def _warnings(view: SpecView, counted: Submission | None) -> Iterator[str]:
    for run in view.record.live:
        yield f"run {run.run_id} keeps running with the content that it was submitted with."
    dependants = sorted(
        name
        for name, spec in view.inputs.specs.items()
        if any(dependency.name == view.name for dependency in spec.policy.dependsOn)
    )
    if counted is None and dependants:
        yield f"{', '.join(dependants)} depend on {view.name}, and treat it as succeeded."
