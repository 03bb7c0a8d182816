"""What git asks for, for one target: the rendered, checked specs, and what the plan must know about the checkout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from reconciler.core.identity import Content, Place, Source
from reconciler.core.state import SpecRecord
from reconciler.core.times import parse_time
from reconciler.model.base import JSON
from reconciler.model.project import Limits
from reconciler.model.spec import Policy, Suspension


@dataclass(frozen=True, slots=True)
class DesiredSpec:
    """One spec as one target asks for it.

    The request of `content` is valid, with the name filled in: field for field what the spec asks AWS for. For a
    scheduled spec ``${run.slot}`` is left in it.
    """

    name: str
    kind: str
    content: Content
    policy: Policy
    labels: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The digest of its content."""
        return self.content.digest

    @property
    def request(self) -> JSON:
        """The request of its content."""
        return self.content.request or {}

    @property
    def source(self) -> Source | None:
        """Where it is written."""
        return self.content.source


class Ancestry(StrEnum):
    """How a recorded commit stands to the commit that is checked out."""

    CONTAINED = "contained"  # HEAD is it, or descends from it
    NEWER = "newer"  # HEAD is an ancestor of it: this checkout is old
    UNKNOWN = "unknown"  # diverged, shallow, or the commit is not here


@dataclass(frozen=True, slots=True)
class Checkout:
    """The git checkout that the specs were read from; outside git `commit` is `None` and nothing is checked.

    `ancestry` holds the commits of newest intents that were asked about; a commit that is not in it is unknown.
    `uncommitted`: files of the project differ from the commit.
    """

    commit: str | None = None
    ancestry: Mapping[str, Ancestry] = field(default_factory=dict)
    uncommitted: bool = False


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything that one target of a project asks for.

    `names` are all specs of the project in this target, selected or not; `specs` are the selected ones, `others` those
    that are not, and that dependencies may name. `selected` says whether a name that is only in the ledger belongs to
    this pass (`None`: all of them). Where `names` is empty nothing is cancelled. `may_repeat`: the plan is carried out
    at once, so that a send of the last minute may be repeated where AWS knows its token.
    """

    place: Place
    specs: Mapping[str, DesiredSpec]
    names: frozenset[str]
    selected: frozenset[str] | None = None
    checkout: Checkout = Checkout()
    suspension: Suspension | None = None
    limits: Limits = field(default_factory=Limits)
    settle_seconds: int = 1500
    on_unknown: str = "Resubmit"
    allow_rollback: bool = False
    may_repeat: bool = True
    others: Mapping[str, DesiredSpec] = field(default_factory=dict)

    def spec(self, name: str) -> DesiredSpec | None:
        """A spec of this target, selected or not; `None` where there is none so called."""
        return self.specs.get(name) or self.others.get(name)


def overdue(stopped: Suspension, now: datetime) -> bool:
    """Whether it should have ended by now. It goes on all the same, and says so, until somebody takes it out."""
    return stopped.until is not None and parse_time(stopped.until) <= now


def sentence(what: str, stopped: Suspension, now: datetime) -> str:
    """``the spec is suspended (quarter end, by ops, until 2026-12-01T00:00:00Z)``; overdue ones say that too."""
    parts = [
        stopped.reason or "",
        f"by {stopped.owner}" if stopped.owner else "",
        f"until {stopped.until}" if stopped.until else "",
        "which is over: take it out, or give another time" if overdue(stopped, now) else "",
    ]
    said = ", ".join(part for part in parts if part)
    return f"{what} is suspended" + (f" ({said})" if said else "")


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
