"""Compares a story with the simulated facts: checks what must never happen, and what must be true at its end.

The oracle reads the events in the ledger and the runs in the simulated AWS. It never relies on the shipped fold or
plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from reconciler.core import events as e
from reconciler.core.times import parse_time
from tests.simulation.desired import content_of
from tests.simulation.faults import Faults
from tests.simulation.timeline import EPOCH, Timeline

if TYPE_CHECKING:
    from tests.simulation.cloud import Flight, Run
    from tests.simulation.command import Command


CLOCKS = 130.0
"""The maximum difference between two clocks, plus a margin."""
LONG_AGO = 120.0
"""The maximum duration in seconds of the calls of a pass without faults."""


class Violation(BaseException):
    """Raised if a promise was broken. It is not an `Exception`, so that no shipped code can catch it."""


@dataclass(slots=True)
class Oracle:
    """The facts about one story. `counts` maps (where, what) to the number of occurrences, `lines` is the history if it
    was requested, and `flights` contains all transmissions that arrived or may still arrive."""

    timeline: Timeline
    faults: Faults
    counts: Counter[tuple[str, str]]
    lines: list[str] | None = None
    flights: list[Flight] = field(default_factory=list)
    signed: list[tuple[str, float]] = field(default_factory=list)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    declined: set[str] = field(default_factory=set)
    intents: dict[str, list[e.Intended]] = field(default_factory=dict)
    keys: dict[object, str] = field(default_factory=dict)
    outcomes: dict[str, list[e.SubmissionEvent]] = field(default_factory=dict)
    intent_times: list[float] = field(default_factory=list)

    # --- telling ------------------------------------------------------------------------------------------------------

    def record(self, where: str, what: str) -> None:
        """Counts an event, and adds it to the history if that was requested."""
        self.counts[where, what] += 1
        if self.lines is not None:
            self.lines.append(f"{_time(self.timeline.now)}  {where}: {what}")

    def broken(self, promise: str) -> None:
        """Ends the story because a promise was broken."""
        if self.lines is not None:
            self.lines.append(f"{_time(self.timeline.now)}  BROKEN: {promise}")
        raise Violation(promise)

    # --- at every step ------------------------------------------------------------------------------------------------

    def written(self, command: Command, position: int, events: Sequence[e.Event]) -> None:
        """Checks a batch that was just written to the ledger."""
        for event in events:
            if not isinstance(event, e.SubmissionEvent):
                continue
            self.counts["event", event.type] += 1
            if self.lines is not None:
                self.lines.append(f"{_time(self.timeline.now)}  {command.who}: ledger {position}: {_said(event)}")
            self._check_event(event)

    def _check_event(self, event: e.SubmissionEvent) -> None:
        match event:
            case e.Intended():
                self._check_intent(event)
                if event.send > 1:
                    self.record("sent again", self._why_again(event))
                self.intents.setdefault(event.token, []).append(event)
                self.intent_times.append(self.timeline.now)
                return
            case e.Superseded():
                if self.may_still_run(event.token):
                    self.broken(f"superseded, and a run of it exists or can still come: {event.token[:9]}")
            case e.Submitted() | e.Adopted() | e.ManuallyAdopted():
                self._check_run(event)
            case e.Unsent() if event.code == "DeadlinePassed":
                self.record("deadline", "passed")
            case _:
                pass
        self.outcomes.setdefault(event.token, []).append(event)

    def _check_intent(self, event: e.Intended) -> None:
        if self.keys.setdefault(event.key, event.token) != event.token:
            self.broken(f"a second intent for {event.key.label} with another token")
        if any(earlier.send == event.send for earlier in self.intents.get(event.token, ())):
            self.broken(f"send {event.send} of {event.token[:9]} was intended twice")
        if event.key.attempt > 1 and event.token not in self.intents:
            self._check_attempt(event)
        for token in self.intents:
            if token != event.token and self.may_still_run(token):
                self.broken(f"a new intent while {token[:9]} has a run nobody recorded, or can still have one")

    def _why_again(self, event: e.Intended) -> str:
        """Returns the reason that justifies sending a submission again."""
        if not event.proven:
            return "at once, with the token"
        return "after proof of absence" if self._unclear(event) else "after a refusal"

    def _check_run(self, event: e.Submitted | e.Adopted | e.ManuallyAdopted) -> None:
        mine = self.runs.get(event.token, [])
        if event.run_id not in {run.run_id for run in mine}:
            self.broken(f"{event.type} with run {event.run_id}, which is not a run of this submission")
        if isinstance(event, e.Adopted) and event.by == "tag" and len(mine) > 1:
            self.broken("one of two runs with the tag was adopted, and nobody was asked")

    def transmitted(self, command: Command, request: Mapping[str, Any], token: str) -> None:
        """Checks a transmitted request: its intent must be stored, its bytes must equal those of the first request, and
        its content must be required by the spec."""
        intents = self.intents.get(token, [])
        own = next((intent for intent in reversed(intents) if intent.owner == command.owner), None)
        if own is None:
            self.broken(f"{command.who} transmits {token[:9]} without an intent of its own in the ledger")
            return
        if intents[0].request != request:
            self.broken(f"{command.who} transmits other bytes for {token[:9]} than its first intent holds")
        if command.wanted.asks != content_of(request):
            self.broken(
                f"{command.who} transmits {content_of(request)}, and the spec it read asks for {command.wanted.asks}"
            )
        if command.stopped_before_transmit:
            self.broken(f"{command.who} transmits after it was asked to stop")
        if self.faults.on_unknown == "Hold" and own.proven and self._unclear(own):
            self.broken(f"{command.who} sends {token[:9]} again, and onUnknown is Hold")

    def _unclear(self, send: e.Intended) -> bool:
        """Returns whether an earlier send has no recorded outcome."""
        ended = {o.send for o in self.outcomes.get(send.token, ()) if isinstance(o, e.Unsent | e.Rejected)}
        return any(
            earlier.send not in ended for earlier in self.intents.get(send.token, ()) if earlier.send < send.send
        )

    def accepted(self, run: Run) -> None:
        """Checks a run that AWS accepted and that is not a copy."""
        token = run.token or ""
        mine = self.runs.setdefault(token, [])
        mine.append(run)
        self.record("cloud", f"accepted {run.run_id}" if self.lines is not None else "accepted")
        if sum(not other.clone for other in mine) > 1:
            self.broken(f"two runs of one submission ({token[:9]}): {', '.join(r.run_id for r in mine)}")

    def cancelling(self, command: Command, run_id: str) -> None:
        """Checks a cancellation: it must be recorded before AWS is called."""
        events = [o for outcomes in self.outcomes.values() for o in outcomes]
        asked = [o for o in events if isinstance(o, e.CancelAsked) and o.run_id == run_id]
        if not asked:
            self.broken(f"{command.who} cancels {run_id} and nobody wrote that down")
        elif asked[-1].not_started:
            self._check_not_started(
                command, next(run for runs in self.runs.values() for run in runs if run.run_id == run_id)
            )

    def _check_not_started(self, command: Command, run: Run) -> None:
        """Checks that a run that is cancelled because it has not started has waited long enough, and did not start some
        time ago."""
        now = self.timeline.now
        self.record("cancelled", "a run that had not started")
        if now - run.accepted < self.faults.pending_seconds - CLOCKS:
            self.broken(f"{command.who} gives {run.run_id} up before its time")
        if run.starts + LONG_AGO < now < run.ends and not self.faults.freeze and self.faults.aim is None:
            self.broken(f"{command.who} gives {run.run_id} up, which has long started")

    def late(self, token: str) -> bool:
        """Returns whether the run of a submission was ended only because it did not start in time."""
        asked = [o for o in self.outcomes.get(token, ()) if isinstance(o, e.CancelAsked)]
        given_up = bool(asked) and all(o.not_started for o in asked)
        return any(run.by_queue or (run.cancelled and given_up) for run in self.runs.get(token, ()))

    def _check_attempt(self, event: e.Intended) -> None:
        """Checks that the previous attempt failed before a further attempt."""
        before = self.keys.get(replace(event.key, attempt=event.key.attempt - 1), "")
        self.record("attempt", "a further one")
        if any(self.timeline.now < run.ends for run in self.runs.get(before, ())):
            self.broken(f"{event.key.label} is intended while the attempt before it goes on")
        if not self.late(before) and not any(run.failed and not run.cancelled for run in self.runs.get(before, ())):
            self.broken(f"{event.key.label} is intended though the attempt before it did not fail")

    # --- what is true -------------------------------------------------------------------------------------------------

    def may_still_run(self, token: str) -> bool:
        """Returns whether a submission has a run that is not in the ledger, or a request that can still be accepted."""
        known = self.known(token)
        if any(run.run_id not in known for run in self.runs.get(token, ()) if not run.clone):
            return True
        now = self.timeline.now
        if known:
            return False
        return any(f.token == token and not f.landed and f.arrives - f.signed <= 900 for f in self.flights) or any(
            token == other and now - signed <= 900 for other, signed in self.signed
        )

    def first_intent(self, token: str) -> float:
        """Returns the time of a submission's first intent, by the clock of its process."""
        return parse_time(self.intents[token][0].at).timestamp() - EPOCH

    def known(self, token: str) -> set[str]:
        """Returns the runs of a submission that are in the ledger."""
        found: set[str] = set()
        for outcome in self.outcomes.get(token, ()):
            if isinstance(outcome, e.Submitted | e.Adopted | e.ManuallyAdopted):
                found.add(outcome.run_id)
            elif isinstance(outcome, e.Conflicted):
                found.update(outcome.run_ids)
        return found


def _time(now: float) -> str:
    hours, rest = divmod(now, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{int(hours):3d}:{int(minutes):02d}:{seconds:06.3f}"


def _said(event: e.SubmissionEvent) -> str:
    """Returns a short description of an event."""
    shown = {
        "generation": getattr(event, "generation", None),
        "send": getattr(event, "send", None),
        "run": getattr(event, "run_id", None),
        "state": getattr(event, "state", None),
        "code": getattr(event, "code", None),
        "looked": getattr(event, "looked_at", None),
    }
    words = ", ".join(f"{name} {value}" for name, value in shown.items() if value is not None)
    content = f", content {content_of(event.request)}" if isinstance(event, e.Intended) else ""
    return f"{event.type} {event.token[:9]} ({words}{content})"
