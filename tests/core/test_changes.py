"""Tests that every change, for every kind of spec in every state, is shown with its effect, and is not shown again by a
second pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.changes import policy_changes, policy_json
from reconciler.core.checkout import Ancestry, Checkout
from reconciler.core.decide import plan
from reconciler.core.declarations import Declared, Undeclared
from reconciler.core.desired import DesiredSpec
from reconciler.core.events import Event
from reconciler.core.identity import digest, request_digest
from reconciler.core.plan import ActionType, Plan, Reason, SpecChange
from tests.builders import NOW, at, desired, outcome, ran, recorded, request, scheduled, slot_intended, spec
from tests.campaigns import in_one_test

HOURLY = {"schedule": "0 * * * *"}
KINDS: dict[str, Mapping[str, Any]] = {"one-off": {}, "scheduled": HOURLY}
EDITS: dict[str, Mapping[str, Any]] = {
    "backoffLimit": {"backoffLimit": 2},
    "deletionPolicy": {"deletionPolicy": "Cancel"},
    "concurrencyPolicy": {"concurrencyPolicy": "Allow"},
    "suspend": {"suspend": {"reason": "month end"}},
    "startingDeadlineSeconds": {"startingDeadlineSeconds": 60},
    "dependsOn[0].name": {"dependsOn": [{"name": "other"}]},
    "schedule": {"schedule": "30 4 * * *"},
    "targets": {"targets": ["prod"]},
}
LAST, DUE = "2026-11-22T01:00:00Z", "2026-11-22T02:00:00Z"


def declared(wanted: DesiredSpec, **more: Any) -> Declared:
    """Returns the declaration of a spec, recorded an hour ago."""
    fields: dict[str, Any] = {
        "at": at(-3000),
        "name": wanted.name,
        "kind": wanted.kind,
        "digest": wanted.digest,
        "request_digest": request_digest(wanted.request),
        "policy": dict(policy_json(wanted)),
        "request": wanted.request,
        "source": wanted.source,
        "commit": "old",
        "actor": "tests",
        "tool_version": "0.2.0",
    }
    return Declared(**{**fields, **more})


def undeclared(name: str = "orders", **more: Any) -> Undeclared:
    """Returns the event that a spec was removed from git, recorded an hour ago."""
    return Undeclared(**{"at": at(-2000), "name": name, "actor": "tests", "tool_version": "0.2.0", **more})


def history(kind: str, state: str) -> Sequence[Event]:
    """Returns the events of a spec that has never run, whose run is live, or whose run has ended."""
    begun = [scheduled(seconds=-5400)] if kind == "scheduled" else []
    if state == "none":
        return begun
    if kind == "one-off":
        return ran("A", end=None if state == "live" else "succeeded")
    intent = slot_intended(LAST)
    ends = [] if state == "live" else [outcome("succeeded", intent, run_id="run-1")]
    return [*begun, intent, outcome("submitted", intent, run_id="run-1"), *ends]


def planned(now: DesiredSpec | None, *events: Event, **more: Any) -> Plan:
    """Returns the plan for a spec or, without one, for a project that contains only another spec."""
    other = spec("A", "other")
    specs = [other] if now is None else [other, now]
    return plan(desired(*specs, **more), recorded(*ran("A", name="other"), declared(other), *events), NOW)


def change_of(made: Plan) -> SpecChange:
    """Returns the only change of a plan."""
    [change] = made.changes
    return change


@in_one_test("state", ["none", "live", "ended"])
@in_one_test("edit", EDITS)
@in_one_test("kind", KINDS)
def test_every_edit_of_a_policy_is_shown_by_its_field(kind: str, edit: str, state: str):
    """The change is shown in every state of the spec and its run, and is not shown again after it was declared."""
    before, after = spec("A", policy=KINDS[kind]), spec("A", policy={**KINDS[kind], **EDITS[edit]})
    events = [*history(kind, state), declared(before)]

    change = change_of(planned(after, *events))
    again = planned(after, *events, declared(after))

    assert change.change == "changed"
    assert edit in {field.path for field in change.fields}
    assert again.changes == ()


@pytest.mark.parametrize("state", ["none", "live", "ended"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_change_of_the_request_says_when_it_takes_effect(kind: str, state: str):
    """A one-off runs now or waits for its live run. A scheduled spec uses the change for the due slot, or waits for its
    live run."""
    events = [*history(kind, state), declared(spec("A", policy=KINDS[kind]))]

    change = change_of(planned(spec("B", policy=KINDS[kind]), *events))

    expected = {
        ("one-off", "none"): ("runs-now", None),
        ("one-off", "live"): ("waits", None),
        ("one-off", "ended"): ("runs-now", None),
        ("scheduled", "none"): ("next-slot", DUE),
        ("scheduled", "live"): ("waits", DUE),
        ("scheduled", "ended"): ("next-slot", DUE),
    }[kind, state]
    assert expected == (change.effect, change.effect_at)
    assert change.compared_with is not None


def test_without_a_due_slot_the_next_one_counts():
    """If the newest slot of a scheduled spec has run, a change takes effect with the next slot."""
    events = [*history("scheduled", "ended"), declared(spec("A", policy=HOURLY))]
    wanted = desired(spec("B", policy=HOURLY))

    made = plan(wanted, recorded(*events), NOW - timedelta(minutes=5))

    assert ("next-slot", DUE) == (change_of(made).effect, change_of(made).effect_at)
    assert change_of(made).message == "takes effect with the slot 2026-11-22T02:00Z"


def test_a_change_of_tags_is_shown_and_starts_no_run():
    """Tags are not part of the digest, but a change of them is shown to reviewers."""
    tagged = request(jobName="orders", tags={"team": "growth"})
    after = replace(spec("A"), content=replace(spec("A").content, request=tagged))

    made = planned(after, *ran("A"), declared(spec("A")))

    assert after.digest == spec("A").digest
    assert (change_of(made).effect, change_of(made).compared_with is None) == ("no-run", False)


@pytest.mark.parametrize(
    ("policy", "end", "effect", "message"),
    [
        ("Orphan", None, "run-goes-on", "run run-1 keeps running (deletionPolicy Orphan)"),
        ("Cancel", None, "run-is-cancelled", "run run-1 is cancelled (deletionPolicy Cancel)"),
        ("Orphan", "succeeded", "no-run", "starts and stops no run"),
    ],
)
@pytest.mark.parametrize("with_declaration", [True, False])
def test_a_removal_says_what_becomes_of_the_run(
    policy: str, end: str | None, effect: str, message: str, with_declaration: bool
):
    """Changes are also shown with a ledger without declarations, if it has any record of the spec. The removal is shown
    only once."""
    gone = spec("A", policy={"deletionPolicy": policy})
    events = [*ran("A", end=end, deletion_policy=policy), *([declared(gone)] if with_declaration else [])]
    if end is not None and not with_declaration:
        assert planned(None, *events).changes == ()
        return

    change = change_of(planned(None, *events))
    again = planned(None, *events, undeclared())

    assert (change.change, change.effect, change.message) == ("removed", effect, message)
    assert again.changes == ()


def test_a_removal_says_which_schedule_stops():
    """Later slots of the schedule never run, and neither does the due slot."""
    change = change_of(planned(None, *history("scheduled", "ended"), declared(spec("A", policy=HOURLY))))

    assert (change.change, change.message) == (
        "removed",
        "schedule stops: 0 * * * *; slot 2026-11-22T02:00:00Z never runs: the spec was removed before the slot ran",
    )


def test_a_spec_that_comes_back_is_added():
    """The spec does not run again, and its content is shown."""
    change = change_of(planned(spec("A"), *ran("A"), declared(spec("A")), undeclared()))

    assert (change.change, change.effect) == ("added", "no-run")


def test_a_new_spec_behind_a_dependency_is_added():
    """The change shows the content of the spec and the dependency that it waits for."""
    after = spec("A", policy={"dependsOn": [{"name": "other", "condition": "Succeeded"}]})
    other = spec("A", "other")

    made = plan(desired(other, after), recorded(*ran("A", name="other", end=None), declared(other)), NOW)

    change = change_of(made)
    assert (change.change, change.effect) == ("added", "waits")
    assert "run run-1 of other" in change.message
    assert change.content == after.content


@pytest.mark.parametrize("kind", KINDS)
def test_a_ledger_without_declarations_invents_no_change(kind: str):
    """Policy fields that the ledger does not contain count as unchanged. The first pass declares these fields."""
    policy = {**KINDS[kind], "backoffLimit": 3, "concurrencyPolicy": "Allow"}
    wanted = spec("A", policy=policy)

    made = plan(desired(wanted), recorded(*history(kind, "ended")), NOW)

    assert made.changes == ()
    assert [pending.policy["backoffLimit"] for pending in made.declarations] == [3]


@in_one_test(
    ("now", "paths"),
    [
        (spec("A", policy={"schedule": "30 4 * * *"}), ["schedule"]),
        (spec("A", policy={**HOURLY, "timeZone": "Europe/Madrid"}), ["timeZone"]),
        (spec("A", policy={**HOURLY, "deletionPolicy": "Cancel"}), ["deletionPolicy"]),
        (spec("A"), ["schedule"]),
        (spec("B", policy=HOURLY), []),
    ],
)
def test_a_ledger_without_declarations_hides_no_change(now: DesiredSpec, paths: list[str]):
    """The values that the ledger contains are compared: the content, the schedule and the deletion policy."""
    change = change_of(plan(desired(now), recorded(*history("scheduled", "ended")), NOW))

    assert [field.path for field in change.fields] == paths
    assert (change.compared_with is not None) == (now.digest != spec("A").digest)


STALE = {
    "older": (Checkout("old", {"new": Ancestry.NEWER}), "is older than"),
    "diverged": (Checkout("old", {"new": Ancestry.UNKNOWN}), "diverged: this checkout"),
    "not fetched": (Checkout("old", {"new": Ancestry.MISSING}), "older or diverged: this clone"),
    "shallow": (Checkout("old", {"new": Ancestry.UNKNOWN}, shallow=True), "shallow clone: fetch the whole history"),
}


@in_one_test("stale", STALE)
@in_one_test("edit", [*EDITS, "request", "removal"])
@in_one_test("kind", KINDS)
def test_an_old_checkout_changes_nothing(kind: str, edit: str, stale: str):
    """The spec has one hold with a reason. No schedule starts or stops, and nothing is cancelled or declared. With
    `--allow-rollback`, the change is carried out."""
    checkout, words = STALE[stale]
    newest = declared(spec("A", policy=KINDS[kind]), commit="new")
    after = {"removal": None, "request": spec("B", policy=KINDS[kind])}.get(
        edit, spec("A", policy={**KINDS[kind], **EDITS.get(edit, {})})
    )
    events = [*history(kind, "live"), newest]

    made = planned(after, *events, checkout=checkout)
    rolled_back = planned(after, *events, checkout=checkout, allow_rollback=True)

    [action] = [action for action in made.actions if action.name == "orders"]
    assert (action.action, action.reason) == (ActionType.HOLD, Reason.STALE_CHECKOUT)
    assert words in action.message
    assert [pending.name for pending in made.declarations if pending.name == "orders"] == []
    assert made.schedule_changes == ()
    assert change_of(made).stale
    assert not change_of(rolled_back).stale
    assert "orders" in {pending.name for pending in rolled_back.declarations}


def test_an_old_checkout_with_the_same_content_works():
    """The slots of the spec run, because the old checkout would undo nothing."""
    same = spec("A", policy=HOURLY)
    events = [*history("scheduled", "ended"), declared(same, commit="new")]

    made = plan(desired(same, checkout=STALE["older"][0]), recorded(*events), NOW)

    assert [(action.action, action.slot) for action in made.actions] == [(ActionType.SUBMIT, DUE)]


def test_declarations_make_no_plan_stale():
    """A declaration does not change the head of a spec, so a plan file that was made before it can still be applied."""
    before, after = recorded(*ran("A")), recorded(*ran("A"), declared(spec("A")), undeclared())

    assert before.spec("orders").head == after.spec("orders").head


def test_an_empty_project_withdraws_nothing():
    """The removal of the specs is shown but not carried out."""
    made = plan(desired(), recorded(*ran("A", end=None), declared(spec("A"))), NOW)

    assert [change.effect for change in made.changes] == ["run-goes-on"]
    assert made.declarations == ()


def test_a_policy_field_that_a_declaration_does_not_have_counts_as_its_default():
    """If a later version adds fields to policies, its first plan shows no change for them."""
    policy = {name: value for name, value in policy_json(spec("A")).items() if name != "backoffSeconds"}

    made = planned(spec("A"), *ran("A"), declared(spec("A"), policy=policy))

    assert made.changes == ()


def test_policies_are_compared_field_by_field():
    """Mappings and lists of mappings are compared by entry. Missing values have no field."""
    before = spec(policy={"suspend": {"reason": "audit"}, "dependsOn": [{"name": "x"}]})
    after = spec(policy={"dependsOn": [{"name": "x", "condition": "Completed"}]})

    assert [(c.path, c.op, c.before, c.after) for c in policy_changes(policy_json(before), policy_json(after))] == [
        ("dependsOn[0].condition", "change", "Succeeded", "Completed"),
        ("suspend", "change", True, False),
        ("suspend.reason", "remove", "audit", None),
    ]


def test_another_revision_is_a_field():
    """A changed revision changes the digest but not the request."""
    after = spec("A", policy={"revision": 2})

    change = change_of(planned(after, *ran("A"), declared(spec("A"))))

    assert digest("BatchJob", 2, after.request) == after.digest
    assert ([field.path for field in change.fields], change.effect) == (["revision"], "runs-now")
    assert change.compared_with is None
