"""Tests that invalid specs are on hold, and that no decision is based on their missing content."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.declarations import Declared, Undeclared
from reconciler.core.desired import InvalidSpec
from reconciler.core.identity import Source
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Recorded
from reconciler.errors import Problem
from tests.builders import NOW, at, desired, intended, ran, recorded, scheduled, spec, token

PROBLEM = Problem("orders.yaml", 7, 5, "unknown field spec.oops", "unknown-field")
BROKEN = InvalidSpec("BatchJob", Source("orders.yaml", 4), (PROBLEM,))
HELD = (ActionType.HOLD, Reason.INVALID_SPEC)


def decided(actions: tuple[Action, ...]) -> list[tuple[str, ActionType, Reason]]:
    """Returns the name, action and reason of each action."""
    return [(action.name, action.action, action.reason) for action in actions]


def broken(state: Recorded, *specs: str, why: InvalidSpec = BROKEN) -> tuple[Action, ...]:
    """Returns the actions for a broken spec `orders` in a project with valid specs."""
    others = [spec(name=name) for name in specs]
    names = frozenset({*specs, *(() if why.elsewhere else ("orders",))})
    return plan(desired(*others, names=names, invalid={"orders": why}), state, NOW).actions


def test_a_hold_has_the_place_and_the_others_are_planned():
    """The hold does not refer to a submission. Its message has the path, line and column."""
    hold, submit = broken(recorded(*ran(end="running")), "rates")
    assert decided((hold, submit)) == [("orders", *HELD), ("rates", ActionType.SUBMIT, Reason.NEW)]
    assert hold.message == "orders.yaml:7:5: unknown field spec.oops"
    assert (str(hold.source), hold.kind, hold.client_token) == ("orders.yaml:4", "BatchJob", None)


def test_a_spec_that_was_never_applied_is_held_too():
    """The spec is on hold because its name is in git."""
    assert decided(broken(recorded())) == [("orders", *HELD)]


def test_nothing_changes_and_nothing_is_declared():
    """The hold is the only action: no change, no stopped schedule, no declaration and no cancellation."""
    begun = scheduled(schedule="0 * * * *")
    state = recorded(begun, *ran(end="running", deletion_policy="Cancel"))
    made = plan(desired(names=frozenset({"orders"}), invalid={"orders": BROKEN}), state, NOW + timedelta(days=2))
    assert decided(made.actions) == [("orders", *HELD)]
    assert (made.changes, made.schedule_changes, made.declarations, made.pending) == ((), (), (), ())
    assert made.held == made.actions


def test_a_run_that_was_found_is_adopted_and_everything_else_waits():
    """A run that was found is adopted, which is always safe. An unresolved submission is neither sent again nor
    superseded."""
    state = recorded(intended())
    assert decided(broken(state)) == [("orders", *HELD)]
    state.runs_by_token[token()] = ("run-1",)
    assert decided(broken(state)) == [("orders", ActionType.ADOPT, Reason.FOUND), ("orders", *HELD)]


def test_a_requested_cancellation_waits():
    """The cancellation waits, because the unreadable spec may be suspended."""
    state = recorded(*ran(end="running"), e.CancelAsked(at=at(), name="orders", token=token(), actor="x", reason="y"))
    assert decided(broken(state)) == [("orders", *HELD)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        (ran(end="succeeded"), [("orders", ActionType.NONE, Reason.RETIRED)]),
        (ran(end="running"), [("orders", *HELD)]),
        ([intended()], [("orders", *HELD)]),
    ],
    ids=["never", "ended", "live", "unresolved"],
)
def test_a_spec_of_other_targets_is_held_only_if_its_removal_would_matter(events, expected):
    """The same applies to the former name of a broken spec."""
    elsewhere = InvalidSpec("BatchJob", Source("orders.yaml", 4), (PROBLEM,), elsewhere=True)
    assert decided(broken(recorded(*events), "rates", why=elsewhere))[: len(expected)] == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (ran(end="succeeded"), (ActionType.NONE, Reason.RETIRED)),
        (ran(end="running", deletion_policy="Cancel"), HELD),
        ([intended()], HELD),
        ([scheduled(schedule="0 * * * *")], HELD),
    ],
    ids=["ended", "live", "unresolved", "scheduled"],
)
def test_a_name_that_is_missing_is_held_while_a_file_is_unreadable(events, expected):
    """The unreadable file may contain the name. A spec whose runs ended and that was never declared is still
    retired."""
    unnamed = InvalidSpec("", Source("a.yaml", 1), (Problem("a.yaml", 1, 5, "expected a value"),))
    made = plan(desired(spec(name="rates"), unnamed=unnamed), recorded(*events), NOW)
    assert decided(made.actions)[0] == ("orders", *expected)
    assert [change.name for change in made.changes] == ["rates"]
    assert (made.schedule_changes, [each.name for each in made.declarations]) == ((), ["rates"])


def test_a_declared_spec_is_held_until_it_is_withdrawn():
    """The removal of a declared spec would withdraw its declaration, so the spec is on hold. After its declaration was
    withdrawn, the spec is retired."""
    unnamed = InvalidSpec("", Source("a.yaml", 1), (Problem("a.yaml", 1, 5, "expected a value"),))
    declared = Declared(
        at=at(), name="orders", kind="BatchJob", digest="sha256:0", request_digest="sha256:1", policy={}, request={},
        actor="x", tool_version="0",
    )  # fmt: skip
    undeclared = Undeclared(at=at(), name="orders", actor="x", tool_version="0")
    missing = desired(spec(name="rates"), unnamed=unnamed)
    assert decided(plan(missing, recorded(declared), NOW).actions)[0] == ("orders", *HELD)
    retired = plan(missing, recorded(declared, undeclared), NOW).actions[0]
    assert decided((retired,)) == [("orders", ActionType.NONE, Reason.RETIRED)]


def test_a_selection_leaves_other_broken_specs_alone():
    """Broken specs outside the selection still exist in git, so they are neither on hold nor removed."""
    rates = spec(name="rates")
    made = plan(
        desired(rates, names=frozenset({"rates", "orders"}), selected=frozenset({"rates"}), invalid={"orders": BROKEN}),
        recorded(*ran(end="running")),
        NOW,
    )
    assert [action.name for action in made.actions] == ["rates"]


def test_the_message_counts_further_problems_and_names_the_cause():
    """Each hold has one sentence."""
    other = Problem("orders.yaml", 9, 1, "x")
    assert InvalidSpec("", BROKEN.source, (PROBLEM, other), "orders").message == (
        "depends on orders, which is not valid: orders.yaml:7:5: unknown field spec.oops (and 1 more problem)"
    )
