"""`adopt`: decides whether an existing run in AWS becomes the run of a spec."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from reconciler import __version__
from reconciler.app import decisions
from reconciler.app.run_decisions import unsettled
from reconciler.core.cron import is_slot
from reconciler.core.desired import DesiredSpec
from reconciler.core.events import BY_HAND, Adopted, Event, ManuallyAdopted
from reconciler.core.identity import SubmissionKey
from reconciler.core.plan import Action, ActionOutcome, ActionResult, ActionType, Reason
from reconciler.core.ports import Precondition, RunFacts, RunReport
from reconciler.core.state import Recorded, RunState, Submission
from reconciler.core.submit_actions import SpecContext, submit_action
from reconciler.core.times import parse_time, seconds_text
from reconciler.errors import ReconcilerError
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG
from reconciler.values import dataclass

CHILD_MARKS = (":", "#")
"""The characters between a Batch job's id and the index of its child or node."""


@dataclass(frozen=True, slots=True)
class DescribedRun:
    """The run to adopt, as AWS describes it or, if AWS no longer lists it (`forgotten`), as the ledger recorded it."""

    facts: RunFacts
    report: RunReport
    location: Mapping[str, str]
    forgotten: bool = False

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.facts.run_id

    @property
    def owner(self) -> str | None:
        """The owner in the run's tag, as ``PROJECT/TARGET/NAME``."""
        return self.facts.tags.get(SPEC_TAG)

    @property
    def table(self) -> list[tuple[str, str]]:
        """Returns what AWS reports about the run, or what is recorded in the ledger, as pairs of label and value."""
        state = self.report.state + (f" ({self.report.detail})" if self.report.detail else "")
        rows = [
            ("run", self.run_id),
            ("name", self.facts.name or ("unknown" if self.forgotten else "-")),
            ("state", state if self.is_ended or not self.forgotten else f"unknown; last seen as {state}"),
            ("submitted" if self.forgotten else "created", seconds_text(parse_time(self.facts.created_at))),
            ("spec tag", self.owner or "-"),
        ]
        return [*rows, ("ended", self.report.finished_at or "unknown")] if self.forgotten else rows

    @property
    def is_ended(self) -> bool:
        """Whether the run has ended, according to the last known state."""
        return not RunState(self.report.state).live

    def observed(self, name: str, token: str, at: str) -> list[Event]:
        """Returns the event that records the run's state, or no event if the run was live when AWS stopped listing it,
        because a later pass determines how it ended."""
        if self.forgotten and not self.is_ended:
            return []
        return [decisions.observed(name, token, self.run_id, self.report, at)]


def decide_adopt(
    view: decisions.SpecView, run_id: str, *, slot: str | None, token: str | None, force: bool
) -> decisions.Decision:
    """Decides to adopt a run for a spec or, if the spec has a schedule, for one of its slots.

    Raises `ReconcilerError` if neither AWS nor the ledger has the run, or if the run is a child of an array job or
    belongs to another spec. Without `force`, also raises it if another run may still appear, or if the run's tag names
    another project.
    """
    view.check_valid()
    _check_id(run_id)
    waiting = _waiting(view, run_id, token)
    if waiting is None and _is_current(view, run_id):
        does = f"run {run_id} already belongs to {view.name}. Nothing to do."
        return decisions.Decision(
            view.summary("adopt", about=view.name, does=does, run_id=run_id, generation=None, slot=None)
        )
    run = _describe(view, run_id, waiting)
    _check_tag(view, run, force=force)
    if objection := _unowned(view, run_id)(view.recorded):
        raise ReconcilerError(objection)
    if waiting is not None:
        return _for_submission(view, waiting, run, force=force)
    return _as_current(view, run, slot)


def _check_id(run_id: str) -> None:
    """Raises `ReconcilerError` unless `run_id` has the form of a run id and does not belong to a child of another
    run."""
    if run_id.startswith("arn:"):
        raise ReconcilerError(f"{run_id} is an ARN. Use the run id, which is its last part")
    for mark in CHILD_MARKS:
        parent, separator, _ = run_id.partition(mark)
        if separator:
            raise ReconcilerError(f"{run_id} is a child of job {parent}. Adopt the whole job: {parent}")


def _waiting(view: decisions.SpecView, run_id: str, token: str | None) -> Submission | None:
    """Returns the submission that the run would be assigned to: a submission that is unresolved or has several runs."""
    candidates = [s for s in view.record.submissions if s.unresolved or s.conflict]
    if not candidates:
        if token is not None:
            raise ReconcilerError(f"{view.name} has no unresolved submission. Leave out --token")
        return None
    tagged = [s for s in candidates if run_id in {*view.recorded.runs_by_token.get(s.token, ()), *s.conflict}]
    if token is None and len(tagged) == 1:
        return tagged[0]
    return decisions.chosen_submission(candidates, token, f"unresolved submissions of {view.name}")


