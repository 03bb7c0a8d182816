"""Tests whole passes: schedules, attempts, replacements, dependencies and lost runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.core.events import CancelAsked, Intended, Missed, ScheduledSince, Unseen
from reconciler.core.times import seconds_text, time_text
from tests.cli.world import World, project_text, sealed

EVERY_MINUTE = '"* * * * *"'


def reconcile(world: World, code: int = 0) -> list[tuple[str, ...]]:
    """Runs one pass; returns the type, reason and outcome of each action."""
    done = world.run("reconcile", "--format", "json")
    assert done.code == code, done.err
    return done.actions("action", "reason", "outcome")


def began(world: World, minutes: float, **more: str) -> datetime:
    """Records that the schedule of `orders` started some minutes ago. If a test takes more than a minute, one more slot
    is due."""
    now = datetime.now(UTC)
    log = world.log()
    event = ScheduledSince(
        at=time_text(now),
        name="orders",
        kind="EmrServerlessJobRun",
        since=time_text(now - timedelta(minutes=minutes)),
        schedule="* * * * *",
        time_zone=more.get("zone", "UTC"),
    )
    log.append([event], lambda _: None)
    log.close()
    return now


def test_the_first_pass_records_the_start_of_a_schedule(world: World):
    """A new schedule runs nothing at once, shows when it is due, and is recorded once."""
    world.spark("orders", schedule='"0 2 29 2 *"')
    plan = world.run("plan", "--format", "json")
    assert [(a["action"], a["reason"], a["next_slot"]) for a in plan.json["actions"]] == [
        ("none", "in-sync", "2028-02-29T02:00:00Z")
    ]
    assert [begin["name"] for begin in plan.json["schedules"]] == ["orders"]
    assert reconcile(world) == reconcile(world) == [("none", "in-sync", "none")]
    assert [event.schedule for event in world.events() if isinstance(event, ScheduledSince)] == ["0 2 29 2 *"]
    assert world.run("plan", "--detailed-exitcode").code == 0
    assert world.runs() == []


def test_a_due_slot_runs_once_with_its_day_in_the_request(world: World):
    """The newest due slot is submitted with its date in the request. Earlier slots are recorded as missed."""
    world.aws.configure(run_seconds=0)
    world.spark("orders", "${run.slot:%Y-%m-%d}", schedule=EVERY_MINUTE, timeZone="Pacific/Kiritimati")
    reconcile(world)
    began(world, 5, zone="Pacific/Kiritimati")
    assert reconcile(world) == [("skip", "missed", "recorded"), ("submit", "slot-due", "submitted")]

    (sent,) = world.sent("orders")
    (intent,) = [event for event in world.events() if isinstance(event, Intended)]
    (missed,) = [event for event in world.events() if isinstance(event, Missed)]
    local = datetime.fromisoformat(intent.key.slot or "").astimezone(UTC) + timedelta(hours=14)
    assert sent["jobDriver"]["sparkSubmit"]["entryPointArguments"] == [f"{local:%Y-%m-%d}"]
    assert (missed.reason, missed.last < (intent.key.slot or "")) == ("passed-over", True)
    assert missed.count in {4, 5}
    history = world.run("history", "orders")
    assert f"{missed.count} slots from" in history.out
    assert "scheduled-since" in history.out


def test_a_plan_file_of_a_slot_is_applied_as_it_is(world: World):
    """The plan file contains the rendered request of the slot, and an edited file is refused."""
    world.spark("orders", "${run.slot}", schedule=EVERY_MINUTE)
    reconcile(world)
    began(world, 5)
    planned = world.run("plan", "--out", "kept.plan", "--format", "json")
    assert planned.code == 0, planned.err
    (submit,) = [action for action in planned.json["actions"] if action["action"] == "submit"]
    assert submit["request"]["jobDriver"]["sparkSubmit"]["entryPointArguments"] == [submit["slot"]]
    done = world.run("apply", "kept.plan", "--yes", "--format", "json")
    assert done.code == 0, done.err
    assert [o for (o,) in done.actions("outcome")] == ["recorded", "submitted"]
    assert len(world.runs()) == 1


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (lambda a: a["request"]["jobDriver"]["sparkSubmit"].update(entryPointArguments=["2020-01-01"]), "request"),
        (lambda a: a["template"]["jobDriver"]["sparkSubmit"].update(entryPointArguments=["${run.slot:%Y}"]), "request"),
        (lambda a: a.update(slot="2020-01-01T00:00:00Z"), "request"),
        (lambda a: a.update(attempt=2), "client token"),
    ],
)
def test_an_edited_slot_is_refused(world: World, edit: Callable[[dict[str, Any]], object], what: str):
    """The request and the digest must match the template, and the token must match the slot."""
    world.spark("orders", "${run.slot}", schedule=EVERY_MINUTE)
    reconcile(world)
    began(world, 5)
    assert world.run("plan", "--out", "kept.plan").code == 0
    form = json.loads((world.folder / "kept.plan").read_text())
    edit(next(action for action in form["actions"] if action["action"] == "submit"))
    (world.folder / "kept.plan").write_text(sealed(form))
    done = world.run("apply", "kept.plan", "--yes")
    assert done.code == 1
    assert f"the {what} of orders does not match its content" in done.err
    assert world.runs() == []


def test_catchup_runs_every_slot(world: World):
    """With `catchup`, the slots run at the same time if concurrencyPolicy allows it."""
    world.spark("orders", schedule=EVERY_MINUTE, catchup="true", concurrencyPolicy="Allow")
    reconcile(world)
    began(world, 4)
    assert set(reconcile(world)) == {("submit", "slot-due", "submitted")}
    slots = [event.key.slot for event in world.events() if isinstance(event, Intended)]
    assert len(slots) == len(set(slots)) == len(world.runs())
    assert len(slots) in {4, 5}
    assert slots == sorted(slots, key=str)


def test_a_failing_job_is_retried_and_then_on_hold(world: World):
    """Each attempt has its own token. After the last attempt, the spec is on hold, and the pass exits 3."""
    world.aws.configure(run_seconds=0, outcome="failed")
    world.spark("orders", backoffLimit="1", backoffSeconds="0")
    assert reconcile(world) == [("submit", "new", "submitted")]
    assert reconcile(world) == [("submit", "retry", "submitted")]
    assert reconcile(world, 3) == [("hold", "retries-exhausted", "none")]
    assert reconcile(world, 3) == [("hold", "retries-exhausted", "none")]
    assert len({run.request["tags"]["reconciler:token"] for run in world.runs()}) == len(world.runs()) == 2
    status = world.run("status", "--format", "json")
    assert (status.code, status.json["specs"][0]["attempt"]) == (3, 2)


@pytest.mark.parametrize("kind", ["spark", "batch"])
def test_replace_cancels_the_old_run_first(world: World, kind: str):
    """The pass that detects a change cancels the live run, and a later pass submits the new one."""
    write = getattr(world, kind)
    write("orders", "A", concurrencyPolicy="Replace")
    reconcile(world)
    write("orders", "B", concurrencyPolicy="Replace")
    assert reconcile(world) == [("replace", "spec-changed", "cancelled")]
    assert reconcile(world) == [("submit", "spec-changed", "submitted")]
    assert [event.replacing for event in world.events() if isinstance(event, CancelAsked)] == [True]
    assert len(world.runs()) == 2
    assert reconcile(world) == [("none", "in-sync", "none")]


def test_a_plan_file_may_replace(world: World):
    """Applying the plan file cancels the live run, and a later pass submits the new one."""
    world.spark("orders", "A", concurrencyPolicy="Replace")
    reconcile(world)
    world.spark("orders", "B", concurrencyPolicy="Replace")
    assert world.run("plan", "--out", "kept.plan").code == 0
    done = world.run("apply", "kept.plan", "--yes", "--format", "json")
    assert (done.code, done.actions("action", "outcome")) == (0, [("replace", "cancelled")])
    assert reconcile(world) == [("submit", "spec-changed", "submitted")]


def test_a_diamond_across_both_services(world: World):
    """Each pass submits the specs whose dependencies have ended."""
    world.aws.configure(run_seconds=0)
    world.spark("extract")
    world.batch("clean", dependsOn="[{name: extract}]")
    world.spark("enrich", dependsOn="[{name: extract}]")
    world.batch("report", dependsOn="[{name: clean}, {name: enrich}]")
    order = []
    for _ in range(4):
        done = world.run("reconcile", "--format", "json")
        assert done.code == 0, done.err
        order.append(sorted(name for name, outcome in done.actions("name", "outcome") if outcome == "submitted"))
    assert order == [["extract"], ["clean", "enrich"], ["report"], []]


def test_a_failed_dependency_is_named(world: World):
    """The message of the waiting spec contains the id of the failed run that it depends on."""
    world.aws.configure(run_seconds=0, outcome="failed")
    world.spark("extract")
    world.batch("load", dependsOn="[{name: extract}]")
    reconcile(world)
    done = world.run("reconcile", "--format", "json")
    assert done.code == 3
    assert done.actions("name", "action", "reason")[1] == ("load", "wait", "dependency")
    run_id = done.json["actions"][0]["run_id"]
    assert done.json["actions"][1]["message"] == f"run {run_id} of extract (generation 1) failed"


def test_a_batch_request_names_a_job(world: World):
    """A spec name in the request's `dependsOn` is sent as the job id; the digest covers the name."""
    world.batch("extract")
    path = world.batch("load")
    path.write_text(path.read_text().replace("jobQueue:", "dependsOn: [{spec: extract}]\n    jobQueue:"))
    reconcile(world)
    assert reconcile(world)[1] == ("submit", "new", "submitted")
    (extract,) = [run for run in world.runs() if run.request["jobName"] == "extract"]
    assert world.sent("load")[0]["dependsOn"] == [{"jobId": extract.id}]
    assert reconcile(world) == [("none", "in-sync", "none")] * 2


