"""Tests the effects of a pass: jobs in AWS and events in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import pytest

from reconciler.apply.executor import execute
from reconciler.apply.intents import Provenance
from reconciler.apply.recording import MOST_EVENTS, record_observations
from reconciler.aws.token_buckets import Buckets
from reconciler.core.decide import plan
from reconciler.core.declarations import Declared
from reconciler.core.events import CancelAsked, Event, Intended, Observed
from reconciler.core.identity import Source
from reconciler.core.plan import ActionOutcome, ActionResult, ActionType
from reconciler.core.ports import Accepted, Declined, NotSent, Outcome, Refused
from reconciler.core.state import Phase, Sighting
from reconciler.errors import GuardError, LedgerCorrupt, LedgerError, LedgerFull, LedgerUnreachable, ServiceError
from reconciler.ledger.log import Log
from reconciler.model.base import JSON
from tests.apply.world import Aws, World, unclear, unsent
from tests.builders import NOW, PLACE, at, desired, intended, outcome, spec, token
from tests.core.test_changes import declared, undeclared
from tests.ledger.builders import MemoryStore
from tests.waiting import PATIENCE_SECONDS

SENT = {
    **spec("A").request,
    "tags": {"reconciler:token": token("A"), "reconciler:spec": "analytics/prod/orders"},
}
"""The request of generation 1 as it was sent."""


def throttled(_: JSON) -> Outcome:
    """Returns AWS's reply that it throttles a request."""
    return Refused("ThrottlingException", "slow down")


def declined(_: JSON) -> Outcome:
    """Returns AWS's reply that the content of a request is invalid."""
    return Declined("ClientException", "no such queue")


def test_a_submit_is_intent_call_outcome() -> None:
    """The request has our tags, and the ledger contains the events in order."""
    world = World()
    (result,) = world.apply(desired(spec("A")))
    assert result == ActionResult(ActionOutcome.SUBMITTED, "job-1")
    assert world.types() == ["intended", "submitted"]
    assert world.aws.jobs["job-1"] == {
        **spec("A").request,
        "tags": {"reconciler:token": token("A"), "reconciler:spec": "analytics/prod/orders"},
    }


def test_the_intent_says_who_and_from_what() -> None:
    """The intent contains commit, path, actor and version, the exact request and the deadline, and is recorded before
    the call."""
    world = World()
    world.apply(desired(spec("A")))
    (_, intent) = world.ledger().batch(1)
    assert isinstance(intent, Intended)
    assert (intent.commit, intent.actor, intent.tool_version, intent.owner) == ("c0ffee", "tests", "0.1.0", "here:1:x")
    assert (intent.content.source, intent.reason) == (Source("orders.yaml", 1), "new")
    assert intent.request == world.aws.jobs["job-1"]
    assert (intent.at, intent.not_after) == ("2026-11-22T02:00:00.000Z", "2026-11-22T02:00:30.000Z")
    assert [(d.wall, d.boot) for d in world.aws.deadlines] == [(NOW.timestamp() + 30, NOW.timestamp() + 30)]


def test_applying_twice_submits_nothing() -> None:
    """The second pass finds everything in sync."""
    world = World()
    world.apply(desired(spec("A")))
    assert world.apply(desired(spec("A"))) == (ActionResult(ActionOutcome.NONE),)
    assert len(world.aws.jobs) == 1


def test_a_reply_that_was_lost_is_adopted_within_the_pass() -> None:
    """The job exists, so the pass finds it by its tag a moment later and does not submit it again."""
    world = World(Aws(after={"orders": [unclear]}))
    assert world.apply(desired(spec("A"))) == (ActionResult(ActionOutcome.ADOPTED, "job-1"),)
    assert world.types() == ["intended", "unclear", "adopted"]
    assert len(world.aws.jobs) == 1


def test_a_request_that_was_lost_stays_unknown() -> None:
    """If no run is found within ten seconds, the outcome of the submission is unknown. The request is not sent again,
    and the next pass waits for the submission to settle."""
    world = World(Aws(before={"orders": [unclear]}))
    (result,) = world.apply(desired(spec("A")))
    assert result == ActionResult(ActionOutcome.UNKNOWN, error="ReadTimeoutError: no reply")
    assert 9.9 < world.clock.now() - NOW.timestamp() < 11
    assert world.apply(desired(spec("A"))) == (ActionResult(ActionOutcome.NONE),)
    assert not world.aws.jobs


