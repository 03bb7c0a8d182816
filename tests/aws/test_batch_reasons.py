"""Tests the reasons of Batch jobs: from the job, its containers, its pods and its children. Also tests who cancelled a
job."""

from __future__ import annotations

from typing import Any

from reconciler.app.session import SystemClock
from reconciler.aws.batch_runs import array_has_started, explained, reason_of, stopped_by_queue
from reconciler.aws.clients import Aws
from reconciler.core.ports import RunReport
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import FakeAws
from tests.aws.wires import BATCH
from tests.campaigns import in_one_test

EXITED = "Essential container in task exited"
OOM = {"exitCode": 137, "reason": "OutOfMemoryError: Container killed due to memory usage"}


def array(failed: int = 2, size: int = 5, **more: Any) -> dict[str, Any]:
    """Returns an array job with failed children."""
    return {"jobId": "run-1", "arrayProperties": {"size": size, "statusSummary": {"FAILED": failed}}, **more}


def child(index: int, **more: Any) -> dict[str, Any]:
    """Returns the summary of a failed child."""
    return {"jobId": f"run-1:{index}", "status": "FAILED", **more}


@in_one_test(
    ("job", "reason"),
    [
        ({}, None),
        ({"statusReason": "CAPACITY:X"}, "CAPACITY:X"),
        ({"statusReason": EXITED, "container": OOM}, f"{EXITED}; exit code 137; {OOM['reason']}"),
        (
            {"ecsProperties": {"taskProperties": [{"containers": [{"name": "app", **OOM}, {"name": "log"}]}]}},
            f"container app: exit code 137, {OOM['reason']}",
        ),
        (
            {
                "eksAttempts": [
                    {"statusReason": "old", "containers": [{"name": "app", "exitCode": 1}]},
                    {
                        "statusReason": "Pod evicted",
                        "initContainers": [{"name": "fetch", "exitCode": 0}],
                        "containers": [{"name": "app", "exitCode": 137, "reason": "OOMKilled"}],
                    },
                ]
            },
            "Pod evicted; container app: exit code 137, OOMKilled",
        ),
        (
            {"eksProperties": {"podProperties": {"containers": [{"name": "app", "exitCode": 1, "reason": "Error"}]}}},
            "container app: exit code 1, Error",
        ),
        (
            {"attempts": [{"taskProperties": [{"containers": [{"name": "app", "exitCode": 3}]}]}]},
            "container app: exit code 3",
        ),
        (
            {"status": "RUNNABLE", "attempts": [{"statusReason": EXITED, "container": {"exitCode": 1}}]},
            f"attempt 1: {EXITED}, exit code 1",
        ),
        (
            {
                "status": "RUNNABLE",
                "ecsProperties": {"taskProperties": [{"containers": [{"name": "app"}]}]},
                "attempts": [{"statusReason": EXITED, "taskProperties": [{"containers": [{"name": "app", **OOM}]}]}],
            },
            f"attempt 1: {EXITED}, container app: exit code 137, {OOM['reason']}",
        ),
        (
            {
                "status": "STARTING",
                "eksAttempts": [{"statusReason": "Pod evicted", "containers": [{"name": "app", "exitCode": 1}]}],
            },
            "attempt 1: Pod evicted, container app: exit code 1",
        ),
        (
            {"status": "RUNNING", "attempts": [{"taskProperties": [{"containers": [{"name": "app", "exitCode": 3}]}]}]},
            None,
        ),
        (
            {"status": "FAILED", "statusReason": "x", "nodeProperties": {}, "attempts": [{"container": OOM}]},
            f"x; exit code 137; {OOM['reason']}",
        ),
        ({"status": "RUNNING", "attempts": [{"statusReason": EXITED}]}, None),
    ],
)
def test_the_reason_has_all_that_aws_gives(job: dict[str, Any], reason: str | None):
    """The reason contains the job's own reason, each failed container by name, the last pod, and, if the job was
    retried, the last attempt."""
    assert reason_of(job, None) == reason


