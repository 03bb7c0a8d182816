"""Checks in EMR Serverless whether applications exist and are compatible with the requests."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from reconciler.aws.clients import Aws
from reconciler.aws.errors import translate_errors
from reconciler.aws.verify import INVENTED, NETWORK_UNASKED, Result, SharedResources, is_invented
from reconciler.core.ports import Answer, Verdict
from reconciler.model.base import JSON, Loc, part
from reconciler.model.emr_serverless.resources_and_permissions import APPLICATION, needs
from reconciler.model.emr_serverless.spark_parameters import settings
from reconciler.model.resources_and_permissions import Resource

SERVICE, PRINCIPAL = "emr-serverless", "emr-serverless.amazonaws.com"
GONE = {"TERMINATED"}
DRIVERS = {"sparkSubmit": "spark", "hive": "hive"}
STREAMS_FROM, PROMETHEUS_FROM = (7, 1), (7, 1)
"""The first EMR releases that support streaming jobs and metrics in Prometheus (EMR Serverless user guide)."""

QUOTA = "Max concurrent vCPUs per account"
CORES, EXECUTORS, MEMORY, DISK = 4.0, 3.0, 14.0, 20.0
"""The default cores, memory and disk (in GB) of a driver or executor, and the default number of initial executors (EMR
Serverless user guide)."""

CONCURRENT_RUNS, QUEUED_MINUTES = 15, 360
"""The defaults of an application that queues runs (https://docs.aws.amazon.com/emr-serverless/latest/APIReference/\
API_SchedulerConfiguration.html)."""

SIZES = {"": 1.0, "k": 1 / 1024**2, "m": 1 / 1024, "g": 1.0, "t": 1024.0}


class EmrServerlessVerifier:
    """Checks the requests of runs. Reads each application once."""

    def __init__(self, aws: Aws) -> None:
        self._aws, self._shared = aws, SharedResources(aws, SERVICE, PRINCIPAL)

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Yields the verdicts on each request, and on the total vCPUs of all requests."""
        for name, request in requests.items():
            for need in needs(request):
                result = self._application(need.name)[0] if need.type == APPLICATION else self._shared.answer(need)
                yield Verdict(name, need.loc, *result)
            for loc, result in _fit(request, self._application(str(request.get("applicationId", "")))[1]):
                yield Verdict(name, loc, *result)
        for application in dict.fromkeys(str(request.get("applicationId", "")) for request in requests.values()):
            mine = {name: request for name, request in requests.items() if request.get("applicationId") == application}
            for loc, result in self._together(application, list(mine.values())):
                yield Verdict(next(iter(mine)), loc, *result)
        if requests:
            largest = max(requests, key=lambda name: _vcpus(requests[name]))
            ask = partial(self._ask_quota, _vcpus(requests[largest]), sum(map(_vcpus, requests.values())))
            yield Verdict(largest, ("jobDriver",), *self._shared.asked(f"quota {QUOTA}", "service-quotas", ask))

    def _together(self, name: str, requests: Sequence[JSON]) -> Iterator[tuple[Loc, Result]]:
        """Yields the answers about an application's network, and about its limits if all requests ran at once."""
        application = self._application(name)[1]
        if not application or application.get("invented"):
            return
        loc = ("applicationId",)
        network = part(dict(application), "networkConfiguration")
        for kind, field in ((Resource.SUBNET, "subnetIds"), (Resource.SECURITY_GROUP, "securityGroupIds")):
            for each in network.get(field) or ():
                yield loc, self._shared.of(kind, str(each))
        if network.get("subnetIds"):
            yield loc, (Answer.NOT_ASKED, NETWORK_UNASKED.format(f"application {name}"))
        if (result := _concurrent(application, requests)) is not None:
            yield loc, result
        total, limit = sum(map(_vcpus, requests)), _number(part(dict(application), "maximumCapacity").get("cpu"))
        # `_capacity` reports a single run that exceeds the limit.
        if limit is not None and max(map(_vcpus, requests)) <= limit < total:
            message = f"all specs of application {name} together start with {total:g} vCPUs; it has at most {limit:g}"
            yield loc, (Answer.WARNING, message)

    def _application(self, name: str) -> tuple[Result, JSON]:
        return self._shared.described(APPLICATION, name, self._ask_application)

    def _ask_application(self, name: str) -> tuple[Result, JSON]:
        with translate_errors("GetApplication"):
            reply = self._aws.reader(SERVICE).get_application(applicationId=name)
            application = {**reply["application"], "invented": is_invented(reply)}
        state = application.get("state")
        starts = part(application, "autoStartConfiguration").get("enabled", True)
        if state in GONE:
            return (Answer.ERROR, f"application {name} is {state}"), application
        if state in {"STOPPED", "CREATED", "STOPPING"} and not starts:
            return (Answer.ERROR, f"application {name} is {state} and does not start automatically"), application
        return (Answer.OK, f"application {name} is {state}"), application

    def _ask_quota(self, largest: float, total: float, _name: str) -> Result:
        quota = self._shared.quota(SERVICE, QUOTA)
        if quota is None:
            return Answer.NOT_ASKED, f"quota {QUOTA}: not known, because AWS does not list it"
        if largest > quota:
            return Answer.ERROR, f"the run starts with {largest:g} vCPUs, and the account may have {quota:g} at once"
        if total > quota:
            return (
                Answer.WARNING,
                f"all specs together start with {total:g} vCPUs; the account may have {quota:g} at once",
            )
        return Answer.OK, f"all specs together start with {total:g} of {quota:g} vCPUs"


