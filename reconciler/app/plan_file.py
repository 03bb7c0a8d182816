"""A plan file on its way back: is it whole, is it of this place, and has anything moved since it was made?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.core.desired import sentence
from reconciler.core.identity import client_token, digest
from reconciler.core.plan import ActionType
from reconciler.errors import PlanFileError, StalePlan
from reconciler.model.kind import MODULES, kind_named
from reconciler.model.template import render_slot

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.app.session import Session
    from reconciler.core.identity import Place
    from reconciler.core.plan import Action, Plan
    from reconciler.core.state import Recorded
    from reconciler.model.base import JSON
    from reconciler.model.spec import Suspension

SENDS = {ActionType.SUBMIT, ActionType.REPLACE}


def check_file(plan: Plan, place: Place) -> None:
    """Raises `PlanFileError` for a plan of another place, or one whose parts no longer fit each other.

    Digest and client token of every submit are computed again from its request: an edited file is refused, whatever
    it was edited for.
    """
    if plan.place != place:
        raise PlanFileError(f"the plan is for {_words(plan.place)}, and this is {_words(place)}: nothing was sent")
    for action in plan.actions:
        for what in _unfit(action, place):
            raise PlanFileError(
                f"the plan file was changed after it was made: the {what} of {action.name} is not what its content "
                "gives. Nothing was sent; plan again"
            )


def check_heads(plan: Plan, recorded: Recorded) -> None:
    """Raises `StalePlan` naming each spec with something to do whose ledger head is another now.

    Progress of other specs since the plan was made is no obstacle.
    """
    seen = {action.name: action.ledger_head for action in plan.pending}
    moved = [(name, head, recorded.spec(name).head) for name, head in seen.items() if recorded.spec(name).head != head]
    if moved:
        raise StalePlan(moved)
    for action in plan.pending:
        if action.action is ActionType.REPLACE:
            _check_replaced(action, recorded)
        if action.action in SENDS:
            _check_send(action, recorded)
        elif not action.missed:
            _check_submission(action, recorded)


def check_earlier(session: Session, plan: Plan, recorded: Recorded) -> None:
    """Before the first intent of a ledger: raises `PlanFileError` where AWS has a run of what the
    plan would submit, which a fresh plan would adopt."""
    from reconciler.aws.observe import look_for_tokens

    sends = [action for action in plan.actions if action.action in SENDS]
    if recorded.intends or not sends:
        return
    session.aws.check()
    found = look_for_tokens(sends, session.aws.service, session.now()).found
    ran = [action.name for action in sends if found.get(action.client_token or "")]
    if ran:
        raise PlanFileError(
            f"the ledger holds no submission yet, and AWS has runs of {', '.join(ran)} as planned: nothing was sent. "
            "Plan again: they are adopted"
        )


def check_suspension(plan: Plan, suspended: Suspension | None, now: datetime) -> None:
    """Raises `PlanFileError` where somebody has suspended the project and the plan would submit or cancel."""
    stopped = [action.name for action in plan.actions if action.action in {*SENDS, ActionType.CANCEL}]
    if suspended is not None and stopped:
        raise PlanFileError(f"{sentence('the project', suspended, now)}: nothing was sent for {', '.join(stopped)}")


def _check_send(action: Action, recorded: Recorded) -> None:
    """A first send is of a submission that the ledger does not hold, a further one of its last send's."""
    submission = recorded.by_token.get(action.client_token or "")
    last = submission.newest_send.number if submission is not None else 0
    if action.send != last + 1:
        raise PlanFileError(
            f"the plan file was changed after it was made: send {action.send} of {action.name} does not follow send "
            f"{last}. Nothing was sent; plan again"
        )


def _check_replaced(action: Action, recorded: Recorded) -> None:
    """What makes room must be a run of the same spec."""
    if not any(run.run_id == action.replaces for run in recorded.spec(action.name).submissions):
        raise PlanFileError(
            f"the plan file was changed after it was made: the ledger has no run {action.replaces} of {action.name} to "
            "replace. Nothing was sent; plan again"
        )


def _check_submission(action: Action, recorded: Recorded) -> None:
    """An action about a recorded submission must mean one that is recorded, and its own run."""
    submission = recorded.by_token.get(action.client_token or "")
    known = submission is not None and submission.name == action.name
    if not known or (submission is not None and submission.run_id not in {None, action.run_id}):
        raise PlanFileError(
            f"the plan file was changed after it was made: the ledger has no such run of {action.name}. "
            "Nothing was sent; plan again"
        )


def _unfit(action: Action, place: Place) -> Iterator[str]:
    """The parts of a submit that its own request contradicts."""
    if action.action not in SENDS:
        return
    if action.kind not in MODULES:
        yield "kind"
    elif action.request is None:
        yield "request"
    elif action.send > 1:  # what is sent again is what the ledger holds: only its token counts
        yield from _unfit_token(action, place)
    elif action.request != _finished(action):
        yield "request"
    elif action.digest != digest(action.kind, action.revision, action.template or action.request):
        yield "digest"
    elif dict(action.locate) != _locate(action):
        yield "place"
    else:
        yield from _unfit_token(action, place)


def _unfit_token(action: Action, place: Place) -> Iterator[str]:
    of = (action.generation, action.slot, action.attempt)
    one = action.digest is not None and (action.generation is None) != (action.slot is None)
    if not one or action.client_token != client_token(place, action.kind, action.name, *of, action.digest or ""):
        yield "client token"


def _finished(action: Action) -> JSON:
    """The request that the template of an action gives: that of its slot, with the runs that it names."""
    request = action.template if action.template is not None else action.request or {}
    if action.template is not None and action.slot is not None:
        request = render_slot(request, action.slot, action.time_zone)
    return kind_named(action.kind).with_runs(request, action.run_ids) if action.run_ids else request


def _locate(action: Action) -> dict[str, str]:
    request = action.request or {}
    return {field: request[field] for field in kind_named(action.kind).locate_fields if field in request}


def _words(place: Place) -> str:
    return f"project {place.project}, target {place.target}, account {place.account}, region {place.region}"
