"""Tests faults that affect stored runs: delays, retention, tokens, signatures and clocks, by settings or by a fault
plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from werkzeug.datastructures import Headers

from reconciler.emulator import Emulator, Plan, Rule, Settings
from reconciler.emulator.dispatch import dispatcher
from reconciler.emulator.http import Call
from reconciler.emulator.records import Records
from reconciler.emulator.server import Control
from reconciler.emulator.state import State
from tests.emulator.conftest import APPLICATION, NOON, Clock, client, run_request, send
from tests.waiting import eventually

Submit = Callable[..., str]


def listed(emr: Any, batch: Any) -> set[str]:
    """Returns the ids in the listings of both services."""
    runs = [run["id"] for run in emr.list_job_runs(applicationId=APPLICATION)["jobRuns"]]
    jobs = batch.list_jobs(jobQueue="main", filters=[{"name": "JOB_NAME", "values": ["*"]}])["jobSummaryList"]
    return {*runs, *(job["jobId"] for job in jobs)}


def described(emr: Any, batch: Any, ids: set[str]) -> set[str]:
    """Returns which of these ids can be described, in either service."""
    described_ids = {job["jobId"] for job in batch.describe_jobs(jobs=sorted(ids))["jobs"]}
    for run_id in (run_id for run_id in ids if "-" not in run_id):
        with suppress(emr.exceptions.ResourceNotFoundException):
            described_ids.add(emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id)["jobRun"]["jobRunId"])
    return described_ids


def test_listings_can_lag(
    emulator: Emulator, emr: Any, batch: Any, start: Submit, submit: Submit, clock: Clock
) -> None:
    """Although listings are delayed, runs can be described by their ids immediately."""
    emulator.configure(listing_lag_seconds=60)
    accepted = {start(), submit()}

    clock.tick(59)
    assert (listed(emr, batch), described(emr, batch, accepted)) == (set(), accepted)
    clock.tick(1)
    assert listed(emr, batch) == accepted


def test_descriptions_can_lag(
    emulator: Emulator, emr: Any, batch: Any, start: Submit, submit: Submit, clock: Clock
) -> None:
    """Although descriptions are delayed, listings contain the runs immediately; only the control endpoint can change
    them."""
    emulator.configure(describe_lag_seconds=60)
    run_id, job_id = start(), submit()

    assert (listed(emr, batch), described(emr, batch, {run_id, job_id})) == ({run_id, job_id}, set())
    with pytest.raises(ClientError, match="does not exist"):
        emr.cancel_job_run(applicationId=APPLICATION, jobRunId=run_id)
    with pytest.raises(ClientError, match="does not exist"):
        batch.terminate_job(jobId=job_id, reason="why")
    emulator.finish(run_id, "failed")

    clock.tick(60)
    assert described(emr, batch, {run_id, job_id}) == {run_id, job_id}
    assert emr.get_job_run(applicationId=APPLICATION, jobRunId=run_id)["jobRun"]["state"] == "FAILED"


@pytest.mark.parametrize("retention", ["listing", "describe"])
def test_listings_and_descriptions_can_have_their_own_retention(
    retention: str, emulator: Emulator, emr: Any, batch: Any, start: Submit, submit: Submit, clock: Clock
) -> None:
    """Ended runs disappear from either listings or descriptions. Live runs remain in both."""
    emulator.configure(**{f"{retention}_retention_seconds": 100}, durations={"long": None})
    ended, living = {start(), submit()}, {start(name="long"), submit(jobName="long")}

    clock.tick(22 + 99)
    both = ended | living
    assert (listed(emr, batch), described(emr, batch, both)) == (both, both)
    clock.tick(2)
    gone = (living, both) if retention == "listing" else (both, living)
    assert (listed(emr, batch), described(emr, batch, both)) == gone


def test_an_expired_token_starts_a_second_run(emulator: Emulator, emr: Any, start: Submit, clock: Clock) -> None:
    """Until it expires, the token returns the first run. Afterwards, it belongs to the second run."""
    emulator.configure(token_seconds=600)
    first = start(clientToken="t")
    clock.tick(600)
    assert start(clientToken="t") == first

    clock.tick(1)
    second = start(clientToken="t")

    assert second != first
    clock.tick(600)
    assert start(clientToken="t") == second
    assert [first, second] == [run.id for run in emulator.runs()]
    assert ["t", "t"] == [run.request["clientToken"] for run in emulator.runs()]


def test_a_token_with_another_body_is_a_conflict_or_returns_the_first_run(emulator: Emulator, start: Submit) -> None:
    """The setting `token_mismatch` determines the reply."""
    first = start(clientToken="t")
    with pytest.raises(ClientError, match="ConflictException"):
        start(clientToken="t", name="other")

    emulator.configure(token_mismatch="first")

    assert start(clientToken="t", name="other") == first
    assert len(emulator.runs()) == 1


# --- signatures and clocks --------------------------------------------------------------------------------------------


def signed(emulator: Emulator, age: float | None, path: str = "/v1/submitjob") -> tuple[int, str, dict[str, str]]:
    """Submits a request whose signature is this old by the test's clock. Returns the status, error code and headers."""
    headers = {}
    if age is not None:
        headers["X-Amz-Date"] = datetime.fromtimestamp(NOON - age, UTC).strftime("%Y%m%dT%H%M%SZ")
    body = b'{"jobName":"a","jobQueue":"q","jobDefinition":"d"}'
    form = b"Action=GetCallerIdentity&Version=2011-06-15"
    reply, text = send(emulator, "POST", path, form if path == "/" else body, headers)
    code = reply.headers.get("x-amzn-ErrorType", text.decode().partition("<Code>")[2].partition("</Code>")[0])
    return reply.status, code, dict(reply.headers)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, (200, "")),
        (900, (200, "")),
        (-900, (200, "")),
        (901, (403, "InvalidSignatureException")),
        (-901, (403, "InvalidSignatureException")),
        (None, (403, "MissingAuthenticationTokenException")),
    ],
)
def test_signatures_too_old_or_too_new_are_refused(
    age: float | None, expected: tuple[int, str], emulator: Emulator
) -> None:
    """If the signature differs by more than 15 minutes or has no date, the reply is a 403 with a request id, and no run
    is started."""
    emulator.configure(signature_seconds=900)

    status, code, headers = signed(emulator, age)

    assert expected == (status, code)
    assert headers["x-amzn-RequestId"]
    assert len(emulator.runs()) == (1 if status == 200 else 0)


