"""AWS's documented rules about SubmitJob that no single field can express.

Sources: the API reference of SubmitJob and of its structures, the Batch user guide's pages on array jobs, dependencies,
retries and tags, and the service quotas. Every function accepts a request of any shape, because the models report wrong
shapes.
"""

import re
from collections.abc import Iterator, Sequence

from pydantic_core import to_json

from reconciler.model.base import JSON, Loc, Remark, Rule, applied, entries, integer, part, text
from reconciler.model.batch import override_rules
from reconciler.model.batch.submit_job import DEPENDENCY_TYPES, RETRY_ACTIONS, SHARE_IDENTIFIER_MAX
from reconciler.model.kind import aws_tag_problems
from reconciler.values import regex

REQUEST_MAX = 30 * 1024  # bytes; Batch service quotas, "SubmitJob payload size"
N_TO_N = "N_TO_N"
ON_ECS_OR_EKS = "a job runs on Amazon ECS or on Amazon EKS"
EXCLUSIVE = (
    ("ecsPropertiesOverride", "eksPropertiesOverride", ON_ECS_OR_EKS),
    ("containerOverrides", "eksPropertiesOverride", ON_ECS_OR_EKS),
    ("containerOverrides", "ecsPropertiesOverride", "the second has the containers of the task, one or several"),
)
DOCUMENTED_SHARE = regex(r"[A-Za-z0-9]+\*?")


def _size(request: JSON) -> Iterator[Remark]:
    """Checks the size of the request as sent, in its shortest JSON form, which Batch limits."""
    try:
        # Values of wrong types are reported by the model.
        sent = len(to_json(request, serialize_unknown=True))
    except ValueError:
        yield from _unsendable(request, ())
        return
    if sent > REQUEST_MAX:
        message = f"the request has {sent} bytes, tags included: Batch allows {REQUEST_MAX} (30 KiB)"
        yield Remark((), message, "batch-request-size")


def _unsendable(value: object, loc: Loc) -> Iterator[Remark]:
    """Yields remarks about strings that UTF-8 cannot encode, because they contain half of a surrogate pair from a JSON
    escape."""
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            yield Remark(loc, "contains half a surrogate pair, which cannot be sent", "batch-text")
    elif isinstance(value, dict):
        for key, member in value.items():
            yield from _unsendable(key, (*loc, key))
            yield from _unsendable(member, (*loc, key))
    elif isinstance(value, list):
        for index, member in enumerate(value):
            yield from _unsendable(member, (*loc, index))


def _dependencies(request: JSON) -> Iterator[Remark]:
    """Checks that each dependency is on a job, on another spec, or, for array jobs, on the previous child."""
    is_array = "arrayProperties" in request
    for loc, dependency in entries(request, "dependsOn"):
        kind = (text(dependency, "type") or "").upper()
        if "jobId" in dependency and "spec" in dependency:
            yield Remark((*loc, "spec"), "set either jobId or spec, not both", "batch-dependency")
        if "jobId" not in dependency and "spec" not in dependency and kind != "SEQUENTIAL":
            yield Remark(loc, "missing dependency: set jobId or spec", "batch-dependency")
        elif (
            kind in DEPENDENCY_TYPES and not is_array and (kind == "N_TO_N" or not {"jobId", "spec"} & set(dependency))
        ):
            message = f"{kind} is for array jobs: this job has no arrayProperties"
            yield Remark((*loc, "type"), message, "batch-dependency-array")


def _retries(request: JSON) -> Iterator[Remark]:
    strategy = part(request, "retryStrategy")
    if strategy.get("evaluateOnExit") and "attempts" not in strategy:
        yield Remark(("retryStrategy", "evaluateOnExit"), "evaluateOnExit needs attempts, 1 to 10", "batch-attempts")


def _share(request: JSON) -> Iterator[Remark]:
    identifier = text(request, "shareIdentifier") or ""
    if len(identifier) == SHARE_IDENTIFIER_MAX + 1 and not identifier.endswith("*"):
        message = f"a share identifier has at most {SHARE_IDENTIFIER_MAX} characters, and then may have *"
        yield Remark(("shareIdentifier",), message, "batch-share-identifier-length")


def _platforms(request: JSON) -> Iterator[Remark]:
    """Checks that a job, and each node range, runs on either ECS or EKS, and that a job of several containers does not
    have overrides for a single container.
    """
    for loc, holder in [((), request), *override_rules.ranges(request)]:
        for one, other, why in EXCLUSIVE:
            if holder.get(one) and holder.get(other):
                yield Remark((*loc, one), f"set either {one} or {other}: {why}", "batch-platform")


