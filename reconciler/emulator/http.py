"""HTTP/1.1 on loopback: werkzeug's threaded server, with connections that stay open and end when the server does."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import struct
import threading
from collections.abc import Iterable
from typing import Any

from werkzeug.exceptions import HTTPException
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from reconciler.emulator.wire import Call, Cut, Handler
from reconciler.errors import UsageError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
"""Far above anything AWS accepts: the services say no to the rest in their own words."""

_STOP_SECONDS = 5.0
_RESET = struct.pack("ii", 1, 0)
"""Linger for no time: the connection ends by RST."""


def require_loopback(host: str) -> None:
    """Raises `UsageError` for a host that others could reach: whatever listens here believes everybody."""
    if host == "localhost":
        return
    try:
        fine = ipaddress.ip_address(host).is_loopback
    except ValueError:
        fine = False
    if not fine:
        raise UsageError(f"the emulator listens on loopback only (127.0.0.1, ::1, localhost), not on {host}")


def application(handler: Handler) -> Any:  # noqa: ANN401 - a WSGI application
    """The WSGI application around a handler."""

    def respond(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 - WSGI
        request = Request(environ)
        request.max_content_length = MAX_BODY_BYTES
        try:
            reply = handler(_call(request, environ))
        except HTTPException as error:
            return error.get_response(environ)(environ, start_response)
        return Response(reply.body, reply.status, dict(reply.headers))(environ, start_response)

    return respond


def _call(request: Request, environ: dict[str, Any]) -> Call:
    return Call(
        method=request.method,
        path=environ["RAW_URI"].partition("?")[0],
        query=request.args.to_dict(flat=False),
        headers=request.headers,
        body=request.get_data(),
    )


class _Connection(WSGIRequestHandler):
    """One connection. werkzeug's own would close it after each reply; SDKs keep theirs, so this one stays."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self) -> None:
        """Answers one request. A `ConnectionError` of the application closes the connection without an answer, a `Cut`
        as it says."""
        try:
            self._answer()
        except Cut as cut:
            self.close_connection = True
            self.wfile.write(cut.raw)
            self.wfile.flush()
            if cut.end == "hang":
                while self.connection.recv(4096):  # ends when the client gives up, or the server does
                    pass
            if cut.end == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _answer(self) -> None:
        self.environ = environ = self.make_environ()
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc: object = None) -> None:
            head[:] = [status, headers]

        body = b"".join(self.server.app(environ, start_response))  # type: ignore[arg-type]
        code, _, reason = head[0].partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in head[1]:
            self.send_header(name, value)
        if int(code) == 413:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the name in werkzeug
        """To this module's log, quietly."""
        log.debug(message, *args)


class Server(ThreadedWSGIServer):
    """The listening server; `stop` ends every connection with it."""

    def __init__(self, host: str, port: int, handler: Handler) -> None:
        """Listens at once. Raises `UsageError` where the host is not loopback or the port is taken."""
        require_loopback(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            listening = socket.create_server((host, port), family=family)
        except OSError as error:
            raise UsageError(f"the emulator cannot listen on {host}:{port}: {error.strerror}") from error
        with listening:
            super().__init__(host, port, application(handler), _Connection, fd=listening.fileno())
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Hands a new connection to a thread of its own."""
        with self._changed:
            self._open.add(request)
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Serves one connection until either side closes it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._open.discard(request)
                self._changed.notify_all()

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Ends a connection: in good order, or hard where that was asked for."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET)) == _RESET:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """A broken connection is its client's matter."""
        log.debug("connection of %s ended", client_address, exc_info=True)

    def stop(self) -> None:
        """Stops listening, lets calls under way be answered, and ends every connection."""
        self.shutdown()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, timeout=_STOP_SECONDS)
