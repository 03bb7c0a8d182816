"""botocore's errors in our words: which code, which sentence, and no content of requests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError
from botocore.parsers import ResponseParserError

from reconciler.aws_words import HINTS, clean
from reconciler.errors import ServiceError
from reconciler.mask.repeated import without
from reconciler.mask.text import mask_sentence

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
