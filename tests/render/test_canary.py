"""Tests that a secret anywhere in a request never appears in text output."""

from __future__ import annotations

import copy
import html
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus

import pytest

from reconciler.core.plan import Reason
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named
from reconciler.redact.request import masked, secret_places, secrets_of
from reconciler.redact.text import without
from reconciler.render.diff import explain
from reconciler.render.json_text import dumps
from reconciler.render.plan_markdown import plan_markdown
from reconciler.render.plan_text import plan_text
from tests.builders import plan_json
from tests.model.contract import service_shapes
from tests.render.samples import action, batch_request, changed, emr_request, plan

Place = tuple[str | int, ...]
CANARY = "q7Canary-8Xz_2"
CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
FILES = {"batch.jsonl": "BatchJob", "emr_serverless.jsonl": "EmrServerlessJobRun"}

AS_TEXT = [
    "--password {}", "--db-password={}", "-Dpassword={} -Dx=1", "DB_PASSWORD={} run", "https://user:{}@host/path",
    "jdbc:postgresql://h/d?user=u&password={}", '{{"auth": {{"password": "{}", "x": 1}}}}', "api_key: {}",
    "x --token '{}' y", "sh -c \"mysql --password={} -h db\"", "--conf spark.acme.secret={}",
]  # fmt: skip
AS_ARGUMENTS = [["--password", "{}"], ["--user", "u", "--api-key", "{}", "--x"], ["--conf", "spark.acme.password={}"]]


def planted(text: str, secret: str) -> str:
    """Returns a template that contains the secret."""
    return text.format(secret)


