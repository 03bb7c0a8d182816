"""The forms of a StartJobRun request: as a spec writes it, as AWS takes it, as people compare it."""

from __future__ import annotations

from reconciler.model.emr_serverless.spark_parameters import rendered, settings
from reconciler.model.kind import Loc
from reconciler.model.request import part
from reconciler.model.strict import JSON

SPARK: Loc = ("jobDriver", "sparkSubmit")
PARAMETERS = "sparkSubmitParameters"


def from_spec(request: JSON) -> JSON:
    """The request with its Spark parameters as the string AWS takes. The input stays as it is.

    Raises `RequestProblems` for a mapping that cannot be rendered.
    """
    spark = part(request, "jobDriver", "sparkSubmit")
    parameters = spark.get(PARAMETERS)
    if not isinstance(parameters, dict):
        return request
    return _with_spark(request, {**spark, PARAMETERS: rendered(parameters, (*SPARK, PARAMETERS))})


def for_display(request: JSON) -> JSON:
    """The request with single settings where its Spark parameters were: `conf` by key, and `parameters` by option.

    A string that is no list of options stays as it is.
    """
    spark = part(request, "jobDriver", "sparkSubmit")
    parameters = spark.get(PARAMETERS)
    if not isinstance(parameters, str):
        return request
    try:
        conf, options = settings(parameters)
    except ValueError:
        return request
    shown: JSON = {}
    for key, value in spark.items():
        if key != PARAMETERS:
            shown[key] = value
            continue
        if conf:
            shown["conf"] = conf
        if options:
            shown["parameters"] = options
    return _with_spark(request, shown)


def _with_spark(request: JSON, spark: JSON) -> JSON:
    return {**request, "jobDriver": {**request["jobDriver"], "sparkSubmit": spark}}
