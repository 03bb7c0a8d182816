"""Tests the usage of Batch jobs: the sum of the resources that a job declares, and the time for which its children
ran."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.app.session import SystemClock
from reconciler.aws.batch_runs import usage_of
from reconciler.aws.clients import Aws
from reconciler.core.ports import RunReport
from reconciler.model.batch.kind import KIND
from reconciler.model.kind import Resources
from tests.aws.conftest import CREDENTIALS
from tests.aws.fake_aws import Answer, FakeAws
from tests.aws.wires import BATCH
from tests.campaigns import in_one_test

HOUR = 3_600_000


def ecs(vcpu: str | None, mebibytes: str | None) -> dict[str, Any]:
    """Returns a container on ECS that declares these resources."""
    needs = [{"type": "VCPU", "value": vcpu}, {"type": "MEMORY", "value": mebibytes}]
    return {"resourceRequirements": [need for need in needs if need["value"] is not None]}


def eks(**sides: dict[str, str]) -> dict[str, Any]:
    """Returns a job on EKS with two containers: one with these resources, and one with a quarter of a vCPU and 1
    GiB."""
    small = {"limits": {"cpu": "0.25", "memory": "1024Mi"}}
    return {"eksProperties": {"podProperties": {"containers": [{"resources": sides}, {"resources": small}]}}}


def nodes(*ranges: tuple[str, dict[str, Any]], count: int = 4) -> dict[str, Any]:
    """Returns a job with nodes."""
    groups = [{"targetNodes": target, **group} for target, group in ranges]
    return {"nodeProperties": {"numNodes": count, "nodeRangeProperties": groups}}


ONE, TWO = {"container": ecs("1", "2048")}, {"container": ecs("2", "4096")}


@in_one_test(
    ("job", "size"),
    [
        (ONE, (1, 2)),
        ({"container": {"vcpus": 2, "memory": 1024}}, (2, 1)),
        ({"ecsProperties": {"taskProperties": [{"containers": [ecs("1", "2048"), ecs("0.5", "512")]}]}}, (1.5, 2.5)),
        (eks(requests={"cpu": "1", "memory": "2048Mi"}, limits={"cpu": "4", "memory": "8192Mi"}), (1.25, 3)),
        (eks(limits={"cpu": "4", "memory": "8192Mi"}), (4.25, 9)),
        (nodes(("0:", ONE)), (4, 8)),
        (nodes(("0:3", ONE), ("1", TWO)), (5, 10)),
        (nodes(("0", ONE), ("1:3", eks(requests={"cpu": "0.75", "memory": "1024Mi"}))), (4, 8)),
    ],
)  # fmt: skip
def test_the_size_of_a_job_is_the_sum_of_its_containers(job: dict[str, Any], size: tuple[float, float]):
    """The narrower of two overlapping node ranges takes precedence, and in a pod, a request takes precedence over a
    limit."""
    assert usage_of(job) == {"resources": {"vcpu": size[0], "memory_gb": size[1]}}


@in_one_test(
    "job",
    [
        {},
        {"container": ecs("1", None)},
        {"container": ecs("many", "2048")},
        {"ecsProperties": {"taskProperties": [{"containers": [ecs("1", "2048"), ecs(None, "512")]}]}},
        eks(requests={"cpu": "1"}),
        nodes(("0:2", ONE)),
    ],
)
def test_a_job_with_an_unknown_part_has_no_size(job: dict[str, Any]):
    """If one resource is missing, no usage is reported, because an incomplete sum would give a wrong cost."""
    assert usage_of(job) is None


def observed(counts: dict[str, int], size: int, children: dict[str, list[dict[str, Any]]]) -> RunReport:
    """Observes an array job twice. Returns the second report, and checks that each state was listed only once."""

    def listed(given: dict[str, Any]) -> Answer:
        return 200, {"jobSummaryList": children[given["jobStatus"]]}

    job = BATCH.run(
        "run-1", "SUCCEEDED", container=ecs("1", "2048"), arrayProperties={"size": size, "statusSummary": counts}
    )
    with FakeAws() as fake:
        aws = Aws("eu-west-1", fake.url, CREDENTIALS, clock=SystemClock())
        service = BATCH.connect(aws)
        fake.play(DescribeJobs=BATCH.describing(job), ListJobs=listed)
        _, report = [service.observe([BATCH.ref(1)])["r1-1"] for _ in range(2)]
        aws.close()
        assert fake.calls["ListJobs"] <= len(counts)
    assert isinstance(report, RunReport)
    return report


def child(index: int, hours: float | None) -> dict[str, Any]:
    """Returns the summary of a child that ran this long, or that has not ended."""
    times = {"startedAt": HOUR} | ({} if hours is None else {"stoppedAt": HOUR + int(hours * HOUR)})
    return {"jobId": f"run-1:{index}", "status": "SUCCEEDED", **times}


def test_an_array_used_the_time_of_all_its_children():
    """The children ran for two hours together, each with one vCPU."""
    report = observed({"SUCCEEDED": 2}, 2, {"SUCCEEDED": [child(0, 1.5), child(1, 0.5)]})
    assert KIND.billed(report.usage or {}, 99) == Resources(2, 4)


@pytest.mark.parametrize(
    ("size", "children"),
    [(2, [child(0, 1)]), (2, [child(0, 1), child(1, None)]), (3, [child(0, 1), child(1, 1)]), (5000, [])],
    ids=["one is not listed", "one has no end", "one is in no state", "too many"],
)
def test_an_array_whose_children_are_not_all_known_has_no_cost(size: int, children: list[dict[str, Any]]):
    """No usage is reported for only some of the children, because it would give a wrong cost."""
    counts = {"SUCCEEDED": 5000 if size == 5000 else 2}
    report = observed(counts, size, {"SUCCEEDED": children})
    assert KIND.billed(report.usage or {}, 1) is None
