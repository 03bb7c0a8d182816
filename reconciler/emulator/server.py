"""Starts and stops an emulator, and serves its control endpoint, ``/_emulator/…``: settings, accepted runs, ending a
run, reset, faults.

The control endpoint is for users and their tests, so it uses plain JSON and reports errors as ``{"error": …}``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from reconciler.emulator.batch_jobs import stop_run
from reconciler.emulator.dispatch import dispatcher, failure
from reconciler.emulator.fault_delivery import Injector
from reconciler.emulator.fault_plan import Plan
from reconciler.emulator.fault_rules import Rule
from reconciler.emulator.http import Call, Handler, Reply, Server, require_loopback
from reconciler.emulator.lifecycle import Stop
from reconciler.emulator.settings import OUTCOMES, Outcome, Settings
from reconciler.emulator.state import State
from reconciler.errors import UsageError

PREFIX = "/_emulator/"
"""The prefix of control paths. No path of AWS starts with it."""
JSON_TYPE = "application/json"
TOKEN_TAG = "reconciler:token"


@dataclass(frozen=True, slots=True)
class AcceptedRun:
    """One run that the emulator accepted."""

    service: str  # emr-serverless or batch
    id: str
    name: str  # empty if the request has none
    token: str | None  # the value of the tag reconciler:token
    request: Mapping[str, Any]  # the input as received
    accepted_at: float  # seconds since the epoch


class Control:
    """Shows and changes an emulator, from Python and over HTTP. Invalid arguments raise `UsageError`."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._faults = Injector(state)

    @property
    def settings(self) -> Settings:
        """The current settings."""
        with self._state.reading() as records:
            return records.settings

    def configure(self, /, **changes: Any) -> Settings:  # noqa: ANN401 - the fields of `Settings`
        """Changes the named settings, for runs accepted from now on, and returns all settings."""
        return self._state.change_settings(lambda settings: settings.changed(changes))

    def runs(self) -> list[AcceptedRun]:
        """Returns every run accepted since the last reset, in the order of acceptance, including expired ones."""
        with self._state.reading() as records:
            accepted = [(run, run.request.get("tags", {}).get(TOKEN_TAG)) for run in records.accepted()]
        return [
            AcceptedRun(run.service, run.id, run.name, token, run.request, run.facts.accepted_at)
            for run, token in accepted
        ]

    def finish(self, run_id: str, outcome: Outcome = "succeeded") -> None:
        """Ends a run now, in any state. A run that has ended is unchanged."""
        if outcome not in OUTCOMES:
            raise UsageError(f"outcome must be one of {', '.join(OUTCOMES)}")
        with self._state.writing() as records:
            run = records.run(run_id, None)
            if run is None:
                raise UsageError(f"no run {run_id}")
            stop_run(records, run, Stop("finish", records.now, succeeded=outcome == "succeeded"))

    def reset(self) -> None:
        """Removes every run and tag, and drops late requests. The settings and the fault plan are kept."""
        self._faults.late.drop()
        with self._state.writing() as records:
            records.clear()

    def inject(self, faults: Plan) -> None:
        """Replaces the fault plan, and resets its counts. `Plan()` ends all faults."""
        self._faults.put(faults)

    def faults(self) -> dict[str, Any]:
        """Returns the current fault plan with its counts, as ``GET /_emulator/faults`` does."""
        return self._faults.report()

    def handler(self) -> Handler:
        """Returns the handler of every call, to the control endpoint and to AWS with faults applied."""
        aws = self._faults.around(dispatcher(self._state))
        # The control endpoint is the outermost handler, so that faults do not affect it.
        return lambda call: self._answer(call) if call.path.startswith(PREFIX) else aws(call)

    def _answer(self, call: Call) -> Reply:
        action = _ACTIONS.get((call.method, call.path.removeprefix(PREFIX)))
        if action is None:
            return _json(404, {"error": f"no {call.method} {call.path}; available: {', '.join(NAMES)}"})
        if call.method == "POST" and call.headers.get("Content-Type", "").partition(";")[0].strip() != JSON_TYPE:
            # A browser sends POST across origins without a preflight, but only with another content type.
            return _json(415, {"error": f"{call.method} {call.path} needs the header Content-Type: {JSON_TYPE}"})
        try:
            return _json(200, action(self, _object(call.body)))
        except UsageError as error:
            return _json(400, {"error": str(error)})
        except Exception:  # noqa: BLE001 - clients must get an answer, whatever fails
            return failure(call, self._state)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}", object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is not JSON") from error
    if not isinstance(value, dict):
        raise UsageError("the body is not a JSON object")
    return value


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Builds a JSON object. Refuses a duplicate key, because it is a mistake, and Python would silently use the last
    value."""
    names = [name for name, _ in members]
    if len(set(names)) < len(names):
        raise UsageError(f"the body has {next(name for name in names if names.count(name) > 1)} twice")
    return dict(members)


def _json(status: int, value: object) -> Reply:
    return Reply(status, {"Content-Type": JSON_TYPE}, json.dumps(value).encode())


def _finish(control: Control, body: dict[str, Any]) -> object:
    control.finish(str(body.get("id", "")), body.get("outcome", "succeeded"))
    return {}


def _reset(control: Control, _body: dict[str, Any]) -> object:
    control.reset()
    return {}


def _put_faults(control: Control, body: dict[str, Any]) -> object:
    control.inject(Plan.from_json(body))
    return control.faults()


_ACTIONS: Mapping[tuple[str, str], Callable[[Control, dict[str, Any]], object]] = {
    ("GET", "settings"): lambda control, _: control.settings.to_json(),
    ("PUT", "settings"): lambda control, body: control.configure(**body).to_json(),
    ("GET", "runs"): lambda control, _: {"runs": [asdict(run) for run in control.runs()]},
    ("POST", "finish"): _finish,
    ("POST", "reset"): _reset,
    ("GET", "faults"): lambda control, _: control.faults(),
    ("PUT", "faults"): _put_faults,
    ("DELETE", "faults"): lambda control, _: _put_faults(control, {}),
}
NAMES = [f"{method} {PREFIX}{name}" for method, name in _ACTIONS]
"""The endpoints by path; for example ``GET /_emulator/settings``."""


# Release 0.1.0 documented these names here; they are now in `reconciler.emulator`.
__all__ = ["AcceptedRun", "Emulator", "Plan", "Rule", "Settings"]

_POLL_SECONDS = 0.05
"""The maximum time in seconds until the server notices that it should stop."""


class Emulator(Control):
    """An emulated AWS on loopback. If its state is in a file, it is kept when the emulator stops.

    `state` is the SQLite file (created if missing, shared with other processes), or `None` to keep the state in memory.
    `settings` replace the settings in the file; `None` keeps them. `faults` is the initial fault plan; `None` means no
    rules and unchanged settings. If `port` is 0, a free port is used. Raises `UsageError` for a host that is not
    loopback, and `StateUnusable` for an unusable file; `start` raises `UsageError` if the port is in use.
    """

    def __init__(
        self,
        state: Path | None,
        settings: Settings | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Plan | None = None,
    ) -> None:
        require_loopback(host)
        super().__init__(State(state))
        self._host, self._port = host, port
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        try:
            if settings is not None:
                self._state.put_settings(settings)
            if faults is not None:
                self.inject(faults)
        except BaseException:
            self._state.close()
            raise

    def start(self) -> Emulator:
        """Starts to listen, and answers calls on a separate thread."""
        try:
            self._server = Server(self._host, self._port, self.handler())
        except BaseException:
            self._state.close()
            raise
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="reconciler-emulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ends every connection and closes the state. Repeated calls are allowed."""
        # First, because a connection may be waiting for a late request.
        self._faults.late.close()
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join()
        self._server = self._thread = None
        self._state.close()

    def __enter__(self) -> Emulator:
        return self if self._server is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address ``http://127.0.0.1:PORT``, which is the `endpoint_url` of clients. Raises `RuntimeError` if the
        emulator is not running."""
        if self._server is None:
            raise RuntimeError("the emulator is not running")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}"
