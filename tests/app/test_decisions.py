"""Tests manual decisions as data: which are refused, what they record, and what they show before the user confirms."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from reconciler.app.adopt import decide_adopt
from reconciler.app.decisions import Decision, SpecView
from reconciler.app.run_decisions import decide_backfill, decide_cancel, decide_resolve, decide_retry
from reconciler.core import events as e
from reconciler.core.times import seconds_text
from reconciler.errors import ReconcilerError, UsageError
from tests.app.views import events_of, run_facts, view
from tests.builders import NOW, intended, outcome, ran, scheduled, slot_intended, spec, token
from tests.campaigns import in_one_test

HOURLY = {"schedule": "0 * * * *", "concurrencyPolicy": "Allow"}


def slot(hours: float) -> str:
    """Returns the slot that many hours ago. With 0 hours, this is the newest slot."""
    return seconds_text(NOW - timedelta(hours=hours))


def slot_ran(hours: float, end: str = "succeeded") -> Sequence[e.Event]:
    """Returns the events of a slot whose run has ended."""
    intent = slot_intended(slot(hours))
    run_id = f"run-{hours}"
    return [intent, outcome("submitted", intent, run_id=run_id), outcome(end, intent, run_id=run_id)]


def hourly(*events: e.Event) -> SpecView:
    """Returns the view of an hourly spec."""
    return view(scheduled(seconds=-360000), *events, specs=[spec(policy=HOURLY)])


def resolved(spec_view: SpecView, decision: str = "submit", **more: object) -> Decision:
    """Returns the decision of the command `resolve`."""
    given = {"token": None, "force": False, **more}
    return decide_resolve(spec_view, decision, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([], "it was never sent"),
        (ran(end=None), "generation 1 is submitted"),
    ],
    ids=["never sent", "submitted"],
)
def test_resolve_needs_an_unresolved_submission(events: Sequence[e.Event], message: str):
    """If no submission is unresolved, the error message describes the newest submission."""
    with pytest.raises(ReconcilerError, match=message):
        resolved(view(*events))


def test_resolve_needs_force_after_a_failed_look():
    """A queue that cannot be listed does not prove that there is no run."""
    spec_view = view(intended(), look_errors={token(): "AccessDenied"})

    with pytest.raises(ReconcilerError, match="the lookup of its run failed"):
        resolved(spec_view)
    forced = resolved(spec_view, force=True)

    ((event,),) = events_of(forced)
    assert isinstance(event, e.Resolved)
    assert event.forced


def test_resolve_warns_about_a_submission_that_aws_may_have_forgotten():
    """More than a day after the send, AWS may no longer list a run that has ended."""
    decision = resolved(view(intended(seconds=-25 * 3600)))

    assert any("may no longer list" in warning for warning in decision.summary.warnings)


def test_resolve_abandons_a_submission_with_several_runs_and_never_sends_it_again():
    """Two runs have the submission's tag, so the job has run. `--submit` is refused even with `--force`, and
    `--abandon` does not cancel either run."""
    spec_view = view(intended(), runs_by_token={token(): ("run-1", "run-2")})

    with pytest.raises(ReconcilerError, match="reconciler adopt orders"):
        resolved(spec_view, force=True)
    decision = resolved(spec_view, "abandon")

    assert any("belong to no submission" in warning for warning in decision.summary.warnings)
    assert len(decision.batches) == 1


def test_resolve_takes_the_submission_that_the_token_begins():
    """Without a token, the newest submission is resolved. An unknown token is refused, and the message lists the
    existing tokens."""
    older, newer = intended("A", 1), intended("B", 2)
    spec_view = view(older, newer)

    with pytest.raises(ReconcilerError, match=newer.token):
        resolved(spec_view, "abandon", token="r1-none")
    decisions = [resolved(spec_view, "abandon", token=older.token[:12]), resolved(spec_view, "abandon")]

    assert [decision.summary.form["client_token"] for decision in decisions] == [older.token, newer.token]


def cancelled(spec_view: SpecView, run_id: str | None = None, at_slot: str | None = None) -> Decision:
    """Returns the decision of the command `cancel`."""
    return decide_cancel(spec_view, run_id=run_id, slot=at_slot)


@pytest.mark.parametrize(
    ("events", "run_id", "message"),
    [
        ([], None, "orders was never submitted"),
        (ran(), None, "generation 1: succeeded"),
        (ran(end=None), "nobody", "has no run nobody"),
    ],
    ids=["never submitted", "ended", "another run"],
)
def test_cancel_needs_a_live_run(events: Sequence[e.Event], run_id: str | None, message: str):
    """If there is no live run, the error explains why there is nothing to cancel."""
    with pytest.raises(ReconcilerError, match=message):
        cancelled(view(*events), run_id)


def test_cancel_stops_all_live_runs_or_the_named_one():
    """With concurrencyPolicy `Allow`, a spec has several live runs. `--run-id` and `--slot` select one of them."""
    first, second = slot_intended(slot(2)), slot_intended(slot(1))
    spec_view = hourly(
        first, outcome("submitted", first, run_id="one"), second, outcome("submitted", second, run_id="two")
    )

    decisions = [cancelled(spec_view), cancelled(spec_view, "two"), cancelled(spec_view, at_slot=slot(2))]

    assert [decision.summary.form["run_ids"] for decision in decisions] == [["one", "two"], ["two"], ["one"]]


def test_cancel_asks_aws_only_once():
    """A run that AWS is already stopping is not cancelled again."""
    intent = intended()
    asked = [outcome("cancel-asked", intent), outcome("cancel-accepted", intent)]

    decision = cancelled(view(*ran(end=None), *asked))

    assert decision.is_empty
    assert "was already asked" in decision.summary.does


def test_cancel_works_on_a_suspended_spec():
    """A suspension stops only automatic actions, and a warning says so."""
    decision = cancelled(view(*ran(end=None), specs=[spec(policy={"suspend": True})]))

    assert len(decision.cancels) == 1
    assert any("the spec is suspended" in warning for warning in decision.summary.warnings)


@in_one_test(
    ("events", "content", "message"),
    [
        ([], "A", "The next apply submits it"),
        (ran(end="running"), "A", "is running"),
        (ran(), "A", "raise spec.revision"),
        (ran(end="failed"), "B", "changed since"),
        ([intended()], "A", "its outcome is unknown"),
    ],
    ids=["never submitted", "running", "succeeded", "changed", "unknown"],
)
def test_retry_needs_a_submission_that_ended_badly(events: Sequence[e.Event], content: str, message: str):
    """In any other case, the error explains why nothing is retried."""
    with pytest.raises(ReconcilerError, match=message):
        decide_retry(view(*events, specs=[spec(content)]), slot=None)


@pytest.mark.parametrize("end", ["failed", "cancelled", "lost"])
def test_retry_records_a_request_for_one_more_attempt(end: str):
    """The event contains the operator, the reason, and the submission that ended."""
    ((event,),) = events_of(decide_retry(view(*ran(end=end)), slot=None))

    assert isinstance(event, e.RetryAsked)
    assert (event.token, event.reason, event.actor) == (token(), "fixed", "tests")


def test_retry_is_requested_once():
    """A second request for a retry records nothing."""
    decision = decide_retry(view(*ran(end="failed"), outcome("retry-asked", intended())), slot=None)

    assert decision.is_empty
    assert "a retry was already requested" in decision.summary.does


def test_retry_of_a_slot_needs_a_schedule():
    """`--slot` for a spec without a schedule is a usage error."""
    with pytest.raises(UsageError, match="has no schedule"):
        decide_retry(view(*ran(end="failed")), slot=slot(1))


def filled(spec_view: SpecView, first: float, last: float, *, again: bool = False) -> Decision:
    """Returns the decision of `backfill` for a period that starts and ends some hours ago."""
    times = (NOW - timedelta(hours=first), NOW - timedelta(hours=last))
    return decide_backfill(spec_view, *times, again=again)


@in_one_test(
    ("schedule", "first", "last", "message"),
    [
        (None, 2, 1, "has no schedule"),
        ("0 * * * *", 1.8, 1.2, "no past slot"),
        ("0 * * * *", -24, -48, "no past slot"),
        ("* * * * *", 48, 1, "more than 1000 slots"),
        ("0 * * * *", 1, 3, "--from is after --to"),
    ],
    ids=["one-off", "no slot", "future", "too many", "wrong order"],
)
def test_backfill_needs_past_slots(schedule: str | None, first: float, last: float, message: str):
    """A period without a past slot is refused, and the error explains why."""
    spec_view = view(specs=[spec(policy={"schedule": schedule} if schedule else None)])

    with pytest.raises(ReconcilerError, match=message):
        filled(spec_view, first, last)


def test_backfill_leaves_out_slots_that_are_not_due():
    """A period that ends in the future is shortened to the present, with a warning."""
    decision = filled(hourly(), 1, -24)

    assert decision.summary.form["slots"] == [slot(1), slot(0)]
    assert any("not due yet" in warning for warning in decision.summary.warnings)


def test_backfill_leaves_out_slots_that_ran():
    """Slots that ran are included only with `--again`. If all slots in the period have run, the command fails."""
    spec_view = hourly(*slot_ran(3))

    with pytest.raises(ReconcilerError, match="--again"):
        filled(spec_view, 3, 3)
    decisions = [filled(spec_view, 3, 2), filled(spec_view, 3, 3, again=True)]

    assert [decision.summary.form["slots"] for decision in decisions] == [[slot(2)], [slot(3)]]


def adopted(spec_view: SpecView, run_id: str, at_slot: str | None = None, *, force: bool = False) -> Decision:
    """Returns the decision of `adopt`."""
    return decide_adopt(spec_view, run_id, slot=at_slot, token=None, force=force)


@pytest.mark.parametrize("run_id", ["4b0e1c5e:3", "4b0e1c5e#0", "arn:aws:batch:eu-west-1:111122223333:job/4b0e1c5e"])
def test_adopt_takes_only_whole_runs(run_id: str):
    """Adopting a child of an array job, a node or an ARN is refused."""
    with pytest.raises(ReconcilerError, match="4b0e1c5e"):
        adopted(view(runs=[run_facts(run_id)]), run_id)


def test_adopt_needs_a_run_that_aws_knows():
    """A run id that does not exist in AWS is refused."""
    with pytest.raises(ReconcilerError, match="AWS has no run 00gone"):
        adopted(view(), "00gone")


def test_adopt_needs_force_for_a_run_of_another_project():
    """The run's tag contains another project, whose ledger cannot be checked."""
    spec_view = view(runs=[run_facts("run-9", {"reconciler:spec": "other/prod/clicks"})])

    with pytest.raises(ReconcilerError, match="other/prod/clicks"):
        adopted(spec_view, "run-9")

    ((event, *_),) = events_of(adopted(spec_view, "run-9", force=True))
    assert isinstance(event, e.ManuallyAdopted)
    assert (event.run_id, event.key.generation) == ("run-9", 1)


def test_adopt_of_the_current_run_needs_nothing():
    """The run already belongs to the spec, so there is nothing to confirm."""
    decision = adopted(view(*ran(end="running"), runs=[run_facts("run-1")]), "run-1")

    assert decision.is_empty
    assert "already" in decision.summary.does


@pytest.mark.parametrize(
    ("at_slot", "message"),
    [(None, "--slot"), (slot(2.5), "is not a past slot"), (slot(-1), "is not a past slot")],
    ids=["missing", "between two", "future"],
)
def test_adopt_for_a_scheduled_spec_needs_a_past_slot(at_slot: str | None, message: str):
    """A run of a scheduled spec is adopted as the run of one slot."""
    spec_view = view(specs=[spec(policy=HOURLY)], runs=[run_facts("run-9")])

    with pytest.raises(ReconcilerError, match=message):
        adopted(spec_view, "run-9", at_slot)
