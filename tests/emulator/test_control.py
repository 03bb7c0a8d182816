"""Tests the control endpoint over HTTP, and the same methods in Python."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.emulator import AcceptedRun, Emulator, Settings
from reconciler.errors import UsageError
from tests.emulator.conftest import APPLICATION, NOON, Clock, ask_control, job_request

Submit = Callable[..., str]
Get = Callable[[str], dict[str, Any]]


def test_settings_can_be_read_and_changed(emulator: Emulator) -> None:
    """PUT changes the settings in the body and keeps all others."""
    status, before = ask_control(emulator, "GET", "settings")
    _, after = ask_control(emulator, "PUT", "settings", {"run_seconds": None, "outcomes": {"bad": "failed"}})

    assert (200, Settings().to_json()) == (status, json.loads(json.dumps(before), object_hook=_tuples))
    assert (None, {"bad": "failed"}, before["start_seconds"]) == (
        after["run_seconds"],
        after["outcomes"],
        after["start_seconds"],
    )
    assert emulator.settings == Settings().changed({"run_seconds": None, "outcomes": {"bad": "failed"}})


def _tuples(value: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}


@pytest.mark.parametrize(
    "wrong",
    [
        {"speed": 2},
        {"account": "12"},
        {"region": ""},
        {"release_label": ""},
        {"start_seconds": -1},
        {"stop_seconds": None},
        {"run_seconds": "20"},
        {"run_seconds": True},
        {"retention_seconds": float("inf")},
        {"retention_seconds": float("nan")},
        {"run_seconds": 10**400},
        {"clock_offset_seconds": 1e10},
        {"clock_offset_seconds": "soon"},
        {"listing_lag_seconds": None},
        {"token_seconds": -1},
        {"token_mismatch": "second"},
        {"outcome": "SUCCESS"},
        {"outcomes": {"a": "maybe"}},
        {"outcomes": []},
        {"durations": {"a": -1}},
        {"applications": "00abc"},
        {"queues": [1]},
        {"definitions": {}},
    ],
)
def test_invalid_settings_are_refused(emulator: Emulator, wrong: dict[str, Any]) -> None:
    """Python and HTTP both report the invalid setting, and nothing changes."""
    with pytest.raises(UsageError, match=next(iter(wrong))):
        emulator.configure(**wrong)
    status, reply = ask_control(emulator, "PUT", "settings", wrong)

    assert (status, next(iter(wrong)) in reply["error"]) == (400, True)
    assert Settings() == emulator.settings


def test_invalid_bodies_and_paths_are_refused(emulator: Emulator) -> None:
    """The error is plain JSON. For an unknown path, it lists the available paths."""
    assert ask_control(emulator, "PUT", "settings", b"{") == (400, {"error": "the body is not JSON"})
    assert ask_control(emulator, "PUT", "settings", [1]) == (400, {"error": "the body is not a JSON object"})
    assert ask_control(emulator, "PUT", "settings", b"[" * 100_000) == (400, {"error": "the body is not JSON"})
    twice = b'{"run_seconds": 1, "run_seconds": 2}'
    assert ask_control(emulator, "PUT", "settings", twice) == (400, {"error": "the body has run_seconds twice"})
    status, reply = ask_control(emulator, "GET", "nothing")
    assert (status, "GET /_emulator/runs" in reply["error"]) == (404, True)


def test_accepted_runs_are_listed_with_their_requests(
    emulator: Emulator, start: Submit, submit: Submit, clock: Clock
) -> None:
    """Runs are listed in the order of acceptance. Each run contains the request as received, and the token from its
    tags if there is one."""
    job_id = submit(tags={"reconciler:token": "r1-x"})
    clock.tick(1)
    run_id = start(clientToken="t")

    first, second = emulator.runs()
    status, listed = ask_control(emulator, "GET", "runs")

    request = job_request(tags={"reconciler:token": "r1-x"})
    assert AcceptedRun("batch", job_id, "orders", "r1-x", request, NOON) == first
    assert ("emr-serverless", run_id, None, NOON + 1) == (second.service, second.id, second.token, second.accepted_at)
    assert (second.request["applicationId"], second.request["clientToken"]) == (APPLICATION, "t")
    assert (200, [job_id, run_id]) == (status, [run["id"] for run in listed["runs"]])


def test_finish_ends_a_run_at_once(emulator: Emulator, start: Submit, submit: Submit, run: Get, job: Get) -> None:
    """A run can succeed or fail. A run that has ended does not change, and an unknown run is an error."""
    run_id, job_id = start(), submit()

    assert ask_control(emulator, "POST", "finish", {"id": run_id, "outcome": "failed"}) == (200, {})
    assert ask_control(emulator, "POST", "finish", {"id": job_id}) == (200, {})
    emulator.finish(run_id, "succeeded")

    assert (run(run_id)["state"], job(job_id)["status"]) == ("FAILED", "SUCCEEDED")
    assert ask_control(emulator, "POST", "finish", {"id": "nothing"}) == (400, {"error": "no run nothing"})
    assert ask_control(emulator, "POST", "finish", {"id": run_id, "outcome": "SUCCESS"})[0] == 400


def test_reset_removes_runs_and_keeps_settings(emulator: Emulator, submit: Submit, batch: Any) -> None:
    """After a reset, neither the control endpoint nor AWS's operations return the runs."""
    emulator.configure(run_seconds=5)
    job_id = submit()

    assert ask_control(emulator, "POST", "reset") == (200, {})

    assert (emulator.runs(), emulator.settings.run_seconds) == ([], 5)
    assert batch.describe_jobs(jobs=[job_id])["jobs"] == []
    submit()
    emulator.reset()
    assert emulator.runs() == []
