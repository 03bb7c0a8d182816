"""A run that a person wants for a spec: what AWS says of it, and whether it is to be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.app.decisions import Decision, SpecView, chosen_submission, doubt_facts, hand, which
from reconciler.app.resolve import unsettled
from reconciler.core.desired import Desired
from reconciler.core.events import ManuallyAdopted
from reconciler.core.identity import SubmissionKey
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.ports import RunReport
from reconciler.core.submits import SpecContext, submit
from reconciler.core.times import is_slot, parse_time, seconds_text
from reconciler.errors import ReconcilerError
from reconciler.model.kind import SPEC_TAG, TOKEN_TAG
from reconciler.render.decisions import DecisionSummary
from reconciler.render.text import which_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.app.decisions import Operator
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.ports import Precondition, RunFacts
    from reconciler.core.state import Recorded
    from reconciler.core.submission import Submission

CHILD_MARKS = (":", "#")
"""What stands between a Batch job's id and the index of its child, or of its node."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """The run that is to be adopted, as AWS describes it."""

    facts: RunFacts
    report: RunReport
    location: Mapping[str, str]

    @property
    def token(self) -> str | None:
        """The token that its tag holds."""
        return self.facts.tags.get(TOKEN_TAG)

    @property
    def owner(self) -> str | None:
        """The spec that its tag names, ``PROJECT/TARGET/NAME``."""
        return self.facts.tags.get(SPEC_TAG)


def check_id(run_id: str) -> None:
    """Raises `ReconcilerError` for what is not the id of a whole run."""
    for mark in CHILD_MARKS:
        parent, found, _ = run_id.partition(mark)
        if found and not run_id.startswith("arn:"):
            raise ReconcilerError(f"{run_id} is a child of job {parent}: a run is adopted whole, as {parent}")
    if run_id.startswith("arn:"):
        raise ReconcilerError(f"{run_id} is an ARN: give the run's id, its last part")


def described(sight: SpecView, run_id: str, waiting: Submission | None) -> Claimed:
    """Asks AWS for the run, where its submission, the ledger or the spec says that it is."""
    known = next((s for s in sight.recorded.by_token.values() if s.run_id == run_id), None)
    at: Submission | DesiredSpec | None = waiting or known or sight.spec
    if at is None:
        raise ReconcilerError(f"{sight.name} is not in the project any more: there is no spec to adopt a run for")
    kind = sight.spec.kind if sight.spec is not None and waiting is None else at.kind
    if kind != at.kind:
        raise ReconcilerError(f"run {run_id} is a {at.kind}, and {sight.name} is a {kind}")
    inventory = sight.session.aws.inventory(kind)
    if inventory is None:
        raise ReconcilerError(f"run {run_id} cannot be adopted: the service of {kind} does not describe runs by id")
    facts = inventory.described(at.content.location, [run_id]).get(run_id)
    if facts is None:
        raise ReconcilerError(
            f"AWS knows no run {run_id} ({kind}, {inventory.place(at.content.location)}): nothing was recorded"
        )
    if not isinstance(facts.report, RunReport):
        raise ReconcilerError(f"run {run_id}: {facts.report}")
    return Claimed(facts, facts.report, at.content.location)


def allowed_to(sight: SpecView, run: Claimed, *, force: bool) -> Precondition:
    """Whether the run may be taken: not from a spec that is in git, by its tag or by the ledger."""
    place, name, names, run_id = sight.session.place, sight.name, frozenset(sight.inputs.specs), run.facts.run_id
    ours, _, owner = (run.owner or "").rpartition("/")
    if ours == f"{place.project}/{place.target}":
        if owner != name and owner in names:
            return lambda _: f"run {run_id} is {owner}'s, by its tag, and {owner} is in this project: it stays its run"
    elif ours and not force:
        return lambda _: (
            f"run {run_id} is of {run.owner}, by its tag: another project or target. If nobody there follows it any "
            "more, --force takes it"
        )

    def free(recorded: Recorded) -> str | None:
        for other in recorded.by_token.values():
            mine = other.name == name or other.reassigned_to is not None or other.name not in names
            if other.run_id == run_id and not mine:
                return f"run {run_id} is the run of {which(other)}, which is in this project: it stays its run"
        return None

    return free


