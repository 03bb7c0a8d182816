"""Tests that a plan has nothing to do and nothing to show for a spec that is recognized as at rest."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given

from reconciler.core.at_rest import action_at_rest, is_at_rest
from reconciler.core.checkout import Ancestry, Checkout
from reconciler.core.decide import changed_names, plan
from reconciler.core.desired import DesiredSpec, RenamedFrom
from reconciler.core.events import Event
from reconciler.core.fold import fold
from reconciler.core.plan import ActionType, Reason
from reconciler.core.state import Recorded
from tests.builders import NOW, desired, intended, outcome, recorded, spec
from tests.campaigns import in_one_test
from tests.core.histories import NAMES, stories
from tests.core.test_changes import declared, undeclared
from tests.core.test_exhaustive import histories


def succeeded(content: str = "A", generation: int = 1, name: str = "orders", **more: Any) -> list[Event]:
    """Returns the events of one successful run of a spec and of the declaration of its content."""
    intent = intended(content, generation, name, commit="c", **more)
    events = [intent, outcome("submitted", intent), outcome("succeeded", intent)]
    return [*events, declared(spec(content, name), request=None, token=intent.token)]


def check_nothing_to_do(wanted: DesiredSpec, known: Recorded) -> None:
    """Checks that the plan contains only one action for the spec, which does nothing, at any time and from any
    checkout."""
    for ancestry in Ancestry:
        checkout = Checkout("head", {"c": ancestry, "old": ancestry}, uncommitted=True)
        for now in (NOW, NOW + timedelta(days=400)):
            target = desired(wanted, selected=frozenset({wanted.name}), checkout=checkout)
            made = plan(target, known, now)
            (action,) = made.actions
            assert (action.action, action.reason, action.message) == (ActionType.NONE, Reason.IN_SYNC, "")
            assert action == action_at_rest(known.spec(wanted.name), wanted.source)
            assert not action.overdue
            assert action.next_slot is None
            assert not made.changes
            assert not made.schedule_changes
            assert not [each for each in made.declarations if each.name == wanted.name]
            assert not [record for record in changed_names(target, known) if record.name == wanted.name]


def test_a_spec_whose_run_succeeded_is_at_rest() -> None:
    """A spec whose current content succeeded is recognized, even after several generations and attempts."""
    failed = intended("A", 1)
    again = intended("A", 1, key=replace(failed.key, attempt=2), token="r1-second")
    retried = [failed, outcome("submitted", failed), outcome("failed", failed)]
    retried += [again, outcome("submitted", again, run_id="run-2"), outcome("succeeded", again, run_id="run-2")]
    for history in (
        succeeded(),
        [*succeeded("B"), *succeeded("A", 2)],
        [*retried, declared(spec("A"), request=None, token=again.token)],
    ):
        known = recorded(*history)
        assert is_at_rest(spec("A"), known.spec("orders"))
        check_nothing_to_do(spec("A"), known)


def test_what_is_recognized_has_nothing_to_do() -> None:
    """For every short history with a declaration, a plan has nothing to do for a recognized spec."""
    number = 0
    specs = [spec(content, policy=policy) for content in "AB" for policy in ({}, {"backoffLimit": 2})]
    for history in histories(47):
        for last in (declared(specs[0]), declared(specs[3])):
            known = recorded(*history, last)
            for wanted in specs:
                if is_at_rest(wanted, known.spec("orders")):
                    check_nothing_to_do(wanted, known)
                    number += 1
    assert number >= 5


@given(stories())
def test_no_event_makes_a_wrong_recognition(story: Sequence[Event]) -> None:
    """After any further event about specs at rest, a plan has nothing to do for those that are still recognized."""
    known = recorded(*(event for name in NAMES for event in succeeded("A", 3, name)))
    for event in story:
        tried = deepcopy(known)
        try:
            fold(tried, known.position + 1, [event])
        except Exception:  # noqa: BLE001 - what is refused is not in any ledger
            continue
        known = tried
    for name in NAMES:
        wanted = spec("A", name)
        if not known.rollbacks and is_at_rest(wanted, known.spec(name)):
            check_nothing_to_do(wanted, replace(known, moved=None))


OTHERS: dict[str, tuple[DesiredSpec, list[Event]]] = {
    "a new spec": (spec("A"), []),
    "another content": (spec("B"), succeeded()),
    "another policy": (spec("A", policy={"backoffLimit": 1}), succeeded()),
    "a schedule": (spec("A", policy={"schedule": "0 0 * * *"}), succeeded()),
    "a suspension": (spec("A", policy={"suspend": True}), succeeded()),
    "a restart": (spec("A", policy={"restartPolicy": "Always"}), succeeded()),
    "a former name": (replace(spec("A"), renamed_from=RenamedFrom("old", "orders.yaml:1:1")), succeeded()),
    "a doubt": (replace(spec("A"), doubts=("a doubt",)), succeeded()),
    "no declaration": (spec("A"), succeeded()[:-1]),
    "a withdrawn declaration": (spec("A"), [*succeeded(), undeclared()]),
    "a live run": (spec("A"), [*succeeded()[:2], declared(spec("A"))]),
    "an open submission": (spec("A"), [*succeeded(), intended("A", 2)]),
    "a request to retry": (spec("A"), [*succeeded(), outcome("retry-asked", intended("A"))]),
}


@in_one_test("case", OTHERS)
def test_other_specs_are_left_to_the_plan(case: str) -> None:
    """A spec is not recognized in any other case, so the plan decides about it."""
    wanted, history = OTHERS[case]
    assert not is_at_rest(wanted, recorded(*history).spec("orders"))
