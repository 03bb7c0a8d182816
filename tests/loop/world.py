"""Simulates weeks of passes within seconds, with a small fake AWS. The test chooses how long runs take and how they
end.

The clock is a parameter. Each pass applies its plan as `apply` does: first the submissions, then the other actions of
each spec, and each as events that are folded into the state. Every submission is checked against invariants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.due_slots import event_of, missed_by
from reconciler.core.fold import fold
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.state import Recorded
from reconciler.core.times import parse_time, seconds_text, time_text
from tests.builders import PLACE, desired

LIVE_STATES = {"submitted", "running"}


@dataclass
class Run:
    """A run in the fake AWS."""

    run_id: str
    name: str
    token: str
    generation: int | None
    slot: str | None
    attempt: int
    started: datetime
    ends: datetime | None
    end: str
    request: dict[str, Any]
    visible: bool = True
    cancelled: bool = False

    def state(self, now: datetime) -> str:
        """Returns the state of the run at a time."""
        return "running" if self.ends is None or now < self.ends else self.end

    def overlaps(self, other: Run) -> bool:
        """Returns whether both runs were live at the same time."""
        return (self.ends is None or other.started < self.ends) and (other.ends is None or self.started < other.ends)


RunEnd = Callable[[Action, datetime], tuple[float | None, str]]
"""Decides how many seconds the run of a submission takes (`None` means until it is stopped), and its final state."""


def well(seconds: float = 60) -> RunEnd:
    """Lets every run succeed after the given number of seconds."""
    return lambda _action, _now: (seconds, "succeeded")


@dataclass
class World:
    """Contains a target with one ledger. Tests change `specs` between passes, as commits do."""

    now: datetime
    specs: list[DesiredSpec]
    run_end: RunEnd = field(default_factory=well)
    stop_seconds: float = 30
    refuse: Callable[[Action, datetime], bool] = lambda _action, _now: False
    extra: dict[str, Any] = field(default_factory=dict)
    recorded: Recorded = field(default_factory=Recorded)
    runs: list[Run] = field(default_factory=list)
    events: list[e.Event] = field(default_factory=list)
    last: Plan | None = None
    planned: list[tuple[datetime, Action]] = field(default_factory=list)

    def wanted(self) -> Desired:
        """Returns the desired state in git."""
        return desired(*self.specs, **self.extra)

    def write(self, *events: e.Event) -> None:
        """Appends one batch of events."""
        self.events += events
        fold(self.recorded, self.recorded.position + 1, events)

    def every(self, seconds: float, until: datetime) -> None:
        """Runs passes at regular intervals, up to a time."""
        while self.now <= until:
            self.reconcile()
            self.now += timedelta(seconds=seconds)

    def reconcile(self) -> Plan:
        """Runs one pass: observe, plan, apply."""
        self.observe()
        made = plan(self.wanted(), self.recorded, self.now)
        self.last = made
        for new, old in made.renames.items():
            self.write(
                e.SpecRenamed(at=time_text(self.now), name=new, renamed_from=old, actor="tests", tool_version="0")
            )
        for name in dict.fromkeys(action.name for action in made.actions):
            mine = [action for action in made.actions if action.name == name]
            for action in sorted(mine, key=lambda a: a.action is not ActionType.SUBMIT):
                self.planned.append((self.now, action))
                self.do(action)
        for begin in made.schedule_changes:
            record = self.recorded.spec(begin.name)
            event = event_of(begin, record, self.now, "tests")
            if event is not None:
                self.write(*missed_by(begin, record, self.now), event)
        return made

    def observe(self) -> None:
        """Records the state of every live run."""
        for submission in list(self.recorded.live()):
            run = next(run for run in self.runs if run.run_id == submission.run_id)
            state = run.state(self.now)
            if run.visible and state != submission.run_state:
                ended = time_text(run.ends) if run.ends and state not in LIVE_STATES else None
                self.write(
                    e.Observed(
                        at=time_text(self.now), name=submission.name, token=run.token, run_id=run.run_id, state=state,
                        aws_state=state.upper(), started_at=time_text(run.started), finished_at=ended,
                    )
                )  # fmt: skip

    def do(self, action: Action) -> None:
        """Applies one action, as apply does."""
        match action.action:
            case ActionType.SUBMIT:
                self.submit(action)
            case ActionType.REPLACE:
                old = next(run for run in self.runs if run.run_id == action.replaces)
                self.cancel(old, replacing=True)
            case ActionType.CANCEL:
                self.cancel(next(run for run in self.runs if run.run_id == action.run_id), replacing=None)
            case ActionType.SKIP:
                self.skip(action)
            case _:
                pass

    def submit(self, action: Action) -> None:
        """Records the intent and the outcome: AWS accepts the request unless the test refuses it."""
        submission = self.recorded.by_token.get(action.client_token or "")
        record = self.recorded.spec(action.name)
        if action.send == 1:
            assert submission is None, "a token used again"
            assert all(s.key != action.key for s in record.submissions), "a submission intended twice"
            assert action.beside or record.head == action.ledger_head, (
                "the spec was changed by an earlier action of this plan"
            )
        assert action.request is not None
        assert action.key is not None
        intent = e.Intended(
            at=time_text(self.now), token=action.client_token or "", kind=action.kind, key=action.key,
            content=action.content, send=action.send, not_after=time_text(self.now + timedelta(seconds=30)), owner="o",
            reason=str(action.reason), actor="tests", tool_version="0",
            backoff_limit=action.backoff_limit or None, settled_slots=action.handled_until,
        )  # fmt: skip
        of = {"at": time_text(self.now), "name": action.name, "token": intent.token}
        if self.refuse(action, self.now):
            self.write(intent)
            self.write(e.Unsent(**of, send=action.send, code="Refused", message="not now", refused=True))
            return
        seconds, end = self.run_end(action, self.now)
        run = Run(
            f"run-{len(self.runs) + 1}", action.name, intent.token, action.generation, action.slot, action.attempt,
            self.now, None if seconds is None else self.now + timedelta(seconds=seconds), end, action.request,
        )  # fmt: skip
        self.runs.append(run)
        self.write(intent)
        self.write(e.Submitted(**of, send=action.send, run_id=run.run_id))

    def cancel(self, run: Run, *, replacing: bool | None) -> None:
        """Cancels a run, which ends shortly afterwards."""
        of: dict[str, Any] = {"at": time_text(self.now), "name": run.name, "token": run.token, "run_id": run.run_id}
        self.write(e.CancelAsked(**of, reason="tests", actor="tests", replacing=replacing))
        self.end_soon(run, "cancelled")
        run.cancelled = True
        self.write(e.CancelAccepted(**of))

    def end_soon(self, run: Run, end: str) -> None:
        """Lets a run without an end time end soon."""
        soon = self.now + timedelta(seconds=self.stop_seconds)
        if run.ends is None or run.ends > soon:
            run.ends, run.end = soon, end

    def skip(self, action: Action) -> None:
        """Records missed slots, in one batch."""
        assert action.missed, "nothing is unresolved in this world"
        self.write(
            *(
                e.Missed(
                    at=time_text(self.now), name=action.name, first=missed.first, last=missed.last, count=missed.count,
                    slots=missed.slots, reason=missed.reason,
                    settled=action.handled_until if missed is action.missed[-1] else None,
                )
                for missed in action.missed
            )
        )  # fmt: skip

    def of(self, name: str) -> list[Run]:
        """Returns the runs of a spec, oldest first."""
        return [run for run in self.runs if run.name == name]

    def missed(self, name: str) -> list[e.Missed]:
        """Returns the recorded missed slots of a spec."""
        return [event for event in self.events if isinstance(event, e.Missed) and event.name == name]

    def missed_slots(self, name: str) -> list[str]:
        """Returns every missed slot, sorted by time; do not use it if there are long ranges."""
        return [slot for event in self.missed(name) for slot in event.slots or ()]


def slots_of(runs: Iterable[Run]) -> list[str]:
    """Returns the slots of runs, in the order of submission."""
    return [run.slot or "" for run in runs]


def minutes(where: World, number: float) -> None:
    """Runs one pass per simulated minute."""
    where.every(60, where.now + timedelta(minutes=number))


def contents(where: World, name: str = "orders") -> list[str]:
    """Returns the contents that ran, in order."""
    return [run.request["containerOverrides"]["command"][1] for run in where.of(name)]


def moment(value: str) -> datetime:
    """Returns the time that a text represents."""
    return parse_time(value)


def tick(value: datetime) -> str:
    """Returns a time in the format of a slot, to the second."""
    return seconds_text(value)


__all__ = ["PLACE", "Reason", "Run", "World", "moment", "replace", "slots_of", "tick", "well"]
