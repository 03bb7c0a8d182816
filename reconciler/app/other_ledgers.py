"""Searches AWS for runs of this project and target that are missing from the ledger, because another ledger started
them or because this ledger lost them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.core.previous_runs import REMEMBERED, may_lack_runs, sends_to_look_for
from reconciler.core.times import parse_time
from reconciler.errors import PlanFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.plan import Action, Plan
    from reconciler.core.state import Recorded, Sighting


def find_previous_runs(session: Session, specs: Iterable[DesiredSpec], recorded: Recorded) -> None:
    """Searches for runs of the specs that may be missing from the ledger, so that the plan adopts the runs or puts the
    specs on hold.

    The ledger may be new, lost, or rolled back. A failed search is also noted and puts the spec on hold.
    """
    from reconciler.aws import observe

    now = session.now()
    if recorded.rollbacks and now - parse_time(recorded.rollbacks[-1].at) > REMEMBERED:
        return  # AWS does not keep older runs
    intends = recorded.intends
    unknown = [spec for spec in specs if may_lack_runs(recorded, spec.name, intends=intends)]
    if unknown:
        with session.aws.reading("searching for runs that are missing from the ledger"):
            observe.find_previous_runs(unknown, recorded, session.place, session.aws.service, now).lay_over(recorded)


def look_for_other_ledgers(session: Session, plan: Plan, recorded: Recorded) -> bool:
    """Before anything new is sent, searches for runs that were started from another ledger for the same place. Returns
    whether the plan must be made again.

    With a ledger in a file, this covers every first send, because there may be several files. With a shared ledger, it
    covers only sends of new content. A failed search becomes a warning of the plan.
    """
    sends = sends_to_look_for(plan.actions, recorded, every=_is_file(session))
    sighting = _look(session, sends, recorded)
    if sighting is None:
        return False
    sighting.lay_over(recorded)
    return bool(sighting.look_errors) or any(sighting.runs_by_spec.values())


def check_no_other_runs(session: Session, plan: Plan, recorded: Recorded) -> None:
    """Raises `PlanFileError` if AWS has a run for a submit of the plan and the run is missing from the ledger, because
    a new plan would adopt the run or put the spec on hold. Also raises it if the ledger may lack runs and the search in
    AWS failed."""
    intends = recorded.intends
    every = _is_file(session) or not intends or bool(recorded.rollbacks)
    sends = sends_to_look_for(plan.actions, recorded, every=every)
    sighting = _look(session, sends, recorded)
    if sighting is None:
        return
    names = {action.client_token: action.name for action in sends}
    failed = [token for token in sighting.look_errors if may_lack_runs(recorded, names[token], intends=intends)]
    if failed:
        raise PlanFileError(
            "the ledger may lack earlier runs, and it is unknown whether AWS already has runs of this plan: "
            f"{sighting.look_errors[failed[0]]}. Nothing was sent"
        )
    others = {name for name, runs in sighting.runs_by_spec.items() if runs}
    ran = sorted(others | {names[token] for token, runs in sighting.runs_by_token.items() if runs})
    if ran:
        raise PlanFileError(
            f"AWS has runs of {', '.join(ran)} that are not in the ledger. Nothing was sent; plan again to adopt them"
        )


def _is_file(session: Session) -> bool:
    return session.ledger.address.startswith("sqlite:")


def _look(session: Session, sends: Sequence[Action], recorded: Recorded) -> Sighting | None:
    """Returns the runs that AWS has for some submits. Returns `None` if there is nothing to look for. Also returns
    `None` for the emulator, which is not shared."""
    from reconciler.aws.observe import look_before_sending

    if session.target.is_emulator or not sends:
        return None
    with session.aws.reading("searching for runs that another ledger started"):
        return look_before_sending(sends, recorded, session.place, session.aws.service, session.now())
