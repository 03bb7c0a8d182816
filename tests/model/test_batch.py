"""SubmitJob: what is refused, what is taken, what is warned about."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.batch.dependencies import resolved
from tests.model.requests import BATCH, batch, container, nodes, pod, problems, resource, warnings

ID = "876da822-4198-45f2-a252-6cea32512ea8"
VALUE = ("containerOverrides", "resourceRequirements", 0, "value")
NODE = ("nodeOverrides", "nodePropertyOverrides", 0)
POD = ("eksPropertiesOverride", "podProperties")
RESOURCES = (*POD, "containers", 0, "resources")


def depends(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A job with dependencies."""
    return batch(dependsOn=list(entries), **fields)


def array(size: int = 5) -> dict[str, Any]:
    """The field that makes an array job."""
    return {"arrayProperties": {"size": size}}


def retry(*conditions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A job with a retry strategy of three attempts."""
    return batch(retryStrategy={"attempts": 3, "evaluateOnExit": list(conditions), **fields})


def quantities(limits: dict[str, Any] | None = None, requests: dict[str, Any] | None = None) -> dict[str, Any]:
    """A job with resources of one container of its pod."""
    sides = {"limits": limits, "requests": requests}
    return pod(containers=[{"resources": {side: amounts for side, amounts in sides.items() if amounts is not None}}])


def target(nodes_: Any, **fields: Any) -> dict[str, Any]:
    """A job with one range of nodes."""
    return batch(nodeOverrides={"nodePropertyOverrides": [{"targetNodes": nodes_}], **fields})


def task(**fields: Any) -> dict[str, Any]:
    """A job with one container of a task."""
    return batch(ecsPropertiesOverride={"taskProperties": [{"containers": [fields]}]})


def without(field: str) -> dict[str, Any]:
    """A job without one field."""
    return {key: value for key, value in batch().items() if key != field}


def fargate(vcpu: str, memory: str) -> dict[str, Any]:
    """A job with vCPUs and memory."""
    return container(resourceRequirements=[{"type": "VCPU", "value": vcpu}, {"type": "MEMORY", "value": memory}])


CONSUMABLES = ("consumableResourcePropertiesOverride", "consumableResourceList", 0)
TASK = ("ecsPropertiesOverride", "taskProperties", 0, "containers")
ARN = "arn:aws:batch:us-east-1:123456789012"

REFUSED = [
    ("empty name", batch(jobName=""), ("jobName",)),
    ("name with a space", batch(jobName="my job"), ("jobName",)),
    ("name with a line end", batch(jobName="job\n"), ("jobName",)),
    ("name that starts with a hyphen", batch(jobName="-job"), ("jobName",)),
    ("no definition", without("jobDefinition"), ("jobDefinition",)),
    ("no name", without("jobName"), ("jobName",)),
    ("empty queue", batch(jobQueue=""), ("jobQueue",)),
    ("queue with a space", batch(jobQueue="my queue"), ("jobQueue",)),
    ("definition as queue", batch(jobQueue=f"{ARN}:job-definition/x:1"), ("jobQueue",)),
    ("revision of letters", batch(jobDefinition="sleep60:latest"), ("jobDefinition",)),
    ("array of one", batch(**array(1)), ("arrayProperties", "size")),
    ("array of 10001", batch(**array(10_001)), ("arrayProperties", "size")),
    ("21 dependencies", depends(*[{"jobId": ID}] * 21), ("dependsOn",)),
    ("dependency on nothing", depends({}), ("dependsOn", 0)),
    ("N_TO_N on nothing", depends({"type": "N_TO_N"}, **array()), ("dependsOn", 0)),
    ("N_TO_N without array", depends({"jobId": ID, "type": "N_TO_N"}), ("dependsOn", 0, "type")),
    ("lower-case sequential without array", depends({"type": "sequential"}), ("dependsOn", 0, "type")),
    ("empty job id", depends({"jobId": ""}), ("dependsOn", 0, "jobId")),
    ("job and spec", depends({"jobId": ID, "spec": "extract"}), ("dependsOn", 0, "spec")),
    ("dependency as text", batch(dependsOn=[ID]), ("dependsOn", 0)),
    ("no attempts", retry(attempts=0), ("retryStrategy", "attempts")),
    ("six conditions", retry(*[{"action": "RETRY"}] * 6), ("retryStrategy", "evaluateOnExit")),
    ("no action", retry({"onExitCode": "1"}), ("retryStrategy", "evaluateOnExit", 0, "action")),
    (
        "letters in exit code",
        retry({"onExitCode": "1a", "action": "EXIT"}),
        ("retryStrategy", "evaluateOnExit", 0, "onExitCode"),
    ),
    (
        "number as exit code",
        retry({"onExitCode": 1, "action": "EXIT"}),
        ("retryStrategy", "evaluateOnExit", 0, "onExitCode"),
    ),
    (
        "star in a reason",
        retry({"onReason": "Host*EC2", "action": "EXIT"}),
        ("retryStrategy", "evaluateOnExit", 0, "onReason"),
    ),
    (
        "slash in a reason",
        retry({"onStatusReason": "a/b", "action": "EXIT"}),
        ("retryStrategy", "evaluateOnExit", 0, "onStatusReason"),
    ),
    ("timeout of zero", batch(timeout={"attemptDurationSeconds": 0}), ("timeout", "attemptDurationSeconds")),
    ("timeout over 32 bits", batch(timeout={"attemptDurationSeconds": 2**31}), ("timeout", "attemptDurationSeconds")),
    ("49 own tags", batch(tags={f"k{n}": "v" for n in range(49)}), ("tags",)),
    ("long tag key", batch(tags={"k" * 129: "v"}), ("tags", "k" * 129, "[key]")),
    ("long tag value", batch(tags={"k": "v" * 257}), ("tags", "k")),
    ("aws value", batch(tags={"k": "Aws:x"}), ("tags", "k")),
    ("priority", batch(schedulingPriorityOverride=10_000), ("schedulingPriorityOverride",)),
    ("share of 257", batch(shareIdentifier="a" * 256 + "*"), ("shareIdentifier",)),
    ("lower-case resource", resource("memory", "1"), ("containerOverrides", "resourceRequirements", 0, "type")),
    ("no value", container(resourceRequirements=[{"type": "GPU"}]), VALUE),
    (
        "no type",
        container(resourceRequirements=[{"value": "1"}]),
        ("containerOverrides", "resourceRequirements", 0, "type"),
    ),
    ("empty value", resource("VCPU", ""), VALUE),
    ("no memory", resource("MEMORY", "0"), VALUE),
    ("3 MiB", resource("MEMORY", "3"), VALUE),
    ("memory as fraction", resource("MEMORY", "0.5"), VALUE),
    ("no vCPU", resource("VCPU", "0"), VALUE),
    ("vCPU of a third", resource("VCPU", "0.3"), VALUE),
    ("vCPU and a half", resource("VCPU", "1.5"), VALUE),
    ("negative vCPU", resource("VCPU", "-1"), VALUE),
    ("half a GPU", resource("GPU", "0.5"), VALUE),
    ("Fargate memory", fargate("0.25", "4096"), ("containerOverrides", "resourceRequirements", 1, "value")),
    (
        "Fargate memory of half a vCPU",
        fargate("0.5", "512"),
        ("containerOverrides", "resourceRequirements", 1, "value"),
    ),
    (
        "reserved variable",
        container(environment=[{"name": "AWS_BATCH_X", "value": "1"}]),
        ("containerOverrides", "environment", 0, "name"),
    ),
    ("environment as mapping", container(environment={"A": "1"}), ("containerOverrides", "environment")),
    ("command as text", container(command="echo"), ("containerOverrides", "command")),
    ("memory as text", container(memory="2048"), ("containerOverrides", "memory")),
    ("parameters as null", batch(parameters={"a": None}), ("parameters", "a")),
    ("propagate as number", batch(propagateTags=1), ("propagateTags",)),
    ("no nodes", batch(nodeOverrides={"numNodes": 0}), ("nodeOverrides", "numNodes")),
    ("nodes as text", batch(nodeOverrides={"numNodes": "2"}), ("nodeOverrides", "numNodes")),
    ("garbage range", target("all"), (*NODE, "targetNodes")),
    ("empty range", target(""), (*NODE, "targetNodes")),
    ("negative range", target("-1:2"), (*NODE, "targetNodes")),
    ("range of three", target("0:1:2"), (*NODE, "targetNodes")),
    ("range as number", target(0), (*NODE, "targetNodes")),
    ("two instance types", nodes(instanceTypes=["a", "b"]), (*NODE, "instanceTypes")),
    (
        "resource of nodes",
        nodes(containerOverrides={"resourceRequirements": [{"type": "GPU", "value": "x"}]}),
        (*NODE, "containerOverrides", "resourceRequirements", 0, "value"),
    ),
    (
        "pods on ECS",
        batch(eksPropertiesOverride={"podProperties": {}}, ecsPropertiesOverride={"taskProperties": []}),
        ("ecsPropertiesOverride",),
    ),
    ("11 containers", pod(containers=[{}] * 11), (*POD, "containers")),
    ("11 init containers", pod(initContainers=[{}] * 11), (*POD, "initContainers")),
    ("11 containers of a task", batch(ecsPropertiesOverride={"taskProperties": [{"containers": [{}] * 11}]}), TASK),
    ("empty word in a task", task(command=[""]), (*TASK, 0, "command", 0)),
    (
        "resource in a task",
        task(resourceRequirements=[{"type": "VCPU", "value": "zero"}]),
        (*TASK, 0, "resourceRequirements", 0, "value"),
    ),
    ("variable in a task", task(environment=[{"name": "AWS_BATCH_JOB_ID"}]), (*TASK, 0, "environment", 0, "name")),
    (
        "variable in a pod",
        pod(containers=[{"env": [{"name": "AWS_BATCH_A"}]}]),
        (*POD, "containers", 0, "env", 0, "name"),
    ),
    (
        "variable in an init container",
        pod(initContainers=[{"env": [{"name": "AWS_BATCH_A"}]}]),
        (*POD, "initContainers", 0, "env", 0, "name"),
    ),
    ("empty quantity", quantities({"cpu": ""}), (*RESOURCES, "limits", "cpu")),
    ("memory in Gi", quantities({"memory": "1Gi"}), (*RESOURCES, "limits", "memory")),
    ("memory without unit", quantities({"memory": "1024"}), (*RESOURCES, "limits", "memory")),
    ("3Mi", quantities(requests={"memory": "3Mi"}), (*RESOURCES, "requests", "memory")),
    ("cpu of a third", quantities({"cpu": "0.3"}), (*RESOURCES, "limits", "cpu")),
    ("cpu of words", quantities({"cpu": "one"}), (*RESOURCES, "limits", "cpu")),
    ("cpu of 300m", quantities({"cpu": "300m"}), (*RESOURCES, "limits", "cpu")),
    ("half a GPU in a pod", quantities({"nvidia.com/gpu": "0.5"}), (*RESOURCES, "limits", "nvidia.com/gpu")),
    ("memory differs", quantities({"memory": "8Mi"}, {"memory": "16Mi"}), (*RESOURCES, "requests", "memory")),
    (
        "GPUs differ",
        quantities({"nvidia.com/gpu": "2"}, {"nvidia.com/gpu": "1"}),
        (*RESOURCES, "requests", "nvidia.com/gpu"),
    ),
    ("cpu above its limit", quantities({"cpu": "1"}, {"cpu": "1.25"}), (*RESOURCES, "requests", "cpu")),
    ("long quantity", quantities({"x": "1" * 257}), (*RESOURCES, "limits", "x")),
    ("kube namespace", pod(metadata={"namespace": "kube-system"}), (*POD, "metadata", "namespace")),
    ("empty namespace", pod(metadata={"namespace": ""}), (*POD, "metadata", "namespace")),
    ("long namespace", pod(metadata={"namespace": "n" * 64}), (*POD, "metadata", "namespace")),
    ("namespace ends with hyphen", pod(metadata={"namespace": "n-"}), (*POD, "metadata", "namespace")),
    ("long label", pod(metadata={"labels": {"a": "v" * 64}}), (*POD, "metadata", "labels", "a")),
    ("number label", pod(metadata={"labels": {"a": 1}}), (*POD, "metadata", "labels", "a")),
    ("long annotation", pod(metadata={"annotations": {"a": "v" * 256}}), (*POD, "metadata", "annotations", "a")),
    ("annotation key", pod(metadata={"annotations": {"-a": "v"}}), (*POD, "metadata", "annotations", "-a")),
    ("annotation prefix", pod(metadata={"annotations": {"A_/a": "v"}}), (*POD, "metadata", "annotations", "A_/a")),
    (
        "pod of nodes",
        nodes(eksPropertiesOverride={"podProperties": {"metadata": {"namespace": "default"}}}),
        (*NODE, *POD, "metadata", "namespace"),
    ),
    (
        "no quantity",
        batch(consumableResourcePropertiesOverride={"consumableResourceList": [{"consumableResource": "lic"}]}),
        (*CONSUMABLES, "quantity"),
    ),
    (
        "no resource",
        batch(consumableResourcePropertiesOverride={"consumableResourceList": [{"quantity": 1}]}),
        (*CONSUMABLES, "consumableResource"),
    ),
    ("31 KiB", batch(parameters={"a": "v" * 31_744}), ()),
    ("client token", batch(clientToken="x"), ("clientToken",)),
]


@pytest.mark.parametrize(("request_", "place"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_aws_refuses_is_refused_at_its_place(request_, place):
    """A request that AWS refuses is refused, at the member that is wrong."""
    assert place in problems(BATCH, request_)


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


@pytest.mark.parametrize("request_", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
def test_what_aws_takes_is_taken(request_):
    """A request that AWS takes is taken, empty values included."""
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
    ("container beside pod", {**container(command=["x"]), **pod(containers=[{}])}, ("containerOverrides",)),
    (
        "label with a slash",
        pod(metadata={"labels": {"app.kubernetes.io/name": "x"}}),
        (*POD, "metadata", "labels", "app.kubernetes.io/name"),
    ),
    ("other resource", quantities({"aws.amazon.com/neuron": "1"}), (*RESOURCES, "limits", "aws.amazon.com/neuron")),
    ("millis of cpu", quantities({"cpu": "500m"}), (*RESOURCES, "limits", "cpu")),
]


@pytest.mark.parametrize(("request_", "place"), [case[1:] for case in WARNED], ids=[case[0] for case in WARNED])
def test_what_is_odd_is_taken_with_a_warning(request_, place):
    """What AWS documents otherwise, and takes, is a warning at its place, and no error."""
    assert place in warnings(BATCH, request_)
    assert not problems(BATCH, request_)


def test_node_ranges_share_a_namespace():
    """A second namespace among the node ranges is refused where it stands."""
    ranges = [
        {"targetNodes": nodes_, "eksPropertiesOverride": {"podProperties": {"metadata": {"namespace": namespace}}}}
        for nodes_, namespace in (("0:1", "a"), ("2:3", "a"), ("4:", "b"))
    ]
    place = ("nodeOverrides", "nodePropertyOverrides", 2, *POD, "metadata", "namespace")
    assert {place: "batch-nodes"} == problems(BATCH, batch(nodeOverrides={"nodePropertyOverrides": ranges}))


@pytest.mark.parametrize("usual", [retry({"action": "RETRY"}), fargate("0.25", "512"), target("0:3", numNodes=4)])
def test_a_usual_request_has_no_warnings(usual):
    """A request that follows the documentation is met with silence."""
    assert not warnings(BATCH, usual)


def test_jobs_are_never_streaming():
    """Every job ends by itself."""
    assert not BATCH.is_streaming(batch(mode="STREAMING"))


@pytest.mark.parametrize("odd", [[], "x", 1, None, [1], {"x": 1}, [{"x": []}], {"podProperties": {"containers": [1]}}])
def test_rules_say_nothing_about_shapes(odd):
    """Rules run on requests of any shape without failing: shapes are the model's to refuse."""
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


def test_text_that_is_no_unicode_is_refused():
    """Text with half a character cannot be sent: it is refused where it stands, in keys, lists and values."""
    request = batch(parameters={"a": "\ud800", "\udfff": "b"}, containerOverrides={"command": ["a", "\udc00"]})
    expected = {("parameters", "a"), ("parameters", "\udfff"), ("containerOverrides", "command", 1)}
    assert expected == set(problems(BATCH, request))


def test_dependencies_on_specs_are_named_in_order():
    """The names of other specs come out in the order they are written, job ids do not."""
    request = depends({"spec": "b"}, {"jobId": ID}, {"spec": "a", "type": "N_TO_N"})
    expected = ["b", "a"]
    assert expected == BATCH.spec_dependencies(request)
    assert not BATCH.spec_dependencies(batch())


def test_specs_become_job_ids():
    """Each named spec is replaced by its job id, in its place; the request given stays as it is."""
    request = depends({"type": "N_TO_N", "spec": "a"}, {"jobId": ID})
    expected = [{"type": "N_TO_N", "jobId": "job-a"}, {"jobId": ID}]
    assert expected == resolved(request, {"a": "job-a"})["dependsOn"]
    before = {"type": "N_TO_N", "spec": "a"}
    assert before == request["dependsOn"][0]


def test_a_request_without_specs_is_left_alone():
    """Nothing to replace: the same request, `{}` and `[]` included."""
    request = batch(dependsOn=[], parameters={})
    assert request is resolved(request, {})


def test_a_spec_without_job_id_is_an_error():
    """A name that has no job id is never sent."""
    with pytest.raises(KeyError, match="a"):
        resolved(depends({"spec": "a"}), {})
