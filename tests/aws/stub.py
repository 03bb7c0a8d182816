"""Contains a server on raw sockets that answers as configured and counts the transmissions that reach it."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Mapping
from contextlib import suppress
from gzip import compress
from threading import Event, Thread
from types import TracebackType

from tests.waiting import PATIENCE_SECONDS

REQUEST_ID = {"x-amzn-RequestId": "11111111-2222-3333-4444-555555555555"}

Act = Callable[[socket.socket, "Stub"], None]
"""The behaviour of the server on one connection."""


def http(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, length: int | None = None) -> bytes:
    """Returns the bytes of an HTTP response. `length` is the Content-Length header, if it differs from the actual
    length."""
    lines = [
        f"HTTP/1.1 {status} Said",
        f"Content-Length: {len(body) if length is None else length}",
        "Connection: close",
    ]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def reply(raw: bytes) -> Act:
    """Returns an act that reads the request and answers with these bytes."""

    def act(connection: socket.socket, stub: Stub) -> None:
        stub.take(connection)
        connection.sendall(raw)

    return act


def answer(status: int, form: object, headers: Mapping[str, str] | None = None) -> Act:
    """Returns an act that reads the request and answers as AWS does, with JSON content and a request id."""
    return reply(
        http(status, json.dumps(form).encode(), {"Content-Type": "application/json", **REQUEST_ID, **(headers or {})})
    )


def error(status: int, code: str, message: str = "no", *, request_id: bool = True) -> Act:
    """Returns an act that reads the request and answers with one of AWS's typed errors."""
    headers = {"x-amzn-ErrorType": code, "Content-Type": "application/json", **(REQUEST_ID if request_id else {})}
    return reply(http(status, json.dumps({"message": message}).encode(), headers))


UNDECODABLE: dict[str, tuple[bytes, dict[str, str]]] = {
    "cut to nothing": (b"", {}),
    "cut": (b'{"message": "no', {}),
    "page": (b"<html><body>Welcome to the proxy", {"Content-Type": "text/html"}),
    "text": (b"not JSON", {}),
    "not UTF-8": (b'{"message": "\xff\xfe"}', {}),
    "bytes": (bytes(range(256)), {}),
    "list": (b'["no"]', {}),
    "string": (b'"no"', {}),
    "null": (b"null", {}),
    "two": (b'{"message": "no"}{"message": "no"}', {}),
    "nested too deep": (b"[" * 100_000, {}),
    "gzip": (compress(b'{"message": "no"}'), {"Content-Encoding": "gzip"}),
    "said to be gzip": (b'{"message": "no"}', {"Content-Encoding": "gzip"}),
    "said to be br": (b'{"message": "no"}', {"Content-Encoding": "br"}),
    "UTF-16": ('{"message": "no"}'.encode("utf-16"), {}),
}
"""Bodies that are not JSON objects, with the headers that belong to them."""


def reset_after(raw: bytes) -> Act:
    """Returns an act that reads the request, sends these bytes, and resets the connection."""

    def act(connection: socket.socket, stub: Stub) -> None:
        stub.take(connection)
        connection.sendall(raw)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def reset_unread(connection: socket.socket, stub: Stub) -> None:
    """Resets the connection after the request has arrived, without reading it."""
    connection.recv(1, socket.MSG_PEEK)
    stub.transmissions += 1
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close_after_reading(connection: socket.socket, stub: Stub) -> None:
    """Reads the request and closes the connection without an answer."""
    stub.take(connection)


def silence(connection: socket.socket, stub: Stub) -> None:
    """Reads the request and never answers."""
    stub.take(connection)
    stub.ended.wait(PATIENCE_SECONDS)


def until_closed(connection: socket.socket, stub: Stub) -> None:
    """Reads the request, and sends nothing until the client disconnects."""
    stub.take(connection)
    while connection.recv(65536):
        pass


class Stub:
    """Plays one act per connection, in order; the last act is repeated on all later connections. `bodies` contains the
    requests that were read."""

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.transmissions = 0
        self.bodies: list[bytes] = []
        self.heads: list[bytes] = []
        self.ended = Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """Returns the address of the server."""
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def play(self, *acts: Act) -> None:
        """Resets the counts, and plays these acts from now on."""
        self.acts, self.transmissions = list(acts), 0
        self.bodies.clear()
        self.heads.clear()

    def take(self, connection: socket.socket) -> None:
        """Reads one complete request."""
        received = b""
        while b"\r\n\r\n" not in received:
            if not (some := connection.recv(65536)):
                return
            received += some
        head, _, body = received.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while len(body) < int(lengths[0] if lengths else 0):
            body += connection.recv(65536)
        self.transmissions += 1
        self.heads.append(head)
        self.bodies.append(body)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
            with connection, suppress(OSError):  # the client may disconnect first
                act(connection, self)

    def __enter__(self) -> Stub:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()
