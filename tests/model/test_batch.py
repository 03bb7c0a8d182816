"""Tests SubmitJob: valid requests, warnings, and dependencies on other specs."""

from __future__ import annotations

import pytest

from reconciler.model.batch.submit_job import resolved
from tests.campaigns import in_one_test
from tests.model.jobs import (
    ARN,
    ID,
    NODE,
    POD,
    RESOURCES,
    VALUE,
    array,
    depends,
    fargate,
    quantities,
    retry,
    target,
    task,
)
from tests.model.requests import BATCH, batch, container, nodes, pod, problems, resource, warnings

TAKEN = [
    ("plain", batch()),
    ("ARNs", batch(jobQueue=f"{ARN}:job-queue/q", jobDefinition=f"{ARN}:job-definition/d:3")),
    ("definition without revision", batch(jobDefinition=f"{ARN}:job-definition/d")),
    ("definition in another partition", batch(jobDefinition="arn:aws-us-gov:batch:us-gov-west-1:1:job-definition/d:1")),
    (
        "empty everything",
        batch(
            parameters={},
            containerOverrides={},
            nodeOverrides={},
            retryStrategy={},
            timeout={},
            dependsOn=[],
            arrayProperties={},
            eksPropertiesOverride={},
            ecsPropertiesOverride={},
            consumableResourcePropertiesOverride={},
            tags={},
        ),
    ),
    ("empty lists", container(command=[], environment=[], resourceRequirements=[])),
    ("empty nested", pod(containers=[{}], initContainers=[], metadata={})),
    ("conditions of none", batch(retryStrategy={"evaluateOnExit": []})),
    ("array limits", batch(**array(2))),
    ("20 dependencies", depends(*[{"jobId": ID}] * 20)),
    ("sequential on itself", depends({"type": "SEQUENTIAL"}, **array())),
    ("sequential on a job", depends({"jobId": ID, "type": "SEQUENTIAL"})),
    ("N_TO_N on another spec", depends({"spec": "extract", "type": "N_TO_N"}, **array())),
    ("another spec", depends({"spec": "extract"})),
    ("five conditions", retry(*[{"action": "EXIT"}] * 5)),
    (
        "every condition",
        retry({"onStatusReason": "Host EC2*", "onReason": "a.b: c\td", "onExitCode": "137", "action": "RETRY"}),
    ),
    ("star alone", retry({"onExitCode": "*", "onReason": "*", "action": "EXIT"})),
    ("repeated variable", container(environment=[{"name": "A", "value": "1"}, {"name": "A", "value": ""}])),
    ("variable without value", container(environment=[{"name": "A"}])),
    ("quarter vCPU", fargate("0.25", "512")),
    ("half vCPU", fargate("0.5", "4096")),
    ("quarter vCPU without memory", resource("VCPU", "0.25")),
    ("12 vCPU", fargate("12", "12345")),
    ("4 MiB", resource("MEMORY", "4")),
    (
        "fraction of a task",
        task(resourceRequirements=[{"type": "VCPU", "value": "0.75"}, {"type": "MEMORY", "value": "100"}]),
    ),
    ("48 own tags", batch(tags={f"k{n}": "é" for n in range(48)})),
    ("share of 255", batch(shareIdentifier="a" * 255 + "*", schedulingPriorityOverride=0)),
    ("share", batch(shareIdentifier="prod*", schedulingPriorityOverride=9999)),
    (
        "nodes",
        batch(
            nodeOverrides={
                "numNodes": 8,
                "nodePropertyOverrides": [
                    {"targetNodes": "0:0", "containerOverrides": {"command": ["x"]}},
                    {"targetNodes": "1:", "instanceTypes": ["c5.large"]},
                    {"targetNodes": ":3"},
                    {"targetNodes": ":"},
                    {"targetNodes": "7"},
                ],
            }
        ),
    ),
    (
        "nodes in one namespace",
        batch(
            nodeOverrides={
                "nodePropertyOverrides": [
                    {
                        "targetNodes": "0:1",
                        "eksPropertiesOverride": {"podProperties": {"metadata": {"namespace": "a"}}},
                    },
                    {"targetNodes": "2:", "eksPropertiesOverride": {"podProperties": {"metadata": {"namespace": "a"}}}},
                ]
            }
        ),
    ),
    (
        "quantities",
        quantities(
            {"cpu": "1.50", "memory": "2048Mi", "nvidia.com/gpu": "1"},
            {"cpu": "0.25", "memory": "2048Mi", "nvidia.com/gpu": "1"},
        ),
    ),
    (
        "annotations",
        pod(metadata={"annotations": {"acme.com/owner": "v" * 255, "a.b_c-d": ""}, "namespace": "batch-jobs"}),
    ),
    (
        "empty argument of a pod",
        pod(containers=[{"name": "main", "image": "i", "command": [""], "args": [""], "env": [{"name": "A"}]}]),
    ),
    (
        "consumables",
        batch(
            consumableResourcePropertiesOverride={
                "consumableResourceList": [{"consumableResource": "licence", "quantity": 2**40}]
            }
        ),
    ),
    ("just 30 KiB", batch(parameters={"a": "v" * 30_000})),
    ("tags for the task", batch(propagateTags=True)),
]