def _is_current(view: decisions.SpecView, run_id: str) -> bool:
    baseline, spec = view.record.baseline, view.spec
    return baseline is not None and baseline.run_id == run_id and (spec is None or spec.digest == baseline.digest)


def _describe(view: decisions.SpecView, run_id: str, waiting: Submission | None) -> DescribedRun:
    """Reads the run from AWS, where its submission was sent or, without a submission, where the spec would be sent."""
    held = (s for s in view.recorded.by_token.values() if s.run_id == run_id)
    recorded = next(held, None) or view.archived_run(run_id)
    at: Submission | DesiredSpec = waiting or recorded or view.required_spec()
    kind = view.spec.kind if view.spec is not None and waiting is None else at.kind
    if kind != at.kind:
        raise ReconcilerError(f"run {run_id} is of kind {at.kind}, but {view.name} is of kind {kind}")
    inventory, location = view.session.aws.inventory(kind), at.content.location
    if inventory is None:
        raise ReconcilerError(f"run {run_id} cannot be adopted: the service of {kind} cannot describe runs by id")
    facts = inventory.described(location, [run_id]).get(run_id)
    if facts is None and recorded is not None:
        return _as_recorded(view, recorded)
    if facts is None:
        where = f"{kind}, {inventory.place(location)}"
        raise ReconcilerError(f"AWS has no run {run_id} ({where}), and it is not in the ledger. Nothing was recorded")
    if not isinstance(facts.report, RunReport):
        raise ReconcilerError(f"run {run_id}: {facts.report}")
    return DescribedRun(facts, facts.report, location)


def _as_recorded(view: decisions.SpecView, submission: Submission) -> DescribedRun:
    """Returns the recorded state of a run that AWS no longer lists. AWS lists ended runs for only days or weeks."""
    report = RunReport(
        exists=True,
        state=str(submission.run_state),
        aws_state=submission.aws_state or "",
        detail=submission.detail,
        started_at=submission.started_at,
        finished_at=submission.finished_at,
    )
    tags = {TOKEN_TAG: submission.token, SPEC_TAG: view.session.place.owner(submission.name)}
    created_at = submission.submitted_at or submission.first_intent_at
    facts = RunFacts(submission.run_id or "", None, tags, created_at, report)
    return DescribedRun(facts, report, submission.content.location, forgotten=True)


def _check_tag(view: decisions.SpecView, run: DescribedRun, *, force: bool) -> None:
    """Raises `ReconcilerError` if the run's tag names another spec in git or, without `force`, another project."""
    place = view.session.place
    project_and_target, _, owner = (run.owner or "").rpartition("/")
    if project_and_target == f"{place.project}/{place.target}":
        if owner != view.name and owner in view.inputs.names:
            raise ReconcilerError(
                f"run {run.run_id} is tagged as a run of {owner} in this project and cannot be adopted"
            )
    elif project_and_target and not force:
        raise ReconcilerError(
            f"run {run.run_id} is tagged as a run of {run.owner}, which is another project or target. If nothing there "
            "uses it any more, adopt it with --force"
        )


def _unowned(view: decisions.SpecView, run_id: str) -> Precondition:
    """Returns a precondition for an append, which fails if the ledger assigns the run to another spec in git."""
    names = view.inputs.names - {view.name}
    archived = view.archived_run(run_id)

    def objection(recorded: Recorded) -> str | None:
        for other in (*recorded.by_token.values(), *([archived] if archived is not None else [])):
            if other.run_id == run_id and other.reassigned_to is None and other.name in names:
                return f"run {run_id} belongs to {other.name} ({other.key.label}) in this project and cannot be adopted"
        return None

    return objection


def _decision(
    view: decisions.SpecView,
    run: DescribedRun,
    key: SubmissionKey,
    events: Callable[[str], Sequence[Event]],
    *preconditions: Precondition,
    does: str,
    facts: Sequence[tuple[str, str]],
    warnings: Sequence[str],
) -> decisions.Decision:
    if run.forgotten:
        warnings = [*warnings, "AWS no longer has the run. This is its state in the ledger."]
    summary = view.summary(
        "adopt",
        about=str(key),
        does=f"adopt: record run {run.run_id} as {does}. Nothing is submitted.",
        facts=facts,
        warnings=warnings,
        run_id=run.run_id,
        generation=key.generation,
        slot=key.slot,
    )
    precondition = decisions.all_of(*preconditions, _unowned(view, run.run_id))  # another pass may adopt it meanwhile
    return decisions.Decision(
        summary, (decisions.EventBatch(events, precondition, ActionResult(ActionOutcome.ADOPTED, run.run_id)),)
    )


