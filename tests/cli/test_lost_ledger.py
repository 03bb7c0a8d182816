"""Tests empty ledgers: each is either new, or replaces a lost ledger. In the second case, AWS still has the runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from reconciler.apply.effects import always
from reconciler.core.events import Conflicted, ManuallyAdopted, ScheduledSince
from reconciler.core.times import time_text
from reconciler.emulator.fault_plan import Plan
from reconciler.emulator.fault_rules import Rule
from tests.campaigns import pairs
from tests.cli.world import REGION, World


def lose(world: World) -> None:
    """Replaces the ledger with an empty one, like a user who creates a new ledger after losing the old one."""
    for path in world.folder.glob("ledger.sqlite*"):
        path.unlink()
    world.init()


EVERY_MINUTE = "* * * * *"


def begin_schedule(world: World, name: str, kind: str) -> None:
    """Records that the schedule, with a slot every minute, began ten minutes ago, so that a slot is due."""
    at = time_text(datetime.now(UTC) - timedelta(minutes=10))
    log = world.log()
    log.append([ScheduledSince(at=at, name=name, kind=kind, since=at, schedule=EVERY_MINUTE, time_zone="UTC")], always)
    log.close()


def clone(world: World) -> None:
    """Submits the first job again with its tags, as the console's clone button does."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    client = boto3.client("batch", endpoint_url=world.aws.url, region_name=REGION, **keys)
    client.submit_job(**world.runs()[0].request)
    client.close()


def test_runs_of_the_same_content_are_adopted_and_not_started_again(world: World):
    """The runs are recognized by the token in their tag, because the same content results in the same token."""
    world.spark("orders")
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    lose(world)
    world.batch("fresh")

    done = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0, done.err
    assert done.actions("name", "action", "reason", "outcome") == [
        ("clicks", "adopt", "found", "adopted"),
        ("fresh", "submit", "new", "submitted"),
        ("orders", "adopt", "found", "adopted"),
    ]
    assert len(world.runs()) == 3
    assert {event.name for event in world.events() if isinstance(event, ManuallyAdopted)} == {"clicks", "orders"}
    again = world.run("apply", "--yes", "--format", "json")
    assert {action for (action,) in again.actions("action")} == {"none"}


def test_an_interrupted_recovery_continues(world: World):
    """Previous runs are searched for until the first intent is recorded, so neither a selection nor a killed process
    starts a run twice."""
    world.batch("orders")
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)

    assert world.run("apply", "--yes", "--only", "clicks").code == 0
    done = world.run("apply", "--yes", "--format", "json")

    assert done.actions("name", "action", "outcome") == [("clicks", "none", "none"), ("orders", "adopt", "adopted")]
    assert len(world.runs()) == 2


def test_the_generation_is_the_one_that_ran(world: World):
    """A run of generation 2 is adopted as generation 2, so the next change is generation 3 and has a new token."""
    world.batch("clicks", "A")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[-1].id, "succeeded")
    world.batch("clicks", "B")
    world.run("apply", "--yes")
    world.aws.finish(world.runs()[-1].id, "succeeded")
    lose(world)
    assert world.run("apply", "--yes", "--format", "json").actions("action", "generation") == [("adopt", 2)]
    world.batch("clicks", "C")
    assert world.run("apply", "--yes", "--format", "json").actions("action", "generation") == [("submit", 3)]
    assert len(world.runs()) == 3


@pytest.mark.parametrize(("kind", "schedule"), pairs(["BatchJob", "EmrServerlessJobRun"], [EVERY_MINUTE, None]))
def test_a_failed_search_for_previous_runs_holds(world: World, kind: str, schedule: str | None):
    """Nothing is submitted until AWS can be reached. After that, the run is adopted and a new spec is submitted."""
    write = world.batch if kind == "BatchJob" else world.spark
    write("clicks")
    assert world.run("apply", "--yes").code == 0
    lose(world)
    write("fresh", **({} if schedule is None else {"schedule": f'"{schedule}"'}))
    if schedule is not None:
        begin_schedule(world, "fresh", kind)
    world.aws.inject(Plan((Rule("lost", "error", operation=("ListJobs", "ListJobRuns"), status=403),)))

    held = world.run("apply", "--yes", "--format", "json")
    runs = len(world.runs())
    world.aws.inject(Plan())
    done = world.run("apply", "--yes", "--format", "json")

    assert (held.code, runs) == (3, 1)
    holds = [action for action in held.json["actions"] if action["action"] == "hold"]
    assert [(hold["name"], hold["reason"]) for hold in holds] == [("clicks", "unknown"), ("fresh", "unknown")]
    assert all("it is unknown whether AWS has runs" in hold["message"] for hold in holds)
    assert ("clicks", "adopt", "adopted") in done.actions("name", "action", "outcome")
    assert ("fresh", "submit", "submitted") in done.actions("name", "action", "outcome")
    assert len(world.runs()) == 2


