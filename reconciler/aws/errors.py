"""AWS's error codes and replies, in the words of this program."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from reconciler.errors import LedgerDenied, LedgerError, LedgerUnreachable, ServiceError
from reconciler.redact.text import mask_sentence, without

LONGEST = 1000
"""Characters of a foreign message that are kept."""

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
    "InvalidAccessKeyId": "AWS does not know these credentials.",
    "InvalidClientTokenId": "AWS does not know these credentials.",
    "UnrecognizedClientException": "AWS does not know these credentials.",
    "SignatureDoesNotMatch": "AWS refuses these credentials' signature: the secret key is wrong.",
    "InvalidSignatureException": "AWS refuses the signature: the secret key is wrong, or this machine's clock.",
    "RequestExpired": "AWS refuses the signature as too old: check this machine's clock.",
    "RequestTimeTooSkewed": "AWS refuses the signature: this machine's clock is wrong.",
    "EndpointConnectionError": "AWS could not be reached.",
    "ConnectTimeoutError": "AWS could not be reached in time.",
    "ReadTimeoutError": "AWS did not answer in time.",
    "ProxyConnectionError": "the proxy could not be reached, or refused.",
}
"""What to tell people first, by AWS's code or the exception's name."""

THROTTLING = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
    }
)
CREDENTIALS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidToken",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "UnrecognizedClientException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "AuthFailure",
    }
)
CLOCK_SKEW = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})
"""AWS's codes for no, for a reason that passes: too much at once, credentials, a clock."""


def clean(text: object) -> str:
    """One line without control characters and without the user part of URLs, cut where it is too long."""
    if not isinstance(text, str):
        return ""
    line = _USER_INFO.sub("//", _NOT_PRINTABLE.sub(" ", text)).strip()
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


_CODE = re.compile(r"[\w.:#/-]{1,200}")
_FAULT = re.compile(
    r"^(Invalid (?:type|length|range) for parameter [^,\n]{1,200}|Missing required parameter in [^\n]{1,200}"
    r"|Unknown parameter in [^,\n]{1,200}|Invalid number of parameters[^\n]{1,200})",
    re.MULTILINE,
)


def code_of(error: BaseException) -> str:
    """AWS's error code, or the exception's own name."""
    code = _field(error, "Error").get("Code") if isinstance(error, ClientError) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else type(error).__name__


def message_of(error: BaseException, secrets: Sequence[str] = ()) -> str:
    """The error in one printable line: AWS's own words, or botocore's, with a hint first where there is one.

    botocore's complaints about a request quote its values: only the places are kept. What AWS says may quote them too,
    and what answers in its place all of them: there `secrets`, those of the request, are hidden.
    """
    if isinstance(error, ClientError):
        said = _without(_field(error, "Error").get("Message"), secrets)
    elif isinstance(error, ParamValidationError):
        said = "; ".join(_FAULT.findall(str(error))) or "the request is not one that botocore knows"
    elif isinstance(error, ResponseParserError):
        said = "the reply could not be read"  # botocore quotes it
    else:
        said = _without(str(error), secrets)
    hint = HINTS.get(code_of(error))
    return f"{hint} ({said})" if hint and said else hint or said or "no message"


def _without(text: object, secrets: Sequence[str]) -> str:
    """A foreign text as it may be kept. What is hidden is hidden before the text is cut: half a secret is one too."""
    if not isinstance(text, str):
        return ""
    return clean(without(mask_sentence(text), secrets))


def service_error(operation: str, error: BaseException) -> ServiceError:
    """The error that leaves this package for a foreign one."""
    return ServiceError(operation, code_of(error), message_of(error))


@contextmanager
def reading(operation: str) -> Iterator[None]:
    """Around one read and what is taken out of its answer: anything that goes wrong leaves as `ServiceError`.

    botocore lets a damaged reply through as an answer without fields, or stumbles over it with errors of its own.
    """
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:
        raise service_error(operation, error) from error


def unexpected(operation: str, why: str) -> ServiceError:
    """The error for a reply that is a success and does not say what was asked: never taken for absence."""
    return ServiceError(operation, "UnexpectedReply", why)


def status_of(error: ClientError) -> int:
    """The HTTP status of AWS's answer, 0 where botocore kept none."""
    status = _field(error, "ResponseMetadata").get("HTTPStatusCode")
    return status if isinstance(status, int) else 0


def request_id_of(error: ClientError) -> str | None:
    """The ``x-amzn-RequestId`` of the answer: AWS's own services set it, what stands between seldom does."""
    headers = _field(error, "ResponseMetadata").get("HTTPHeaders")
    found = headers.get("x-amzn-requestid") if isinstance(headers, Mapping) else None
    return found if isinstance(found, str) and found else None


def _field(error: ClientError, name: str) -> Mapping[str, Any]:
    value = error.response.get(name)
    return value if isinstance(value, Mapping) else {}


REQUEST_IDS = ("x-amz-request-id", "x-amzn-requestid")
"""S3's and DynamoDB's header: AWS's own answers have it, what stands between seldom does."""

NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AccountProblem"})
NOT_PROVEN = frozenset({408, 409, 429})

NO_CREDENTIALS = frozenset(
    {
        "NoCredentialsError",
        "PartialCredentialsError",
        "CredentialRetrievalError",
        "ProfileNotFound",
        "SSOTokenLoadError",
        "UnauthorizedSSOTokenError",
        "TokenRetrievalError",
        "NoAuthTokenError",
    }
)
"""botocore's errors before anything is sent: there is nothing to sign with."""

SLOW = THROTTLING | {"SlowDown", "ProvisionedThroughputExceededException"}

Sentences = Mapping[str, tuple[type[LedgerError], str]]
"""By AWS's code: which error it is, and its sentence, with ``{name}``, ``{region}``, ``{target}`` and ``{found}``."""


@dataclass(frozen=True, slots=True)
class Site:
    """What messages are about: the ledger's `address`, the `name` of its bucket or table, and the target it is of."""

    address: str
    name: str
    region: str
    target: str
    sentences: Sentences = field(repr=False)


@contextmanager
def translated(site: Site, action: str, *, writing: bool = False) -> Iterator[None]:
    """Raises the `LedgerError` that a foreign error inside the block stands for, with the cause kept.

    `action` is the permission it takes, such as ``s3:PutObject``. With `writing` it is anything but
    `LedgerUnreachable` only where nothing was written for certain.
    """
    try:
        yield
    except LedgerError:
        raise
    except Exception as error:
        raise _translate(error, site, action, writing) from error


def ledger_code_of(error: BaseException) -> str:
    """AWS's error code, or the exception's own name."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or type(error).__name__)
    return type(error).__name__


def from_aws(answer: Mapping[str, Any]) -> bool:
    """Whether a success bears the request id that AWS gives: a 200 may be anybody's, and then it is no answer."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return any(headers.get(name) for name in REQUEST_IDS)


def ledger_status_of(error: ClientError) -> int:
    """The HTTP status of AWS's answer, 0 where botocore kept none."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else 0


def no_answer(site: Site, why: str) -> LedgerUnreachable:
    """The error for an answer that says nothing, or for none."""
    return LedgerUnreachable(f"the ledger {site.address} did not answer: {why}.")


def _translate(error: Exception, site: Site, action: str, writing: bool) -> LedgerError:
    code, said = ledger_code_of(error), _said(error)
    if code in SLOW:
        return no_answer(site, f"AWS asks for fewer requests at once ({code}){_quoted(said)}")
    known = _known(error, code, site, action)
    if known is None or (writing and not _proves(error)):
        return no_answer(site, _unknown(error, code, said))
    kind, sentence = known
    return kind(f"the ledger {site.address}: {sentence}{_quoted(said)}")


def _known(error: Exception, code: str, site: Site, action: str) -> tuple[type[LedgerError], str] | None:
    """The error and sentence for a code that means one thing only, `None` for every other."""
    if code in site.sentences:
        kind, sentence = site.sentences[code]
        found = f", {there}" if (there := _region_of(error)) else ""
        return kind, sentence.format(name=site.name, region=site.region, target=site.target, found=found)
    if code in NOT_ALLOWED:
        return LedgerDenied, f"access denied: these credentials need {action} on {site.name}."
    if code in CREDENTIALS | CLOCK_SKEW | NO_CREDENTIALS:
        return LedgerDenied, HINTS.get(code, f"AWS refuses these credentials ({code}).")
    if isinstance(error, ParamValidationError | ValueError):
        return LedgerError, "it cannot be asked for"
    return None


def _proves(error: Exception) -> bool:
    """Whether an answer to a write shows that nothing was written."""
    if not isinstance(error, ClientError):
        return ledger_code_of(error) in NO_CREDENTIALS or isinstance(error, ParamValidationError | ValueError)
    status = ledger_status_of(error)
    return (300 <= status < 500) and status not in NOT_PROVEN and from_aws(error.response)


def _unknown(error: Exception, code: str, said: str) -> str:
    if isinstance(error, ClientError):
        return f"it said {code} ({ledger_status_of(error)}){_quoted(said)}"
    if isinstance(error, ResponseParserError):
        return "its reply could not be read"  # botocore quotes it
    hint = HINTS.get(code)
    return f"{hint.rstrip('.')}{_quoted(said)}" if hint else f"{code}: {said}" if said else code


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        return clean(error.response.get("Error", {}).get("Message"))
    if isinstance(error, BotoCoreError | ValueError) and not isinstance(error, ResponseParserError):
        return clean(str(error))
    return ""


def _quoted(said: str) -> str:
    return f" ({said})" if said else ""


def _region_of(error: Exception) -> str:
    """The region in which a bucket really is, as S3 says when it is asked in another; empty where it does not."""
    if not isinstance(error, ClientError):
        return ""
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    found = error.response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return found if isinstance(found, str) else ""