def run_facts(run: Claimed) -> tuple[tuple[str, str], ...]:
    """What AWS says of the run: label and value."""
    state = run.report.state + (f" ({run.report.detail})" if run.report.detail else "")
    return (
        ("run", run.facts.run_id),
        ("name", run.facts.name or "-"),
        ("state", state),
        ("created", seconds_text(parse_time(run.facts.created_at))),
        ("tagged as", run.owner or "nobody's"),
    )


def adoption(
    sight: SpecView, run_id: str, *, slot: str | None, token: str | None, force: bool, reason: str | None
) -> Decision:
    """The decision that a run is this spec's, and of a scheduled spec that of its `slot`.

    Raises `ReconcilerError` where it is not to be had: unknown to AWS, a child of an array, another spec's; and,
    without `force`, where another run may still appear, or the tag names another project.
    """
    check_id(run_id)
    mine = hand(sight.session, reason)
    waiting = _waiting(sight, run_id, token)
    if waiting is None and _is_current(sight, run_id):
        return Decision(_decision(sight, run_id, mine, does=f"run {run_id} is the spec's run already: nothing to do."))
    run = described(sight, run_id, waiting)
    allowed = allowed_to(sight, run, force=force)
    if why := allowed(sight.recorded):
        raise ReconcilerError(why)
    if waiting is not None:
        return _for_submission(sight, waiting, run, mine, allowed, force=force)
    return _as_current(sight, run, slot, mine, allowed)


def _waiting(sight: SpecView, run_id: str, token: str | None) -> Submission | None:
    """The submission that lacks a run and would get this one: unresolved, or with several; `None` where there is
    none."""
    open_ones = [s for s in sight.record.submissions if s.unresolved or s.conflict]
    if not open_ones:
        if token is not None:
            raise ReconcilerError(f"nothing about {sight.name} is unresolved: leave --token out")
        return None
    tagged = [s for s in open_ones if run_id in {*sight.recorded.runs_by_token.get(s.token, ()), *s.conflict}]
    if token is None and len(tagged) == 1:
        return tagged[0]
    return chosen_submission(open_ones, token, f"unresolved submissions of {sight.name}")


def _is_current(sight: SpecView, run_id: str) -> bool:
    baseline, spec = sight.record.baseline, sight.spec
    return baseline is not None and baseline.run_id == run_id and (spec is None or spec.digest == baseline.digest)


def _for_submission(
    sight: SpecView, waiting: Submission, run: Claimed, mine: Operator, allowed: Precondition, *, force: bool
) -> Decision:
    """Adopts for a submission that lacks a run."""
    from reconciler.app.decisions import ExpectedState, adopt

    tagged = run.token == waiting.token
    early = None if tagged or not waiting.unresolved else unsettled(sight, waiting)
    if early and not force:
        raise ReconcilerError(
            f"run {run.facts.run_id} does not carry the tag of {which(waiting)}, and {early}. If that ran after all, "
            "there would be two runs. Wait, or take this one now with --force"
        )
    warnings = [] if tagged else [f"the run does not carry the tag of {which(waiting)}."]
    others = [run_id for run_id in waiting.conflict if run_id != run.facts.run_id]
    if others:
        warnings.append(f"{', '.join(others)} stay as they are, and are nobody's: stop them where they are too many.")
    if early:
        warnings.append(f"{early}. If that ran after all, there would be two runs.")
    does = f"adopt: run {run.facts.run_id} is the run of {which(waiting)} from now on; nothing is submitted."
    facts = (*run_facts(run), *(doubt_facts(waiting, sight.recorded, sight.settle_seconds)))
    decision = _decision(
        sight,
        run.facts.run_id,
        mine,
        does=does,
        facts=facts,
        warnings=warnings,
        generation=waiting.generation,
        slot=waiting.slot,
    )
    seen = ExpectedState.of(waiting, sight.record.head)
    return Decision(decision, (adopt(seen, run.facts.run_id, run.report, mine, allowed),))


