"""Acts for a stub of raw sockets that stand between a store and the local server, or answer as AWS would."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

from tests.services.stub import Act, Stub, http, reply

S3_ID = {"x-amz-request-id": "4442587FB7D0A2F9", "Content-Type": "application/xml"}
DYNAMODB_ID = {"x-amzn-RequestId": "11111111-2222-3333-4444-555555555555"}


def passed_on(server: str, *, answered: bool = True) -> Act:
    """Passes one request on to the server at this URL, and its answer back, or not."""

    def act(connection: socket.socket, stub: Stub) -> None:
        stub.take(connection)
        address = urlsplit(server)
        with socket.create_connection((address.hostname or "", address.port or 0)) as onward:
            onward.sendall(stub.heads[-1] + b"\r\nConnection: close\r\n\r\n" + stub.bodies[-1])
            received = b"".join(iter(lambda: onward.recv(65536), b""))
        if answered:
            connection.sendall(received)

    return act


def s3_error(
    status: int, code: str, *, detail: str = "", headers: Mapping[str, str] | None = None, own: bool = True
) -> Act:
    """One of S3's errors; `own`: with the request id that S3 gives, `detail` are further elements."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message>{detail}</Error>"
    return reply(http(status, body.encode(), {**(S3_ID if own else {}), **(headers or {})}))


def dynamodb_error(status: int, code: str, *, own: bool = True, **more: object) -> Act:
    """One of DynamoDB's errors; `own`: with the request id that DynamoDB gives."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "said so", **more}
    return reply(http(status, json.dumps(body).encode(), DYNAMODB_ID if own else {}))


def s3_object(content: bytes, *, length: int | None = None) -> Act:
    """The answer to a GetObject; `length` is what it claims, where that is not the truth."""
    return reply(http(200, content, {**S3_ID, "ETag": '"e"'}, length=length))


def page(status: int) -> Act:
    """What a proxy or a gateway says, as a web page."""
    return reply(http(status, b"<html><body><h1>Said</h1></body></html>", {"Content-Type": "text/html"}))
