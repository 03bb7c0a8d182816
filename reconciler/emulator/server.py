"""Starts and stops an emulator."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from reconciler.emulator.control import AcceptedRun, Control
from reconciler.emulator.fault_plan import Plan
from reconciler.emulator.fault_rules import Rule
from reconciler.emulator.http import Server, require_loopback
from reconciler.emulator.settings import Settings
from reconciler.emulator.state import State

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
