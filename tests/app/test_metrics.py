"""Tests the port of a service with silent connections, many connections and broken requests, and tests the gauge of
waiting runs."""

from __future__ import annotations

import json
import logging
import re
import socket
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from reconciler.app import http_server as endpoints
from reconciler.app.http_server import Endpoint
from reconciler.app.metrics_and_health import Metrics, application
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.identity import SubmissionKey
from reconciler.core.plan import Action, ActionResult, ActionType, Reason
from reconciler.core.state import Recorded
from reconciler.model.project import Prices
from tests.builders import NOW, at, desired, intended, outcome, recorded
from tests.ledger.builders import StandingClock
from tests.waiting import PATIENCE_SECONDS, eventually

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["127.0.0.1", "::1"])
def endpoint(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Serves an endpoint that accepts two connections at a time."""
    monkeypatch.setattr(endpoints, "CONNECTIONS", 2)
    served = Endpoint(application(Metrics(StandingClock(0), 60)), request.param, 0, "metrics")
    yield request.param, served.port
    served.close()


def get(address: tuple[str, int], path: str) -> bytes:
    """Returns the response to one request."""
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    with urllib.request.urlopen(f"http://{host}:{address[1]}{path}", timeout=PATIENCE_SECONDS) as answer:
        return bytes(answer.read())


def test_metrics_and_health_are_served(endpoint: tuple[str, int]) -> None:
    """Both paths are served over IPv4 and IPv6."""
    assert b"reconciler_passes_total" in get(endpoint, "/metrics")
    assert get(endpoint, "/healthz") == b"ok\n"


def test_silent_connections_are_closed_and_bounded(endpoint: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections above the limit are closed at once, and silent connections are closed after a timeout. After that,
    new connections are accepted again."""
    monkeypatch.setattr(endpoints._Connection, "timeout", 0.3)
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(endpoint, timeout=PATIENCE_SECONDS)) for _ in range(2)]
        with socket.create_connection(endpoint, timeout=PATIENCE_SECONDS) as third:
            assert third.recv(1) == b""
        assert [connection.recv(1) for connection in silent] == [b"", b""]
    assert eventually(lambda: get(endpoint, "/healthz") == b"ok\n")


def test_broken_requests_print_nothing(
    endpoint: tuple[str, int], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is printed or logged at the default log level."""
    for sent in (b"\x00" * 100, b"GET\r\n\r\n", b"A" * 70_000, b"GET /metrics HTTP/1.1\r\n"):
        with socket.create_connection(endpoint, timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    # Until the server has noticed that the connections are closed, it may refuse new ones.
    assert eventually(lambda: get(endpoint, "/healthz") == b"ok\n")
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []


def test_waiting_runs_are_counted_by_the_code_of_their_reason() -> None:
    """The metric's label contains only the error code, because the whole text would create a new time series for each
    run. A code that no run has any more is not reported."""
    details = ["CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - spot", "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "odd", None]
    events: list[e.Event] = []
    for number, detail in enumerate(details, start=1):
        intent = intended(generation=number)
        of: dict[str, Any] = {"at": at(), "name": "orders", "token": intent.token, "run_id": f"run-{number}"}
        seen = e.Observed(state="submitted", aws_state="RUNNABLE", detail=detail, **of)
        events += [intent, outcome("submitted", intent), seen]
    metrics = Metrics(StandingClock(NOW.timestamp()), 60)
    metrics.applied(plan(desired(), Recorded(), NOW), (), recorded(*events))
    text = generate_latest(metrics.registry).decode()

    for code, count in (("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "2.0"), ("other", "1.0"), ("none", "1.0")):
        assert f'reconciler_runs_waiting{{kind="BatchJob",reason="{code}"}} {count}' in text
    metrics.applied(plan(desired(), Recorded(), NOW), (), Recorded())
    assert "reconciler_runs_waiting{" not in generate_latest(metrics.registry).decode()


def test_late_slots_and_costs_are_measured() -> None:
    """A slot that waits for another run counts as late. The cost metric covers the runs that ended within the last
    day."""
    intent = intended("A")
    usage = {"resources": {"vcpu": 2.0, "memory_gb": 4.0}}
    ended = outcome("succeeded", intent, started_at=at(-3600), finished_at=at(-1800), usage=usage)
    known = recorded(intent, outcome("submitted", intent), ended)
    prices = Prices.model_validate({"vCPUHour": 1.0, "currency": "EUR"})
    made = plan(desired(), known, NOW)
    waits = Action("orders", "BatchJob", ActionType.WAIT, Reason.CONCURRENCY, SubmissionKey("orders", slot=at()))
    metrics = Metrics(StandingClock(NOW.timestamp()), 60)
    metrics.applied(replace(made, actions=(waits,)), (ActionResult("none"),), known, prices)
    text = generate_latest(metrics.registry).decode()
    assert "reconciler_slots_late 1.0" in text
    assert 'reconciler_cost_last_day{currency="EUR"} 1.0' in text


def test_the_dashboard_shows_metrics_that_exist() -> None:
    """Every metric in the Grafana dashboard is served by the metrics endpoint."""
    metrics = Metrics(StandingClock(NOW.timestamp()), 60, max_checkout_age=60)
    served = {family.name for family in metrics.registry.collect()}
    panels = json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))["panels"]
    shown = {
        name for panel in panels for each in panel["targets"] for name in re.findall(r"reconciler_\w+", each["expr"])
    }
    assert {re.sub(r"_(total|bucket)$", "", name) for name in shown} <= served
