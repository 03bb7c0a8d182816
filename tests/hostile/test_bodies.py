"""Tests that malformed bodies, plan files and times lead to a proper error, and that the service keeps running."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.app.plan_file import check_file
from reconciler.core.decide import plan
from reconciler.core.state import Recorded
from reconciler.errors import PlanFileError
from reconciler.render.plan_json import plan_from_json
from reconciler.render.plan_markdown import plan_markdown
from reconciler.render.plan_text import plan_text
from tests.builders import NOW, PLACE, desired, plan_json, spec
from tests.campaigns import examples, in_one_test
from tests.cli.conftest import _own_logs, empty_ledger, world
from tests.cli.world import standin
from tests.hostile.values import ANYTHING, ODD_TEXTS
from tests.waiting import PATIENCE_SECONDS

__all__ = ["_own_logs", "empty_ledger", "world"]

PATHS = (
    ("POST", "/v1/submitjob"), ("POST", "/v1/describejobs"), ("POST", "/v1/listjobs"), ("POST", "/v1/terminatejob"),
    ("POST", "/applications/00app/jobruns"), ("GET", "/applications/00app/jobruns"), ("POST", "/"),
    ("PUT", "/_emulator/settings"), ("POST", "/_emulator/finish"), ("GET", "/_emulator/runs"),
    ("PUT", "/_emulator/faults"),
    ("GET", "/tags/%00%ff"), ("DELETE", "/applications/%2e%2e/jobruns/x"),
)  # fmt: skip
KEYS = (
    "jobName",
    "jobQueue",
    "jobDefinition",
    "tags",
    "clientToken",
    "jobDriver",
    "jobs",
    "filters",
    "id",
    "run_seconds",
)


@pytest.fixture(scope="module")
def url():
    """One emulated AWS for all tests of this module."""
    with standin() as aws:
        yield aws.url


def status_of(url: str, method: str, path: str, body: bytes) -> int:
    """Returns the status of the reply to a request."""
    request = urllib.request.Request(url + path, data=body, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@settings(max_examples=examples(12), derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PATHS), st.one_of(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4), ANYTHING))
def test_any_body_is_answered_in_order(url, where, body):
    """The emulator either accepts or refuses any body, and never fails."""
    assert status_of(url, where[0], where[1], json.dumps(body).encode()) < 500 or where[1].startswith("/tags")


BODIES = {
    "deep": b'{"tags":' * 50_000,
    "deep lists": b"[" * 100_000,
    "not JSON": b"\xff\xfe\x00{",
    "large": b'{"jobName": "' + b"a" * 1_000_000 + b'"}',
    "a huge number": b'{"jobName": ' + b"9" * 100_000 + b"}",
    "infinity": b'{"run_seconds": Infinity, "jobName": NaN}',
    "half a pair": b'{"jobName": "\\ud800", "jobQueue": "q", "jobDefinition": "d"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_any_bytes_are_answered_in_order(url, body):
    """The same applies to bodies that are not meaningful JSON, at every path."""
    for method, path in PATHS:
        assert status_of(url, method, path, body) < 500 or path.startswith("/tags"), (method, path)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 100,
        b"GET\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"A" * 70_000,
        b"GET / HTTP/9.9\r\n\r\n",
    ],
    ids=["zeros", "short", "length", "long", "version"],
)
def test_invalid_http_does_not_affect_other_requests(url, sent):
    """The connection is closed or answered, and the next request is served."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass
    assert status_of(url, "GET", "/_emulator/settings", b"") == 200


FORM = plan_json(plan(desired(spec("A"), spec("B", "views")), Recorded(), NOW))


@st.composite
def changed_plans(draw: st.DrawFn) -> Any:
    """Generates a plan file with a few of its values replaced with any value."""
    form = json.loads(json.dumps(FORM))
    for _ in range(draw(st.integers(1, 3))):
        part = draw(st.sampled_from([form, *(each for each in form["actions"] if isinstance(each, dict))]))
        key = draw(st.sampled_from(sorted(part)))
        part[key] = draw(ANYTHING)
        if not isinstance(form.get("actions"), list):
            break
    return form


@settings(derandomize=True)
@given(st.one_of(changed_plans(), ANYTHING))
def test_a_changed_plan_file_is_refused_or_shown(form):
    """Any JSON is either refused as a plan file with a message of one sentence, or is a plan that can be shown."""
    try:
        made = plan_from_json(form)
        check_file(made, PLACE)
    except (PlanFileError, UnicodeEncodeError):  # a lone surrogate cannot be in a sealed plan file
        return
    assert plan_text(made)
    assert plan_markdown(made)


@in_one_test("text", [*ODD_TEXTS, "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-22T02:00:00+99:99"])
def test_any_time_of_a_plan(world, text):
    """`plan --at` accepts any time, including the first and the last possible ones, and refuses other text."""
    world.write("orders.yaml", SCHEDULED)
    done = world.run("plan", "--at", text, "-vv")
    assert done.code in {0, 1, 64}
    assert "internal error" not in done.err, done.err


SCHEDULED = """\
apiVersion: reconciler/v1
kind: BatchJob
metadata: {name: orders}
spec:
  schedule: "0 0 31 2 *"
  timeZone: Europe/Madrid
  request: {jobQueue: q, jobDefinition: d}
"""
