"""Tests how the differences between two requests are listed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.identity import canonical
from reconciler.core.plan import Change
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named
from reconciler.render import diff
from reconciler.render.diff import Differences, explain

EMR, BATCH = kind_named("EmrServerlessJobRun"), kind_named("BatchJob")
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def spark(**fields: Any) -> JSON:
    """Returns a Spark request."""
    return {"applicationId": "app", "jobDriver": {"sparkSubmit": {"entryPoint": "s3://b/x.py", **fields}}}


def container(**overrides: Any) -> JSON:
    """Returns a container request."""
    return {"jobName": "j", "jobQueue": "q", "jobDefinition": "d", "containerOverrides": overrides}


def env(*pairs: tuple[str, str]) -> list[JSON]:
    """Returns an environment list."""
    return [{"name": name, "value": value} for name, value in pairs]


ARGUMENTS = "jobDriver.sparkSubmit.entryPointArguments"
ENVIRONMENT = "containerOverrides.environment"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(
            spark(sparkSubmitParameters="--conf spark.executor.memory=4g --conf spark.executor.cores=2"),
            spark(sparkSubmitParameters="--conf spark.executor.memory=8g --conf spark.executor.cores=2"),
            [Change('jobDriver.sparkSubmit.conf["spark.executor.memory"]', "change", "4g", "8g")],
            id="a single setting of a long string",
        ),
        pytest.param(
            spark(entryPointArguments=["--day", "1"]),
            spark(entryPointArguments=["--day", "2"]),
            [Change(f"{ARGUMENTS}[1]", "change", "1", "2")],
            id="an argument by its index",
        ),
        pytest.param(
            spark(entryPointArguments=["a", "b", "c"]),
            spark(entryPointArguments=["x", "a", "b", "c"]),
            [Change(f"{ARGUMENTS}[0]", "add", None, "x")],
            id="an argument put in front is one addition",
        ),
        pytest.param(
            spark(entryPointArguments=["a", "b", "c"]),
            spark(entryPointArguments=["a", "c"]),
            [Change(f"{ARGUMENTS}[1]", "remove", "b", None)],
            id="an argument taken out is one removal, at its old index",
        ),
        pytest.param(
            spark(entryPointArguments=["--in", "a", "--out", "b"]),
            spark(entryPointArguments=["--in", "b", "--out", "a"]),
            [Change(f"{ARGUMENTS}[1]", "change", "a", "b"), Change(f"{ARGUMENTS}[3]", "change", "b", "a")],
            id="swapped arguments are two changes: their order counts",
        ),
        pytest.param(
            spark(entryPointArguments=[str(i) for i in range(12)]),
            spark(entryPointArguments=["0", "1", "two", *map(str, range(3, 10)), "ten", "11"]),
            [Change(f"{ARGUMENTS}[2]", "change", "2", "two"), Change(f"{ARGUMENTS}[10]", "change", "10", "ten")],
            id="indexes are sorted as numbers",
        ),
        pytest.param(
            spark(entryPointArguments=["--password", "x"]),
            spark(entryPointArguments=["--password", "y"]),
            [Change(f"{ARGUMENTS}[1]", "change", "x", "y", sensitive=True)],
            id="an argument after --password is marked",
        ),
        pytest.param(
            spark(entryPointArguments=["--password", "x"]),
            spark(entryPointArguments=["--user", "y"]),
            [
                Change(f"{ARGUMENTS}[0]", "change", "--password", "--user"),
                Change(f"{ARGUMENTS}[1]", "change", "x", "y", sensitive=True),
            ],
            id="also where it was a password only before",
        ),
        pytest.param(
            container(environment=env(("STAGE", "a"), ("X", "1"))),
            container(environment=env(("STAGE", "b"), ("X", "1"))),
            [Change(f'{ENVIRONMENT}["STAGE"].value', "change", "a", "b")],
            id="a variable by its name",
        ),
        pytest.param(
            container(environment=env(("A", "1"), ("B", "2"))),
            container(environment=env(("N", "0"), ("A", "1"))),
            [
                Change(f'{ENVIRONMENT}["B"]', "remove", {"name": "B", "value": "2"}, None),
                Change(f'{ENVIRONMENT}["N"]', "add", None, {"name": "N", "value": "0"}),
            ],
            id="variables that come and go move nobody else",
        ),
        pytest.param(
            container(environment=env(("A", "1"), ("B", "2"))),
            container(environment=env(("B", "2"), ("A", "1"))),
            [Change(ENVIRONMENT, "reorder", ["A", "B"], ["B", "A"])],
            id="only the order",
        ),
        pytest.param(
            container(environment=env(("A", "1"), ("B", "2"))),
            container(environment=env(("B", "3"), ("A", "1"))),
            [
                Change(ENVIRONMENT, "reorder", ["A", "B"], ["B", "A"]),
                Change(f'{ENVIRONMENT}["B"].value', "change", "2", "3"),
            ],
            id="the order and a value",
        ),
        pytest.param(
            container(environment=env(("A", "1"), ("A", "2"))),
            container(environment=env(("A", "1"), ("A", "3"))),
            [Change(f"{ENVIRONMENT}[1].value", "change", "2", "3")],
            id="names that are not unique fall back to indexes",
        ),
        pytest.param(
            container(resourceRequirements=[{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2"}]),
            container(resourceRequirements=[{"type": "MEMORY", "value": "2"}, {"type": "VCPU", "value": "1"}]),
            [
                Change(
                    "containerOverrides.resourceRequirements",
                    "reorder",
                    [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "2"}],
                    [{"type": "MEMORY", "value": "2"}, {"type": "VCPU", "value": "1"}],
                )
            ],
            id="objects without names in another order",
        ),
        pytest.param(
            {"x": [{"a": 1, "in": env(("S", "1"))}, {"b": 1}]},
            {"x": [{"a": 2, "in": env(("S", "2"))}, {"b": 1}]},
            [Change("x[0].a", "change", 1, 2), Change('x[0].in["S"].value', "change", "1", "2")],
            id="names inside of indexes",
        ),
        pytest.param(
            {"x": [{"a": 1}, {"b": 1}]},
            {"x": [{"a": 1}, {"b": 1}, {"c": 1}]},
            [Change("x[2]", "add", None, {"c": 1})],
            id="an object more",
        ),
        pytest.param({"x": "2"}, {"x": 2}, [Change("x", "change", "2", 2)], id="a string is no number"),
        pytest.param({"x": 1}, {"x": True}, [Change("x", "change", 1, True)], id="a number is no boolean"),
        pytest.param({"x": 1}, {"x": 1.0}, [Change("x", "change", 1, 1.0)], id="1 is not 1.0"),
        pytest.param({"x": 0.0}, {"x": -0.0}, [Change("x", "change", 0.0, -0.0)], id="0.0 is not -0.0"),
        pytest.param({"a": 1}, {"a": 1, "x": None}, [Change("x", "add", None, None)], id="null is not absent"),
        pytest.param({"x": {}}, {"x": []}, [Change("x", "change", {}, [])], id="an object is no list"),
        pytest.param({"a": 1, "x": []}, {"a": 1}, [Change("x", "remove", [], None)], id="empty is not absent"),
        pytest.param(
            {"a": {"__x": 1, "y": 1}},
            {"a": {"__x": 2, "y": 2}},
            [Change("a.__x", "change", 1, 2), Change("a.y", "change", 1, 2)],
            id="keys with underscores",
        ),
    ],
)  # fmt: skip
def test_differences(before, after, expected):
    """Each difference is listed once, with AWS's field names and complete values, in the order of paths."""
    kind = EMR if "applicationId" in before else BATCH
    given_before, given_after = copy.deepcopy(before), copy.deepcopy(after)
    actual = explain(kind, before, after)
    assert list(actual) == expected
    assert [type(c.before) for c in actual] == [type(c.before) for c in expected]
    assert (before, after) == (given_before, given_after)


