"""Lists the named points at which the program can be stopped. docs/promise.md contains the same list."""

from __future__ import annotations

from dataclasses import dataclass

ROOT_NAME = "reconciler."

POINTS = (
    "ledger-created",
    "recording",
    "stored",
    "recorded",
    "signed",
    "sending",
    "answered",
    "looking",
    "looked",
    "observing",
    "observed",
    "cancelling",
    "cancelled",
    "snapshotting",
    "snapshot-kept",
)
"""The names of all points, without the prefix ``reconciler.``."""

WRITING = ("recording", "stored", "recorded")
"""The points around a write to the ledger: before it, after the store has the batch but before its reply, and after the
reply."""


@dataclass(frozen=True, slots=True)
class Point:
    """A point at which to stop: its name, its subject (for writes, an event type), and the number of the occurrence."""

    name: str
    about: str | None = None
    nth: int = 1

    def __str__(self) -> str:
        parts = (self.name, self.about or "", "" if self.nth == 1 else str(self.nth))
        return "-".join(part for part in parts if part)