def leaves(value: Any, path: Place = ()) -> Iterator[Place]:
    """Yields the path of every string and of every list of strings in a request."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from leaves(entry, (*path, key))
    elif isinstance(value, list):
        if value and all(isinstance(entry, str) for entry in value):
            yield path
        for index, entry in enumerate(value):
            yield from leaves(entry, (*path, index))
    elif isinstance(value, str):
        yield path


def put(request: JSON, path: Place, value: Any) -> JSON:
    """Returns a copy of a request with another value at a path."""
    copied = copy.deepcopy(request)
    target: Any = copied
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return copied


def at(request: Any, path: Place) -> Any:
    """Returns the value at a path."""
    for key in path:
        request = request[key]
    return request


def variants(request: JSON, secret: str) -> Iterator[JSON]:
    """Returns copies of a request, each with a secret at another path."""
    for number, path in enumerate(leaves(request)):
        if isinstance(at(request, path), list):
            template = AS_ARGUMENTS[number % len(AS_ARGUMENTS)]
            yield put(request, path, [*at(request, path), *(planted(entry, secret) for entry in template)])
        elif path[-1] not in {"name", "jobName", "type"}:
            yield put(request, path, planted(AS_TEXT[number % len(AS_TEXT)], secret))
    for key in ("tags", "parameters"):
        yield {**request, key: {"db.password": secret}}
    entry = [{"name": "STAGE", "value": "x"}, {"name": "DB_PASSWORD", "value": secret}]
    yield {**request, "containerOverrides": {"environment": entry}}
    properties = {"classification": "spark-defaults", "properties": {"spark.hadoop.fs.s3a.secret.key": secret}}
    yield {**request, "configurationOverrides": {"applicationConfiguration": [properties]}}


def renderings(kind: str, before: JSON, after: JSON) -> str:
    """Returns all text output about a new spec and about a changed spec."""
    new = action(kind=kind, request=after)
    differs = changed(kind=kind, before=before, after=after)
    waits = changed(kind=kind, before=before, after=after)
    made = [plan(new), plan(differs), plan(action(kind=kind, reason=Reason.SPEC_CHANGED, changes=waits.changes))]
    return "\n".join(text for each in made for text in (plan_text(each), plan_markdown(each)))


def check_variants(kind: str, request: JSON) -> None:
    """Asserts that no output of any variant contains the canary, except JSON, which is not masked."""
    pairs = zip(variants(request, CANARY), variants(request, CANARY + "new"), strict=True)
    for before, after in pairs:
        assert CANARY not in renderings(kind, before, after), after
        assert CANARY not in json.dumps(masked(after)), after
        assert secret_places(after)
        assert CANARY in dumps(plan_json(plan(action(kind=kind, request=after))))


@pytest.mark.parametrize(("kind", "request_"), [("EmrServerlessJobRun", emr_request()), ("BatchJob", batch_request())])
def test_a_planted_secret_is_nowhere_to_be_read(kind, request_):
    """A secret anywhere in our own samples is masked, both in new and in changed specs."""
    check_variants(kind, request_)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real requests is not here")
@pytest.mark.parametrize("file", FILES)
def test_a_secret_planted_in_real_requests_is_nowhere_to_be_read(file):
    """A secret anywhere in a real request is masked. To keep the test fast, only one request in eight is tried."""
    for line in (CORPUS / file).read_text().splitlines()[::8]:
        check_variants(FILES[file], json.loads(line)["request"])


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real requests is not here")
@pytest.mark.parametrize("file", FILES)
def test_real_requests_hold_no_secrets(file):
    """Nothing in the corpus of real requests is masked, because it contains no secrets."""
    for line in (CORPUS / file).read_text().splitlines():
        request = json.loads(line)["request"]
        assert secret_places(request) == [], request
        assert masked(request) == request


OPERATIONS = {
    "BatchJob": ("batch", "2016-08-10", "SubmitJobRequest"),
    "EmrServerlessJobRun": ("emr-serverless", "2021-07-13", "StartJobRunRequest"),
}
NO_SECRET = {"name", "jobName", "type", "clientToken"}  # names and identities


def whole(shapes: Mapping[str, Any], name: str, text: Callable[[], str], depth: int = 0) -> Any:
    """Returns a value for an input shape, with all of its members. `text` generates each string."""
    shape = shapes[name]
    match shape["type"]:
        case "structure":
            members = shape["members"].items()
            return {
                key: key if key in NO_SECRET else whole(shapes, member["shape"], text, depth + 1)
                for key, member in members
                if depth < 12
            }
        case "list":
            return [whole(shapes, shape["member"]["shape"], text, depth + 1)]
        case "map":
            return {"plain": whole(shapes, shape["value"]["shape"], text, depth + 1)}
        case "string":
            return text()
        case _:
            return 1


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize("number", [0, pytest.param(5, marks=pytest.mark.soak)])
def test_a_secret_in_every_member_of_the_api_is_nowhere_to_be_read(kind, number):
    """A request with a different secret in every string of AWS's own model of the operation is masked completely."""
    service, version, name = OPERATIONS[kind]
    shapes, canaries = service_shapes(service, version), [f"{CANARY}-{place:04}" for place in range(1000)]
    used = enumerate(canaries, number)

    def text() -> str:
        place, canary = next(used)
        return planted(AS_TEXT[place % len(AS_TEXT)], canary)

    request = whole(shapes, name, text)
    places = list(leaves(request))
    rendered = renderings(kind, {**request, "tags": {}}, request)
    assert len(places) > 30
    assert [] == [canary for canary in canaries if canary in rendered]
    assert CANARY not in json.dumps(masked(request))
    assert {canary for canary in canaries if canary in json.dumps(request)} <= set(
        re.findall(rf"{CANARY}-\d{{4}}", " ".join(secrets_of(request)))
    )


def test_what_others_say_is_told_without_the_secrets_of_the_request():
    """Known secrets are removed from foreign text, in whatever way a program quotes them."""
    secret = 'a"b<c>&d é/ \\'
    secrets = secrets_of(
        {"parameters": {"password": secret, "x": "y"}, "containerOverrides": {"command": ["--pwd", "no"]}}
    )
    assert (secret,) == secrets
    for quoted in (
        secret,
        json.dumps(secret),
        repr(secret),
        html.escape(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    ):
        redacted = without(f"1 validation error: Value {quoted} is not allowed", secrets)
        assert "b<c" not in html.unescape(unquote_plus(redacted)), redacted
        assert "is not allowed" in redacted


def test_an_argument_that_only_its_neighbour_gives_away():
    """If only the value of an option changes, it is masked, although the changed value alone does not look like a
    secret."""
    kind = kind_named("BatchJob")
    before = batch_request(containerOverrides={"command": ["--password", CANARY]})
    after = batch_request(containerOverrides={"command": ["--password", CANARY + "new"]})
    (change,) = explain(kind, before, after)
    assert (change.after, change.sensitive) == (CANARY + "new", True)
    assert CANARY not in renderings("BatchJob", before, after)