def test_a_listing_that_fails_is_not_absence() -> None:
    """If the search for the run fails after an unclear send, the outcome remains unknown."""
    world = World(Aws(after={"orders": [unclear]}, find_error="AccessDenied"))
    (result,) = world.apply(desired(spec("A")))
    assert result.outcome == ActionOutcome.UNKNOWN
    assert world.types() == ["intended", "unclear"]


def test_a_service_that_breaks_its_contract_is_unclear() -> None:
    """If a submit raises an exception, the outcome is unclear: the job may exist, and in this test it does."""

    def broken(_: JSON) -> Outcome:
        raise RuntimeError("bug")

    world = World(Aws(after={"orders": [broken]}))
    assert world.apply(desired(spec("A"))) == (ActionResult(ActionOutcome.ADOPTED, "job-1"),)


def test_a_later_pass_adopts() -> None:
    """A later pass finds the run that a crashed pass submitted by its tag, and records it."""
    world = World()
    ledger = world.ledger()
    ledger.append([intended("A", seconds=-60)], lambda _: None)
    Sighting(runs_by_token={token("A"): ["job-77"]}).lay_over(ledger.recorded)
    assert world.apply(desired(spec("A")), ledger) == (ActionResult(ActionOutcome.ADOPTED, "job-77"),)
    assert world.ledger().recorded.by_token[token("A")].run_id == "job-77"
    assert not world.aws.jobs


def test_unsent_is_sent_again_by_the_next_pass_as_the_same_submission() -> None:
    """The submission is proven absent, so the next send uses the same token and the same bytes, even if cosmetic fields
    have changed."""
    world = World(Aws(before={"orders": [unsent]}))
    (result,) = world.apply(desired(spec("A")))
    assert result == ActionResult(ActionOutcome.UNSENT, error="EndpointConnectionError: refused")
    retagged = spec("A", request={**spec("A").request, "tags": {"team": "growth"}})
    assert world.apply(desired(retagged)) == (ActionResult(ActionOutcome.SUBMITTED, "job-1"),)
    assert world.types() == ["intended", "unsent", "intended", "submitted"]
    assert world.aws.jobs["job-1"]["tags"] == {
        "reconciler:token": token("A"),
        "reconciler:spec": "analytics/prod/orders",
    }


def test_throttling_slows_down_and_sends_again() -> None:
    """After a temporary refusal, the pass sends again and records an intent for each send."""
    world = World(Aws(before={"orders": [throttled, throttled]}))
    assert world.apply(desired(spec("A"))) == (ActionResult(ActionOutcome.SUBMITTED, "job-1"),)
    assert world.types() == ["intended", "unsent", "intended", "unsent", "intended", "submitted"]


def test_endless_throttling_ends_as_unsent() -> None:
    """After five sends, the pass stops; the next pass continues."""
    world = World(Aws(before={"orders": [throttled] * 9}))
    (result,) = world.apply(desired(spec("A")))
    assert result == ActionResult(ActionOutcome.UNSENT, error="ThrottlingException: slow down")
    assert world.types().count("intended") == 5


def test_a_rejected_job_does_not_stop_the_others() -> None:
    """The failure of one job does not affect others."""
    world = World(Aws(before={"b": [declined]}))
    results = world.apply(desired(spec("A", "a"), spec("A", "b"), spec("A", "c")))
    assert [r.outcome for r in results] == ["submitted", "rejected", "submitted"]
    assert results[1].error == "ClientException: no such queue"
    assert world.types("b") == ["intended", "rejected"]


def test_two_passes_with_the_same_plan_submit_once() -> None:
    """If two passes apply the same plan, only one records the intent. The second pass reports that another pass was
    first."""
    world = World()
    one, two = world.ledger(), world.ledger()
    made = plan(desired(spec("A")), one.recorded, NOW)
    world.apply(made, one)
    (result,) = world.apply(made, two)
    assert result == ActionResult(ActionOutcome.NONE, error="another pass submitted it: run job-1")
    assert len(world.aws.jobs) == 1


