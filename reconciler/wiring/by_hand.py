"""What the commands of a person share: one spec looked at closely, and a decision about it carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING

from reconciler.apply.driver import World, drive
from reconciler.errors import ReconcilerError
from reconciler.identity.instant import parse, seconds_text
from reconciler.plan.settling import settles_at
from reconciler.render.by_hand import Decision
from reconciler.specs.checkout import actor
from reconciler.wiring.survey import survey

if TYPE_CHECKING:
    from reconciler.apply.by_hand import Hand
    from reconciler.apply.steps import Steps
    from reconciler.plan.action import Action
    from reconciler.plan.desired import DesiredSpec
    from reconciler.plan.result import ActionResult
    from reconciler.recorded.state import Recorded, SpecRecord
    from reconciler.recorded.submission import Submission
    from reconciler.wiring.session import Session
    from reconciler.wiring.survey import Survey


@dataclass(frozen=True)
class Proposal:
    """A decision and the steps that write it down; without steps there is nothing to do.

    `whole`: what moved, or failed, is an error of the command. Else each of the steps is told by itself.
    """

    decision: Decision
    steps: tuple[Steps, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class Sight:
    """One spec as git asks for it (`spec` is `None` for one that is only recorded) and as it is recorded, with what AWS
    says of it now written down."""

    session: Session
    name: str
    found: Survey

    @property
    def recorded(self) -> Recorded:
        """Everything recorded."""
        return self.found.recorded

    @property
    def record(self) -> SpecRecord:
        """What is recorded of this spec."""
        return self.found.recorded.spec(self.name)

    @property
    def spec(self) -> DesiredSpec | None:
        """What git asks for."""
        return self.found.specs.get(self.name)

    @property
    def settle_seconds(self) -> int:
        """The target's settling time."""
        return self.session.target.settleSeconds


def look(session: Session, name: str) -> Sight:
    """Observes one spec as a pass would, and records it. Raises as `survey` does, `UsageError` for an unknown name."""
    session = replace(session, choice=replace(session.choice, only=(name,), labels=()))
    return Sight(session, name, survey(session, refresh=True, record=True, explain=False))


def following(sight: Sight) -> tuple[Action, ...]:
    """What a pass would do about the spec now, from what is recorded."""
    return survey(sight.session, refresh=False, record=False, explain=False).plan.actions


def carried_out(session: Session, proposal: Proposal) -> tuple[ActionResult, ...]:
    """Writes a decision down. Raises `ReconcilerError` where what it rests on moved since it was shown, of a decision
    that is a whole."""
    world = World(session.ledger, session.access.service, session.clock, session.access.quota, Event())
    results = tuple(drive(steps, world) for steps in proposal.steps)
    for result in results:
        if proposal.whole and result.error is not None:
            raise ReconcilerError(f"{result.error}. Nothing was recorded; look again")
    return results


def hand(session: Session, reason: str | None) -> Hand:
    """Who decides, and why."""
    from reconciler.apply.by_hand import Hand

    return Hand(actor(session.environ, session.root), (reason or "").strip() or None)


def which(submission: Submission) -> str:
    """``orders, generation 2``."""
    run = f"slot {submission.slot}" if submission.slot else f"generation {submission.generation}"
    return f"{submission.name}, {run}" + (f", attempt {submission.attempt}" if submission.attempt > 1 else "")


def doubt_facts(submission: Submission, recorded: Recorded, settle_seconds: int) -> Sequence[tuple[str, str]]:
    """What is known of an unresolved submission: label and value."""
    found = recorded.found.get(submission.token)
    said = recorded.look_errors.get(submission.token)
    seen = f"failed: {said}" if said else ", ".join(found) if found else "AWS lists no run with its tag"
    return (
        ("unknown since", seconds_text(parse(submission.first_intent_at))),
        ("newest send", f"{submission.newest_send.number}, {seconds_text(parse(submission.newest_send.at))}"),
        ("settles at", seconds_text(settles_at(submission, settle_seconds))),
        *((("last answer", submission.error),) if submission.error else ()),
        ("look just now", seen),
        ("client token", submission.token),
    )


def chosen_submission(candidates: Sequence[Submission], token: str | None, what: str) -> Submission:
    """The submission that `token` begins (`None`: the newest). Raises `ReconcilerError` where none does, or several."""
    if token is None:
        return candidates[-1]
    prefix = token.removeprefix("r1-")
    found = [s for s in candidates if s.token.removeprefix("r1-").startswith(prefix)]
    if len(found) != 1:
        tokens = ", ".join(s.token for s in candidates)
        raise ReconcilerError(
            f"{len(found)} of the {what} have a token that begins with {token!r}; there are: {tokens}"
        )
    return found[0]
