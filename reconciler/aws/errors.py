"""Contains AWS's error codes, and converts the errors of boto3 and botocore to errors of reconciler."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from reconciler.aws.denied_access import CODES as REFUSED_ACCESS
from reconciler.aws.denied_access import NEEDED, Access, advice
from reconciler.errors import LedgerDenied, LedgerError, LedgerUnreachable, ServiceError
from reconciler.redact.text import mask_sentence, without
from reconciler.values import dataclass

ErrorAnswer = ClientError
"""AWS replied with an error."""

ClientFailure = BotoCoreError
"""botocore failed: no connection, no credentials, a truncated reply."""

LONGEST = 1000
"""The maximum length of a message from AWS or botocore. Longer messages are truncated."""

IDENTITY = "identity"
"""The content encoding of an unencoded body."""

_USER_INFO = re.compile(r"//[^/@\s]*@")
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

HINTS = {
    "NoCredentialsError": "no AWS credentials were found. Set a profile, environment variables or a role.",
    "PartialCredentialsError": "the AWS credentials are incomplete: an access key needs its secret key.",
    "ProfileNotFound": "the AWS profile does not exist in the AWS configuration files.",
    "ExpiredToken": "the AWS credentials have expired. Get new ones.",
    "ExpiredTokenException": "the AWS credentials have expired. Get new ones.",
    "SSOTokenLoadError": "the AWS single sign-on session is missing. Run aws sso login.",
    "UnauthorizedSSOTokenError": "the AWS single sign-on session has expired. Run aws sso login.",
    "InvalidAccessKeyId": "AWS does not recognize these credentials.",
    "InvalidClientTokenId": "AWS does not recognize these credentials.",
    "UnrecognizedClientException": "AWS does not recognize these credentials.",
    "SignatureDoesNotMatch": "AWS refuses these credentials' signature: the secret key is wrong.",
    "InvalidSignatureException": "AWS refuses the signature: the secret key or this machine's clock is wrong.",
    "RequestExpired": "AWS refuses the signature as too old: check this machine's clock.",
    "RequestTimeTooSkewed": "AWS refuses the signature: this machine's clock is wrong.",
    "EndpointConnectionError": "AWS could not be reached.",
    "ConnectTimeoutError": "AWS could not be reached in time.",
    "ReadTimeoutError": "AWS did not answer in time.",
    "ProxyConnectionError": "the proxy could not be reached, or refused the connection.",
}
"""The hint that precedes a message, keyed by AWS's error code or the name of the exception."""

NO_HINTS: Mapping[str, str] = {}

THROTTLING = frozenset({
    "Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
    "RequestLimitExceeded", "TooManyRequestsException",
})  # fmt: skip
"""AWS's codes for a request that exceeds a rate. A temporary refusal: the request had no effect."""

CREDENTIALS = frozenset({
    "ExpiredToken", "ExpiredTokenException", "InvalidToken", "InvalidClientTokenId", "InvalidAccessKeyId",
    "UnrecognizedClientException", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "IncompleteSignature", "IncompleteSignatureException", "InvalidSignatureException", "SignatureDoesNotMatch",
    "AuthFailure",
})  # fmt: skip
"""AWS's codes for credentials that are invalid or have expired, and for a wrong signature. A temporary refusal."""

CLOCK_SKEW = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})
"""AWS's codes for a signature whose time differs from AWS's clock. A temporary refusal."""

SLOW_DOWN = THROTTLING | {"SlowDown", "ProvisionedThroughputExceededException"}
"""The codes of `THROTTLING`, and those that only S3 and DynamoDB use, in which ledgers are stored."""

ACCESS_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AccountProblem"})
"""AWS's codes for a missing permission, or for an account that may not use the service."""

TRANSIENT = SLOW_DOWN | {
    "InternalError", "InternalServerError", "InternalServerException", "InternalFailure", "ServiceUnavailable",
    "ServiceUnavailableException", "RequestTimeout", "500", "502", "503", "504", "EndpointConnectionError",
    "ConnectTimeoutError", "ReadTimeoutError", "ConnectionClosedError", "HTTPClientError", "ResponseStreamingError",
    "IncompleteReadError", "ProxyConnectionError", "ResponseParserError",
}  # fmt: skip
"""The codes of errors after which the same read may succeed a little later."""