def test_a_pass_that_is_sending_keeps_others_off() -> None:
    """An intent without an outcome blocks another send."""
    world = World()
    made = plan(desired(spec("A")), world.ledger().recorded, NOW)
    world.ledger().append([intended("A", seconds=0)], lambda _: None)
    (result,) = world.apply(made)
    assert result == ActionResult(ActionOutcome.NONE, error="another pass is sending it")
    assert not world.aws.jobs


def test_a_spec_that_moved_is_not_submitted() -> None:
    """If a spec has new events in the ledger, plans made earlier are stale for this spec."""
    world = World()
    made = plan(desired(spec("B")), world.ledger().recorded, NOW)
    world.apply(desired(spec("A")))
    (result,) = world.apply(made)
    assert result.error == "changed since the plan was created (ledger head 0, now 2): plan again"
    assert len(world.aws.jobs) == 1


def test_older_content_is_not_sent_again_after_newer_content_was_submitted() -> None:
    """A request did not reach AWS, and a plan sends it again. Before that, another pass submits newer content."""
    world = World(Aws(before={"orders": [unsent]}))
    world.apply(desired(spec("A")))
    made = plan(desired(spec("A")), world.ledger().recorded, NOW)
    assert made.actions[0].send == 2
    world.apply(desired(spec("B")))
    (result,) = world.apply(made)
    assert result.outcome is ActionOutcome.NONE
    assert len(world.aws.jobs) == 1


@pytest.mark.parametrize(
    ("error", "said"), [(LedgerFull("disk full"), "disk full"), (LedgerUnreachable("no reply"), "no reply")]
)
def test_without_an_intent_nothing_is_sent(error: Exception, said: str) -> None:
    """If the ledger cannot be written, nothing is sent."""

    class Failing(MemoryStore):
        def append(self, position: int, batch: bytes) -> bytes:
            raise error

    world = World(store=Failing())
    (result,) = world.apply(desired(spec("A")))
    assert (result.outcome, world.aws.jobs) == (ActionOutcome.UNSENT, {})
    assert said in (result.error or "")


def test_a_ledger_lost_after_acceptance_still_gives_the_run_id() -> None:
    """The run exists in AWS but the ledger does not record it. The outcome is unknown and contains the run id, and a
    later pass finds the run by its tag."""

    class Once(MemoryStore):
        def append(self, position: int, batch: bytes) -> bytes:
            if position > 1:
                raise LedgerFull("disk full")
            return super().append(position, batch)

    world = World(store=Once())
    (result,) = world.apply(desired(spec("A")))
    assert (result.outcome, result.run_id) == (ActionOutcome.UNKNOWN, "job-1")
    assert "could not be recorded (submitted): disk full" in (result.error or "")
    assert world.ledger().recorded.by_token[token("A")].phase is Phase.INTENDED


SUSPENDED = spec("A", policy={"suspend": True})
WHILE_PLANNED = {"suspended": declared(SUSPENDED), "other content": declared(spec("B")), "removed": undeclared()}
"""What another pass may declare while a plan is shown."""


@pytest.mark.parametrize("event", WHILE_PLANNED.values(), ids=WHILE_PLANNED)
def test_content_that_another_pass_replaced_is_not_submitted(event: Event) -> None:
    """A plan does not submit a spec after another pass has declared it suspended, with other content, or removed."""
    world = World()
    made = plan(desired(spec("A"), spec("A", "clicks")), world.ledger().recorded, NOW)
    world.ledger().append([event], lambda _: None)
    clicks, orders = world.apply(made)
    assert (clicks.outcome, orders.outcome, len(world.aws.jobs)) == (ActionOutcome.SUBMITTED, ActionOutcome.NONE, 1)
    assert "another pass applied other content of orders" in (orders.error or "")


def test_content_that_another_pass_declared_too_is_submitted() -> None:
    """Several services may apply the same content: a declaration of the content of the plan does not end the plan."""
    world = World()
    made = plan(desired(spec("A")), world.ledger().recorded, NOW)
    world.ledger().append([declared(spec("A"))], lambda _: None)
    (result,) = world.apply(made)
    assert result.outcome == ActionOutcome.SUBMITTED