def test_a_run_that_aws_does_not_know_is_lost_after_two_looks(world: World):
    """A single empty reply does not prove that a run is lost. After two empty replies that are far enough apart, the
    run is recorded as lost, and the spec is on hold."""
    world.write("reconciler.yaml", project_text(limits="\n      settleSeconds: 0"))
    world.spark("orders")
    reconcile(world)
    world.aws.reset()
    assert reconcile(world, 3) == [("none", "in-sync", "none")]
    assert len([event for event in world.events() if isinstance(event, Unseen)]) == 1
    assert reconcile(world, 3) == [("hold", "lost", "none")]
    status = world.run("status", "--format", "json")
    assert (status.code, status.json["specs"][0]["state"]) == (3, "lost")
    assert world.runs() == []


def test_a_suspended_schedule_runs_nothing(world: World):
    """Slots that became due during the suspension are recorded as missed when the schedule resumes."""
    world.spark("orders", schedule=EVERY_MINUTE)
    reconcile(world)
    began(world, 3)
    world.spark("orders", schedule=EVERY_MINUTE, suspend="true")
    assert reconcile(world) == [("wait", "suspended", "none")]
    world.spark("orders", schedule=EVERY_MINUTE)
    assert reconcile(world) == [("skip", "missed", "recorded")]
    (missed,) = [event for event in world.events() if isinstance(event, Missed)]
    assert missed.reason == "suspended"
    assert missed.count in {3, 4}
    assert missed.last <= seconds_text(datetime.now(UTC))
    assert world.runs() == []


def test_a_plan_as_of_another_time(world: World):
    """`plan --at` shows what a pass would do at that time."""
    world.spark("orders", schedule='"0 2 * * *"')
    reconcile(world)
    later = datetime.now(UTC).replace(hour=3) + timedelta(days=2)
    plan = world.run("plan", "--format", "json", "--at", time_text(later))
    assert plan.actions("action", "reason")[-1] == ("submit", "slot-due")
    assert plan.json["actions"][-1]["slot"] == f"{later:%Y-%m-%d}T02:00:00Z"