def test_by_default_signatures_are_not_checked(emulator: Emulator) -> None:
    """Very old signatures and missing signatures are accepted."""
    assert [200, 200] == [signed(emulator, 10_000)[0], signed(emulator, None)[0]]


def test_sts_has_its_own_code_for_old_signatures(emulator: Emulator) -> None:
    """AWS's error code is SignatureDoesNotMatch."""
    emulator.configure(signature_seconds=900)

    assert signed(emulator, 901, "/")[:2] == (403, "SignatureDoesNotMatch")
    assert signed(emulator, 0, "/")[:2] == (200, "")


@pytest.mark.parametrize(("late", "runs"), [(900, 1), (901, 0)])
def test_a_late_request_is_refused_when_its_signature_is_too_old(
    late: float, runs: int, emulator: Emulator, clock: Clock
) -> None:
    """The age of the signature is checked when the request is processed. A request that is too old has no effect."""
    rule = Rule("late", "error", status=500, late_seconds=late)
    emulator.inject(Plan([rule], {"signature_seconds": 900}))
    assert signed(emulator, 0)[0] == 500

    clock.tick(late)

    assert eventually(lambda: emulator.faults()["on_the_way"] == 0)
    assert runs == len(emulator.runs())


def test_a_real_client_is_refused_if_the_clocks_differ() -> None:
    """boto3 signs with the clock of this machine. The service's clock may be ahead of that."""
    with Emulator(None, faults=Plan(settings={"signature_seconds": 900})) as emulator:
        emr = client("emr-serverless", emulator.url)
        emr.start_job_run(**run_request())
        emulator.configure(clock_offset_seconds=1000)
        with pytest.raises(ClientError) as caught:
            emr.start_job_run(**run_request())
        emr.close()

    assert caught.value.response["Error"]["Code"] == "InvalidSignatureException"
    assert caught.value.response["ResponseMetadata"]["RequestId"]