class TestProvenAbsent:
    """Tests an unclear send that no listing shows, once its request can no longer arrive."""

    def lost(self, *looks: float) -> World:
        """Returns a world in which a send was lost an hour ago and a lookup found nothing `seconds` ago."""
        world = World()
        intent = intended("A", request=SENT)
        events = [intent, outcome("unclear", intent), *(outcome("absent", intent, seconds=-look) for look in looks)]
        world.ledger().append(events, lambda _: None)
        return world

    def test_the_same_bytes_go_again(self) -> None:
        """The request of the first intent is sent again under the same token, even if cosmetic fields changed."""
        world = self.lost(100, 30)
        retagged = spec("A", request={**spec("A").request, "tags": {"team": "growth"}})
        assert world.apply(desired(retagged)) == (ActionResult(ActionOutcome.SUBMITTED, "job-1"),)
        assert world.aws.jobs["job-1"] == SENT
        assert world.types() == ["intended", "unclear", "absent", "absent", "intended", "submitted"]

    @pytest.mark.parametrize("error", [LedgerUnreachable("no answer"), LedgerCorrupt("damaged"), LedgerFull("full")])
    def test_a_ledger_that_fails_before_a_resend_leaves_it_unsent(
        self, error: LedgerError, caplog: pytest.LogCaptureFixture
    ) -> None:
        """If the first intent cannot be read, nothing is sent, and the result contains the reason and not a bug report.
        A later pass sends the request."""
        world = self.lost(100, 30)
        log = world.ledger()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(log, "batch", Mock(side_effect=error))
            (result,) = world.apply(desired(spec("A")), log)
        assert result == ActionResult(ActionOutcome.UNSENT, error=f"nothing was sent: {error}")
        assert not world.aws.jobs
        assert caplog.records == []
        assert world.apply(desired(spec("A"))) == (ActionResult(ActionOutcome.SUBMITTED, "job-1"),)

    def test_without_recorded_proof_nothing_goes(self) -> None:
        """A plan that uses observations which are not in the ledger is stale."""
        world = self.lost(100)
        seen = self.lost(100, 30).ledger().recorded
        (result,) = world.apply(plan(desired(spec("A")), seen, NOW))
        assert result.outcome == ActionOutcome.NONE
        assert not world.aws.jobs

    def test_a_cancelled_submission_is_not_sent_again(self) -> None:
        """If an operator requests the cancellation after the plan was made, the request is not sent again."""
        world = self.lost(100, 30)
        made = plan(desired(spec("A")), world.ledger().recorded, NOW)
        asked = CancelAsked(at=at(), name="orders", token=token("A"), reason="wrong date", actor="team@example.com")
        world.ledger().append([asked], lambda _: None)
        (result,) = world.apply(made)
        why = "its cancellation was requested since the plan was created"
        assert (result, world.aws.jobs) == (ActionResult(ActionOutcome.NONE, error=why), {})
        (skip,) = world.apply(desired(spec("A")))
        assert (skip.outcome, world.ledger().recorded.by_token[token("A")].phase) == ("recorded", Phase.ABANDONED)

    def test_two_passes_send_once(self) -> None:
        """The second pass finds that another pass has already sent the request again."""
        world = self.lost(100, 30)
        made = plan(desired(spec("A")), world.ledger().recorded, NOW)
        world.apply(made)
        (result,) = world.apply(made)
        assert result == ActionResult(ActionOutcome.NONE, error="another pass submitted it: run job-1")
        assert len(world.aws.jobs) == 1

    def test_superseded_is_recorded(self) -> None:
        """A submission that the spec no longer needs is closed, and the next pass submits the new content."""
        world = self.lost(100, 30)
        assert world.apply(desired(spec("B"))) == (ActionResult(ActionOutcome.RECORDED),)
        assert world.apply(desired(spec("B"))) == (ActionResult(ActionOutcome.SUBMITTED, "job-1"),)
        assert world.types()[-3:] == ["superseded", "intended", "submitted"]

    def test_superseded_only_once(self) -> None:
        """A second pass with the same plan changes nothing."""
        world = self.lost(100, 30)
        made = plan(desired(spec("B")), world.ledger().recorded, NOW)
        world.apply(made)
        (result,) = world.apply(made)
        assert result.outcome == ActionOutcome.NONE
        assert world.types().count("superseded") == 1

    def test_a_ledger_that_fails(self) -> None:
        """An event that could not be written is not reported as recorded."""
        world = self.lost(100, 30)
        made = plan(desired(spec("B")), world.ledger().recorded, NOW)

        class Full(MemoryStore):
            def append(self, position: int, batch: bytes) -> bytes:
                raise LedgerFull("disk full")

        full = Full()
        full.batches.update(world.store.batches)
        world.store = full
        (result,) = world.apply(made)
        assert result == ActionResult(ActionOutcome.UNKNOWN, error="could not be recorded (superseded): disk full")


