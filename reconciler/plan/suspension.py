"""Work that somebody stopped: what `suspend:` means, in a spec as in the project file."""

from __future__ import annotations

from datetime import datetime

from reconciler.identity.instant import parse
from reconciler.model.spec import Suspend
from reconciler.plan.desired import Suspension


def suspension(given: bool | Suspend) -> Suspension | None:
    """What a `suspend:` of a file means; `None` where nothing is suspended."""
    match given:
        case False:
            return None
        case True:
            return Suspension()
        case Suspend():
            return Suspension(given.reason, given.owner, given.until)


def overdue(stopped: Suspension, now: datetime) -> bool:
    """Whether it should have ended by now. It goes on all the same, and says so, until somebody takes it out."""
    return stopped.until is not None and parse(stopped.until) <= now


def sentence(what: str, stopped: Suspension, now: datetime) -> str:
    """``the spec is suspended (quarter end, by ops, until 2026-12-01T00:00:00Z)``; overdue ones say that too."""
    parts = [
        stopped.reason or "",
        f"by {stopped.owner}" if stopped.owner else "",
        f"until {stopped.until}" if stopped.until else "",
        "which is over: take it out, or give another time" if overdue(stopped, now) else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f"{what} is suspended" + (f" ({said})" if said else "")
