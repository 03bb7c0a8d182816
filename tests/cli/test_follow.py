"""Tests how commands follow runs: AWS's own state and reason, the selection of runs, and runs that do not start in
time."""

from __future__ import annotations

import csv
import json
from io import StringIO

from reconciler.core.events import CancelAsked, Observed
from tests.cli.world import World
from tests.waiting import eventually

BLOCKED = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too big"


def test_what_aws_says_is_shown_and_recorded(world: World):
    """AWS's state, reason and job definition of a waiting job are in `status`, `why`, `runs` and the ledger."""
    world.aws.configure(reports={"orders": {"never_starts": True, "waiting_reason": BLOCKED}})
    world.batch("orders")
    assert world.run("apply", "--yes").code == 0
    asked = world.run("why", "orders", "--format", "json").json
    unasked = world.run("why", "orders", "--no-refresh", "--format", "json").json
    status = world.run("status", "--format", "json").json["specs"][0]
    runs = world.run("runs", "orders", "--format", "json").json["runs"]
    before = [event for event in world.events() if isinstance(event, Observed)]
    assert world.run("reconcile").code == 0
    (event,) = (event for event in world.events() if isinstance(event, Observed))

    run_id = world.runs()[0].id
    definition = "arn:aws:batch:eu-west-1:111122223333:job-definition/worker:1"
    console = f"https://eu-west-1.console.aws.amazon.com/batch/home?region=eu-west-1#jobs/detail/{run_id}"
    assert [(each["aws_state"], each["detail"]) for each in (asked, status, runs[0])] == [("RUNNABLE", BLOCKED)] * 3
    assert (unasked["aws_state"], before) == (None, [])
    assert (status["runs"][0]["run_id"], status["runs"][0]["definition"]) == (run_id, definition)
    assert {status["console_url"], asked["console_url"], runs[0]["console_url"]} == {console}
    assert (event.aws_state, event.detail, event.definition) == ("RUNNABLE", BLOCKED, definition)
    assert event.created_at is not None


def test_runs_and_status_are_selected(world: World):
    """Tests the name, outcome and format options of `runs`, and the state and format options of `status`."""
    world.aws.configure(run_seconds=0, outcomes={"bad": "failed"}, reports={"bad": {"exit_code": 9}})
    for name in ("bad", "good"):
        world.batch(name)
    world.run("apply", "--yes")
    world.run("reconcile")
    table = csv.DictReader(StringIO(world.run("runs", "--failed", "--format", "csv").out))
    by_id = {run.id: run.name for run in world.runs()}

    assert [(row["name"], row["state"]) for row in table] == [("bad", "failed")]
    assert [by_id[line] for line in world.run("runs", "good", "-o", "name").out.split()] == ["good"]
    assert world.run("runs", "good", "--since", "2020-01-01", "--failed").out == "No runs.\n"
    assert "exit code 9" in world.run("runs", "bad").out
    assert world.run("status", "--state", "failed", "-o", "name").out == "bad\n"
    assert "WHERE" in world.run("status", "-o", "wide").out
    assert [each["name"] for each in json.loads(world.run("status", "-o", "json", "--sort", "state").out)["specs"]] == [
        "bad", "good",
    ]  # fmt: skip
    unknown = world.run("runs", "goud")
    assert (unknown.code, "Did you mean good" in unknown.err) == (1, True)
    assert "'melted' is not one of none, intended" in world.run("status", "--state", "melted").err


def test_a_run_that_does_not_start_is_attempted_again(world: World):
    """The run is cancelled after pendingTimeoutSeconds, the ledger contains the reason, and another attempt follows."""
    world.aws.configure(reports={"orders": {"never_starts": True, "waiting_reason": BLOCKED}})
    world.batch("orders", pendingTimeoutSeconds="1", backoffLimit="1", backoffSeconds="0")
    world.run("apply", "--yes")
    assert eventually(lambda: world.run("reconcile").code == 3)
    asked = [event for event in world.events() if isinstance(event, CancelAsked)]
    (held,) = world.run("plan", "--format", "json").json["actions"]

    assert [run.name for run in world.runs()] == ["orders", "orders"]
    assert [event.not_started for event in asked] == [True, True]
    assert (held["action"], held["reason"], held["attempt"]) == ("hold", "retries-exhausted", 2)
    assert "did not start in time and was cancelled, the last of 2 attempts" in held["message"]


def test_a_time_limit_of_the_queue_is_a_failure(world: World):
    """A job that AWS itself cancelled is retried. A job that a person cancelled is not."""
    world.aws.configure(reports={"orders": {"never_starts": True, "queue_limit_seconds": 0}})
    world.batch("orders", backoffLimit="1", backoffSeconds="0")
    world.run("apply", "--yes")
    ends = [world.run("reconcile").code for _ in range(2)]
    (held,) = world.run("plan", "--format", "json").json["actions"]

    assert len(world.runs()) == 2
    assert ends[-1] == 3
    assert held["reason"] == "retries-exhausted"
    assert "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY" in held["message"]