@pytest.mark.parametrize("kind", ["BatchJob", "EmrServerlessJobRun"])
def test_runs_of_schedules_are_looked_for_too(world: World, kind: str):
    """A slot that was run with another ledger is adopted and does not run again, even if the name of its run contains
    the slot."""
    write = world.batch if kind == "BatchJob" else world.spark
    named = "jobName" if kind == "BatchJob" else "name"
    path = write("rates", schedule=f'"{EVERY_MINUTE}"')
    path.write_text(path.read_text().replace("  request:\n", f"  request:\n    {named}: rates-${{run.slot:%H-%M}}\n"))
    begin_schedule(world, "rates", kind)
    assert world.run("apply", "--yes").code == 0
    lose(world)
    begin_schedule(world, "rates", kind)

    done = world.run("apply", "--yes", "--format", "json")

    assert done.actions("name", "action", "reason") == [("rates", "adopt", "found")]
    assert len(world.runs()) == 1
    assert world.log().recorded.specs["rates"].submissions[0].slot == done.json["actions"][0]["slot"]


@pytest.mark.parametrize(("kind", "schedule"), pairs(["BatchJob", "EmrServerlessJobRun"], [None, EVERY_MINUTE]))
def test_runs_of_another_content_are_a_conflict(world: World, kind: str, schedule: str | None):
    """If a pass with a second ledger finds runs that have the spec's tag, it sends nothing for the spec. After the runs
    are recorded, the spec continues."""
    write = world.batch if kind == "BatchJob" else world.spark
    policy = {} if schedule is None else {"schedule": f'"{schedule}"'}
    write("clicks", "A", **policy)
    if schedule is not None:
        begin_schedule(world, "clicks", kind)
    assert world.run("apply", "--yes").code == 0
    lose(world)
    write("clicks", "B", **policy)
    write("fresh")

    first = world.run("apply", "--yes", "--only", "clicks", "--format", "json")
    text = world.run("apply", "--yes", "--only", "clicks").out
    held = len(world.runs())
    rebuilt = world.run("fsck", "--adopt", "--yes")
    world.aws.finish(world.runs()[0].id, "succeeded")
    second = world.run("apply", "--yes", "--format", "json")

    assert (first.code, held) == (3, 1)
    assert first.actions("name", "action", "reason") == [("clicks", "hold", "conflict")]
    run_id = world.runs()[0].id
    assert run_id in first.json["actions"][0]["message"]
    assert "reconciler fsck --adopt -t staging" in text
    assert f"reconciler adopt clicks {run_id} -t staging" in text
    assert rebuilt.code == 0, rebuilt.out + rebuilt.err
    assert ("fresh", "submit", "submitted") in second.actions("name", "action", "outcome")
    if schedule is None:
        assert second.actions("name", "action", "reason")[0] == ("clicks", "submit", "spec-changed")


def test_a_plan_file_that_did_not_see_the_runs_is_stale(world: World):
    """A plan that was made without a ledger is refused if AWS has runs of its specs."""
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)
    assert world.run("plan", "--out", "kept.plan").code == 0
    done = world.run("apply", "--yes", "kept.plan")
    assert done.code == 1
    assert "clicks" in done.err
    assert len(world.runs()) == 1


def test_several_runs_with_one_token_are_a_conflict(world: World):
    """An operator chooses one of the runs for the submission, and nothing is started."""
    world.batch("clicks")
    world.run("apply", "--yes")
    lose(world)
    clone(world)
    done = world.run("apply", "--yes", "--format", "json")
    assert (done.code, done.actions("action", "reason")) == (3, [("hold", "conflict")])
    assert len(world.runs()) == 2


def test_a_conflict_is_recorded(world: World):
    """Two runs with the tag of an unresolved submission are recorded, even if AWS deletes them later."""
    world.batch("clicks")
    world.run("apply", "--yes")
    log = world.log()
    submitted = log.batch(log.recorded.specs["clicks"].submissions[0].intent_position)
    log.close()
    lose(world)
    log = world.log()
    log.append(submitted, always)
    log.close()
    clone(world)
    for _ in range(2):
        assert world.run("reconcile").code == 3
    assert [len(event.run_ids) for event in world.events() if isinstance(event, Conflicted)] == [2]


