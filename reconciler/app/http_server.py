"""Serves an application over HTTP, with one thread per connection. Limits the number of connections and their idle
time, and prints nothing."""

from __future__ import annotations

import logging
import socket
from io import StringIO
from socketserver import ThreadingMixIn
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Any, TextIO, cast
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from reconciler.errors import UsageError

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""The timeout of an idle connection, in seconds. Each connection serves one request."""

POLL_SECONDS = 0.1
"""The interval at which the server checks whether it must stop."""

CONNECTIONS = 32
"""The maximum number of concurrent connections; further ones are closed without a response."""


class _Connection(WSGIRequestHandler):
    """Serves one request without printing anything."""

    timeout = IDLE_SECONDS

    def get_stderr(self) -> TextIO:
        """Returns a stream that discards the tracebacks of wsgiref."""
        return cast("TextIO", StringIO())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in http.server
        """Writes to this module's log, at debug level."""
        log.debug(format, *args)


class _Server(ThreadingMixIn, WSGIServer):
    """Serves at most `CONNECTIONS` connections at the same time, each in its own thread."""

    # With other threads, closing the server would wait for every open connection.
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - as in socketserver
        self._free = BoundedSemaphore(CONNECTIONS)
        super().__init__(*arguments)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 - as in socketserver
        """Returns whether one more connection can be served now."""
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Serves one connection until it is closed."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Logs a broken connection at debug level, because clients may disconnect at any time."""
        log.debug("connection of %s ended", client_address, exc_info=True)


class _Server6(_Server):
    address_family = socket.AF_INET6


class Endpoint:
    """Serves a WSGI application until it is closed. `what` is the name of the application in errors, such as
    ``metrics``."""

    def __init__(self, application: WSGIApplication, host: str, port: int, what: str) -> None:
        """Starts to listen. Raises `UsageError` if the port is taken."""
        kind = _Server6 if ":" in host else _Server
        try:
            self._server = make_server(host, port, application, kind, _Connection)
        except OSError as error:
            raise UsageError(
                f"{what} cannot be served on {host}:{port}: the port is in use, or the address is not local"
            ) from error
        self._thread = Thread(
            target=self._server.serve_forever, args=(POLL_SECONDS,), name=f"reconciler-{what}", daemon=True
        )
        self._thread.start()
        self.port = self._server.server_port

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
