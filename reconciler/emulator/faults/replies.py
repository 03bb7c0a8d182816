"""What a client gets instead of AWS's answer, and AWS's answer made unreadable."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from http.client import responses
from typing import TYPE_CHECKING

from reconciler.emulator import sts
from reconciler.emulator.records import BATCH
from reconciler.emulator.wire import AwsError, Cut, Reply

if TYPE_CHECKING:
    from reconciler.emulator.faults.plan import Rule

CODES: Mapping[int, str] = {
    403: "AccessDeniedException",
    408: "RequestTimeout",
    409: "ConflictException",
    429: "TooManyRequestsException",
    500: "InternalServerException",
    503: "ServiceUnavailable",
}
"""The usual error code of a status. AWS Batch's for 500 is ServerException."""

STATUSES: Mapping[str, int] = {
    **{code: status for status, code in CODES.items()},
    "ClientException": 400,
    "ExpiredTokenException": 403,
    "InvalidSignatureException": 403,
    "RequestExpired": 400,
    "ResourceNotFoundException": 404,
    "ServerException": 500,
    "ServiceQuotaExceededException": 402,
    "SignatureDoesNotMatch": 403,
    "Throttling": 400,
    "ThrottlingException": 400,
    "UnrecognizedClientException": 403,
    "ValidationException": 400,
}
"""The usual status of an error code."""

_MESSAGE = "This answer was made up by a fault of the emulator."
_PAGE = "<html><head><title>{0} {1}</title></head><body><h1>{0} {1}</h1></body></html>\n"
GARBAGE = b"\x16\x03\x01 this is no HTTP \x00\xff\r\n\r\n"


def made_up(rule: Rule, service: str) -> Reply:
    """The answer that a rule makes up. Raises `Cut` where it is no answer in HTTP."""
    if rule.answer == "garbage":
        raise Cut(GARBAGE)
    if rule.answer == "reset":
        raise Cut(end="reset")
    if rule.answer == "never":
        raise Cut(end="hang")
    if rule.answer == "error":
        return _error(rule, service)
    if rule.answer == "html":
        status = rule.status or 200
        body = _PAGE.format(status, responses.get(status, "Unknown")).encode()
        return Reply(status, {"Content-Type": "text/html", **_identity(rule.request_id)}, body)
    if rule.answer == "empty":
        return Reply(rule.status or 200, _identity(rule.request_id), b"")
    raise Cut


def _error(rule: Rule, service: str) -> Reply:
    status = rule.status or STATUSES[rule.code or ""]
    code = rule.code or ("ServerException" if (service, status) == (BATCH, 500) else CODES[status])
    headers = _identity(rule.request_id is not False)
    if service == sts.NAME:
        body = sts.refusal(AwsError(code, _MESSAGE, status), headers.get("x-amzn-RequestId", ""))
        return Reply(status, {"Content-Type": "text/xml", **headers}, body.encode())
    headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return Reply(status, headers, json.dumps({"message": _MESSAGE}).encode())


def _identity(wanted: bool | None) -> dict[str, str]:
    return {"x-amzn-RequestId": str(uuid.uuid4())} if wanted else {}


def truncated(reply: Reply) -> Cut:
    """The first half of a reply under its whole length, then the end of the connection."""
    lines = [f"HTTP/1.1 {reply.status} {responses.get(reply.status, 'Unknown')}", f"Content-Length: {len(reply.body)}"]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    head = "\r\n".join(lines).encode() + b"\r\n\r\n"
    return Cut(head + reply.body[: len(reply.body) // 2])