class TestCancel:
    """Tests cancellations of runs whose spec was removed from git."""

    def live(self, world: World) -> Log:
        """Records a live run of `orders` with deletionPolicy Cancel."""
        intent = intended("A", deletion_policy="Cancel")
        ledger = world.ledger()
        ledger.append([intent, outcome("submitted", intent)], lambda _: None)
        return ledger

    def test_asked_before_accepted_after(self) -> None:
        """The request to cancel is recorded before AWS is called."""
        world = World()
        results = world.apply(desired(spec("A", "z")), self.live(world))
        assert results[0] == ActionResult(ActionOutcome.CANCELLED, "run-1")
        assert world.aws.cancelled == ["run-1"]
        assert world.types()[-2:] == ["cancel-asked", "cancel-accepted"]

    def test_the_time_for_cleanup_is_that_last_applied(self) -> None:
        """The grace period declared with the run applies even after the spec was removed. Without a declaration, AWS's
        default applies."""
        world, other = World(), World()
        ledger = self.live(world)
        policy = {"shutdownGracePeriodSeconds": 60}
        of: dict[str, Any] = {"name": "orders", "kind": "BatchJob", "actor": "a", "tool_version": "0"}
        declared = Declared(at=at(-3000), digest="d", request_digest="r", policy=policy, request={}, **of)
        ledger.append([declared], lambda _: None)
        world.apply(desired(spec("A", "z")), ledger)
        other.apply(desired(spec("A", "z")), self.live(other))
        assert (world.aws.grace, other.aws.grace) == ([60], [None])

    def test_a_run_that_started_meanwhile_is_not_cancelled_for_waiting(self) -> None:
        """Another pass observed that the run has started. The planned cancellation, for waiting too long, then does
        nothing."""
        waiting = spec("A", policy={"pendingTimeoutSeconds": 60})
        world, late = World(), World()
        for each in (world, late):
            made = plan(desired(waiting), self.live(each).recorded, NOW)
            if each is late:
                late.ledger().append([outcome("running", intended("A"))], lambda _: None)
            each.apply(made)
        assert (world.aws.cancelled, world.types()[-2:]) == (["run-1"], ["cancel-asked", "cancel-accepted"])
        assert (late.aws.cancelled, late.types()[-1]) == ([], "observed")

    def test_a_cancel_that_aws_refuses_is_an_error(self) -> None:
        """The run is not reported as cancelled, and the next pass tries again."""
        world = World(Aws(cancel_error=ServiceError("TerminateJob", "AccessDenied", "no")))
        (result, _) = world.apply(desired(spec("A", "z")), self.live(world))
        assert result == ActionResult(ActionOutcome.UNSENT, "run-1", "TerminateJob: AccessDenied: no")
        assert world.types()[-1] == "cancel-asked"

    def test_a_run_that_ended_meanwhile_is_left_alone(self) -> None:
        """The run was still live when the plan was made."""
        world = World()
        ledger = self.live(world)
        made = plan(desired(spec("A", "z")), ledger.recorded, NOW)
        world.ledger().append([outcome("succeeded", intended("A"))], lambda _: None)
        (result, _) = world.apply(made)
        assert result == ActionResult(ActionOutcome.NONE, error="its run has ended")
        assert world.aws.cancelled == []

    def test_a_run_of_a_spec_that_another_pass_added_again_is_left_alone(self) -> None:
        """A run is not cancelled because of its removed spec if another pass has declared the spec since the plan."""
        world = World()
        ledger = self.live(world)
        made = plan(desired(spec("A", "z")), ledger.recorded, NOW)
        world.ledger().append([declared(spec("A"))], lambda _: None)
        (result, _) = world.apply(made)
        assert (result.outcome, world.aws.cancelled) == (ActionOutcome.NONE, [])
        assert "another pass applied other content of orders" in (result.error or "")

    def test_two_passes_ask_once(self) -> None:
        """The second pass reports that another pass has already cancelled the run."""
        world = World()
        ledger = self.live(world)
        made = plan(desired(spec("A", "z")), ledger.recorded, NOW)
        world.apply(made)
        (result, _) = world.apply(made)
        assert result == ActionResult(ActionOutcome.NONE, error="another pass cancelled it")

    @pytest.mark.parametrize("failing", [0, 1])
    def test_a_ledger_that_fails(self, failing: int) -> None:
        """If the cancel request cannot be recorded, the run is not cancelled. If AWS's reply cannot be recorded, the
        result is not a success."""
        world = World()
        made = plan(desired(spec("A", "z")), self.live(world).recorded, NOW)

        class Full(MemoryStore):
            def append(self, position: int, batch: bytes) -> bytes:
                if position > world_positions + failing:
                    raise LedgerFull("disk full")
                return super().append(position, batch)

        world_positions = world.ledger().recorded.position
        full = Full()
        full.batches.update(world.store.batches)
        world.store = full
        (result, _) = world.apply(made)
        assert result.outcome == (ActionOutcome.UNSENT, ActionOutcome.UNKNOWN)[failing]
        assert world.aws.cancelled == ["run-1"][:failing]