NO_CREDENTIALS = frozenset({
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound",
    "SSOTokenLoadError", "UnauthorizedSSOTokenError", "TokenRetrievalError", "NoAuthTokenError",
})  # fmt: skip
"""The errors that botocore raises, before it sends anything, if there are no credentials to sign with."""

# --- reading an error -------------------------------------------------------------------------------------------------

_CODE = re.compile(r"[\w.:#/-]{1,200}")
_FAULT = re.compile(
    r"^(Invalid (?:type|length|range) for parameter [^,\n]{1,200}|Missing required parameter in [^\n]{1,200}"
    r"|Unknown parameter in [^,\n]{1,200}|Invalid number of parameters[^\n]{1,200})",
    re.MULTILINE,
)


def code_of(error: BaseException) -> str:
    """Returns AWS's error code if it has the form of one, otherwise the name of the exception."""
    code = _field(error, "Error").get("Code") if isinstance(error, ClientError) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else type(error).__name__


def status_of(error: ClientError) -> int:
    """Returns the HTTP status of AWS's reply, or 0 if botocore kept none."""
    status = _field(error, "ResponseMetadata").get("HTTPStatusCode")
    return status if isinstance(status, int) else 0


def request_id_of(error: ClientError) -> str | None:
    """Returns the ``x-amzn-RequestId`` of the reply. AWS's services set it; proxies seldom do."""
    headers = _field(error, "ResponseMetadata").get("HTTPHeaders")
    value = headers.get("x-amzn-requestid") if isinstance(headers, Mapping) else None
    return value if isinstance(value, str) and value else None


def is_from_aws(answer: Mapping[str, Any]) -> bool:
    """Returns whether a reply has S3's or DynamoDB's request id. A reply without a request id may be from a proxy.

    `request_id_of` does not accept S3's header, because services that run jobs never send it, and their replies must be
    checked more strictly.
    """
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return any(headers.get(name) for name in ("x-amz-request-id", "x-amzn-requestid"))


def clean(text: object) -> str:
    """Returns the text as one line, without control characters and the user part of URLs, truncated if it is too
    long."""
    if not isinstance(text, str):
        return ""
    line = _USER_INFO.sub("//", _NOT_PRINTABLE.sub(" ", text)).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def message_of(
    error: BaseException,
    secrets: Sequence[str] = (),
    *,
    needed: Access | None = None,
    hints: Mapping[str, str] = NO_HINTS,
) -> str:
    """Returns the error as one printable line that starts with a hint, if there is one, and does not contain
    `secrets`. `needed` is the permission that the call needs, and `hints` are hints for this call, as in `HINTS`.
    """
    text, code = _text_of(error, secrets), code_of(error)
    hint = hints.get(code) or HINTS.get(code) or (advice(text, needed) if code in REFUSED_ACCESS else None)
    return f"{hint} ({text})" if hint and text else hint or text or "no message"


def _text_of(error: BaseException, secrets: Sequence[str] = ()) -> str:
    """Returns the message of AWS or botocore.

    botocore quotes the values of a request that it rejects, so only their paths are kept. AWS and proxies may quote
    values too, so `secrets`, the secrets in the request, are masked.
    """
    if isinstance(error, ClientError):
        return _masked(_field(error, "Error").get("Message"), secrets)
    if isinstance(error, ParamValidationError):
        return "; ".join(_FAULT.findall(str(error))) or "botocore rejects the request"
    if isinstance(error, ResponseParserError):
        return "the reply could not be read"  # botocore quotes the reply
    return _masked(str(error), secrets)


def _masked(text: object, secrets: Sequence[str]) -> str:
    """Returns a foreign text, first masked and then truncated. In the other order, a truncated secret might not be
    recognized.
    """
    return clean(without(mask_sentence(text), secrets)) if isinstance(text, str) else ""


def _field(error: ClientError, name: str) -> Mapping[str, Any]:
    value = error.response.get(name)
    return value if isinstance(value, Mapping) else {}


