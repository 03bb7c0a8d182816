"""Tests passes with `--applied-only`, which act on no change in git and continue everything that is already applied."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.decide import plan
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.events import Event
from reconciler.core.plan import ActionType, Plan, Reason
from tests.builders import NOW, desired, ran, recorded, scheduled, spec
from tests.core.test_changes import declared

HOURLY = {"schedule": "0 * * * *"}


def applied_only(wanted: Desired, *events: Event) -> Plan:
    """Returns the plan of a pass with `--applied-only`."""
    return plan(replace(wanted, applied_only=True), recorded(*events), NOW)


def decided(made: Plan) -> list[tuple[str, str, str]]:
    """Returns the name, action and reason of each action."""
    return [(action.name, str(action.action), str(action.reason)) for action in made.actions]


CHANGED = {
    "new": (spec("A"), []),
    "content": (spec("B"), [*ran(), declared(spec("A"))]),
    "policy": (spec("A", policy={"backoffLimit": 3}), [*ran(), declared(spec("A"))]),
    "schedule": (
        spec("A", policy={"schedule": "30 4 * * *"}),
        [declared(spec(policy=HOURLY)), scheduled()],
    ),
}


@pytest.mark.parametrize(("wanted", "events"), CHANGED.values(), ids=CHANGED)
def test_a_change_in_git_is_on_hold_and_not_declared(wanted: DesiredSpec, events: list[Event]):
    """A new spec, and a change of content, policy or schedule, are on hold with a reason, and are not recorded as
    applied."""
    made = applied_only(desired(wanted), *events)

    assert decided(made) == [("orders", "hold", "stale-checkout")]
    assert "not applied yet" in made.actions[0].message
    assert made.declarations == ()
    assert made.schedule_changes == ()


def test_a_removed_spec_keeps_its_run():
    """If a spec was removed from git, its run is not cancelled, even if its deletion policy is Cancel."""
    gone = spec("A", policy={"deletionPolicy": "Cancel"})

    made = applied_only(desired(spec("A", "other")), *ran(deletion_policy="Cancel"), declared(gone), *ran(name="other"))

    assert ("orders", "hold", "stale-checkout") in decided(made)
    assert all(action.action is not ActionType.CANCEL for action in made.actions)


def test_what_is_applied_goes_on():
    """A due slot of an unchanged spec is submitted while a change of another spec is on hold."""
    hourly = spec("A", "hourly", policy=HOURLY)
    events = [declared(hourly, name="hourly"), scheduled("hourly", seconds=-1800), *ran(), declared(spec("A"))]

    made = applied_only(desired(hourly, spec("B")), *events)

    assert decided(made) == [("hourly", "submit", "slot-due"), ("orders", "hold", "stale-checkout")]


def test_an_applied_spec_that_was_not_sent_is_submitted():
    """If an apply declared content but could not send it, the pass sends it, because it is already applied."""
    made = applied_only(desired(spec("A")), declared(spec("A")))

    assert [(action.action, action.reason) for action in made.actions] == [(ActionType.SUBMIT, Reason.NEW)]


def test_nothing_is_left_to_an_apply_without_the_option():
    """Without the option, the same change runs."""
    made = plan(desired(spec("B")), recorded(*ran(), declared(spec("A"))), NOW)

    assert [action.action for action in made.actions] == [ActionType.SUBMIT]
