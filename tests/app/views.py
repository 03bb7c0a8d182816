"""Builds views of specs for manual decisions from events, without AWS or a ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from reconciler.app.decisions import Decision, Operator, SpecView
from reconciler.app.inputs import PassInputs
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.desired import DesiredSpec
from reconciler.core.ports import RunFacts, RunReport
from reconciler.core.suggestions import Invocation
from reconciler.core.times import time_text
from tests.builders import NOW, PLACE, at, desired, recorded, spec

SETTLE_SECONDS = 900
OPERATOR = Operator(actor="tests", reason="fixed")


@dataclass
class FakeAws:
    """A fake AWS with a correct clock that describes the given runs, all of them in one location."""

    runs: Mapping[str, RunFacts]

    def inventory(self, _kind: str) -> FakeAws:
        """Returns this object as the `ports.Inventory` of every kind."""
        return self

    def described(self, _locate: Mapping[str, str], run_ids: Sequence[str]) -> Mapping[str, RunFacts]:
        """Returns the runs with these ids."""
        return {run_id: self.runs[run_id] for run_id in run_ids if run_id in self.runs}

    def place(self, _locate: Mapping[str, str]) -> str:
        """Returns the name of the only location."""
        return "queue etl"

    def check_clock(self) -> None:
        """Accepts the clock."""


BY = Invocation("prod")


@dataclass
class FakeSession:
    """The parts of `app.session.Session` that the decisions use."""

    aws: FakeAws
    suspend: object = False
    place: object = PLACE
    invocation: Invocation = BY

    def now(self) -> datetime:
        """Returns the fixed time of the tests."""
        return NOW

    @property
    def target(self) -> object:
        """Returns the target with its settling time."""
        return SimpleNamespace(settleSeconds=SETTLE_SECONDS)

    @property
    def project(self) -> object:
        """The project, suspended or not."""
        return SimpleNamespace(spec=SimpleNamespace(suspend=self.suspend))


def view(
    *events: e.Event,
    specs: Sequence[DesiredSpec] | None = None,
    runs: Sequence[RunFacts] = (),
    runs_by_token: Mapping[str, tuple[str, ...]] | None = None,
    look_errors: Mapping[str, str] | None = None,
) -> SpecView:
    """Returns the view of `orders`: its events, its spec in git, the runs that AWS describes, and what this pass
    observed."""
    state = recorded(*events)
    state.runs_by_token.update(runs_by_token or {})
    state.look_errors.update(look_errors or {})
    asked = [spec()] if specs is None else specs
    session = FakeSession(FakeAws({run.run_id: run for run in runs}))
    inputs = PassInputs({each.name: each for each in asked}, frozenset({"orders"}), state)
    return SpecView(cast("Any", session), "orders", OPERATOR, inputs, plan(desired(*asked), state, NOW))


def run_facts(run_id: str, tags: Mapping[str, str] | None = None) -> RunFacts:
    """Returns AWS's description of a running Batch job."""
    report = RunReport(exists=True, state="running", aws_state="RUNNING")
    return RunFacts(run_id, "orders", tags or {}, at(-600), report)


def events_of(decision: Decision) -> list[Sequence[e.Event]]:
    """Returns the events that each batch of a decision appends."""
    return [batch.events(time_text(NOW)) for batch in decision.batches]
