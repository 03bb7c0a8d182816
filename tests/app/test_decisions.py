"""Manual decisions as data: what is refused, what is recorded, and what is shown before it is confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from reconciler.app.adopt import adoption
from reconciler.app.cancel import cancellation
from reconciler.app.decisions import Decision, SpecView
from reconciler.app.rerun import late_runs, repetition
from reconciler.app.resolve import resolution
from reconciler.core import events as e
from reconciler.core.times import seconds_text
from reconciler.errors import ReconcilerError, UsageError
from tests.app.views import events_of, run_facts, view
from tests.builders import NOW, intended, outcome, ran, scheduled, slot_intended, spec, token

HOURLY = {"schedule": "0 * * * *", "concurrencyPolicy": "Allow"}


def slot(hours: float) -> str:
    """The slot some hours ago; the newest is now."""
    return seconds_text(NOW - timedelta(hours=hours))


def slot_ran(hours: float, end: str = "succeeded") -> Sequence[e.Event]:
    """The events of a slot that ran and ended."""
    intent = slot_intended(slot(hours))
    run_id = f"run-{hours}"
    return [intent, outcome("submitted", intent, run_id=run_id), outcome(end, intent, run_id=run_id)]


def hourly(*events: e.Event) -> SpecView:
    """The view of a spec with a slot every hour."""
    return view(scheduled(seconds=-360000), *events, specs=[spec(policy=HOURLY)])


def resolved(seen: SpecView, decision: str = "submit", **more: object) -> Decision:
    """The decision of `resolve`."""
    given = {"token": None, "force": False, "reason": None, **more}
    return resolution(seen, decision, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "nothing of it was sent"),
        (ran(end=None), "orders, generation 1, is submitted"),
    ],
    ids=["never sent", "submitted"],
)
def test_resolve_needs_an_unresolved_submission(events: Sequence[e.Event], message: str):
    """Without one, `resolve` says what the newest submission is."""
    with pytest.raises(ReconcilerError, match=message):
        resolved(view(*events))


def test_resolve_needs_force_after_a_failed_look():
    """A queue that cannot be listed does not prove that there is no run."""
    seen = view(intended(), look_errors={token(): "AccessDenied"})

    with pytest.raises(ReconcilerError, match="looking for its run failed"):
        resolved(seen)
    forced = resolved(seen, force=True)

    ((event,),) = events_of(forced)
    assert isinstance(event, e.Resolved)
    assert event.forced


def test_resolve_warns_about_a_submission_that_aws_may_have_forgotten():
    """More than a day after the send, an ended run may be gone from AWS."""
    decision = resolved(view(intended(seconds=-25 * 3600)))

    assert any("may have forgotten" in warning for warning in decision.decision.warnings)


def test_resolve_abandons_a_submission_with_several_runs_and_never_sends_it_again():
    """Two runs carry its tag, so it did run: `--submit` is refused even with force; `--abandon` leaves both alone."""
    seen = view(intended(), found={token(): ("run-1", "run-2")})

    with pytest.raises(ReconcilerError, match="reconciler adopt orders"):
        resolved(seen, force=True)
    decision = resolved(seen, "abandon")

    assert any("belong to nobody" in warning for warning in decision.decision.warnings)
    assert len(decision.procedures) == 1


def test_resolve_takes_the_submission_that_the_token_begins():
    """Without a token the newest is decided; a token that no submission has is refused with those that exist."""
    older, newer = intended("A", 1), intended("B", 2)
    seen = view(older, newer)

    with pytest.raises(ReconcilerError, match=newer.token):
        resolved(seen, "abandon", token="r1-none")
    decisions = [resolved(seen, "abandon", token=older.token[:12]), resolved(seen, "abandon")]

    assert [decision.decision.form["client_token"] for decision in decisions] == [older.token, newer.token]


def cancelled(seen: SpecView, run_id: str | None = None, at_slot: str | None = None) -> Decision:
    """The decision of `cancel`."""
    return cancellation(seen, run_id=run_id, slot=at_slot, reason=None)


@pytest.mark.parametrize(
    ("events", "run_id", "message"),
    [
        ([], None, "was ever submitted"),
        (ran(), None, "orders, generation 1, is succeeded"),
        (ran(end=None), "nobody", "has no run nobody"),
    ],
    ids=["never submitted", "ended", "another run"],
)
def test_cancel_needs_a_live_run(events: Sequence[e.Event], run_id: str | None, message: str):
    """Without one, `cancel` says why there is nothing to stop."""
    with pytest.raises(ReconcilerError, match=message):
        cancelled(view(*events), run_id)


def test_cancel_stops_all_live_runs_or_the_named_one():
    """With `Allow` a spec has several live runs; `--run-id` and `--slot` pick one."""
    first, second = slot_intended(slot(2)), slot_intended(slot(1))
    seen = hourly(first, outcome("submitted", first, run_id="one"), second, outcome("submitted", second, run_id="two"))

    decisions = [cancelled(seen), cancelled(seen, "two"), cancelled(seen, at_slot=slot(2))]

    assert [decision.decision.form["run_ids"] for decision in decisions] == [["one", "two"], ["two"], ["one"]]


def test_cancel_asks_aws_only_once():
    """A run that AWS is already stopping needs nothing."""
    intent = intended()
    asked = [outcome("cancel-asked", intent), outcome("cancel-accepted", intent)]

    decision = cancelled(view(*ran(end=None), *asked))

    assert decision.procedures == ()
    assert "was asked before" in decision.decision.does


def test_cancel_works_on_a_suspended_spec():
    """A suspension stops only what happens automatically; the warning says so."""
    decision = cancelled(view(*ran(end=None), specs=[spec(policy={"suspend": True})]))

    assert len(decision.procedures) == 1
    assert any("the spec is suspended" in warning for warning in decision.decision.warnings)


@pytest.mark.parametrize(
    ("events", "content", "message"),
    [
        ([], "A", "the next apply does"),
        (ran(end="running"), "A", "is running"),
        (ran(), "A", "raise spec.revision"),
        (ran(end="failed"), "B", "asks for something else"),
        ([intended()], "A", "its outcome is unknown"),
    ],
    ids=["never submitted", "running", "succeeded", "changed", "unknown"],
)
def test_retry_needs_a_submission_that_ended_badly(events: Sequence[e.Event], content: str, message: str):
    """Otherwise the message says why nothing is retried."""
    with pytest.raises(ReconcilerError, match=message):
        repetition(view(*events, specs=[spec(content)]), slot=None, reason=None)


@pytest.mark.parametrize("end", ["failed", "cancelled", "lost"])
def test_retry_records_a_request_for_one_more_attempt(end: str):
    """With the operator and the reason, for the submission that ended."""
    ((event,),) = events_of(repetition(view(*ran(end=end)), slot=None, reason="fixed"))

    assert isinstance(event, e.RetryAsked)
    assert (event.token, event.reason, event.actor) == (token(), "fixed", "tests")


def test_retry_is_requested_once():
    """A second request records nothing."""
    decision = repetition(view(*ran(end="failed"), outcome("retry-asked", intended())), slot=None, reason=None)

    assert decision.procedures == ()
    assert "a retry was asked for" in decision.decision.does


def test_retry_of_a_slot_needs_a_schedule():
    """`--slot` of a spec without a schedule is wrong usage."""
    with pytest.raises(UsageError, match="has no schedule"):
        repetition(view(*ran(end="failed")), slot=slot(1), reason=None)


def filled(seen: SpecView, first: float, last: float, *, again: bool = False) -> Decision:
    """The decision of `backfill`, for times some hours ago."""
    times = (NOW - timedelta(hours=first), NOW - timedelta(hours=last))
    return late_runs(seen, *times, again=again, reason=None)


@pytest.mark.parametrize(
    ("schedule", "first", "last", "message"),
    [
        (None, 2, 1, "has no schedule"),
        ("0 * * * *", 1.8, 1.2, "no slot"),
        ("0 * * * *", -24, -48, "no slot in that time that is past"),
        ("* * * * *", 48, 1, "more than 1000 slots"),
        ("0 * * * *", 1, 3, "--from is after --to"),
    ],
    ids=["one-off", "no slot", "future", "too many", "wrong order"],
)
def test_backfill_needs_past_slots(schedule: str | None, first: float, last: float, message: str):
    """Times without a past slot are refused with the reason."""
    seen = view(specs=[spec(policy={"schedule": schedule} if schedule else None)])

    with pytest.raises(ReconcilerError, match=message):
        filled(seen, first, last)


def test_backfill_leaves_out_slots_that_are_not_due():
    """A time span that ends in the future ends now, with a warning."""
    decision = filled(hourly(), 1, -24)

    assert decision.decision.form["slots"] == [slot(1), slot(0)]
    assert any("not due yet" in warning for warning in decision.decision.warnings)


def test_backfill_leaves_out_slots_that_ran():
    """Unless `--again` asks for them; if all ran, that is an error."""
    seen = hourly(*slot_ran(3))

    with pytest.raises(ReconcilerError, match="--again"):
        filled(seen, 3, 3)
    decisions = [filled(seen, 3, 2), filled(seen, 3, 3, again=True)]

    assert [decision.decision.form["slots"] for decision in decisions] == [[slot(2)], [slot(3)]]


def adopted(seen: SpecView, run_id: str, at_slot: str | None = None, *, force: bool = False) -> Decision:
    """The decision of `adopt`."""
    return adoption(seen, run_id, slot=at_slot, token=None, force=force, reason=None)


@pytest.mark.parametrize("run_id", ["4b0e1c5e:3", "4b0e1c5e#0", "arn:aws:batch:eu-west-1:111122223333:job/4b0e1c5e"])
def test_adopt_takes_only_whole_runs(run_id: str):
    """Children of array jobs, nodes and ARNs are refused."""
    with pytest.raises(ReconcilerError, match="4b0e1c5e"):
        adopted(view(runs=[run_facts(run_id)]), run_id)


def test_adopt_needs_a_run_that_aws_knows():
    """A run id that AWS does not know is refused."""
    with pytest.raises(ReconcilerError, match="AWS knows no run 00gone"):
        adopted(view(), "00gone")


def test_adopt_needs_force_for_a_run_of_another_project():
    """The tag of the run names a project that this one cannot check."""
    seen = view(runs=[run_facts("run-9", {"reconciler:spec": "other/prod/clicks"})])

    with pytest.raises(ReconcilerError, match="other/prod/clicks"):
        adopted(seen, "run-9")

    ((event, *_),) = events_of(adopted(seen, "run-9", force=True))
    assert isinstance(event, e.ManuallyAdopted)
    assert (event.run_id, event.key.generation) == ("run-9", 1)


def test_adopt_of_the_current_run_needs_nothing():
    """The run belongs to the spec already, and no confirmation is asked for."""
    decision = adopted(view(*ran(end="running"), runs=[run_facts("run-1")]), "run-1")

    assert decision.procedures == ()
    assert "already" in decision.decision.does


@pytest.mark.parametrize(
    ("at_slot", "message"),
    [(None, "--slot"), (slot(2.5), "is no slot"), (slot(-1), "is no slot")],
    ids=["missing", "between two", "future"],
)
def test_adopt_for_a_scheduled_spec_needs_a_past_slot(at_slot: str | None, message: str):
    """A run of a scheduled spec counts as the run of one slot."""
    seen = view(specs=[spec(policy=HOURLY)], runs=[run_facts("run-9")])

    with pytest.raises(ReconcilerError, match=message):
        adopted(seen, "run-9", at_slot)