def test_failed_children_are_counted_and_named():
    """The reason contains the number of failed children, their indexes, and the reasons of the first three."""
    failed = [child(4, statusReason=EXITED, container=OOM), child(2, statusReason="Host EC2 terminated")]
    assert reason_of(array(statusReason="Array Child Job failed"), failed) == (
        "Array Child Job failed; 2 of 5 children failed: 2, 4; child 2: Host EC2 terminated; "
        f"child 4: {EXITED}, exit code 137, {OOM['reason']}"
    )
    assert reason_of(array(), None) == "2 of 5 children failed"
    many = [child(index) for index in range(1000)]
    text = reason_of(array(5000, 10_000), many) or ""
    assert text.startswith("5000 of 10000 children failed: 0, 1, 2,")
    assert text.endswith("19, …")


@in_one_test(
    ("job", "children", "complete"),
    [
        ({}, None, False),
        ({"statusReason": "Dependent Job failed"}, None, True),
        ({"statusReason": EXITED, "startedAt": 1, "container": {}}, None, False),
        ({"statusReason": EXITED, "startedAt": 1, "container": {"exitCode": 1}}, None, True),
        ({"statusReason": EXITED, "startedAt": 1, "eksAttempts": []}, None, False),
        (array(statusReason="x"), None, False),
        (array(statusReason="x"), [child(1)], False),
        (array(statusReason="x"), [child(1, statusReason=EXITED)], True),
    ],
)
def test_an_end_is_explained_once_aws_has_given_all(job: dict[str, Any], children: Any, complete: bool):
    """Until AWS reports all details, the job is read again."""
    assert explained(job, children) is complete


@in_one_test(
    ("reason", "by_queue"),
    [
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", True),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job needs more", True),
        ("Cancelled by jobStateTimeLimitAction", True),
        ("no longer needed, says ops", False),
        (None, False),
    ],
)
def test_a_time_limit_of_the_queue_is_told_by_its_reason(reason: str | None, by_queue: bool):
    """AWS uses its own codes as reasons. An operator may enter any other text."""
    assert stopped_by_queue({"isCancelled": True, "statusReason": reason}) is by_queue
    assert not stopped_by_queue({"statusReason": reason})


def test_an_array_starts_with_its_first_child():
    """The parent remains PENDING, so whether it has started depends on the states of its children."""
    assert not array_has_started({"arrayProperties": {"statusSummary": {"RUNNABLE": 3, "RUNNING": 0}}})
    assert array_has_started({"arrayProperties": {"statusSummary": {"RUNNABLE": 2, "RUNNING": 1}}})


def test_the_adapter_lists_failed_children_until_they_have_reasons():
    """Each observation makes one more call while reasons are missing, and none after AWS has reported them."""
    late: dict[str, Any] = {"jobSummaryList": [child(3), {**child(1), "status": "SUCCEEDED"}]}
    with FakeAws() as fake:
        aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
        service = BATCH.connect(aws)
        job = BATCH.run("run-1", "FAILED", **{**array(1), "statusReason": "Array Child Job failed"})
        fake.play(DescribeJobs=BATCH.describing(job), ListJobs=lambda _: (200, late))
        before = service.observe([BATCH.ref(1)])["r1-1"]
        late["jobSummaryList"][0] |= {"statusReason": EXITED, "container": {"exitCode": 2}}
        reports = [service.observe([BATCH.ref(1)])["r1-1"] for _ in range(3)]
        aws.close()
    assert isinstance(before, RunReport)
    assert (before.partial, before.detail) == (True, "Array Child Job failed; 1 of 5 children failed: 3")
    assert {"ListJobs": 2, "DescribeJobs": 4} == fake.calls
    for report in reports:
        assert isinstance(report, RunReport)
        assert not report.partial
        assert (report.detail or "").endswith(f"1 of 5 children failed: 3; child 3: {EXITED}, exit code 2")
