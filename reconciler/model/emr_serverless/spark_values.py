"""Warns about values of Spark settings that Spark refuses when the job starts: sizes, whole numbers, booleans.

Spark reads a size as digits and a unit (`JavaUtils.byteStringAs`), and the memory settings are in MiB without a unit.
"""

from collections.abc import Iterator

from reconciler.model import s3
from reconciler.values import regex

SIZES = frozenset({
    "driver-memory", "executor-memory", "spark.driver.memory", "spark.driver.memoryOverhead", "spark.executor.memory",
    "spark.executor.memoryOverhead", "spark.executor.pyspark.memory",
})  # fmt: skip
WHOLE = frozenset({
    "driver-cores", "executor-cores", "spark.default.parallelism", "spark.driver.cores",
    "spark.dynamicAllocation.initialExecutors", "spark.dynamicAllocation.maxExecutors",
    "spark.dynamicAllocation.minExecutors", "spark.executor.cores", "spark.executor.instances",
    "spark.sql.shuffle.partitions", "spark.task.cpus",
})  # fmt: skip
LEAST_MEMORY = 450  # MiB; Spark starts no driver or executor with less
WITHOUT_MINIMUM = ("memoryOverhead", "pyspark.memory")

_SIZE = regex(r"(?P<number>\d+)(?P<unit>(?:[kmgtp]b?|b)?)")
_NEARLY_A_SIZE = regex(r"(?P<number>\d+)(?P<fraction>\.\d+)?\s*(?P<unit>[kmgt])(?:i?b?)", 0)
_NEARLY_WHOLE = regex(r"(\d+)(?:\.0+|\s*(?:v?cpus?|cores?))")


def value_problems(option: str, key: str, value: str) -> Iterator[str]:
    """Yields what is wrong with the value of an option of spark-submit, or of the setting `key` of ``--conf``."""
    for remark in s3.text_remarks((), value):
        yield remark.message
    name = key or option
    if not value or value[-1] in ",;" or "=" in value:
        return  # other rules report these
    if problem := setting_problem(name, value):
        yield f"{name if key else f'--{name}'} {problem}"


def setting_problem(name: str, value: str) -> str | None:
    """Returns why Spark refuses the value of a setting, or `None`. `name` may also be an option such as
    ``executor-memory``."""
    text = value.strip().lower()
    if name in SIZES:
        return _size_problem(name, text)
    if name in WHOLE and not text.isdecimal():
        nearly = _NEARLY_WHOLE.fullmatch(text)
        return f"is a whole number: write {nearly[1]}" if nearly else "is a whole number, such as 4"
    if name.startswith("spark.") and name.endswith(".enabled") and text not in {"true", "false"}:
        meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(text)
        return f"is true or false{f': write {meant}' if meant else ''}"
    return None


def _size_problem(name: str, text: str) -> str | None:
    size = _SIZE.fullmatch(text)
    if size is None:
        nearly = _NEARLY_A_SIZE.fullmatch(text)
        if nearly is None:
            return "is a size with a unit, such as 4g or 512m"
        smaller = {"g": "m", "m": "k", "t": "g", "k": "b"}[nearly["unit"]]
        fraction = float(f"0{nearly['fraction'] or ''}")
        meant = f"{int(nearly['number']) * 1024 + round(fraction * 1024)}{smaller}" if fraction else ""
        return f"is a whole number and a unit: write {meant or nearly['number'] + nearly['unit']}"
    if not size["unit"] and int(size["number"]) < LEAST_MEMORY and not name.endswith(WITHOUT_MINIMUM):
        return f"is in MiB without a unit, and Spark needs at least {LEAST_MEMORY} MiB: write {size['number']}g"
    return None
