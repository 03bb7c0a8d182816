"""`adopt`: whether a run that exists may become a spec's, and as which submission it is recorded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.errors import ReconcilerError
from reconciler.identity.instant import parse
from reconciler.plan.action import Action, ActionType, Reason
from reconciler.plan.case import Case
from reconciler.plan.desired import Desired
from reconciler.plan.slots import is_slot
from reconciler.plan.submits import first_attempt, next_attempt
from reconciler.recorded.events import Taken
from reconciler.render.by_hand import Decision
from reconciler.render.words import which_run
from reconciler.wiring.by_hand import Proposal, Sight, chosen_submission, doubt_facts, hand, which
from reconciler.wiring.claim import Claimed, allowed_to, check_id, described, run_facts
from reconciler.wiring.resolution import unsettled

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.apply.by_hand import Hand
    from reconciler.plan.desired import DesiredSpec
    from reconciler.ports import Valid
    from reconciler.recorded.submission import Submission


def adoption(
    sight: Sight, run_id: str, *, slot: str | None, token: str | None, force: bool, reason: str | None
) -> Proposal:
    """The decision that a run is this spec's, and of a scheduled spec that of its `slot`.

    Raises `ReconcilerError` where it is not to be had: unknown to AWS, a child of an array, another spec's; and,
    without `force`, where another run may still appear, or the tag names another project.
    """
    check_id(run_id)
    mine = hand(sight.session, reason)
    waiting = _waiting(sight, run_id, token)
    if waiting is None and _is_current(sight, run_id):
        return Proposal(_decision(sight, run_id, mine, does=f"run {run_id} is the spec's run already: nothing to do."))
    run = described(sight, run_id, waiting)
    allowed = allowed_to(sight, run, force=force)
    if why := allowed(sight.recorded):
        raise ReconcilerError(why)
    if waiting is not None:
        return _for_submission(sight, waiting, run, mine, allowed, force=force)
    return _as_current(sight, run, slot, mine, allowed)


def _waiting(sight: Sight, run_id: str, token: str | None) -> Submission | None:
    """The submission that lacks a run and would get this one: unresolved, or with several; `None` where there is
    none."""
    open_ones = [s for s in sight.record.submissions if s.unresolved or s.conflict]
    if not open_ones:
        if token is not None:
            raise ReconcilerError(f"nothing about {sight.name} is unresolved: leave --token out")
        return None
    tagged = [s for s in open_ones if run_id in {*sight.recorded.found.get(s.token, ()), *s.conflict}]
    if token is None and len(tagged) == 1:
        return tagged[0]
    return chosen_submission(open_ones, token, f"unresolved submissions of {sight.name}")


def _is_current(sight: Sight, run_id: str) -> bool:
    baseline, spec = sight.record.baseline, sight.spec
    return baseline is not None and baseline.run_id == run_id and (spec is None or spec.digest == baseline.digest)


def _for_submission(
    sight: Sight, waiting: Submission, run: Claimed, mine: Hand, allowed: Valid, *, force: bool
) -> Proposal:
    """Adopts for a submission that lacks a run."""
    from reconciler.apply.by_hand import Seen, adopt

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
    seen = Seen.of(waiting, sight.record.head)
    return Proposal(decision, (adopt(seen, run.facts.run_id, run.report, mine, allowed),))


def _as_current(sight: Sight, run: Claimed, slot: str | None, mine: Hand, allowed: Valid) -> Proposal:
    """Records the run as a new submission of what the spec asks for now."""
    from reconciler.apply.by_hand import Seen, take

    spec = sight.spec
    if spec is None:
        raise ReconcilerError(f"{sight.name} is not in the project any more: there is no spec to adopt a run for")
    for action in sight.found.plan.actions:
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
    seen = Seen(sight.name, sight.record.head)
    return Proposal(decision, (take(seen, _taken(sight, counted, run, mine), run.report, allowed),))


def _counted(sight: Sight, spec: DesiredSpec, slot: str | None) -> Action:
    """The submission that the run counts as, told as the submit that is not made. Raises `ReconcilerError` for a slot
    that is none of the spec's, and for a scheduled spec without one."""
    session, policy = sight.session, spec.policy
    desired = Desired(session.place, {spec.name: spec}, frozenset({spec.name}))
    case = Case(spec, sight.record, sight.recorded, desired, session.now())
    if policy.schedule is None:
        if slot is not None:
            raise ReconcilerError(f"{spec.name} has no schedule, and so no slots: leave --slot out")
        return first_attempt(case, Reason.NEW, generation=sight.record.next_generation)
    if slot is None:
        raise ReconcilerError(f"{spec.name} has a schedule: say with --slot which of its slots the run stands for")
    if not is_slot(policy.schedule, policy.timeZone, slot) or parse(slot) > session.now():
        raise ReconcilerError(f"{slot} is no slot of {policy.schedule!r} ({policy.timeZone}) that is past")
    earlier = [s for s in sight.record.submissions if s.slot == slot]
    if not earlier:
        return first_attempt(case, Reason.SLOT_DUE, slot=slot)
    return next_attempt(case, earlier[-1], 1 + max(s.attempt for s in earlier), Reason.SLOT_DUE)


def _taken(sight: Sight, counted: Action, run: Claimed, mine: Hand) -> Callable[[str], Taken]:
    plan = sight.found.plan

    def event(at: str) -> Taken:
        return Taken(
            at=at,
            name=counted.name,
            token=counted.client_token or "",
            kind=counted.kind,
            generation=counted.generation,
            slot=counted.slot,
            attempt=counted.attempt,
            digest=counted.digest or "",
            revision=counted.revision,
            request=counted.request or {},
            locate=dict(run.locate),
            run_id=run.facts.run_id,
            owner=run.owner,
            reason=mine.reason,
            deletion_policy=counted.deletion_policy,
            streaming=counted.streaming,
            source={"path": counted.source.path, "line": counted.source.line} if counted.source else {},
            commit=plan.commit,
            uncommitted=plan.uncommitted or None,
            actor=mine.actor,
            tool_version=__version__,
        )

    return event


def _decision(
    sight: Sight,
    run_id: str,
    mine: Hand,
    *,
    does: str,
    facts: tuple[tuple[str, str], ...] = (),
    warnings: Iterable[str] = (),
    generation: int | None = None,
    slot: str | None = None,
) -> Decision:
    about = sight.name + (f", generation {generation}" if generation else "") + (f", slot {slot}" if slot else "")
    return Decision(
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
