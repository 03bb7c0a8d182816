"""Times as text: UTC, ISO 8601 with a ``Z``, milliseconds where they matter."""

from __future__ import annotations

from datetime import UTC, datetime


def text(moment: datetime) -> str:
    """``2026-11-22T02:00:03.123Z``: the form of every time in the ledger."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_text(moment: datetime) -> str:
    """``2026-11-22T02:00:03Z``: the form of times that people read, and of slots."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse(value: str) -> datetime:
    """A time with a zone, from ISO 8601 text. Raises `ValueError` for anything else, a time without zone included."""
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: add Z for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{value!r} is no time in UTC") from None