class TestStop:
    """Tests a command that receives a stop signal."""

    def test_nothing_new_is_begun(self) -> None:
        """After a stop signal, actions that have not started are not sent."""
        world = World()
        world.stop.set()
        (result,) = world.apply(desired(spec("A")))
        assert result == ActionResult(ActionOutcome.UNSENT, error="the command was stopped before this was done")
        assert world.types() == []

    def test_between_intent_and_send(self) -> None:
        """The intent is closed as unsent, because nothing reached AWS."""

        class Stopping(MemoryStore):
            def append(self, position: int, batch: bytes) -> bytes:
                world.stop.set()
                return super().append(position, batch)

        world = World(store=Stopping())
        (result,) = world.apply(desired(spec("A")))
        assert (result.outcome, world.aws.jobs) == (ActionOutcome.UNSENT, {})
        assert world.types() == ["intended", "unsent"]

    def test_a_call_under_way_is_recorded(self) -> None:
        """A run that AWS accepted after the signal is recorded."""

        def stopping(request: JSON) -> Outcome:
            world.stop.set()
            return Accepted("job-1")

        world = World(Aws(after={"orders": [stopping]}))
        assert world.apply(desired(spec("A"))) == (ActionResult(ActionOutcome.SUBMITTED, "job-1"),)
        assert world.types() == ["intended", "submitted"]

    def test_looking_ends(self) -> None:
        """A stopped command does not look for a run for ten seconds."""

        def stopping(request: JSON) -> Outcome:
            world.stop.set()
            return unclear(request)

        world = World(Aws(after={"orders": [stopping]}))
        (result,) = world.apply(desired(spec("A")))
        assert result.outcome == ActionOutcome.UNKNOWN
        assert world.clock.now() == NOW.timestamp()

    def test_a_call_that_hangs_is_left_behind(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The command exits after the grace period, and the next pass continues from the intent."""
        monkeypatch.setattr("reconciler.apply.executor.GRACE_SECONDS", 0.2)
        monkeypatch.setattr("reconciler.apply.executor.POLL_SECONDS", 0.05)

        def hanging(request: JSON) -> Outcome:
            world.stop.set()
            released.wait(PATIENCE_SECONDS)
            return Accepted("job-1")

        from threading import Event

        released = Event()
        world = World(Aws(after={"orders": [hanging]}))
        (result,) = world.apply(desired(spec("A")))
        released.set()
        assert result == ActionResult(
            ActionOutcome.UNKNOWN, error="the command was stopped before its outcome was known"
        )


def test_hundreds_of_jobs_side_by_side() -> None:
    """Every job is submitted once, the results are in the order of the plan, and progress is reported for each job."""
    world = World()
    wanted = desired(*(spec("A", f"job-{n:03}") for n in range(200)))
    ledger = world.ledger()
    seen: list[str] = []
    results = execute(
        plan(wanted, ledger.recorded, NOW),
        ledger=ledger,
        services=lambda _: world.aws,
        clock=world.clock,
        provenance=Provenance(None, "tests", "0.1.0", "here:1:x"),
        claim_seconds=30,
        settle_seconds=1500,
        quota=Buckets({}, world.clock),
        workers=8,
        progress=lambda action, result: seen.append(action.name),
    )
    assert {r.outcome for r in results} == {ActionOutcome.SUBMITTED}
    assert sorted(job["jobName"] for job in world.aws.jobs.values()) == sorted(wanted.specs)
    names = [world.aws.jobs[str(r.run_id)]["jobName"] for r in results]
    assert names == sorted(wanted.specs) == sorted(seen)


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (ServiceError("connect", "NoCredentialsError", "none"), "NoCredentialsError: none"),
        (GuardError("too short a time"), "GuardError: too short a time"),
        (RuntimeError("any"), "RuntimeError: the service could not be reached"),
    ],
    ids=["foreign", "ours", "unforeseen"],
)
def test_a_service_that_cannot_be_made_sends_nothing(failure: Exception, said: str) -> None:
    """Nothing was transmitted, whatever the error was, so the ledger records the submission as unsent."""

    def none(_: str) -> Aws:
        raise failure

    world = World()
    ledger = world.ledger()
    (result,) = execute(
        plan(desired(spec("A")), ledger.recorded, NOW),
        ledger=ledger,
        services=none,
        clock=world.clock,
        provenance=Provenance(None, "tests", "0.1.0", "here:1:x"),
        claim_seconds=30,
        settle_seconds=1500,
        quota=Buckets({}, world.clock),
    )
    assert result == ActionResult(ActionOutcome.UNSENT, error=said)
    assert world.types() == ["intended", "unsent"]


def test_a_check_that_fails_in_the_middle_of_a_pass_stops_the_rest() -> None:
    """The clock is checked again after a minute. If it has become wrong by then, the remaining jobs get no intent and
    are not sent."""
    world = World()
    ledger = world.ledger()
    checks = iter([None, GuardError("the clock is wrong")])

    def check() -> None:
        if error := next(checks):
            raise error

    results = execute(
        plan(desired(spec("A"), spec("B", name="other")), ledger.recorded, NOW),
        ledger=ledger,
        services=lambda _: world.aws,
        clock=world.clock,
        provenance=Provenance(None, "tests", "0.1.0", "here:1:x"),
        claim_seconds=30,
        settle_seconds=1500,
        quota=Buckets({}, world.clock),
        check=check,
        workers=1,
    )
    assert sorted(str(result.outcome) for result in results) == ["submitted", "unsent"]
    assert {result.error for result in results} == {None, "the clock is wrong"}
    assert len(world.aws.jobs) == 1
    assert sorted([*world.types("orders"), *world.types("other")]) == ["intended", "submitted"]


def test_an_action_of_a_later_version_is_no_success() -> None:
    """A plan file may contain an action that this version does not support."""
    world = World()
    made = plan(desired(spec("A")), world.ledger().recorded, NOW)
    later = replace(made, actions=tuple(replace(a, action=ActionType.REPLACE) for a in made.actions))
    (result,) = world.apply(later)
    assert (result.outcome, result.error) == (ActionOutcome.UNKNOWN, "unexpected failure: ValueError")


def test_observations_are_recorded_in_bounded_batches() -> None:
    """The states of hundreds of runs are recorded in a few appends."""

    def observed() -> Iterator[Observed]:
        for name in names:
            event = outcome("running", intended("A", name=name))
            assert isinstance(event, Observed)
            yield event

    world = World()
    ledger = world.ledger()
    names = [f"job-{n:03}" for n in range(MOST_EVENTS + 1)]
    for name in names:
        intent = intended("A", name=name)
        ledger.append([intent, outcome("submitted", intent)], lambda _: None)
    before = ledger.recorded.position
    record_observations(ledger, list(observed()))
    assert ledger.recorded.position == before + 2
    assert {s.run_state for s in world.ledger().recorded.live()} == {"running"}


def test_not_sent_is_an_outcome_of_its_own() -> None:
    """If the deadline passed before the send, the same submission may be sent again."""
    world = World(Aws(before={"orders": [lambda _: NotSent("DeadlinePassed", "too late")]}))
    (result,) = world.apply(desired(spec("A")))
    assert result == ActionResult(ActionOutcome.UNSENT, error="DeadlinePassed: too late")
    assert PLACE.owner("orders") == "analytics/prod/orders"