def _as_current(sight: SpecView, run: Claimed, slot: str | None, mine: Operator, allowed: Precondition) -> Decision:
    """Records the run as a new submission of what the spec asks for now."""
    from reconciler.app.decisions import ExpectedState, take

    spec = sight.spec
    if spec is None:
        raise ReconcilerError(f"{sight.name} is not in the project any more: there is no spec to adopt a run for")
    for action in sight.plan.actions:
        if action.action is ActionType.HOLD and action.reason is Reason.STALE_CHECKOUT:
            raise ReconcilerError(f"{sight.name}: {action.message}")
    counted = _counted(sight, spec, slot)
    live = [s.run_id for s in sight.record.live if s.run_id != run.facts.run_id]
    warnings = [f"run {run_id} of this spec is live, and goes on." for run_id in live]
    if sight.record.baseline is None or sight.record.baseline.digest != spec.digest:
        warnings.append("whether the run did what the spec asks for is not checked: what it says now does not run.")
    does = (
        f"adopt: run {run.facts.run_id} counts as {which_run(counted)} of {sight.name}, with what the spec asks for "
        "now; nothing is submitted."
    )
    decision = _decision(
        sight,
        run.facts.run_id,
        mine,
        does=does,
        facts=run_facts(run),
        warnings=warnings,
        generation=counted.generation,
        slot=slot,
    )
    seen = ExpectedState(sight.name, sight.record.head)
    return Decision(decision, (take(seen, _taken(sight, counted, run, mine), run.report, allowed),))


def _counted(sight: SpecView, spec: DesiredSpec, slot: str | None) -> Action:
    """The submission that the run counts as, told as the submit that is not made. Raises `ReconcilerError` for a slot
    that is none of the spec's, and for a scheduled spec without one."""
    session, policy = sight.session, spec.policy
    desired = Desired(session.place, {spec.name: spec}, frozenset({spec.name}))
    case = SpecContext(spec, sight.record, sight.recorded, desired, session.now())
    if policy.schedule is None:
        if slot is not None:
            raise ReconcilerError(f"{spec.name} has no schedule, and so no slots: leave --slot out")
        return submit(case, SubmissionKey(spec.name, sight.record.next_generation), Reason.NEW)
    if slot is None:
        raise ReconcilerError(f"{spec.name} has a schedule: say with --slot which of its slots the run stands for")
    if not is_slot(policy.schedule, policy.timeZone, slot) or parse_time(slot) > session.now():
        raise ReconcilerError(f"{slot} is no slot of {policy.schedule!r} ({policy.timeZone}) that is past")
    attempt = 1 + max((s.attempt for s in sight.record.submissions if s.slot == slot), default=0)
    return submit(case, SubmissionKey(spec.name, slot=slot, attempt=attempt), Reason.SLOT_DUE)


def _taken(sight: SpecView, counted: Action, run: Claimed, mine: Operator) -> Callable[[str], ManuallyAdopted]:
    plan, key = sight.plan, counted.key
    assert key is not None  # noqa: S101 - of a submit

    def event(at: str) -> ManuallyAdopted:
        return ManuallyAdopted(
            at=at,
            token=counted.client_token or "",
            kind=counted.kind,
            key=key,
            content=replace(counted.content, location=dict(run.location)),
            run_id=run.facts.run_id,
            owner=run.owner,
            reason=mine.reason,
            commit=plan.commit,
            uncommitted=plan.uncommitted or None,
            actor=mine.actor,
            tool_version=__version__,
        )

    return event


def _decision(
    sight: SpecView,
    run_id: str,
    mine: Operator,
    *,
    does: str,
    facts: tuple[tuple[str, str], ...] = (),
    warnings: Iterable[str] = (),
    generation: int | None = None,
    slot: str | None = None,
) -> DecisionSummary:
    about = sight.name + (f", generation {generation}" if generation else "") + (f", slot {slot}" if slot else "")
    return DecisionSummary(
        command="adopt",
        place=sight.session.place,
        name=sight.name,
        about=about,
        facts=facts,
        does=does,
        actor=mine.actor,
        reason=mine.reason,
        warnings=tuple(warnings),
        form={"run_id": run_id, "generation": generation, "slot": slot},
    )