def _for_submission(
    view: decisions.SpecView, waiting: Submission, run: DescribedRun, *, force: bool
) -> decisions.Decision:
    """Assigns the run to a submission that has no run yet, or has several."""
    has_token = run.facts.tags.get(TOKEN_TAG) == waiting.token
    early = None if has_token or not waiting.unresolved else unsettled(view, waiting)
    if early and not force:
        raise ReconcilerError(
            f"run {run.run_id} does not have the token of {waiting.key}: {early}. If it runs after all, there are "
            "two runs. Wait, or adopt this run now with --force"
        )
    warnings = [] if has_token else [f"the run does not have the token of {waiting.key}."]
    if others := [run_id for run_id in waiting.conflict if run_id != run.run_id]:
        warnings.append(f"not adopted: {', '.join(others)}. Stop them in AWS if they must not run.")
    if early:
        warnings.append(f"{early}. If it runs after all, there are two runs.")
    name, token = view.name, waiting.token

    def events(at: str) -> list[Event]:
        adopted = Adopted(at=at, name=name, token=token, run_id=run.run_id, by=BY_HAND, **view.operator)
        return [adopted, *run.observed(name, token, at)]

    facts, does = [*run.table, *decisions.unresolved_facts(view, waiting)], f"the run of {waiting.key}"
    unchanged = view.expected(waiting).objection
    return _decision(view, run, waiting.key, events, unchanged, does=does, facts=facts, warnings=warnings)


def _as_current(view: decisions.SpecView, run: DescribedRun, slot: str | None) -> decisions.Decision:
    """Records the run as a new submission of the current content of the spec."""
    spec, record, plan = view.required_spec(), view.record, view.plan
    for action in plan.actions:  # the content of an old checkout is not the current content of the spec
        if action.action is ActionType.HOLD and action.reason is Reason.STALE_CHECKOUT:
            raise ReconcilerError(f"{view.name}: {action.message}")
    counted = _counted(view, spec, slot)
    key, token = counted.key, counted.client_token or ""
    assert key is not None  # noqa: S101 - a submit has a key
    live = [s.run_id for s in record.live if s.run_id != run.run_id]
    warnings = [f"run {run_id} of this spec is live and keeps running." for run_id in live]
    if record.baseline is None or record.baseline.digest != spec.digest:
        warnings.append("the run is not compared with the spec, whose current content will not be submitted.")

    def events(at: str) -> list[Event]:
        adopted = ManuallyAdopted(
            at=at,
            token=token,
            kind=counted.kind,
            key=key,
            # The place where the run was found, because later lookups need it. The spec may name another one by now.
            content=replace(counted.content, location=dict(run.location)),
            run_id=run.run_id,
            owner=run.owner,
            commit=plan.commit,
            uncommitted=plan.uncommitted or None,
            tool_version=__version__,
            **view.operator,
        )
        return [adopted, *run.observed(view.name, token, at)]

    def no_other_submission(recorded: Recorded) -> str | None:
        clash = token in recorded.by_token or recorded.spec(view.name).unresolved
        return f"{view.name} changed since it was shown: another submission was recorded" if clash else None

    does, unchanged = f"{key}, with the spec's current content", view.expected().objection
    checks = (unchanged, no_other_submission)
    return _decision(view, run, key, events, *checks, does=does, facts=run.table, warnings=warnings)


def _counted(view: decisions.SpecView, spec: DesiredSpec, slot: str | None) -> Action:
    """Returns the submit that the run makes unnecessary. Raises `ReconcilerError` unless `slot` is a past slot of a
    scheduled spec, or `None` for a spec without a schedule."""
    policy, now = spec.policy, view.session.now()
    context = SpecContext(spec, view.record, view.recorded, view.desired_alone(spec), now)
    if policy.schedule is None:
        if slot is not None:
            raise ReconcilerError(f"{spec.name} has no schedule and no slots. Leave out --slot")
        return submit_action(context, SubmissionKey(spec.name, view.record.next_generation), Reason.NEW)
    if slot is None:
        raise ReconcilerError(f"{spec.name} has a schedule. Give the slot of the run with --slot")
    if not is_slot(policy.schedule, policy.timeZone, slot) or parse_time(slot) > now:
        raise ReconcilerError(f"{slot} is not a past slot of {policy.schedule!r} ({policy.timeZone})")
    key = SubmissionKey(spec.name, slot=slot)
    attempt = view.record.next_attempt(key, [s for s in view.attempts(slot) if s.slot == slot])
    return submit_action(context, replace(key, attempt=attempt), Reason.SLOT_DUE)
