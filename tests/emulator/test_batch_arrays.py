"""Tests AWS Batch: array jobs and their children, multi-node jobs and their nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.emulator import Emulator
from tests.emulator.conftest import Clock

Submit = Callable[..., str]
Get = Callable[[str], dict[str, Any]]


def test_a_parent_shows_how_many_children_are_in_each_state(submit: Submit, job: Get, clock: Clock) -> None:
    """The parent is PENDING while its children run, and succeeds when all of them have succeeded."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)
    running = job(parent)
    clock.tick(20)
    ended = job(parent)

    assert (running["status"], running["arrayProperties"]["size"]) == ("PENDING", 3)
    assert running["arrayProperties"]["statusSummary"]["RUNNING"] == 3
    assert (ended["status"], ended["arrayProperties"]["statusSummary"]["SUCCEEDED"]) == ("SUCCEEDED", 3)


def test_children_are_described_and_listed(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """The ids of children are ``id:index``, in this order. Children have no tags, and a child that does not exist is
    left out."""
    parent = submit(arrayProperties={"size": 3}, tags={"a": "b"})
    clock.tick(5)

    child = job(f"{parent}:2")
    pages = batch.get_paginator("list_jobs").paginate(arrayJobId=parent, PaginationConfig={"PageSize": 2})
    listed = [each["jobId"] for page in pages for each in page["jobSummaryList"]]

    assert (f"{parent}:2", {"index": 2}, "RUNNING", {}) == (
        child["jobId"],
        child["arrayProperties"],
        child["status"],
        child["tags"],
    )
    assert child["jobArn"].endswith(f":job/{parent}:2")
    assert [f"{parent}:{index}" for index in range(3)] == listed
    assert batch.describe_jobs(jobs=[f"{parent}:3", f"{parent}#0"])["jobs"] == []
    assert batch.list_jobs(arrayJobId=parent, jobStatus="SUCCEEDED")["jobSummaryList"] == []


def test_a_queue_lists_no_children(submit: Submit, batch: Any, clock: Clock) -> None:
    """ListJobs of a queue returns only the parent, which is PENDING while its children run."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)

    assert batch.list_jobs(jobQueue="main")["jobSummaryList"] == []
    (summary,) = batch.list_jobs(jobQueue="main", jobStatus="PENDING")["jobSummaryList"]
    assert (parent, 3) == (summary["jobId"], summary["arrayProperties"]["size"])


def test_terminating_a_child_fails_the_parent_at_the_end(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """The other children keep running."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)
    batch.terminate_job(jobId=f"{parent}:1", reason="bad input")
    clock.tick(2)
    meanwhile = job(parent)["arrayProperties"]["statusSummary"]
    clock.tick(20)

    assert (meanwhile["RUNNING"], meanwhile["FAILED"]) == (2, 1)
    assert [job(f"{parent}:{index}")["status"] for index in range(3)] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert job(parent)["status"] == "FAILED"


def test_terminating_the_parent_stops_every_child(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """Cancelling the parent has no effect on running children. A termination stops them."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)
    batch.cancel_job(jobId=parent, reason="too late")
    batch.terminate_job(jobId=parent, reason="stop")
    clock.tick(1)

    assert tuple(job(parent)[name] for name in ("status", "statusReason", "isTerminated")) == ("FAILED", "stop", True)
    assert (job(f"{parent}:0")["status"], job(f"{parent}:0")["isTerminated"]) == ("FAILED", True)


def test_a_job_can_wait_for_one_child(submit: Submit, job: Get, clock: Clock) -> None:
    """In a sequential array, child 1 waits for child 0. A job that waits for child 0 does not wait for the other
    children."""
    parent = submit(arrayProperties={"size": 2}, dependsOn=[{"type": "SEQUENTIAL"}])
    behind_child = submit(dependsOn=[{"jobId": f"{parent}:0"}])
    behind_array = submit(dependsOn=[{"jobId": parent, "type": "N_TO_N"}], arrayProperties={"size": 2})
    clock.tick(22.7)

    assert [job(f"{parent}:{index}")["status"] for index in range(2)] == ["SUCCEEDED", "STARTING"]
    assert job(behind_child)["status"] == "STARTING"
    assert job(f"{behind_array}:0")["status"] == "PENDING"


def test_failing_children_fail_the_parent(submit: Submit, job: Get, emulator: Emulator, clock: Clock) -> None:
    """The parent's reason lists the failed children."""
    emulator.configure(outcomes={"orders": "failed"})
    parent = submit(arrayProperties={"size": 2})
    clock.tick(60)

    assert (job(parent)["status"], job(parent)["statusReason"]) == ("FAILED", "Array Child Job failed")


def test_a_multi_node_job_has_nodes(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """``id#0`` is the main node. The parent contains the node ranges."""
    overrides = {"nodePropertyOverrides": [{"targetNodes": "0:3", "containerOverrides": {"command": ["mpi"]}}]}
    parent = submit(nodeOverrides=overrides)
    clock.tick(5)

    whole, main = job(parent), job(f"{parent}#0")
    listed = batch.list_jobs(multiNodeJobId=parent)["jobSummaryList"]

    assert (whole["nodeProperties"]["numNodes"], whole["status"]) == (4, "RUNNING")
    assert (main["container"]["command"], main["nodeDetails"]) == (["mpi"], {"nodeIndex": 0, "isMainNode": True})
    assert [f"{parent}#{index}" for index in range(4)] == [each["jobId"] for each in listed]
    assert [each["nodeProperties"]["isMainNode"] for each in listed] == [True, False, False, False]


def test_each_node_has_the_overrides_of_its_range(submit: Submit, job: Get, batch: Any) -> None:
    """Ranges may be open at either end. A node in no range has no overrides. Nodes have the state of their parent."""
    ranges = {"0": ["main"], "1:2": ["low"], "4:": ["high"]}
    overrides = [{"targetNodes": name, "containerOverrides": {"command": command}} for name, command in ranges.items()]
    parent = submit(nodeOverrides={"numNodes": 6, "nodePropertyOverrides": overrides})

    commands = [job(f"{parent}#{index}")["container"]["command"] for index in range(6)]
    assert commands == [["main"], ["low"], ["low"], [], ["high"], ["high"]]
    assert batch.list_jobs(multiNodeJobId=parent)["jobSummaryList"] == []
    assert len(batch.list_jobs(multiNodeJobId=parent, jobStatus="SUBMITTED")["jobSummaryList"]) == 6


def test_the_largest_sequential_array_is_listed_in_time(submit: Submit, batch: Any, clock: Clock) -> None:
    """The array has ten thousand children. Each child waits for the previous one."""
    parent = submit(arrayProperties={"size": 10_000}, dependsOn=[{"type": "SEQUENTIAL"}])
    clock.tick(22 + 9_998 * 21 + 10)

    running = batch.list_jobs(arrayJobId=parent)["jobSummaryList"]
    assert [each["jobId"] for each in running] == [f"{parent}:9999"]


def test_the_number_of_nodes_can_be_set(submit: Submit, job: Get) -> None:
    """`numNodes` is the number of nodes. Without it, the job has two nodes."""
    assert job(submit(nodeOverrides={"numNodes": 5}))["nodeProperties"]["numNodes"] == 5
    assert job(submit(nodeOverrides={}))["nodeProperties"]["numNodes"] == 2


def test_listing_the_children_of_an_unknown_job_is_an_error(batch: Any) -> None:
    """The error is the same as for a job id that does not exist."""
    with pytest.raises(batch.exceptions.ClientException, match="does not exist"):
        batch.list_jobs(arrayJobId="nothing")