def _letter_cases(request: JSON) -> Iterator[Remark]:
    """Yields remarks about words that AWS accepts in upper and lower case, but documents in upper case."""
    words_by_list = [
        (entries(request, "dependsOn"), "type", DEPENDENCY_TYPES),
        (entries(part(request, "retryStrategy"), "evaluateOnExit", ("retryStrategy",)), "action", RETRY_ACTIONS),
    ]
    for members, key, words in words_by_list:
        for loc, member in members:
            word = text(member, key) or ""
            if word not in words and word.upper() in words:
                yield Remark((*loc, key), f"AWS documents it as {word.upper()}", f"batch-{key}-case")


def _share_form(request: JSON) -> Iterator[Remark]:
    identifier = text(request, "shareIdentifier")
    if identifier is not None and not DOCUMENTED_SHARE.fullmatch(identifier):
        message = "AWS documents share identifiers as letters and digits, with an optional * at the end"
        yield Remark(("shareIdentifier",), message, "batch-share-identifier")


def _ignored_overrides(request: JSON) -> Iterator[Remark]:
    """Yields remarks about ignored overrides: the containers of a multi-node parallel job are overridden by range."""
    if request.get("containerOverrides") and request.get("nodeOverrides"):
        message = "containerOverrides does not apply to a job with nodeOverrides"
        yield Remark(("containerOverrides",), message, "batch-overrides")


def _child_of_array(request: JSON) -> Iterator[Remark]:
    """Checks that an N_TO_N dependency does not name a child of an array job, JOB_ID:INDEX, which is a single job."""
    for loc, dependency in entries(request, "dependsOn"):
        job = text(dependency, "jobId") or ""
        if (text(dependency, "type") or "").upper() == N_TO_N and re.fullmatch(r"[\w-]+:[0-9]+", job):
            message = f"N_TO_N pairs the children of two array jobs, and {job} is one child: leave out its index"
            yield Remark((*loc, "jobId"), message, "batch-n-to-n")


def reference_problem(request: JSON, condition: str, other: JSON) -> str | None:
    """Returns the reason why a request cannot wait for the request of another spec under this condition, or `None` if
    it can."""
    if condition.upper() != N_TO_N:
        return None
    size, others = (integer(part(each, "arrayProperties"), "size") for each in (request, other))
    if size is None:
        return None  # reported as an error elsewhere
    if others is None:
        return "N_TO_N pairs the children of two array jobs, and it is not an array job"
    if size != others:
        return f"N_TO_N pairs the children of two array jobs of the same size: it has {others:,}, this one {size:,}"
    return None


NODE_OVERRIDES = ("nodeOverrides",)
CONTAINERS = ("containerOverrides", "ecsPropertiesOverride", "nodeOverrides")
PLATFORMS = ("eksPropertiesOverride", "ecsPropertiesOverride", "nodeOverrides")
PODS = ("eksPropertiesOverride", "nodeOverrides")

CHECKS: tuple[Rule, ...] = (
    (("jobName",), _size),
    (("dependsOn",), _dependencies),
    (("retryStrategy",), _retries),
    (("shareIdentifier",), _share),
    (PLATFORMS, _platforms),
    (NODE_OVERRIDES, override_rules.check_nodes),
    (CONTAINERS, override_rules.check_containers),
    (PODS, override_rules.check_pods),
    (("tags",), aws_tag_problems),
)
WARNINGS: tuple[Rule, ...] = (
    (("dependsOn",), _child_of_array),
    (("dependsOn", "retryStrategy"), _letter_cases),
    (("shareIdentifier",), _share_form),
    (("containerOverrides",), _ignored_overrides),
    (NODE_OVERRIDES, override_rules.warn_nodes),
    (CONTAINERS, override_rules.warn_containers),
    (CONTAINERS, override_rules.warn_size),
    (("jobQueue",), override_rules.warn_values),
    (PODS, override_rules.warn_pods),
)


def check(request: JSON) -> Sequence[Remark]:
    """Returns remarks about everything that AWS refuses."""
    return applied(CHECKS, request)


def warn(request: JSON) -> Sequence[Remark]:
    """Returns remarks about uses that AWS advises against, or that break rules which AWS does not enforce."""
    return applied(WARNINGS, request)
