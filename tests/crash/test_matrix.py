"""Tests the rows of the crash matrix: the real command is stopped or meets a fault, and the result is checked.

Some rows run in `make test`, all of them in `make soak`. Rows that only stop at a point of the code are in
test_enumeration.py. docs/promise.md contains all rows.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.core.events import Adopted, Intended, Unsent
from reconciler.core.times import time_text
from reconciler.emulator import Plan, Rule
from tests.builders import intended
from tests.cli.world import ACCOUNT
from tests.crash.faults import SENDS
from tests.crash.points import Point
from tests.crash.world import CrashWorld, Verdict, unresolved, verdict
from tests.ledger.builders import always

ACCEPTED = Point("answered")
INTENDED = Point("recorded", "intended")


def test_frozen_after_the_intent_and_woken_after_the_deadline(world: CrashWorld):
    """After it is woken, the process detects that the deadline of the send has passed, and sends nothing. The next pass
    sends the request."""
    world.prepare(claim_seconds=1)
    world.batch("clicks")
    frozen = world.freeze(INTENDED)
    time.sleep(1.1)  # the clock continues while the process is frozen
    woken = world.thaw(frozen)
    world.prepare()

    assert [event.code for event in world.events() if isinstance(event, Unsent)] == ["DeadlinePassed"], woken
    assert world.runs() == []
    assert verdict(world) == Verdict()
    assert len(world.runs()) == 1


@pytest.mark.soak
def test_frozen_with_the_request_in_its_hands(world: CrashWorld):
    """The process is woken long after another pass sent the request again, and sends it without checking the time. AWS
    refuses its signature, which is too old."""
    world.batch("clicks")
    frozen = world.freeze(Point("sending"))
    world.rest()
    world.age_signatures()
    world.thaw(frozen)

    assert [event.send for event in world.events() if isinstance(event, Intended)] == [1, 2]
    assert verdict(world) == Verdict()
    assert len(world.runs()) == 1


def test_two_reconcilers_and_one_submission(world: CrashWorld):
    """While one pass is about to send, another pass reads its intent and sends nothing. Then the first pass
    continues."""
    world.batch("clicks")
    first = world.freeze(INTENDED)
    second = world.run("reconcile")
    assert (second.code, world.runs()) == (3, [])
    assert world.thaw(first).code == 0

    assert verdict(world) == Verdict()
    assert [event.send for event in world.events() if isinstance(event, Intended)] == [1]


@pytest.mark.parametrize(
    "answer",
    [
        Rule("lost", "error", operation="ListJobs", code="AccessDeniedException"),
        pytest.param(Rule("processed", "empty", operation="ListJobs"), marks=pytest.mark.soak),
        pytest.param(
            Rule("lost", "error", operation="DescribeJobs", code="AccessDeniedException"), marks=pytest.mark.soak
        ),
    ],
    ids=["denied", "empty answer", "tags unread"],
)
def test_a_listing_that_fails_is_not_absence(world: CrashWorld, answer: Rule):
    """As long as listings fail, the submission remains unknown and passes exit 3. Once AWS can be queried, the run is
    adopted."""
    world.batch("clicks")
    world.crash(ACCEPTED)
    world.aws.inject(Plan((answer,)))
    world.pass_until_settled()
    codes = [world.run("reconcile").code for _ in range(2)]
    assert (codes, len(world.runs())) == ([3, 3], 1)
    world.aws.inject(Plan())

    assert verdict(world) == Verdict()
    assert len(world.runs()) == 1


@pytest.mark.soak
def test_the_credentials_of_another_account_prove_nothing(world: CrashWorld):
    """A lookup in another account would find nothing, so it is refused before any call."""
    world.batch("clicks")
    world.crash(ACCEPTED)
    before = world.events()
    world.aws.configure(account="999999999999")
    assert (world.run("reconcile").code, world.events()) == (1, before)
    world.aws.configure(account=ACCOUNT)

    assert verdict(world) == Verdict()
    assert len(world.runs()) == 1


def test_finished_and_forgotten_before_it_was_adopted(world: CrashWorld):
    """A day after its intent, AWS can no longer show whether the submission ran. It remains on hold and is not sent
    again."""
    long_ago = time_text(datetime.now(UTC) - timedelta(hours=25))
    where = {"jobQueue": "nightly", "jobName": "clicks"}
    world.batch("clicks")
    log = world.log()
    log.append(
        (intended(name="clicks", at=long_ago, not_after=long_ago, location=where),),
        always,
    )
    log.close()

    assert [(a["action"], a["reason"]) for a in world.rest()] == [("hold", "unknown")]
    assert world.runs() == []


def test_a_ledger_that_is_gone_after_acceptance(world: CrashWorld):
    """The run id is printed, because it cannot be recorded. Once the ledger is restored, the run is adopted."""
    world.batch("clicks")
    frozen = world.freeze(ACCEPTED)
    away = world.move_ledger_away()
    done = world.thaw(frozen)
    (run,) = world.runs()
    assert done.code in {1, 3}
    assert run.id in done.out, done
    away()

    assert verdict(world) == Verdict()
    assert [event.run_id for event in world.events() if isinstance(event, Adopted)] == [run.id]


@pytest.mark.soak
@pytest.mark.parametrize("arrives", [True, False], ids=["it had arrived", "it had not"])
@pytest.mark.parametrize("what", ["removed", "suspended"])
def test_a_spec_that_is_taken_back_while_its_submission_is_unresolved(world: CrashWorld, what: str, arrives: bool):
    """The submission is looked up but not sent again. If its run exists, it is adopted. Otherwise, it is never sent."""
    world.spark("orders")
    assert world.run("reconcile").code == 0
    path = world.batch("clicks")
    world.crash(ACCEPTED if arrives else INTENDED)
    if what == "removed":
        path.unlink()
    else:
        world.batch("clicks", suspend="true")
    world.pass_until_settled()
    world.passes(4)

    assert len(world.sent("clicks")) == (1 if arrives else 0)
    assert unresolved(world) == []


@pytest.mark.soak
def test_a_request_that_is_late(world: CrashWorld):
    """The request takes effect after its process was killed and before the submission settles. The run is found, and
    nothing is sent again."""
    world.aws.inject(Plan((Rule("late", "closed", operation=SENDS, late_seconds=1.0),)))
    world.batch("clicks")
    world.crash(Point("stored", "unclear"))
    world.pass_until_settled()
    world.aws.inject(Plan())

    assert verdict(world) == Verdict()
    assert [type(event) for event in world.events() if isinstance(event, Intended | Adopted)] == [Intended, Adopted]


@pytest.mark.soak
def test_a_request_that_is_later_than_its_signature_lives(world: CrashWorld):
    """AWS refuses the request when it arrives at last. The submission counts as absent and is sent again."""
    late = Rule("late", "closed", operation=SENDS, late_seconds=2.5, count=1)
    world.aws.inject(Plan((late,), {"signature_seconds": 1.5}))
    world.batch("clicks")
    world.crash(Point("stored", "unclear"))

    assert verdict(world) == Verdict()
    assert [event.send for event in world.events() if isinstance(event, Intended)] == [1, 2]
    assert len(world.runs()) == 1