@pytest.mark.parametrize("offset", [120.0, -120.0])
def test_the_service_can_have_another_clock(offset: float, emulator: Emulator, emr: Any, submit: Submit) -> None:
    """The offset applies to the Date header of every service, including errors, and to the times of runs."""
    emulator.configure(clock_offset_seconds=offset)
    submit()
    started = emr.start_job_run(**run_request())

    shown = emr.get_job_run(applicationId=APPLICATION, jobRunId=started["jobRunId"])["jobRun"]
    dates = [signed(emulator, 0)[2]["Date"], signed(emulator, 0, "/")[2]["Date"], signed(emulator, 0, "/no")[2]["Date"]]

    there = datetime.fromtimestamp(NOON, UTC) + timedelta(seconds=offset)
    assert [there] * 3 == [parsedate_to_datetime(date) for date in dates]
    assert there == shown["createdAt"]
    assert {NOON + offset} == {run.accepted_at for run in emulator.runs()}


def test_the_signature_is_checked_before_the_request(emulator: Emulator) -> None:
    """As in AWS, other errors are not reported if the signature is too old."""
    emulator.configure(signature_seconds=900)

    assert signed(emulator, 901, "/v1/describejobs")[:2] == (403, "InvalidSignatureException")
    assert signed(emulator, 0, "/v1/describejobs")[:2] == (400, "ClientException")


def test_a_signature_that_expires_while_waiting_is_refused(clock: Clock) -> None:
    """The age of the signature is checked when the request is processed, however long it waited for the state file."""

    class Busy(State):
        """A state whose write transactions wait for a minute."""

        @contextmanager
        def writing(self) -> Iterator[Records]:
            clock.tick(60)
            with super().writing() as records:
                yield records

    state = Busy(None)
    state.put_settings(Settings(signature_seconds=30))
    date = datetime.fromtimestamp(clock.now, UTC).strftime("%Y%m%dT%H%M%SZ")
    body = b'{"jobName":"a","jobQueue":"q","jobDefinition":"d"}'

    reply = dispatcher(state)(Call("POST", "/v1/submitjob", headers=Headers({"X-Amz-Date": date}), body=body))

    assert (reply.status, reply.headers["x-amzn-ErrorType"]) == (403, "InvalidSignatureException")
    assert Control(state).runs() == []
    state.close()


def test_another_process_can_change_clock_and_signatures(tmp_path: Path, clock: Clock) -> None:
    """An emulator uses the current settings in the file, not those that it read before."""
    with Emulator(tmp_path / "aws.sqlite") as one, Emulator(tmp_path / "aws.sqlite") as other:
        other.configure(signature_seconds=900, clock_offset_seconds=1000)
        assert signed(other, 0)[0] == 403
        one.configure(clock_offset_seconds=0)
        after = signed(other, 0)[0]
        one.configure(clock_offset_seconds=1000)
        again = signed(other, 0)[0]

    assert (after, again) == (200, 403)


def test_faults_of_the_stored_world_apply_to_every_emulator_on_the_file(tmp_path: Path, clock: Clock) -> None:
    """A run that one emulator accepted is also listed late by the other emulator."""
    with Emulator(tmp_path / "aws.sqlite") as one, Emulator(tmp_path / "aws.sqlite") as other:
        one.inject(Plan(settings={"listing_lag_seconds": 60}))
        first, second = client("emr-serverless", one.url), client("emr-serverless", other.url)
        run_id = first.start_job_run(**run_request())["jobRunId"]

        before = second.list_job_runs(applicationId=APPLICATION)["jobRuns"]
        clock.tick(60)
        after = second.list_job_runs(applicationId=APPLICATION)["jobRuns"]
        first.close()
        second.close()

    assert ([], [run_id]) == (before, [run["id"] for run in after])
