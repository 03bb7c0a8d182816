"""The emulator's lifecycle: start, look, change, stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from reconciler.emulator import control
from reconciler.emulator.control import AcceptedRun
from reconciler.emulator.dispatch import dispatcher
from reconciler.emulator.faults.injector import Injector
from reconciler.emulator.faults.plan import Plan, Rule
from reconciler.emulator.http import Server, require_loopback
from reconciler.emulator.settings import Outcome, Settings
from reconciler.emulator.state import State

__all__ = ["AcceptedRun", "Emulator", "Plan", "Rule", "Settings", "serve"]

_POLL_SECONDS = 0.05
"""How soon a stop is noticed."""


class Emulator:
    """An AWS on loopback, for as long as it runs; its state outlives it in a file.

    `state` is the SQLite file (made where there is none, shared with other processes), `None` for memory. `settings`
    replace the ones in the file; `None` leaves them. `faults` are a plan from the start; `None`: no rules, and the
    settings as they are. `port` 0 takes a free one. Raises `UsageError` for a host that is
    not loopback, `StateUnusable` for a bad file; `start` raises `UsageError` where the port is taken.
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
        self._host, self._port = host, port
        self._state = State(state)
        self._faults = Injector(self._state)
        self._server: Server | None = None
        self._thread: threading.Thread | None = None
        self._give(settings, faults)

    def start(self) -> Emulator:
        """Listens, and answers on a thread of its own from now on."""
        try:
            handler = self._faults.around(dispatcher(self._state, self._faults))
            self._server = Server(self._host, self._port, handler)
        except BaseException:
            self._state.close()
            raise
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="reconciler-emulator", daemon=True
        )
        self._thread.start()
        return self

    def _give(self, settings: Settings | None, faults: Plan | None) -> None:
        try:
            if settings is not None:
                self._state.put_settings(settings)
            if faults is not None:
                self._faults.put(faults)
        except BaseException:
            self._state.close()
            raise

    def stop(self) -> None:
        """Ends every connection and closes the state. Doing it again does nothing."""
        self._faults.close()
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
        """Where it listens, ``http://127.0.0.1:PORT``: the `endpoint_url` of clients. Raises `RuntimeError` if it is
        not running."""
        if self._server is None:
            raise RuntimeError("the emulator is not running")
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._server.port}"

    @property
    def settings(self) -> Settings:
        """The settings now."""
        return control.change_settings(self._state, {})

    def runs(self) -> list[AcceptedRun]:
        """Every run accepted since the last reset, in the order of acceptance."""
        return control.accepted_runs(self._state)

    def configure(self, **changes: Any) -> Settings:  # noqa: ANN401 - the fields of `Settings`
        """Changes settings by name, for runs accepted from now on. Raises `UsageError`."""
        return control.change_settings(self._state, changes)

    def finish(self, run_id: str, outcome: Outcome = "succeeded") -> None:
        """Ends a run now. Raises `UsageError` where there is no such run."""
        control.finish_run(self._state, run_id, outcome)

    def reset(self) -> None:
        """Forgets every run and tag, and requests on their way; the settings and the fault plan stay."""
        self._faults.forget()
        control.reset(self._state)

    def inject(self, faults: Plan) -> None:
        """Replaces the fault plan, `Plan()` ends it; counts start at 0."""
        self._faults.put(faults)

    def faults(self) -> dict[str, Any]:
        """The fault plan in force with its counts, as ``GET /_emulator/faults`` has it."""
        return self._faults.report()


def serve(
    state: Path | None,
    settings: Settings | None = None,
    host: str = "127.0.0.1",
    port: int = 4566,
    *,
    faults: Plan | None = None,
    announce: Callable[[str], object],
    until: threading.Event,
) -> None:
    """Serves until `until` is set or the process is interrupted; `announce` gets the URL once it listens.

    Raises what `Emulator` raises.
    """
    with Emulator(state, settings, host, port, faults) as emulator:
        announce(emulator.url)
        until.wait()