def test_only_inserted_and_removed_entries_need_deepdiff(monkeypatch):
    """Changed, added and removed fields, and list entries with another value, are detected without deepdiff."""
    lists: list[Any] = []
    real = diff._moves

    def moves(before: list[Any], after: list[Any]) -> Iterator[Any]:
        lists.append((before, after))
        return real(before, after)

    monkeypatch.setattr(diff, "_moves", moves)
    explain(EMR, spark(entryPointArguments=["a", "b"], x={"y": 1}), spark(entryPointArguments=["a", "c"], z={"y": 2}))
    assert lists == []
    explain(EMR, spark(entryPointArguments=["a", "b"]), spark(entryPointArguments=["b"]))
    assert lists == [(["a", "b"], ["b"])]


def test_the_changes_of_a_run_and_of_a_spec_come_from_one_comparison(monkeypatch):
    """An action and its spec show the same two requests, so these are compared only once."""
    compared: list[JSON] = []
    real = diff._compare

    def compare(before: JSON, after: JSON) -> list[Any]:
        compared.append(after)
        return real(before, after)

    monkeypatch.setattr(diff, "_compare", compare)
    differences = Differences(EMR, spark(a="1"), spark(a="2"))
    assert differences.of_content() == differences.of_request() != ()
    assert len(compared) == 1


