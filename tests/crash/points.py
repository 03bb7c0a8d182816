"""The named points at which the program can be stopped, as docs/promise.md lists them."""

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
"""Every point; the first part of its name, ``reconciler.``, is left out."""

WRITING = ("recording", "stored", "recorded")
"""The points around a write to the ledger: before it, when the store has it and nobody knows, and when it is known."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place to stop: the point, what it must be about (the type of an event, for writes), and which time it is."""

    name: str
    about: str | None = None
    nth: int = 1

    def __str__(self) -> str:
        parts = (self.name, self.about or "", "" if self.nth == 1 else str(self.nth))
        return "-".join(part for part in parts if part)
