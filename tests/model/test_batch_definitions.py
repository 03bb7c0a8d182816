"""Tests job definitions as AWS Batch describes them: vCPUs, roles, service accounts and log groups."""

from __future__ import annotations

from typing import Any

from reconciler.model.batch.definitions import log_groups, roles, service_accounts, vcpus
from tests.campaigns import in_one_test


def _container(cpus: str, **fields: Any) -> dict[str, Any]:
    return {"resourceRequirements": [{"type": "VCPU", "value": cpus}, {"type": "MEMORY", "value": "2048"}], **fields}


def _pod(**cpus: str) -> dict[str, Any]:
    containers = [{"name": name, "resources": {"limits": {"cpu": value}}} for name, value in cpus.items()]
    return {"podProperties": {"containers": containers}}


NODES = {
    "nodeProperties": {
        "numNodes": 5,
        "nodeRangeProperties": [
            {"targetNodes": "0:", "container": _container("4")},
            {"targetNodes": "0", "container": _container("16")},
            {"targetNodes": ":1", "container": _container("8")},
        ],
    }
}
TASK = {"containers": [_container("1", name="main"), _container("0.5", name="proxy")]}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "the old form": ({}, {"containerProperties": {"vcpus": 2}}, 2),
    "an override": ({"containerOverrides": _container("8")}, {"containerProperties": _container("2")}, 8),
    "no definition": ({"containerOverrides": _container("8")}, {}, 8),
    "nothing known": ({}, {}, 0),
    "a placeholder": ({"containerOverrides": _container("Ref::cpus")}, {"containerProperties": _container("2")}, 0),
    "several containers": ({}, {"ecsProperties": {"taskProperties": [TASK]}}, 1.5),
    "an override of one of several containers": (
        {"ecsPropertiesOverride": {"taskProperties": [{"containers": [_container("3", name="proxy")]}]}},
        {"ecsProperties": {"taskProperties": [TASK]}},
        4,
    ),
    "a pod": ({}, {"eksProperties": _pod(main="2", side="250m")}, 2.25),
    "an override of a pod": ({"eksPropertiesOverride": _pod(main="4")}, {"eksProperties": _pod(main="2", side="1")}, 5),
    "nodes, whose narrowest range counts": ({}, NODES, 16 + 8 + 3 * 4),
    "fewer nodes": ({"nodeOverrides": {"numNodes": 2}}, NODES, 16 + 8),
    "an override of a range": (
        {"nodeOverrides": {"nodePropertyOverrides": [{"targetNodes": "0:", "containerOverrides": _container("1")}]}},
        NODES,
        16 + 8 + 3,
    ),
}


@in_one_test("case", CASES)
def test_vcpus_of_every_type_of_job(case: str) -> None:
    """The vCPUs are the sum over all containers and nodes, with the overrides of the request."""
    request, definition, expected = CASES[case]
    assert expected == vcpus(request, definition)


def test_what_a_definition_names() -> None:
    """Roles and log groups are listed once; pods and other log drivers have no log group."""
    logging = {"logDriver": "awslogs", "options": {"awslogs-group": "etl"}}
    definition = {
        "nodeProperties": {
            "nodeRangeProperties": [
                {"container": _container("1", jobRoleArn="a", executionRoleArn="b", logConfiguration=logging)},
                {"container": _container("1", jobRoleArn="a", logConfiguration={"logDriver": "splunk"})},
                {"ecsProperties": {"taskProperties": [{**TASK, "taskRoleArn": "c", "executionRoleArn": "b"}]}},
                {"eksProperties": {"podProperties": {"serviceAccountName": "etl"}}},
            ]
        }
    }
    assert ["a", "b", "c"] == list(roles(definition))
    assert ["etl"] == list(service_accounts(definition))
    assert ["etl", "/aws/batch/job"] == list(log_groups(definition))
