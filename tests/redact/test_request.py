"""Masking of requests."""

from __future__ import annotations

import copy
import json
from typing import Any

from reconciler.redact.request import is_secret_at, masked, masked_at, secret_places
from tests.campaigns import in_one_test

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def batch(**overrides: Any) -> dict[str, Any]:
    """Returns a container request with some overrides."""
    return {"jobName": "j", "jobQueue": "q", "jobDefinition": "d", "containerOverrides": overrides}


@in_one_test(
    ("request_", "expected", "places"),
    [
        (
            batch(environment=[{"name": "STAGE", "value": "prod"}, {"name": "DB_PASSWORD", "value": "x"}]),
            batch(environment=[{"name": "STAGE", "value": "prod"}, {"name": "DB_PASSWORD", "value": "(sensitive)"}]),
            [("containerOverrides", "environment", 1, "value")],
        ),
        (
            batch(command=["run", "--password", "x", "--user", "u", "--token", "--verbose"]),
            batch(command=["run", "--password", "(sensitive)", "--user", "u", "--token", "--verbose"]),
            [("containerOverrides", "command", 2)],
        ),
        (
            batch(command=["sh", "-c", "mysql --password=x -h db"]),
            batch(command=["sh", "-c", "mysql --password=(sensitive) -h db"]),
            [("containerOverrides", "command", 2)],
        ),
        (
            batch(command=["sh", "-c", "curl -H 'Authorization: Bearer SECRETVALUE' https://x"]),
            batch(command=["sh", "-c", "curl -H 'Authorization: (sensitive)' https://x"]),
            [("containerOverrides", "command", 2)],
        ),
        (
            {"parameters": {"dbPassword": "x", "day": "1"}, "tags": {"api-key": "y"}},
            {"parameters": {"dbPassword": "(sensitive)", "day": "1"}, "tags": {"api-key": "(sensitive)"}},
            [("parameters", "dbPassword"), ("tags", "api-key")],
        ),
        (
            {"a": ["--config", '{"db": {"password": "x", "host": "h"}}']},
            {"a": ["--config", '{"db": {"password": "(sensitive)", "host": "h"}}']},
            [("a", 1)],
        ),
        (
            {"a": '{"credentials": {"user": "u", "pin": 1234, "rotate": true}}'},
            {"a": '{"credentials": {"user": "u", "pin": "(sensitive)", "rotate": true}}'},
            [("a",)],
        ),
        (
            {"a": '{"password": "x", "password": ""}'},
            {"a": '{"password": (sensitive), "password": ""}'},
            [("a",)],
        ),
        (
            batch(environment=[{"name": "A", "value": "AKIAIOSFODNN7EXAMPLE"}, {"name": "B", "value": SECRET_KEY}]),
            batch(environment=[{"name": "A", "value": "(sensitive)"}, {"name": "B", "value": "(sensitive)"}]),
            [("containerOverrides", "environment", 0, "value"), ("containerOverrides", "environment", 1, "value")],
        ),
        ({"clientToken": "abc", "tags": {"reconciler:token": "r1-abc"}}, None, []),
        ({"x": SECRET_KEY}, None, []),
        ({"x": "{not json", "y": "[1, 2]", "z": "[" * 5000}, None, []),
        (batch(command=["--password", "Ref::password", "--secret-arn", "arn:aws:ssm:a:1:parameter/x"]), None, []),
        ({"maxTokens": 5, "password": None, "secret": False, "n": {}, "l": []}, None, []),
    ],
)  # fmt: skip
def test_requests_are_masked(request_, expected, places):
    """Secrets are masked and located, all other values are kept, and the request itself is not changed."""
    before = copy.deepcopy(request_)
    assert masked(request_) == (request_ if expected is None else expected)
    assert secret_places(request_) == places
    assert request_ == before


@in_one_test(
    ("keys", "value"),
    [
        (("parameters", "password"), "x"),
        (("parameters", "password"), 1234),
        (("jobDriver", "sparkSubmit", "conf", "spark.x.secret.key"), "x"),
        (("containerOverrides", "environment", "DB_PASSWORD", "value"), "x"),
        (("containerOverrides", "environment", "DB_PASSWORD"), {"name": "DB_PASSWORD", "value": "x"}),
        (("containerOverrides", "command", 2), "--password=x"),
        (("containerOverrides", "command"), ["--password", "x"]),
    ],
)
def test_secrets_by_their_path(keys, value):
    """A single value is classified by its path, its content, or both."""
    assert is_secret_at(keys, value)
    assert "x" not in json.dumps(masked_at(keys, value)).replace("(sensitive)", "") or value == 1234


@in_one_test(
    ("keys", "value"),
    [
        (("containerOverrides", "environment", "STAGE", "value"), "prod"),
        (("ecs", "containers", "secrets-loader"), {"name": "secrets-loader", "command": ["load"]}),
        (("ecs", "containers", "secrets-loader", "command", 0), "load"),
        (("clientToken",), "x"),
        (("containerOverrides", "command", 3), "hunter2"),
        ((), {"a": 1}),
    ],
)
def test_values_that_their_path_does_not_make_secret(keys, value):
    """The name of a container does not make its command secret, and a single argument is not known to be secret."""
    assert not is_secret_at(keys, value)
    assert masked_at(keys, value) == value


def test_embedded_json_that_is_too_deep_is_masked_as_text():
    """A string that is nested too deeply for a JSON parser is still searched for secrets."""
    deep = '{"a":' * 3000 + '{"password": "x"}' + "}" * 3000
    assert '"x"' not in masked({"v": deep})["v"]


def test_a_list_with_objects_is_not_a_command_line():
    """The positions of arguments count only texts, so an object in the list must not be taken for an argument."""
    entries = ["mysql", {"a": "b"}, "-pSECRET"]
    assert masked({"command": entries})["command"][:2] == entries[:2]
