"""Serves HTTP/1.1 on loopback with werkzeug's threaded server. Connections are kept open until the server stops."""

import contextlib
import ipaddress
import logging
import re
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from werkzeug.datastructures import Headers
from werkzeug.exceptions import Forbidden, HTTPException
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wrappers import Request, Response

from reconciler.errors import UsageError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 16 * 1024 * 1024
"""The maximum size of a request body. It is far larger than any body that AWS accepts, so the services reject large
bodies with their own errors first."""

IDLE_SECONDS = 40.0
"""Seconds that a connection may be idle, between requests or within a request. The value differs from usual intervals
between passes, so that clients do not send a request on a connection that is being closed at the same moment.
"""

CONNECTIONS = 512
"""The maximum number of connections served at once; further connections are closed without a reply."""

_STOP_SECONDS = 5.0
_HOST_PORT = re.compile(r":\d*$")
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with a timeout of 0: closing the socket sends RST."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request as received. `path` is still percent-encoded, `query` is decoded, and the names of `headers` are
    case-insensitive."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP response. `headers` contains all headers except the content length."""

    status: int
    headers: Mapping[str, str]
    body: bytes


Handler = Callable[[Call], Reply]
"""Answers one call. It raises only `ConnectionError`, which closes the connection without a reply."""


class Disconnect(ConnectionError):
    """Ends the connection without a complete reply, after sending the bytes `raw` unchanged.

    The value ``close`` of `end` closes it normally, ``reset`` sends RST, and ``hang`` waits until the client closes it.
    """

    def __init__(self, raw: bytes = b"", end: Literal["close", "reset", "hang"] = "close") -> None:
        self.raw, self.end = raw, end
        super().__init__("disconnected on purpose")


def require_loopback(host: str) -> None:
    """Raises `UsageError` for a host that other machines could reach, because the emulator checks no credentials."""
    if not _is_loopback(host):
        raise UsageError(f"the emulator listens on loopback only (127.0.0.1, ::1, localhost), not on {host}")


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host.lower() == "localhost"


def browser_objection(headers: Headers) -> str | None:
    """Returns why a request is refused because a page of another origin sent it, or because it used a host name that
    such a page chose for this machine. Returns `None` if the request is allowed. AWS SDKs send no such headers."""
    host = headers.get("Host", "localhost")
    if not _is_loopback(_HOST_PORT.sub("", host).strip("[]")):
        return f"the Host is {host!r}: the emulator answers for localhost and loopback addresses only"
    origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site", "none")
    if origin not in {None, f"http://{host}"} or site not in {"none", "same-origin"}:
        return "the request comes from a page of another origin"
    return None


class _Connection(WSGIRequestHandler):
    """Serves one connection. werkzeug's own handler closes it after each reply, but AWS SDKs expect it to be kept
    open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # Buffered, so that headers and body leave in one write.
    wbufsize = -1
    timeout = IDLE_SECONDS

    def run_wsgi(self) -> None:
        """Answers one request. A `Disconnect` from the handler determines how the connection ends."""
        try:
            self._answer()
        except Disconnect as disconnect:
            self.close_connection = True
            self.wfile.write(disconnect.raw)
            self.wfile.flush()
            if disconnect.end == "hang":
                self.connection.settimeout(None)
                while self.connection.recv(4096):  # empty when the client disconnects or the server stops
                    pass
            if disconnect.end == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def _answer(self) -> None:
        self.environ = self.make_environ()
        body, status, headers = self._response(self.environ).get_wsgi_response(self.environ)
        code, _, reason = status.partition(" ")
        self.send_response_only(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if int(code) == 413:  # the body was not read, so the next request cannot be read either
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"".join(body))
        self.wfile.flush()

    def _response(self, environ: dict[str, Any]) -> Response:
        request = Request(environ)
        request.max_content_length = MAX_BODY_BYTES
        # RAW_URI instead of PATH_INFO, because ARNs in paths have encoded slashes, which must not be decoded before
        # routing.
        path = environ["RAW_URI"].partition("?")[0]
        try:
            query, body = request.args.to_dict(flat=False), request.get_data()
            if (objection := browser_objection(request.headers)) is not None:
                raise Forbidden(objection)
            reply = cast("Server", self.server).handler(Call(request.method, path, query, request.headers, body))
        except HTTPException as error:
            return error.get_response(environ)
        return Response(reply.body, reply.status, dict(reply.headers))

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - the name in werkzeug
        """Writes to this module's log, at debug level."""
        log.debug(message, *args)


class Server(ThreadedWSGIServer):
    """The listening server. `stop` also ends every open connection."""

    def __init__(self, host: str, port: int, handler: Handler) -> None:
        """Starts listening immediately. Raises `UsageError` if the host is not loopback or the port is in use."""
        self.handler = handler
        require_loopback(host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # werkzeug would end the process if the port is in use. It makes its own copy of this descriptor.
        try:
            listening = socket.create_server((host, port), family=family)
        except OSError as error:
            raise UsageError(f"the emulator cannot listen on {host}:{port}: {error.strerror}") from error
        with listening:
            super().__init__(host, port, Response(), _Connection, fd=listening.fileno())
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401 - as in socketserver
        """Returns whether another connection is allowed."""
        return len(self._open) < CONNECTIONS

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Starts a thread for a new connection."""
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
        """Ends a connection. A connection that is reset is closed without a shutdown, which would send FIN first."""
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_RESET)) == _RESET:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in socketserver
        """Logs a broken connection at debug level, because clients may disconnect at any time."""
        log.debug("connection of %s ended", client_address, exc_info=True)

    def stop(self) -> None:
        """Stops listening, waits for calls in progress to be answered, and ends every connection."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread at once, rather than at its next poll
        self.shutdown()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    # Only the reading side, so that a reply that is being written still arrives.
                    connection.shutdown(socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._open, timeout=_STOP_SECONDS)
