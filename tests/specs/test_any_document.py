"""Tests how documents of any form are read."""

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.errors import Problem, SpecErrors
from tests.specs.builders import dumped, load, wrapped, write

BATCH = {
    "jobQueue": "q",
    "jobDefinition": "d",
    "tags": {"a": "b"},
    "dependsOn": [{"spec": "job", "type": "N_TO_N"}, {"jobId": "x"}],
    "arrayProperties": {"size": 2},
    "containerOverrides": {"environment": [{"name": "A", "value": "b"}], "command": ["a", "${var.bucket}"]},
    "eksPropertiesOverride": {"podProperties": {"containers": [{"resources": {"limits": {"cpu": "1"}}}]}},
}
SPARK = {
    "applicationId": "00f1",
    "executionRoleArn": "arn:aws:iam::111122223333:role/a",
    "mode": "STREAMING",
    "retryPolicy": {"maxAttempts": 1},
    "executionTimeoutMinutes": 5,
    "jobDriver": {
        "sparkSubmit": {"entryPoint": "s3://b", "sparkSubmitParameters": {"conf": {"a": "b"}, "jars": ["c"]}}
    },
    "configurationOverrides": {"applicationConfiguration": [{"classification": "a", "properties": {"b": "c"}}]},
}
POLICY = {
    "targets": ["local"],
    "dependsOn": [{"name": "a"}],
    "suspend": {"until": "2026-12-01T00:00:00Z"},
    "schedule": "0 2 * * *",
    "revision": 1,
}


def paths(value: Any, loc: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Yields the path of every node in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, entry in inner for path in [(*loc, key), *paths(entry, (*loc, key))]]


def replaced(document: Any, loc: tuple[Any, ...], value: Any) -> Any:
    """Returns a copy of a document with another value at a path."""
    changed = copy.deepcopy(document)
    part = changed
    for key in loc[:-1]:
        part = part[key]
    part[loc[-1]] = value
    return changed


DOCUMENTS = [wrapped(BATCH, "BatchJob"), wrapped(SPARK, "EmrServerlessJobRun")]
for each in DOCUMENTS:
    each["spec"] = {**POLICY, **each["spec"]}
CHANGES = [(document, loc) for document in DOCUMENTS for loc in paths(document)]
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(alphabet="a:$\u00e9{}.\u2028\x01\\'\" ", max_size=8),
        st.sampled_from(["${var.bucket}", "${run.slot:%Y}", "${", "$${", "${target.x}", "reconciler:token"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["name", "value", "spec", "conf", "a", "${x}", "", "tags"]), inner, max_size=3),
    ),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(CHANGES), VALUES)
def test_any_value_anywhere_is_read_or_refused(tmp_path, change, value):
    """With any value at any path, a spec either loads or raises SpecErrors."""
    document, loc = change
    root = write(tmp_path, {"a.json": dumped(replaced(document, loc, value))})
    problems: tuple[Problem, ...] = ()
    try:
        load(root)
    except SpecErrors as error:
        problems = error.problems
    assert {"a.json"} >= {problem.path for problem in problems}
