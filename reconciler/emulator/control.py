"""The control endpoint, ``/_emulator/…``: settings, what was accepted, ending runs by hand, starting afresh.

It is for people and their tests, so it speaks plain JSON and says no with ``{"error": …}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args

from reconciler.emulator.batch_jobs import settle
from reconciler.emulator.faults.injector import Injector
from reconciler.emulator.faults.plan import Plan
from reconciler.emulator.lifecycle import Stop
from reconciler.emulator.records import Run
from reconciler.emulator.settings import Outcome, Settings
from reconciler.emulator.state import State
from reconciler.emulator.wire import CONTROL_PREFIX, Call, Reply
from reconciler.errors import UsageError

TOKEN_TAG = "reconciler:token"


@dataclass(frozen=True, slots=True)
class Controlled:
    """What the control endpoint works on."""

    state: State
    faults: Injector


@dataclass(frozen=True, slots=True)
class AcceptedRun:
    """One run that the emulator accepted.

    `service` is ``emr-serverless`` or ``batch``; `name` is empty where the request has none; `token` is the value of
    the tag ``reconciler:token``, `None` without it; `request` is the input as received; `accepted_at` is seconds since
    the epoch.
    """

    service: str
    id: str
    name: str
    token: str | None
    request: Mapping[str, Any]
    accepted_at: float


def accepted_runs(state: State) -> list[AcceptedRun]:
    """Every run accepted since the last reset, in the order of acceptance, forgotten ones too."""
    with state.reading() as records:
        return [_accepted(run) for run in records.accepted()]


def _accepted(run: Run) -> AcceptedRun:
    token = run.request.get("tags", {}).get(TOKEN_TAG)
    return AcceptedRun(run.service, run.id, run.name, token, run.request, run.facts.accepted_at)


def change_settings(state: State, changes: Mapping[str, Any]) -> Settings:
    """Changes settings by name and returns all of them. Raises `UsageError`."""
    return state.change_settings(lambda settings: settings.changed(changes))


def finish_run(state: State, run_id: str, outcome: Outcome) -> None:
    """Ends a run now, whatever it was doing; nothing happens to one that has ended. Raises `UsageError`."""
    if outcome not in get_args(Outcome):
        raise UsageError(f"outcome must be one of {', '.join(get_args(Outcome))}")
    with state.writing() as records:
        run = records.run(run_id, None)
        if run is None:
            raise UsageError(f"no run {run_id}")
        stop = Stop("finish", records.now, succeeded=outcome == "succeeded")
        settle(records, records.change(run, facts=run.facts.stopped(stop)))


def reset(state: State) -> None:
    """Forgets every run and tag; the settings stay."""
    with state.writing() as records:
        records.forget()


def answer(call: Call, state: State, faults: Injector) -> Reply:
    """The reply of the control endpoint."""
    action = _ACTIONS.get((call.method, call.path.removeprefix(CONTROL_PREFIX)))
    if action is None:
        return _json(404, {"error": f"no {call.method} {call.path}; there are {', '.join(NAMES)}"})
    try:
        return _json(200, action(Controlled(state, faults), _object(call.body)))
    except UsageError as error:
        return _json(400, {"error": str(error)})


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}", object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise UsageError("the body is not a JSON object")
    return value


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        names = [name for name, _ in members]
        raise UsageError(f"the body has {next(name for name in names if names.count(name) > 1)} twice")
    return value


def _json(status: int, value: object) -> Reply:
    return Reply(status, {"Content-Type": "application/json"}, json.dumps(value).encode())


def _get_settings(world: Controlled, _body: dict[str, Any]) -> object:
    return change_settings(world.state, {}).plain()


def _put_settings(world: Controlled, body: dict[str, Any]) -> object:
    return change_settings(world.state, body).plain()


def _get_runs(world: Controlled, _body: dict[str, Any]) -> object:
    return {"runs": [asdict(run) for run in accepted_runs(world.state)]}


def _post_finish(world: Controlled, body: dict[str, Any]) -> object:
    finish_run(world.state, str(body.get("id", "")), body.get("outcome", "succeeded"))
    return {}


def _post_reset(world: Controlled, _body: dict[str, Any]) -> object:
    world.faults.forget()
    reset(world.state)
    return {}


def _get_faults(world: Controlled, _body: dict[str, Any]) -> object:
    return world.faults.report()


def _put_faults(world: Controlled, body: dict[str, Any]) -> object:
    world.faults.put(Plan.of(body))
    return world.faults.report()


def _delete_faults(world: Controlled, _body: dict[str, Any]) -> object:
    return _put_faults(world, {})


_ACTIONS: Mapping[tuple[str, str], Callable[[Controlled, dict[str, Any]], object]] = {
    ("GET", "settings"): _get_settings,
    ("PUT", "settings"): _put_settings,
    ("GET", "runs"): _get_runs,
    ("POST", "finish"): _post_finish,
    ("POST", "reset"): _post_reset,
    ("GET", "faults"): _get_faults,
    ("PUT", "faults"): _put_faults,
    ("DELETE", "faults"): _delete_faults,
}
NAMES = [f"{method} {CONTROL_PREFIX}{name}" for method, name in _ACTIONS]
"""What there is, as ``GET /_emulator/settings``."""