@in_one_test("request_", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_valid_requests_are_accepted(request_):
    """A request that AWS accepts is accepted, even with empty values."""
    assert not problems(BATCH, request_)


WARNED = [
    ("lower-case action", retry({"action": "retry"}), ("retryStrategy", "evaluateOnExit", 0, "action")),
    ("type in another case", depends({"jobId": ID, "type": "Sequential"}), ("dependsOn", 0, "type")),
    ("share with a hyphen", batch(shareIdentifier="team-a_b/c"), ("shareIdentifier",)),
    ("range with n", target("0,n"), (*NODE, "targetNodes")),
    ("range to n", target("0:n"), (*NODE, "targetNodes")),
    ("range beyond the nodes", target("4:", numNodes=4), (*NODE, "targetNodes")),
    ("deprecated memory", container(memory=2048), ("containerOverrides", "memory")),
    ("deprecated vcpus", nodes(containerOverrides={"vcpus": 2}), (*NODE, "containerOverrides", "vcpus")),
    ("vCPU with a point", resource("VCPU", "1.0"), VALUE),
    ("instance type of one node", container(instanceType="c5.large"), ("containerOverrides", "instanceType")),
    (
        "container beside nodes",
        {**container(command=["x"]), **nodes(instanceTypes=["m5.large"])},
        ("containerOverrides",),
    ),
    (
        "label with a slash",
        pod(metadata={"labels": {"app.kubernetes.io/name": "x"}}),
        (*POD, "metadata", "labels", "app.kubernetes.io/name"),
    ),
    ("other resource", quantities({"aws.amazon.com/neuron": "1"}), (*RESOURCES, "limits", "aws.amazon.com/neuron")),
    ("millis of cpu", quantities({"cpu": "500m"}), (*RESOURCES, "limits", "cpu")),
]


@in_one_test(("request_", "loc"), [case[1:] for case in WARNED], ids=[case[0] for case in WARNED])
def test_unusual_requests_give_a_warning(request_, loc):
    """A request that AWS accepts although its documentation forbids it has a warning at its path, not an error."""
    assert loc in warnings(BATCH, request_)
    assert not problems(BATCH, request_)


def test_node_ranges_share_a_namespace():
    """A second namespace in the node ranges is refused at its path."""
    ranges = [
        {"targetNodes": nodes_, "eksPropertiesOverride": {"podProperties": {"metadata": {"namespace": namespace}}}}
        for nodes_, namespace in (("0:1", "a"), ("2:3", "a"), ("4:", "b"))
    ]
    loc = ("nodeOverrides", "nodePropertyOverrides", 2, *POD, "metadata", "namespace")
    assert {loc: "batch-nodes"} == problems(BATCH, batch(nodeOverrides={"nodePropertyOverrides": ranges}))


@in_one_test(
    "usual",
    [
        pod(metadata={"labels": {"team": "growth-1_a"}}),
        quantities({"cpu": "0.5", "memory": "8Mi"}, {"memory": "8Mi"}),
        retry({"action": "RETRY"}),
        fargate("0.25", "512"),
        target("0:3", numNodes=4),
    ],
)
def test_a_usual_request_has_no_warnings(usual):
    """A request that follows AWS's documentation has no warning."""
    assert not warnings(BATCH, usual)


def test_jobs_are_never_streaming():
    """No job is streaming, because every job ends by itself."""
    assert not BATCH.is_streaming(batch(mode="STREAMING"))


@in_one_test("odd", [[], "x", 1, None, [1], {"x": 1}, [{"x": []}], {"podProperties": {"containers": [1]}}])
def test_rules_accept_any_shape(odd):
    """The rules do not fail for requests of any type. Wrong types are refused by the model."""
    for field in (*BATCH.model.model_fields,):
        request = batch(**{field: odd})
        assert isinstance([*BATCH.check(request), *BATCH.warn(request), *BATCH.spec_dependencies(request)], list)
    for request in (
        container(resourceRequirements=odd),
        pod(containers=odd),
        pod(metadata=odd),
        quantities(limits=odd),
    ):
        assert isinstance([*BATCH.check(request), *BATCH.warn(request)], list)


def test_half_a_surrogate_pair_is_refused():
    """A lone surrogate cannot be sent, so it is refused at its path, in keys, lists and values."""
    request = batch(parameters={"a": "\ud800", "\udfff": "b"}, containerOverrides={"command": ["a", "\udc00"]})
    expected = {("parameters", "a"), ("parameters", "\udfff"), ("containerOverrides", "command", 1)}
    assert expected == set(problems(BATCH, request))


def test_dependencies_on_specs_are_named_in_order():
    """The names of other specs are returned as they are written, without job ids."""
    request = depends({"spec": "b"}, {"jobId": ID}, {"spec": "a", "type": "N_TO_N"})
    expected = ["b", "a"]
    assert expected == BATCH.spec_dependencies(request)
    assert not BATCH.spec_dependencies(batch())


def test_specs_become_job_ids():
    """Each spec name is replaced with the job id of that spec, at the same position. The original request is not
    changed."""
    request = depends({"type": "N_TO_N", "spec": "a"}, {"jobId": ID})
    expected = [{"type": "N_TO_N", "jobId": "job-a"}, {"jobId": ID}]
    assert expected == resolved(request, {"a": "job-a"})["dependsOn"]
    before = {"type": "N_TO_N", "spec": "a"}
    assert before == request["dependsOn"][0]


def test_a_request_without_specs_is_left_alone():
    """A request without spec names is returned unchanged, including `{}` and `[]`."""
    request = batch(dependsOn=[], parameters={})
    assert request is resolved(request, {})


def test_a_spec_without_job_id_is_an_error():
    """A spec name without a job id is an error."""
    with pytest.raises(KeyError, match="a"):
        resolved(depends({"spec": "a"}), {})
