"""The age of a signature. Nothing else of it is looked at."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.emulator.settings import Settings
from reconciler.emulator.wire import AwsError, Call

_FORM = "%Y%m%dT%H%M%SZ"


def require_fresh(call: Call, settings: Settings, now: float, code: str = "InvalidSignatureException") -> None:
    """Raises `AwsError` 403 for a request whose X-Amz-Date is more than `signature_seconds` from `now`, or that has
    none. Does nothing without that setting."""
    allowed = settings.signature_seconds
    if allowed is None:
        return
    text = call.headers.get("X-Amz-Date", "")
    try:
        signed_at = datetime.strptime(text, _FORM).replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", 403) from error
    if now - signed_at > allowed:
        raise AwsError(code, f"Signature expired: {text} is now earlier than {_text(now - allowed)}", 403)
    if signed_at - now > allowed:
        raise AwsError(code, f"Signature not yet current: {text} is still later than {_text(now + allowed)}", 403)


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime(_FORM)
