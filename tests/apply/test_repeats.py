"""Tests rule R6 of the protocol: if AWS accepts an idempotency token, an unclear send is repeated at once, for up to
one minute."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from reconciler.aws.token_buckets import Buckets
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.desired import DesiredSpec
from reconciler.core.event_codec import decode, encode
from reconciler.core.ports import Accepted, Ambiguous, Instant, Outcome, Refused
from reconciler.model.base import JSON
from reconciler.model.kind import Rate
from tests.apply.world import Aws, World, unclear, unsent
from tests.builders import NOW, desired, spec


def spark(content: str = "A") -> DesiredSpec:
    """Returns an EMR Serverless spec."""
    request = {
        "applicationId": "00app",
        "executionRoleArn": "arn:aws:iam::444455556666:role/jobs",
        "name": "orders",
        "jobDriver": {"sparkSubmit": {"entryPoint": f"s3://jobs/{content}.py"}},
    }
    return spec(kind="EmrServerlessJobRun", request=request, location={"applicationId": "00app"})


@dataclass
class TokenAws(Aws):
    """A fake AWS that starts one run per token and records every transmission. Its listings do not show hidden runs."""

    sent: list[JSON] = field(default_factory=list)
    hidden: bool = False

    def submit(self, request: JSON, deadline: Instant) -> Outcome:
        """Returns the run with this token, or a new run if there is none."""
        self.sent.append(request)
        early = self._next(self.before, {"jobName": "orders"})
        if early is not None:
            return early
        known = [run for run, job in self.jobs.items() if job["clientToken"] == request["clientToken"]]
        run_id = known[0] if known else f"job-{len(self.jobs) + 1}"
        self.jobs[run_id] = request
        return self._next(self.after, {"jobName": "orders"}) or Accepted(run_id)

    def find(self, wanted):
        """Returns the runs with the tag, unless they are hidden."""
        return {want.token: () for want in wanted} if self.hidden else super().find(wanted)


def world(**aws: object) -> World:
    """Returns a world whose AWS accepts tokens."""
    return World(aws=TokenAws(**aws))  # type: ignore[arg-type]


def conflict(_: JSON) -> Outcome:
    """Returns AWS's reply to a token that was used before."""
    return Ambiguous("ConflictException", "HTTP 409", conflict=True)


def throttled(_: JSON) -> Outcome:
    """Returns AWS's reply to too many requests."""
    return Refused("ThrottlingException", "slow down", throttled=True)


def test_a_lost_request_is_repeated_with_the_same_token_and_bytes() -> None:
    """The first transmission is lost. The second transmission starts the run within the same pass."""
    here = world(before={"orders": [unclear]})
    (result,) = here.apply(desired(spark()))
    assert (result.outcome, result.run_id) == ("submitted", "job-1")
    first, second = here.aws.sent  # type: ignore[attr-defined]
    assert first == second
    assert here.types() == ["intended", "unclear", "intended", "submitted"]


def test_a_lost_reply_is_answered_with_the_same_run() -> None:
    """AWS has seen the token, so the repeated send starts nothing and returns the run."""
    here = world(after={"orders": [unclear]}, hidden=True)
    (result,) = here.apply(desired(spark()))
    assert (result.outcome, result.run_id, len(here.aws.jobs)) == ("submitted", "job-1", 1)


def test_after_a_conflict_it_only_looks() -> None:
    """If AWS replies 409 to our token, a run with this token may exist. Nothing is sent again, and the run is found by
    its tag."""
    here = world(after={"orders": [conflict]})
    (result,) = here.apply(desired(spark()))
    assert (result.outcome, len(here.aws.sent)) == ("adopted", 1)  # type: ignore[attr-defined]


def test_after_a_conflict_a_later_pass_only_looks_too() -> None:
    """The ledger records the 409. Another pass within the minute plans to wait, and sends nothing."""
    here = world(before={"orders": [conflict]}, hidden=True)
    here.apply(desired(spark()))
    log = here.ledger()
    (action,) = plan(desired(spark()), log.recorded, NOW.fromtimestamp(here.clock.now(), NOW.tzinfo)).actions
    assert (action.action, action.reason) == ("wait", "settling")


def test_a_conflict_that_another_pass_met_ends_repeats() -> None:
    """A plan to send again does nothing if another pass received a 409 after the plan was made."""
    here = world(before={"orders": [unclear] * 5}, hidden=True)
    here.apply(desired(spark()))
    log = here.ledger()
    made = plan(desired(spark()), log.recorded, NOW.fromtimestamp(here.clock.now(), NOW.tzinfo))
    assert made.actions[0].send == 6
    last = log.batch(log.recorded.position)[-1]
    assert isinstance(last, e.Unclear)
    log.append([replace(last, conflict=True)], lambda _: None)
    (result,) = here.apply(made, log)
    assert (result.outcome, len(here.aws.sent)) == ("none", 5)  # type: ignore[attr-defined]