# --- two ledgers of one place -----------------------------------------------------------------------------------------


def second_clone(world: World) -> World:
    """Returns another checkout of the same project, with a separate ledger next to its project file."""
    clone = World(world.folder.parent / "clone", world.aws, env=world.env)
    for path in world.folder.glob("*.yaml"):
        clone.write(path.name, path.read_text())
    clone.init()
    return clone


@pytest.mark.parametrize("kind", ["BatchJob", pytest.param("EmrServerlessJobRun", marks=pytest.mark.soak)])
def test_two_clones_with_a_ledger_each_start_nothing_twice(world: World, kind: str):
    """If one clone submitted new content, a clone that has the same content adopts the run. A clone with other content
    reports a conflict."""
    writes = {"BatchJob": (World.batch), "EmrServerlessJobRun": (World.spark)}[kind]
    writes(world, "clicks", "A", concurrencyPolicy="Allow")
    assert world.run("apply", "--yes").code == 0
    clone = second_clone(world)
    assert clone.run("apply", "--yes", "--format", "json").actions("action") == [("adopt",)]
    for checkout in (world, clone):
        writes(checkout, "clicks", "B", concurrencyPolicy="Allow")
    assert world.run("apply", "--yes").code == 0

    same = clone.run("apply", "--yes", "--format", "json")
    writes(world, "clicks", "C", concurrencyPolicy="Allow")
    assert world.run("apply", "--yes").code == 0
    writes(clone, "clicks", "D", concurrencyPolicy="Allow")
    other = clone.run("apply", "--yes", "--format", "json")
    kept = clone.run("plan", "--out", "kept.plan").code
    planned = clone.run("apply", "--yes", "kept.plan")

    assert same.actions("action", "generation", "outcome") == [("adopt", 2, "adopted")]
    assert (other.code, other.actions("action", "reason")) == (3, [("hold", "conflict")])
    assert (kept, planned.code) == (0, 1)
    assert "runs of clicks that are not in the ledger" in planned.err
    arguments = [json.dumps(run.request) for run in world.runs()]
    assert [sum(f'"{letter}"' in request for request in arguments) for letter in "ABCD"] == [1, 1, 1, 0]


@pytest.mark.parametrize("kind", ["EmrServerlessJobRun", pytest.param("BatchJob", marks=pytest.mark.soak)])
def test_two_clones_run_no_slot_twice(world: World, kind: str):
    """The slot is due in both clones, and both have run earlier slots. The second clone adopts the run that the first
    one started."""
    writes = World.batch if kind == "BatchJob" else World.spark
    policy = {"schedule": f'"{EVERY_MINUTE}"', "concurrencyPolicy": "Allow"}
    writes(world, "rates", **policy)
    writes(world, "first")
    clone = second_clone(world)
    for checkout in (world, clone):
        checkout.run("apply", "--yes", "--only", "first")
        begin_schedule(checkout, "rates", kind)
    assert clone.log().recorded.spec("first").newest is not None

    ends = [checkout.run("apply", "--yes", "--format", "json") for checkout in (world, clone)]

    slots = [run.token for run in world.runs() if "rates" in run.request["tags"]["reconciler:spec"]]
    assert {end.code for end in ends} == {0}
    assert ("rates", "adopt", "adopted") in ends[1].actions("name", "action", "outcome")
    assert len(slots) == 1


def test_a_look_that_fails_is_a_warning_for_a_ledger_in_use(world: World):
    """If the ledger already contains submissions, a failed listing causes only a warning in the plan."""
    world.batch("clicks")
    assert world.run("apply", "--yes").code == 0
    world.batch("views")
    world.aws.inject(Plan((Rule("lost", "error", operation=("ListJobs", "ListJobRuns"), status=403),)))

    done = world.run("apply", "--yes", "--format", "json")

    assert (done.code, len(world.runs())) == (0, 2)
    assert "could not check whether another ledger started a run of views" in done.err


def test_a_run_that_somebody_copied_is_no_other_ledger(world: World):
    """The console's clone button copies a job with its tags. The ledger contains the token of the copy, so the next
    change runs as usual."""
    world.batch("clicks", concurrencyPolicy="Allow")
    assert world.run("apply", "--yes").code == 0
    clone(world)
    world.batch("clicks", "B", concurrencyPolicy="Allow")

    assert world.run("apply", "--yes", "--format", "json").actions("action", "outcome") == [("submit", "submitted")]
