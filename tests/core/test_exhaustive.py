"""Tests invariants of the plan for every short history, spec, policy and lookup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest

from reconciler.core import events as e
from reconciler.core.checkout import Ancestry, Checkout
from reconciler.core.decide import plan
from reconciler.core.desired import Desired
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Recorded, Sighting
from reconciler.core.unresolved import proven_absent
from tests.builders import NOW, desired, intended, outcome, recorded, spec

# The events of one submission after its intent.
STORIES: Sequence[tuple[str, ...]] = (
    (),
    ("unclear",),
    ("unclear", "proven"),
    ("unclear", "proven", "superseded"),
    ("unsent",),
    ("rejected",),
    ("conflicted",),
    ("submitted",),
    ("submitted", "running"),
    ("submitted", "succeeded"),
    ("submitted", "failed"),
    ("submitted", "cancelled"),
    ("adopted", "cancel-asked", "cancelled"),
)
CONTENTS = ("A", "B")
LOOKS = ("not-looked", "absent", "found", "two", "error")
STEPS = [pytest.param(47, id="every 47th"), pytest.param(1, id="all", marks=pytest.mark.soak)]
"""`make test` uses every 47th history of two generations. 47 divides none of the numbers of choices above, so each
choice occurs."""


def histories(step: int) -> Iterator[tuple[e.Event, ...]]:
    """Yields histories of up to two generations, with any content and outcome, one or forty minutes old.

    Yields all histories of up to one generation, and every `step`-th history of two generations.
    """
    count = 0
    yield ()
    for content, story, age in product(CONTENTS, STORIES, (-60, -2400)):
        first = _told(content, 1, story, age)
        yield first
        if story and story[-1] not in {"unclear", "conflicted", "proven"}:
            for content2, story2 in product(CONTENTS, STORIES):
                count += 1
                if count % step == 0:
                    yield (*first, *_told(content2, 2, story2, age))


def _told(content: str, generation: int, story: Sequence[str], age: int) -> tuple[e.Event, ...]:
    intent = intended(content, generation, seconds=age, deletion_policy="Cancel", commit="c")
    events: list[e.Event] = [intent]
    for kind in story:
        if kind == "proven":
            events += [outcome("absent", intent, seconds=look) for look in (-100, -30)]
        else:
            events.append(outcome(kind, intent, seconds=age))
    return tuple(events)


def wishes() -> Iterator[Desired]:
    """Yields every desired state: removed, or content × policy × suspension × checkout."""
    other = spec("A", "other")
    yield desired(other, selected=frozenset({"orders"}))
    yield desired()
    for content, policy, suspend, ancestry in product(
        CONTENTS, ("Forbid", "Allow", "Replace"), (False, True), (Ancestry.CONTAINED, Ancestry.NEWER)
    ):
        wanted = spec(content, policy={"concurrencyPolicy": policy, "suspend": suspend})
        yield desired(wanted, checkout=Checkout("head", {"c": ancestry}))


def looked(history: Sequence[e.Event], look: str) -> Recorded:
    """Folds a history, and adds the result of one lookup."""
    known = recorded(*history)
    for submission in list(known.unresolved()):
        found: dict[str, Any] = {"absent": [], "found": ["run-x"], "two": ["run-x", "run-y"]}
        if look in found:
            Sighting(runs_by_token={submission.token: found[look]}).lay_over(known)
        elif look == "error":
            Sighting(look_errors={submission.token: "AccessDenied"}).lay_over(known)
    return known


def check(action: Action, wanted: Desired, known: Recorded) -> None:
    """Checks the invariants that every action must satisfy."""
    record = known.spec(action.name)
    wish = wanted.specs.get(action.name)
    match action.action:
        case ActionType.SUBMIT:
            assert wish is not None
            others = [s for s in record.unresolved if s.token != action.client_token]
            assert not others, "a submit beside an unresolved submission"
            again = record.baseline is not None and record.baseline.digest == wish.digest
            assert not again or record.baseline is record.unresolved[0], "the same content again"
            assert not record.live or record.unresolved or wish.policy.concurrencyPolicy == "Allow", "overlap"
            assert wish.policy.suspend is False
            assert action.request == wish.request
            known_submission = known.by_token.get(action.client_token or "")
            if action.send == 1:
                assert known_submission is None, "a token used again"
                assert all(s.generation != action.generation for s in record.submissions), "a generation used again"
            else:
                assert known_submission is not None
                proven = proven_absent(known_submission, 1500) and known_submission.phase == "intended"
                assert known_submission.phase == "unsent" or proven, "sent again without proof of absence"
                assert not known.runs_by_token.get(known_submission.token), "sent again though a run was found"
        case ActionType.SKIP:
            assert proven_absent(known.by_token[action.client_token or ""], 1500), "superseded without proof"
        case ActionType.ADOPT:
            assert known.runs_by_token[action.client_token or ""] == (action.run_id,)
        case ActionType.CANCEL:
            assert wish is None
            assert wanted.names, "an empty project cancels"
            assert record.live
        case ActionType.REPLACE:
            assert wish is not None
            assert not record.unresolved, "a replacement beside an unresolved submission"
            assert wish.policy.concurrencyPolicy == "Replace"
            assert action.replaces in {run.run_id for run in record.live if run.cancel_asked_at is None}
            assert action.request == wish.request
        case _:
            assert action.request is None, "a request where nothing is submitted"
    assert action.ledger_head == record.head


@pytest.mark.campaign
@pytest.mark.parametrize("step", STEPS)
def test_every_short_history(step: int) -> None:
    """For every history and desired state, the plan is complete and no action breaks an invariant."""
    count = 0
    asked = list(wishes())
    for history, look in product(histories(step), LOOKS):
        known = looked(history, look)
        if look != "not-looked" and not any(known.unresolved()):
            continue  # nothing is unresolved, so a lookup changes nothing
        for wanted in asked:
            made = plan(wanted, known, NOW)
            names = {a.name for a in made.actions}
            assert names >= set(wanted.specs if wanted.selected is None else ())
            assert names >= ({"orders"} if history else set())
            assert list(made.actions) == sorted(made.actions, key=lambda a: a.name)
            for action in made.actions:
                check(action, wanted, known)
            count += 1
    assert count > 20_000 // step


@pytest.mark.campaign
@pytest.mark.parametrize("step", STEPS)
def test_an_applied_plan_is_in_sync(step: int) -> None:
    """If everything that a plan submits is accepted and succeeds, the next plan does nothing."""
    asked = list(wishes())
    for history in histories(step):
        known = recorded(*history)
        for wanted in asked:
            made = plan(wanted, known, NOW)
            for action in made.actions:
                if action.action is not ActionType.SUBMIT or action.generation is None:
                    continue
                content = wanted.specs[action.name].request["containerOverrides"]["command"][1]
                intent = intended(content, action.generation, send=action.send)
                done = [intent, outcome("submitted", intent, send=action.send), outcome("succeeded", intent)]
                (after,) = plan(wanted, recorded(*history, *done), NOW).actions
                assert (after.action, after.reason) == (ActionType.NONE, Reason.IN_SYNC)
