"""Lists the events that must occur in a campaign, because a campaign proves nothing about situations that never
occurred."""

from __future__ import annotations

from collections import Counter

from tests.simulation.faults import FATES, POINTS

OFTEN: tuple[tuple[str, str], ...] = (
    *(("event", kind) for kind in ("intended", "submitted", "unsent", "rejected", "unclear", "adopted", "absent")),
    *(("event", kind) for kind in ("superseded", "conflicted", "observed")),
    *(("plan", what) for what in ("submit new", "submit spec-changed", "adopt found", "skip superseded")),
    *(
        ("plan", what)
        for what in ("wait settling", "wait suspended", "wait concurrency", "hold unknown", "hold conflict")
    ),
    *(("plan", what) for what in ("hold rejected", "hold retries-exhausted", "none in-sync", "none retired")),
    *(("fate", fate) for fate in FATES),
    *(
        ("ledger", what)
        for what in ("a write was lost on the way", "the reply to a write was lost", "a write came late")
    ),
    *(("cloud", what) for what in ("a signature had expired", "a token was remembered", "a run was cloned")),
    *(("cloud", what) for what in ("a read failed", "tags were unread", "accepted")),
    ("failed", "ClockSkew"),
    ("asked to stop", ""),
    ("sent again", "after proof of absence"),
    ("sent again", "at once, with the token"),
    ("sent again", "after a refusal"),
    ("deadline", "passed"),
    ("lost", "the race for an intent"),
)
"""The events that must occur within some hundred stories."""

EVERYTHING: tuple[tuple[str, str], ...] = (
    *OFTEN,
    *(("killed", point) for point in POINTS),
    *(("frozen", point) for point in POINTS),
    ("event", "cancel-asked"),
    ("event", "cancel-accepted"),
    ("plan", "cancel spec-removed"),
    ("cloud", "listings left out everything for a while"),
)
"""The events that must occur within a hundred thousand stories."""


def unmet(counts: Counter[tuple[str, str]], wanted: tuple[tuple[str, str], ...]) -> list[str]:
    """Returns the events that never occurred."""
    return sorted({f"{where}: {what}" for where, what in wanted if not counts[where, what]})
