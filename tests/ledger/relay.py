"""Contains acts for a stub on raw sockets: they forward calls from a store to the local server, or answer as AWS would.
The stub is in tests/aws.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tests.aws.stub import Act, Stub, http, reply

S3_ID = {"x-amz-request-id": "4442587FB7D0A2F9", "Content-Type": "application/xml"}
DYNAMODB_ID = {"x-amzn-RequestId": "11111111-2222-3333-4444-555555555555"}


def first_write(server: str, said: bytes | None) -> Act:
    """Forwards requests to the server at this URL, and its replies back, but answers the first write with `said`. If
    `said` is `None`, the first write reaches the server and its reply is lost."""
    met: list[bytes] = []

    def act(connection: socket.socket, stub: Stub) -> None:
        stub.take(connection)
        head, body = stub.heads[-1], stub.bodies[-1]
        if not met and (head.startswith(b"PUT ") or b".PutItem" in head):
            met.append(head)
            if said is None:
                _answer_of(server, head, body)
            else:
                connection.sendall(said)
        else:
            connection.sendall(_answer_of(server, head, body))

    return act


def _answer_of(server: str, head: bytes, body: bytes) -> bytes:
    address = urlsplit(server)
    with socket.create_connection((address.hostname or "", address.port or 0)) as onward:
        onward.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)
        return b"".join(iter(lambda: onward.recv(65536), b""))


def s3_said(
    status: int, code: str, *, detail: str = "", headers: Mapping[str, str] | None = None, own: bool = True
) -> bytes:
    """Returns an error in the format of S3. With `own`, it contains S3's request id. `detail` contains additional XML
    elements."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>said so</Message>{detail}</Error>"
    return http(status, body.encode(), {**(S3_ID if own else {}), **(headers or {})})


def s3_error(status: int, code: str, **more: Any) -> Act:
    """Returns an act that sends `s3_said`."""
    return reply(s3_said(status, code, **more))


def dynamodb_said(status: int, code: str, *, own: bool = True, **more: object) -> bytes:
    """Returns an error in the format of DynamoDB. With `own`, it contains DynamoDB's request id."""
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "said so", **more}
    return http(status, json.dumps(body).encode(), DYNAMODB_ID if own else {})


def dynamodb_error(status: int, code: str, **more: Any) -> Act:
    """Returns an act that sends `dynamodb_said`."""
    return reply(dynamodb_said(status, code, **more))


def s3_object(content: bytes, *, length: int | None = None) -> Act:
    """Returns the reply to a GetObject. `length` is the Content-Length header, if it differs from the actual length."""
    return reply(http(200, content, {**S3_ID, "ETag": '"e"'}, length=length))


def page(status: int) -> Act:
    """Returns a web page, as a proxy or a gateway sends it."""
    return reply(http(status, b"<html><body><h1>Said</h1></body></html>", {"Content-Type": "text/html"}))
