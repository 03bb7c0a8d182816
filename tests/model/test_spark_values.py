"""Tests which values of Spark settings are reported, and what is suggested instead."""

from __future__ import annotations

import pytest

from reconciler.model.emr_serverless.spark_values import setting_problem
from tests.campaigns import in_one_test
from tests.model.requests import EMR, sent, spark
from tests.model.runs import configuration

MEMORY, OVERHEAD, CORES = "spark.executor.memory", "spark.executor.memoryOverhead", "spark.executor.cores"
ACCEPTED = [
    *((MEMORY, value) for value in ("4g", "4G", "4gb", "4GB", "512m", "2048", "1t", "524288k", " 4g ")),
    (OVERHEAD, "384"), (OVERHEAD, "1g"), (CORES, "4"), ("spark.dynamicAllocation.enabled", "True"),
    ("spark.x", "1.5g"), ("spark.enabled.x", "yes"), ("spark.executor.memoryOverheadFactor", "0.2"),
]  # fmt: skip
REFUSED = [
    (MEMORY, "4Gi", "write 4g"), (MEMORY, "4 GB", "write 4g"), (MEMORY, "4", "write 4g"), (MEMORY, "4.0g", "write 4g"),
    (MEMORY, "2.5g", "write 2560m"), (MEMORY, "10%", "such as 4g"), (MEMORY, "lots", "such as 4g"),
    (OVERHEAD, "0.5g", "write 512m"), ("driver-memory", "4GiB", "write 4g"), (CORES, "4.0", "write 4"),
    (CORES, "4 vCPU", "write 4"), (CORES, "auto", "such as 4"), ("spark.sql.shuffle.partitions", "200.5", "such as 4"),
    ("spark.eventLog.enabled", "1", "write true"), ("spark.eventLog.enabled", "off", "write false"),
    ("spark.eventLog.enabled", "maybe", "is true or false"),
]  # fmt: skip


@in_one_test(("name", "value"), ACCEPTED)
def test_values_that_spark_accepts_are_silent(name: str, value: str):
    """Upper case, units of two letters and sizes in MiB are accepted, and so is any value of an unknown setting."""
    assert setting_problem(name, value) is None


@in_one_test(("name", "value", "advice"), REFUSED)
def test_values_that_spark_refuses_are_reported(name: str, value: str, advice: str):
    """The advice is the value in the form that Spark accepts, if that is certain."""
    assert advice in (setting_problem(name, value) or "")


@pytest.mark.parametrize(
    ("program", "part"),
    [
        ("./x.py", "cannot read a file of this machine"),
        ("~/x.jar", "cannot read a file of this machine"),
        ("C:\\jobs\\x.py", "cannot read a file of this machine"),
        ("s3://bucket/x.ipynb", "cannot run a notebook"),
    ],
)
def test_programs_that_cannot_run_are_reported(program: str, part: str):
    """A file of the author's machine and a notebook are warned of. A path in a custom image is not."""
    (remark,) = EMR.warn(sent(EMR, spark(entryPoint=program)))
    assert part in remark.message
    for path in ("/opt/x.py", "local:///opt/x.jar", "x.jar"):
        assert not EMR.warn(sent(EMR, spark(entryPoint=path)))


def test_misspelt_classifications_are_reported():
    """Wrong case, separators and single letters are noticed. An unknown classification is not."""
    for name in ("Spark-Defaults", "spark_defaults", "spark-default"):
        (remark,) = EMR.warn(sent(EMR, configuration(classification=name, properties={"spark.x": "1"})))
        assert remark.message == "did you mean spark-defaults?"
    for name in ("spark-defaults", "spark-metrics", "x"):
        assert not EMR.warn(sent(EMR, configuration(classification=name, properties={"spark.x": "1"})))
