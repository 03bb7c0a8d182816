"""What AWS and botocore say about a bucket or a table, in the words of the ledger's errors.

For a write only answers that prove something count: a 4xx of AWS's own, with its request id and a code that is listed
here, says that nothing was written. Everything else leaves it open, whatever it looks like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from reconciler.aws_words import CLOCK_SKEW, CREDENTIALS, HINTS, THROTTLING, clean
from reconciler.errors import LedgerDenied, LedgerError, LedgerUnreachable

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


def code_of(error: BaseException) -> str:
    """AWS's error code, or the exception's own name."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code") or type(error).__name__)
    return type(error).__name__


def from_aws(answer: Mapping[str, Any]) -> bool:
    """Whether a success bears the request id that AWS gives: a 200 may be anybody's, and then it is no answer."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return any(headers.get(name) for name in REQUEST_IDS)


def status_of(error: ClientError) -> int:
    """The HTTP status of AWS's answer, 0 where botocore kept none."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else 0


def no_answer(site: Site, why: str) -> LedgerUnreachable:
    """The error for an answer that says nothing, or for none."""
    return LedgerUnreachable(f"the ledger {site.address} did not answer: {why}.")


def _translate(error: Exception, site: Site, action: str, writing: bool) -> LedgerError:
    code, said = code_of(error), _said(error)
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
        return code_of(error) in NO_CREDENTIALS or isinstance(error, ParamValidationError | ValueError)
    status = status_of(error)
    return (300 <= status < 500) and status not in NOT_PROVEN and from_aws(error.response)


def _unknown(error: Exception, code: str, said: str) -> str:
    if isinstance(error, ClientError):
        return f"it said {code} ({status_of(error)}){_quoted(said)}"
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