# --- replies that cannot be decoded -----------------------------------------------------------------------------------


def refuse_undecodable(client: Any) -> None:  # noqa: ANN401 - a boto3 client
    """Makes `client` raise `ResponseParserError` for a reply whose body cannot be decoded, whatever its status and
    headers are. botocore reads the error code from a header, and treats a damaged body as a reply without fields. A
    streamed body is not read."""
    protocol = client.meta.service_model.resolved_protocol

    def check(response_dict: Mapping[str, Any] | None, parsed_response: dict[str, Any] | None, **_: object) -> None:
        if response_dict is None or parsed_response is None or _decodable(protocol, response_dict, parsed_response):
            return
        status = response_dict["status_code"]
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            raise ResponseParserError(f"the body of the reply, with status {status}, cannot be decoded")
        # No exception for a server error, so that botocore sends a read again.
        parsed_response["Error"] = {"Code": str(status), "Message": "the reply could not be read"}

    client.meta.events.register_last("response-received", check)


def _decodable(protocol: str, reply: Mapping[str, Any], parsed: Mapping[str, Any]) -> bool:
    body, is_error = reply["body"], reply["status_code"] >= HTTPStatus.MULTIPLE_CHOICES
    is_json = "json" in protocol
    if not isinstance(body, bytes):
        return True
    if not body:  # a JSON reply may have no body only if the service is REST and the call succeeded
        return not is_json or (protocol == "rest-json" and not is_error)
    if reply["headers"].get("content-encoding", IDENTITY).strip().lower() != IDENTITY:
        return False  # botocore requests no encoding, and does not decode any
    has_fields = is_json and not is_error and parsed.keys() - {"ResponseMetadata"}
    return bool(has_fields) or (_is_json_object(body) if is_json else _is_xml(body))


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body.decode()), dict)
    except (ValueError, RecursionError):
        return False


def _is_xml(body: bytes) -> bool:
    try:
        ElementTree.fromstring(body)  # noqa: S314 - botocore does the same; expat limits what entities expand to
    except (ValueError, RecursionError, ElementTree.ParseError):
        return False
    return True


# --- errors of services -----------------------------------------------------------------------------------------------


def service_error(
    operation: str, error: BaseException, needed: Access | None = None, hints: Mapping[str, str] = NO_HINTS
) -> ServiceError:
    """Converts an error of boto3 or botocore to a `ServiceError`."""
    needed = needed or NEEDED.get(operation)
    return ServiceError(operation, code_of(error), message_of(error, needed=needed, hints=hints))


def unexpected_reply(operation: str, why: str) -> ServiceError:
    """Returns the error for a successful reply that lacks the requested data, which must not be interpreted as
    absence."""
    return ServiceError(operation, "UnexpectedReply", why)