def test_what_the_reconciler_adds_is_left_out():
    """Our tags and the token are ignored, so that a sent request can be compared with the request of a spec."""
    asked = {**spark(), "tags": {"team": "growth"}}
    sent = EMR.as_sent(asked, "r1-abc", "a/b/c")
    assert explain(EMR, sent, asked) == ()
    assert explain(EMR, EMR.as_sent(spark(), "r1-abc", "a/b/c"), spark()) == ()
    assert [c.path for c in explain(EMR, sent, {**asked, "applicationId": "other"})] == ["applicationId"]


def test_names_and_tags_are_told_beside_other_changes_only():
    """Changes of only names and tags start no run, so they are not listed. Together with another change, they are
    listed."""
    before = {**spark(), "name": "a", "tags": {"cost-center": "1"}}
    after = {**spark(), "name": "b", "tags": {"cost-center": "2"}}
    assert explain(EMR, before, after) == ()
    paths = [change.path for change in explain(EMR, before, {**after, "applicationId": "other"})]
    assert paths == ["applicationId", "name", 'tags["cost-center"]']


def test_a_difference_that_the_display_hides_is_told_of_the_request():
    """Two strings that contain the same settings have different digests, so the difference is listed."""
    before, after = (
        spark(sparkSubmitParameters="--conf  a=b"),
        {**spark(sparkSubmitParameters="--conf a=b"), "name": "n"},
    )
    changes = explain(EMR, before, after)
    assert [(c.path, c.before, c.after) for c in changes if c.path != "name"] == [
        ("jobDriver.sparkSubmit.sparkSubmitParameters", "--conf  a=b", "--conf a=b")
    ]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["", "1", "a", "--password", "x"]))
KEYS = st.sampled_from(["a", "b.c", "name", "value", "__d", "environment", "tags"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.lists(st.builds(lambda n, v: {"name": n, "value": v}, st.sampled_from("ABC"), inner), max_size=3)
    ),
    max_leaves=12,
)
REQUESTS = st.dictionaries(st.sampled_from(["a", "b.c", "environment", "command", "name"]), VALUES, max_size=4)
PLAIN = replace(BATCH, for_display=lambda request: request)


@given(REQUESTS, REQUESTS)
def test_changes_are_told_exactly_where_the_content_differs(before, after):
    """A difference is listed if and only if the digests differ."""
    differs = canonical(PLAIN.content(before)) != canonical(PLAIN.content(after))
    assert differs == bool(explain(PLAIN, before, after))


@given(REQUESTS, REQUESTS)
@settings(max_examples=15, deadline=None)
def test_the_order_of_keys_is_no_difference(before, after):
    """The order of keys does not affect the result."""
    turned = dict(reversed(before.items()))
    assert explain(PLAIN, before, after) == explain(PLAIN, turned, after)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real requests is not here")
@pytest.mark.parametrize(("file", "kind"), [("batch.jsonl", BATCH), ("emr_serverless.jsonl", EMR)])
def test_real_requests_against_each_other(file, kind):
    """Two neighbouring requests in the corpus differ if and only if their content differs. No request differs from
    itself."""
    read = [json.loads(line)["request"] for line in (CORPUS / file).read_text().splitlines()]
    requests = [{key: value for key, value in request.items() if key != kind.token_field} for request in read]
    for before, after in zip(requests, [*requests[1:], requests[0]], strict=True):
        assert explain(kind, before, before) == ()
        assert bool(explain(kind, before, after)) == (canonical(kind.content(before)) != canonical(kind.content(after)))
