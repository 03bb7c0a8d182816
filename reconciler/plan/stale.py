"""Whether this checkout may change a spec: an old one never undoes a new one."""

from __future__ import annotations

from reconciler.plan.desired import Ancestry, Desired
from reconciler.recorded.state import SpecRecord


def newest_commit(record: SpecRecord) -> str | None:
    """The commit of the newest intent that names one; `None` where none does. One made outside git tells nothing about
    the age of a checkout, and takes nothing back from those that do."""
    return next((s.commit for s in reversed(record.submissions) if s.commit is not None), None)


def stale_message(record: SpecRecord, desired: Desired) -> str | None:
    """Why this checkout may not change the spec: it is older than the newest intent's, or its age is not known.

    `None` where it may: outside git, where no intent names a commit, or with `allow_rollback`.
    """
    head = desired.checkout.commit
    commit = newest_commit(record)
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
