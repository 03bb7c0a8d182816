"""Checks in EMR Serverless whether applications exist and are compatible with the requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from reconciler.aws.clients import Aws
from reconciler.aws.errors import translate_errors
from reconciler.aws.verify import INVENTED, Said, SharedResources, is_invented
from reconciler.core.ports import Answer, Verdict
from reconciler.model.base import JSON, part
from reconciler.model.emr_serverless.needs import APPLICATION, needs
from reconciler.model.emr_serverless.spark_parameters import settings

SERVICE, PRINCIPAL = "emr-serverless", "emr-serverless.amazonaws.com"
GONE = {"TERMINATED"}
DRIVERS = {"sparkSubmit": "spark", "hive": "hive"}
STREAMS_FROM, PROMETHEUS_FROM = (7, 1), (7, 1)
"""The first EMR releases that support streaming jobs and metrics in Prometheus (EMR Serverless user guide)."""

QUOTA = "Max concurrent vCPUs per account"
CORES, EXECUTORS = 4.0, 3.0
"""The default cores of a driver or executor, and the default number of initial executors (EMR Serverless user guide).
"""


class EmrServerlessVerifier:
    """Checks the requests of runs. Reads each application once."""

    def __init__(self, aws: Aws) -> None:
        self._aws, self._shared = aws, SharedResources(aws, SERVICE, PRINCIPAL)
        self._applications: dict[str, tuple[Said, Mapping[str, Any]]] = {}

    def verify(self, requests: Mapping[str, JSON]) -> Iterator[Verdict]:
        """Yields the verdicts on each request, and on the total vCPUs of all requests."""
        for name, request in requests.items():
            for need in needs(request):
                if need.type == APPLICATION:
                    said = self._application(need.name)[0]
                else:
                    said = self._shared.answer(need) or (Answer.NOT_ASKED, f"{need.type} {need.name}: not asked")
                yield Verdict(name, need.loc, *said)
            for loc, said in _fit(request, self._application(str(request.get("applicationId", "")))[1]):
                yield Verdict(name, loc, *said)
        if requests:
            largest = max(requests, key=lambda name: _vcpus(requests[name]))
            ask = partial(self._ask_quota, _vcpus(requests[largest]), sum(map(_vcpus, requests.values())))
            yield Verdict(largest, ("jobDriver",), *self._shared.asked(f"quota {QUOTA}", "service-quotas", ask))

    def _application(self, name: str) -> tuple[Said, Mapping[str, Any]]:
        if name not in self._applications:
            found: dict[str, Any] = {}
            said = self._shared.asked(f"application {name}", SERVICE, partial(self._ask_application, found), name)
            self._applications[name] = said, found
        return self._applications[name]

    def _ask_application(self, found: dict[str, Any], name: str) -> Said:
        with translate_errors("GetApplication"):
            reply = self._aws.reader(SERVICE).get_application(applicationId=name)
            found |= {**reply["application"], "invented": is_invented(reply)}
        state = found.get("state")
        starts = part(found, "autoStartConfiguration").get("enabled", True)
        if state in GONE:
            return Answer.ERROR, f"application {name} is {state}"
        if state in {"STOPPED", "CREATED", "STOPPING"} and not starts:
            return Answer.ERROR, f"application {name} is {state} and does not start automatically"
        return Answer.OK, f"application {name} is {state}"

    def _ask_quota(self, largest: float, total: float, _name: str) -> Said:
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


def _fit(request: JSON, application: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], Said]]:
    """Yields requirements that an application does not meet: the driver, features of later releases, capacity."""
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
            said = f"application {name} has {application['releaseLabel']}; {what} emr-{first_text}.0 or later"
            yield loc, (Answer.ERROR, said)
    limit = re.match(r"\s*([\d.]+)", str(part(dict(application), "maximumCapacity").get("cpu", "")))
    if limit is not None and _vcpus(request) > float(limit[1]):
        said = f"the run starts with {_vcpus(request):g} vCPUs, and application {name} has at most {float(limit[1]):g}"
        yield ("jobDriver",), (Answer.ERROR, said)


def _release(application: Mapping[str, Any]) -> tuple[int, ...] | None:
    match = re.match(r"emr-(\d+)\.(\d+)", str(application.get("releaseLabel", "")))
    return None if match is None else (int(match[1]), int(match[2]))


def _vcpus(request: JSON) -> float:
    """Returns the vCPUs with which a Spark run starts (for its driver and initial executors), or 0 for Hive."""
    spark = part(request, "jobDriver", "sparkSubmit")
    if not spark:
        return 0.0
    try:
        conf = settings(str(spark.get("sparkSubmitParameters", "")))[0]
    except ValueError:
        conf = {}

    def number(names: tuple[str, ...], default: float) -> float:
        text = next((str(conf[name]) for name in names if name in conf), "")
        return float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else default

    executors = number(("spark.executor.instances", "spark.dynamicAllocation.initialExecutors"), EXECUTORS)
    cores = number(("spark.executor.cores",), CORES)
    return number(("spark.driver.cores",), CORES) + executors * cores