@contextmanager
def translate_errors(
    operation: str, needed: Access | None = None, hints: Mapping[str, str] = NO_HINTS
) -> Iterator[None]:
    """Converts every error of a call to AWS, and of reading its reply, to `ServiceError`. `needed` is the permission
    that the call needs (by default, that in `denied_access.NEEDED`), and `hints` are hints for this call.

    The block must also read the reply, because botocore returns a damaged reply as a reply without fields.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:
        raise service_error(operation, error, needed, hints) from error


# --- errors of ledgers ------------------------------------------------------------------------------------------------

Sentences = Mapping[str, tuple[type[LedgerError], str]]
"""Maps AWS's error codes to the class and the message of an error. Messages have the placeholders ``{name}``,
``{region}``, ``{target}`` and ``{found}``.
"""

WRITE_UNPROVEN = frozenset({408, 409, 429})
"""4xx statuses that do not show whether a write to a ledger was rejected: a timeout in transit, a conflict with a write
in progress, which may be our own, and throttling with a code that is not in `SLOW_DOWN`."""


@dataclass(frozen=True, slots=True)
class LedgerSite:
    """The values of the placeholders in messages: the ledger's `address`, the `name` of its bucket or table, its region
    and target.
    """

    address: str
    name: str
    region: str
    target: str
    sentences: Sentences = field(repr=False)


@contextmanager
def translate_ledger_errors(site: LedgerSite, action: str, *, writing: bool = False) -> Iterator[None]:
    """Converts every error of boto3 and botocore inside the block to a `LedgerError`, with the original error as the
    cause.

    `action` is the permission that the call needs, such as ``s3:PutObject``. With `writing`, the block writes, and any
    error other than `LedgerUnreachable` means that nothing was written.
    """
    try:
        yield
    except LedgerError:
        raise
    except ValueError as error:  # botocore failed to parse a reply: text that is not UTF-8, an invalid number
        raise no_answer(site, "its reply could not be read") from error
    except Exception as error:
        # If making a client fails, the cause of the ServiceError is botocore's error.
        cause = error.__cause__ if isinstance(error, ServiceError) else None
        raise _ledger_error(cause if isinstance(cause, Exception) else error, site, action, writing) from error


def no_answer(site: LedgerSite, why: str) -> LedgerUnreachable:
    """Returns the error for a missing reply, or for a reply that does not show the result."""
    return LedgerUnreachable(f"the ledger {site.address} did not answer: {why}.")


def _ledger_error(error: Exception, site: LedgerSite, action: str, writing: bool) -> LedgerError:
    code = code_of(error)
    foreign = isinstance(error, ClientError | BotoCoreError | ValueError)  # other errors may quote the batch
    text = _text_of(error) if foreign and not isinstance(error, ResponseParserError) else ""
    quoted = f" ({text})" if text else ""
    if code in SLOW_DOWN:
        # `append_with_retries` sends a write again only after `LedgerUnreachable`.
        return no_answer(site, f"AWS throttled the request ({code}){quoted}")
    meaning = _meaning(error, code, site, action)
    if meaning is None or (writing and not _proves_no_write(error)):
        return no_answer(site, _description(error, code, text, quoted))
    kind, sentence = meaning
    return kind(f"the ledger {site.address}: {sentence}{quoted}")


def _meaning(error: Exception, code: str, site: LedgerSite, action: str) -> tuple[type[LedgerError], str] | None:
    """Returns the error and the message for a code with a single known meaning, or `None` for every other code."""
    if code in site.sentences:
        kind, sentence = site.sentences[code]
        region = f", {actual}" if (actual := _region_of(error)) else ""
        return kind, sentence.format(name=site.name, region=site.region, target=site.target, found=region)
    if code in ACCESS_DENIED:
        return LedgerDenied, f"access denied: these credentials need {action} on {site.name}."
    if code in CREDENTIALS | CLOCK_SKEW | NO_CREDENTIALS:
        return LedgerDenied, HINTS.get(code, f"AWS refuses these credentials ({code}).")
    if isinstance(error, ParamValidationError | ValueError):
        return LedgerError, "the request is not valid"
    return None


def _proves_no_write(error: Exception) -> bool:
    """Returns whether a reply to a write shows that nothing was written."""
    if not isinstance(error, ClientError):
        return code_of(error) in NO_CREDENTIALS or isinstance(error, ParamValidationError | ValueError)
    # A redirect shows too that nothing was written: the bucket is in another region.
    return 300 <= (status := status_of(error)) < 500 and status not in WRITE_UNPROVEN and is_from_aws(error.response)


def _description(error: Exception, code: str, text: str, quoted: str) -> str:
    if isinstance(error, ClientError):
        return f"it answered {code} ({status_of(error)}){quoted}"
    if isinstance(error, ResponseParserError):
        return "its reply could not be read"
    if code in HINTS:
        return f"{HINTS[code].rstrip('.')}{quoted}"
    return f"{code}: {text}" if text else code


def _region_of(error: Exception) -> str:
    """Returns the region of a bucket, which S3 reports if it is called in another one, or an empty string."""
    if not isinstance(error, ClientError):
        return ""
    headers = _field(error, "ResponseMetadata").get("HTTPHeaders") or {}
    region = _field(error, "Error").get("Region") or headers.get("x-amz-bucket-region")
    return region if isinstance(region, str) else ""