def test_a_no_to_a_repeated_send_closes_nothing_else() -> None:
    """If the repeated send is throttled or not sent, the first send remains unresolved, because its outcome is still
    unclear."""
    here = world(before={"orders": [unclear, throttled, unsent, unclear, unclear]})
    (result,) = here.apply(desired(spark()))
    assert result.outcome == "unknown"
    (submission,) = here.ledger().recorded.spec("orders").submissions
    assert submission.unresolved
    assert [send.outcome for send in submission.sends] == [None, "unsent", "unsent", None, None]


def test_a_later_repeat_that_is_not_sent_does_not_end_the_search() -> None:
    """A pass crashed after its request had started a run. The next pass repeats the request, but cannot reach AWS. It
    does not report that nothing was sent, but repeats the request again and gets the run."""
    crashed = world(before={"orders": [unclear] * 5}, hidden=True)
    crashed.apply(desired(spark()))
    intent = crashed.ledger().batch(1)[-1]
    assert isinstance(intent, e.Intended)
    here = world(before={"orders": [unsent]}, hidden=True)
    here.aws.jobs["job-1"] = intent.request
    log = here.ledger()
    log.append([intent], lambda _: None)
    here.clock.sleep(45)
    made = plan(desired(spark()), log.recorded, NOW.fromtimestamp(here.clock.now(), NOW.tzinfo))
    (result,) = here.apply(made, log)
    assert (result.outcome, result.run_id) == ("submitted", "job-1")
    assert here.types() == ["intended", "intended", "unsent", "intended", "submitted"]


def test_a_batch_job_is_never_repeated() -> None:
    """AWS Batch accepts no token, so a second transmission would start a second job."""
    here = World(aws=Aws(before={"orders": [unclear]}))
    (result,) = here.apply(desired(spec()))
    assert (result.outcome, len(here.aws.deadlines)) == ("unknown", 1)


@pytest.mark.parametrize(("age", "sends"), [(45, 2), (59, 2), (61, 1), (3600, 1)])
def test_a_later_pass_repeats_within_the_minute_only(age: int, sends: int) -> None:
    """A pass crashed and left an intent without an outcome. The next pass sends again within a minute of the first
    send; later, it waits until the submission settles."""
    here = world(before={"orders": [unclear] * 5}, hidden=True)
    here.apply(desired(spark()))
    died = here.ledger()
    assert len(here.aws.sent) == 5  # type: ignore[attr-defined]
    began = decode(encode(died.batch(1)[-1]))
    assert isinstance(began, e.Intended)
    here = world(hidden=True)
    log = here.ledger()
    log.append([began], lambda _: None)
    here.clock.sleep(age)
    (action,) = plan(desired(spark()), log.recorded, NOW.fromtimestamp(here.clock.now(), NOW.tzinfo)).actions
    assert (action.action, action.send) == (("submit", 2) if sends == 2 else ("wait", 1))
    if sends == 2:
        made = plan(desired(spark()), log.recorded, NOW.fromtimestamp(here.clock.now(), NOW.tzinfo))
        (result,) = here.apply(made, log)
        assert (result.outcome, here.types()) == ("submitted", ["intended", "intended", "submitted"])


def test_a_plan_that_is_too_old_repeats_nothing() -> None:
    """The minute has passed before the user confirms, so nothing is sent."""
    here = world(before={"orders": [unclear] * 5}, hidden=True)
    here.apply(desired(spark()))
    log = here.ledger()
    made = plan(desired(spark()), log.recorded, NOW.fromtimestamp(here.clock.now(), NOW.tzinfo))
    assert made.actions[0].send == 6
    here.clock.sleep(120)
    sent = len(here.aws.sent)  # type: ignore[attr-defined]
    (result,) = here.apply(made, log)
    assert (result.outcome, len(here.aws.sent)) == ("none", sent)  # type: ignore[attr-defined]


def test_a_pass_that_comes_second_spends_no_quota() -> None:
    """Two passes apply the same plan. The second pass returns its quota token and ends at once."""
    here = world()
    made = plan(desired(spark()), here.ledger().recorded, NOW)
    quota = Buckets({"StartJobRun": Rate(perSecond=0.001, burst=1)}, here.clock)
    first, second = here.ledger(), here.ledger()
    for log in (first, second, second):
        here.apply(made, log, quota=quota)
    assert len(here.aws.sent) == 1  # type: ignore[attr-defined]
    assert here.clock.now() == pytest.approx(NOW.timestamp() + 1000, abs=1)  # one wait
