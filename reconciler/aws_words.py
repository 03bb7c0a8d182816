"""AWS's error codes in our words, for every package that talks to AWS.

What may live here: codes by what they mean, sentences for people, and the cleaning of foreign text. What may not: AWS
libraries, and decisions about what an error proves.
"""

from __future__ import annotations

import re

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
