"""AWS Batch: arrays with their children, multi-node jobs with their nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.emulator import Emulator
from tests.emulator.conftest import Clock

Submit = Callable[..., str]
Get = Callable[[str], dict[str, Any]]


def test_a_parent_counts_its_children(submit: Submit, job: Get, clock: Clock) -> None:
    """It is pending while they run, and succeeds when they have."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)
    running = job(parent)
    clock.tick(20)
    ended = job(parent)

    assert (running["status"], running["arrayProperties"]["size"]) == ("PENDING", 3)
    assert running["arrayProperties"]["statusSummary"]["RUNNING"] == 3
    assert (ended["status"], ended["arrayProperties"]["statusSummary"]["SUCCEEDED"]) == ("SUCCEEDED", 3)


def test_children_are_described_and_listed(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """By ``id:index``, in the order of the index, without tags; a child that does not exist is absent."""
    parent = submit(arrayProperties={"size": 3}, tags={"a": "b"})
    clock.tick(5)

    child = job(f"{parent}:2")
    pages = batch.get_paginator("list_jobs").paginate(arrayJobId=parent, PaginationConfig={"PageSize": 2})
    listed = [found["jobId"] for page in pages for found in page["jobSummaryList"]]

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
    """Only the parent, which is pending while they run."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)

    assert batch.list_jobs(jobQueue="main")["jobSummaryList"] == []
    (summary,) = batch.list_jobs(jobQueue="main", jobStatus="PENDING")["jobSummaryList"]
    assert (parent, 3) == (summary["jobId"], summary["arrayProperties"]["size"])


def test_terminating_a_child_fails_the_parent_at_the_end(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """The others go on."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)
    batch.terminate_job(jobId=f"{parent}:1", reason="bad input")
    clock.tick(2)
    between = job(parent)["arrayProperties"]["statusSummary"]
    clock.tick(20)

    assert (between["RUNNING"], between["FAILED"]) == (2, 1)
    assert [job(f"{parent}:{index}")["status"] for index in range(3)] == ["SUCCEEDED", "FAILED", "SUCCEEDED"]
    assert job(parent)["status"] == "FAILED"


def test_terminating_the_parent_stops_every_child(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """A cancellation does nothing to children that run already, a termination does."""
    parent = submit(arrayProperties={"size": 3})
    clock.tick(5)
    batch.cancel_job(jobId=parent, reason="too late")
    batch.terminate_job(jobId=parent, reason="stop")
    clock.tick(1)

    assert tuple(job(parent)[name] for name in ("status", "statusReason", "isTerminated")) == ("FAILED", "stop", True)
    assert (job(f"{parent}:0")["status"], job(f"{parent}:0")["isTerminated"]) == ("FAILED", True)


def test_sequential_children_and_dependants_of_a_child(submit: Submit, job: Get, clock: Clock) -> None:
    """Child 1 waits for child 0; a job that waits for child 0 does not wait for the array."""
    parent = submit(arrayProperties={"size": 2}, dependsOn=[{"type": "SEQUENTIAL"}])
    behind_child = submit(dependsOn=[{"jobId": f"{parent}:0"}])
    behind_array = submit(dependsOn=[{"jobId": parent, "type": "N_TO_N"}], arrayProperties={"size": 2})
    clock.tick(22.7)

    assert [job(f"{parent}:{index}")["status"] for index in range(2)] == ["SUCCEEDED", "STARTING"]
    assert job(behind_child)["status"] == "STARTING"
    assert job(f"{behind_array}:0")["status"] == "PENDING"


def test_failing_children_fail_the_parent(submit: Submit, job: Get, emulator: Emulator, clock: Clock) -> None:
    """And the parent says that they did."""
    emulator.configure(outcomes={"orders": "failed"})
    parent = submit(arrayProperties={"size": 2})
    clock.tick(60)

    assert (job(parent)["status"], job(parent)["statusReason"]) == ("FAILED", "Array Child Job failed")


def test_a_multi_node_job_has_nodes(submit: Submit, job: Get, batch: Any, clock: Clock) -> None:
    """``id#0`` is the main node; the parent has the node ranges."""
    overrides = {"nodePropertyOverrides": [{"targetNodes": "0:3", "containerOverrides": {"command": ["mpi"]}}]}
    parent = submit(nodeOverrides=overrides)
    clock.tick(5)

    whole, main = job(parent), job(f"{parent}#0")
    listed = batch.list_jobs(multiNodeJobId=parent)["jobSummaryList"]

    assert (whole["nodeProperties"]["numNodes"], whole["status"]) == (4, "RUNNING")
    assert (main["container"]["command"], main["nodeDetails"]) == (["mpi"], {"nodeIndex": 0, "isMainNode": True})
    assert [f"{parent}#{index}" for index in range(4)] == [found["jobId"] for found in listed]
    assert [found["nodeProperties"]["isMainNode"] for found in listed] == [True, False, False, False]


def test_each_node_has_the_overrides_of_its_range(submit: Submit, job: Get, batch: Any) -> None:
    """Ranges may be open at either end; a node that no range names has none. Nodes are in their parent's state."""
    ranges = {"0": ["main"], "1:2": ["low"], "4:": ["high"]}
    overrides = [{"targetNodes": name, "containerOverrides": {"command": said}} for name, said in ranges.items()]
    parent = submit(nodeOverrides={"numNodes": 6, "nodePropertyOverrides": overrides})

    commands = [job(f"{parent}#{index}")["container"]["command"] for index in range(6)]
    assert commands == [["main"], ["low"], ["low"], [], ["high"], ["high"]]
    assert batch.list_jobs(multiNodeJobId=parent)["jobSummaryList"] == []
    assert len(batch.list_jobs(multiNodeJobId=parent, jobStatus="SUBMITTED")["jobSummaryList"]) == 6


def test_the_largest_sequential_array_is_listed_in_time(submit: Submit, batch: Any, clock: Clock) -> None:
    """Ten thousand children, each waiting for the one before."""
    parent = submit(arrayProperties={"size": 10_000}, dependsOn=[{"type": "SEQUENTIAL"}])
    clock.tick(22 + 9_998 * 21 + 10)

    running = batch.list_jobs(arrayJobId=parent)["jobSummaryList"]
    assert [found["jobId"] for found in running] == [f"{parent}:9999"]


def test_the_number_of_nodes_can_be_given(submit: Submit, job: Get) -> None:
    """`numNodes` decides; with nothing said, there are two."""
    assert job(submit(nodeOverrides={"numNodes": 5}))["nodeProperties"]["numNodes"] == 5
    assert job(submit(nodeOverrides={}))["nodeProperties"]["numNodes"] == 2


def test_children_of_what_is_no_array(batch: Any) -> None:
    """An unknown parent is an error."""
    with pytest.raises(batch.exceptions.ClientException, match="does not exist"):
        batch.list_jobs(arrayJobId="nothing")