def _fit(request: JSON, application: Mapping[str, Any]) -> Iterator[tuple[Loc, Result]]:
    """Yields the requirements that an application does not meet: the driver, features of later releases, capacity."""
    if application.get("invented"):
        yield ("applicationId",), INVENTED
        return
    name, kind, release = request.get("applicationId"), application.get("type"), _release(application)
    for driver, needed in DRIVERS.items() if kind else ():
        if driver in part(request, "jobDriver") and str(kind).lower() != needed:
            yield ("jobDriver", driver), (Answer.ERROR, f"application {name} runs {kind}, and this is a {needed} job")
    monitoring = ("configurationOverrides", "monitoringConfiguration")
    prometheus = "prometheusMonitoringConfiguration" in part(request, *monitoring)
    features = (
        (("mode",), request.get("mode") == "STREAMING", STREAMS_FROM, "streaming jobs need"),
        (monitoring, prometheus, PROMETHEUS_FROM, "Prometheus needs"),
    )
    for loc, is_used, first, what in features:
        if is_used and release is not None and release < first:
            first_text = ".".join(map(str, first))
            message = f"application {name} has {application['releaseLabel']}; {what} emr-{first_text}.0 or later"
            yield loc, (Answer.ERROR, message)
    yield from _capacity(request, application)


def _capacity(request: JSON, application: Mapping[str, Any]) -> Iterator[tuple[Loc, Result]]:
    """Yields the resources that a run needs at its start and that exceed the application's maximum capacity."""
    limits, name = part(dict(application), "maximumCapacity"), request.get("applicationId")
    wanted = {
        "cpu": (_vcpus(request), "vCPUs"),
        "memory": (_gigabytes(request, "memory", MEMORY), "GB of memory"),
        "disk": (_gigabytes(request, "disk", DISK), "GB of disk"),
    }
    for field, (needed, unit) in wanted.items():
        limit = _number(limits.get(field))
        if limit is not None and needed > limit:
            message = f"the run starts with {needed:g} {unit}, and application {name} has at most {limit:g}"
            yield ("jobDriver",), (Answer.ERROR, message)


def _concurrent(application: Mapping[str, Any], requests: Sequence[JSON]) -> Result | None:
    """Returns whether an application allows all runs at once, or `None` if it has no limit for them."""
    scheduler, name = application.get("schedulerConfiguration"), application.get("applicationId")
    if not isinstance(scheduler, dict):
        return None
    most = int(scheduler.get("maxConcurrentRuns") or CONCURRENT_RUNS)
    minutes = int(scheduler.get("queueTimeoutMinutes") or QUEUED_MINUTES)
    streams = sum(request.get("mode") == "STREAMING" for request in requests)
    runs = f"application {name} allows {most} concurrent runs"
    if streams > most or (streams == most and len(requests) > streams):
        return (
            Answer.ERROR,
            f"{runs}, and {streams} streaming specs of this target use them all: others never start",
        )
    if len(requests) > most:
        waits = f"others wait in its queue, and fail after {minutes} minutes there"
        return Answer.WARNING, f"{runs}, and {len(requests)} specs of this target use it: {waits}"
    return Answer.OK, f"{runs}, and {len(requests)} specs of this target use it"


def _release(application: Mapping[str, Any]) -> tuple[int, ...] | None:
    match = re.match(r"emr-(\d+)\.(\d+)", str(application.get("releaseLabel", "")))
    return None if match is None else (int(match[1]), int(match[2]))


def _number(text: object) -> float | None:
    """Returns the number of a limit such as ``400 vCPU``, or `None` if there is none."""
    match = re.match(r"\s*(\d+(?:\.\d+)?)", str(text or ""))
    return None if match is None else float(match[1])


def _conf(request: JSON) -> Mapping[str, object] | None:
    """Returns the Spark properties of a run, or `None` for Hive."""
    spark = part(request, "jobDriver", "sparkSubmit")
    if not spark:
        return None
    try:
        return settings(str(spark.get("sparkSubmitParameters", "")))[0]
    except ValueError:
        return {}


def _setting(conf: Mapping[str, object], names: Sequence[str], default: float) -> float:
    """Returns the first property that is set as a number, in GB if it has a unit."""
    text = next((str(conf[name]).strip().lower() for name in names if name in conf), "")
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kmgt]?)b?", text)
    return default if match is None else float(match[1]) * SIZES[match[2]]


def _executors(conf: Mapping[str, object]) -> float:
    return _setting(conf, ("spark.executor.instances", "spark.dynamicAllocation.initialExecutors"), EXECUTORS)


def _vcpus(request: JSON) -> float:
    """Returns the vCPUs with which a Spark run starts (for its driver and initial executors), or 0 for Hive."""
    conf = _conf(request)
    if conf is None:
        return 0.0
    cores = _setting(conf, ("spark.executor.cores",), CORES)
    return _setting(conf, ("spark.driver.cores",), CORES) + _executors(conf) * cores


def _gigabytes(request: JSON, what: str, default: float) -> float:
    """Returns the memory or disk with which a Spark run starts at least, without overhead, or 0 for Hive."""
    conf = _conf(request)
    if conf is None:
        return 0.0
    own = "spark.emr-serverless.{}.disk" if what == "disk" else "spark.{}.memory"
    driver, executor = (_setting(conf, (own.format(worker),), default) for worker in ("driver", "executor"))
    return driver + _executors(conf) * executor
