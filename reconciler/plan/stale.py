"""Whether this checkout may change a spec: an old one never undoes a new one."""

from __future__ import annotations

from reconciler.plan.desired import Ancestry, Desired
from reconciler.recorded.state import SpecRecord


def stale_message(record: SpecRecord, desired: Desired) -> str | None:
    """Why this checkout may not change the spec: it is older than the newest intent's, or its age is not known.

    `None` where it may: outside git, after an intent made outside git, or with `allow_rollback`.
    """
    head = desired.checkout.commit
    commit = record.newest.commit if record.newest else None
    if head is None or commit is None or commit == head or desired.allow_rollback:
        return None
    match desired.checkout.ancestry.get(commit, Ancestry.UNKNOWN):
        case Ancestry.CONTAINED:
            return None
        case Ancestry.NEWER:
            return (
                f"this checkout ({head[:12]}) is older than the newest intent's ({commit[:12]}); "
                "--allow-rollback overrides"
            )
        case Ancestry.UNKNOWN:
            return (
                f"whether this checkout ({head[:12]}) contains the newest intent's commit ({commit[:12]}) is not known "
                "(a shallow clone, or diverged); --allow-rollback overrides"
            )
