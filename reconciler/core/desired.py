"""The desired state of one target: its rendered and validated specs, and facts about the checkout."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from functools import cached_property
from typing import Any

from reconciler.core.checkout import Checkout
from reconciler.core.identity import Content, Place, Source, request_digest
from reconciler.core.state import SpecRecord
from reconciler.core.suggestions import Invocation
from reconciler.core.times import parse_time
from reconciler.errors import Problem
from reconciler.model.base import JSON
from reconciler.model.project import Limits, Prices
from reconciler.model.spec import Policy, Suspension, suspension
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class RenamedFrom:
    """The former name of a spec, and its location in a file: ``orders.yaml:4:16``."""

    name: str
    location: str


@dataclass(frozen=True)
class DesiredSpec:
    """One spec, rendered for one target.

    The request of `content` is valid and contains the name: each field is as AWS will receive it. For a scheduled spec,
    ``${run.slot}`` is not rendered yet. `doubts` are values, each with its location, that `validate` refuses but that
    are sent anyway, as version 0.1.0 did.
    """

    name: str
    kind: str
    content: Content
    policy: Policy
    labels: Mapping[str, str]
    renamed_from: RenamedFrom | None = None
    doubts: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the content."""
        return self.content.digest

    @property
    def request(self) -> JSON:
        """The request of the content."""
        return self.content.request or {}

    @cached_property
    def request_digest(self) -> str:
        """The digest of the whole request, which several steps of a plan compare."""
        return request_digest(self.request)

    @property
    def source(self) -> Source | None:
        """The location of the spec."""
        return self.content.source


@dataclass(frozen=True, slots=True)
class InvalidSpec:
    """A spec that is on hold because it is invalid, or because it depends on an invalid spec.

    `problems` are sorted by location. `cause` is the spec that has the problems, or `None` if it is this spec. `labels`
    are the labels that can be read. If `elsewhere` is set, the spec does not run in this target, so it matters only if
    it ran there before.
    """

    kind: str
    source: Source
    problems: tuple[Problem, ...]
    cause: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    elsewhere: bool = False

    @property
    def message(self) -> str:
        """``depends on extract, which is not valid: extract.yaml:7:5: … (and 2 more problems)``."""
        first, *others = self.problems
        start = f"depends on {self.cause}, which is not valid: " if self.cause is not None else ""
        more = f" (and {len(others)} more {'problem' if len(others) == 1 else 'problems'})" if others else ""
        return f"{start}{first}{more}"


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state of one target of a project.

    * `specs`: the selected specs of this target.
    * `names`: all specs of the project in this target, selected or not. If it is empty, nothing is cancelled.
    * `selected`: the names that the pass is restricted to, also of specs that only the ledger has; `None` for all.
    * `checkout`, `suspension`, `limits`, `prices`: the checkout, and settings of the project or the target.
    * `settle_seconds`, `on_unknown`: when a run that is not found counts as absent, and what is done then.
    * `allow_rollback`: whether an older checkout may change what a newer one applied.
    * `may_repeat`: whether the plan is applied immediately. Then a send of the last minute may be repeated if AWS
      accepts its token again.
    * `others`: the specs that are not selected, to which dependencies may refer.
    * `invalid`: the specs that are on hold, by name: those in `names`, and others that may have run in this target.
    * `unnamed`: set if the spec names in a part of the project cannot be read. Then missing names do not count as
      removed.
    * `applied_only`: whether the pass leaves changes in git to `apply`.
    * `unapplied`: the names of the changed specs, which `plan` sets if `applied_only` is set.
    * `invocation`: the options of suggested commands.
    * `settings`: the settings of the project file (`core.settings`), masked if those in the ledger are; `None` if they
      are not compared.
    * `settings_digest`: the digest of the complete settings.
    * `stale`: the reason why this pass may not change the settings; if it is set, the pass does nothing.
    """

    place: Place
    specs: Mapping[str, DesiredSpec]
    names: frozenset[str]
    selected: frozenset[str] | None = None
    checkout: Checkout = Checkout()
    suspension: Suspension | None = None
    limits: Limits = field(default_factory=Limits)
    prices: Prices | None = None
    settle_seconds: int = 1500
    on_unknown: str = "Resubmit"
    allow_rollback: bool = False
    may_repeat: bool = True
    others: Mapping[str, DesiredSpec] = field(default_factory=dict)
    invalid: Mapping[str, InvalidSpec] = field(default_factory=dict)
    unnamed: InvalidSpec | None = None
    applied_only: bool = False
    unapplied: frozenset[str] = frozenset()
    invocation: Invocation = Invocation()
    settings: Mapping[str, Any] | None = None
    settings_digest: str = ""
    stale: str | None = None

    def spec(self, name: str) -> DesiredSpec | None:
        """Returns a spec of this target, selected or not, or `None` if no spec has this name."""
        return self.specs.get(name) or self.others.get(name)

    def suspension_of(self, spec: DesiredSpec | None) -> tuple[str, Suspension] | None:
        """Returns what is suspended, ``the project`` or else ``the spec``, with its suspension, or `None` if neither
        is."""
        if self.suspension is not None:
            return "the project", self.suspension
        own = suspension(spec.policy.suspend) if spec is not None else None
        return None if own is None else ("the spec", own)


def overdue(stopped: Suspension, now: datetime) -> bool:
    """Returns whether the suspension should have ended by now. It remains in force, with a warning, until it is
    removed."""
    return stopped.until is not None and parse_time(stopped.until) <= now


def sentence(what: str, stopped: Suspension, now: datetime) -> str:
    """Returns ``the spec is suspended (quarter end, by ops, until 2026-12-01T00:00:00Z)``, with a note if it is
    overdue."""
    parts = [
        stopped.reason or "",
        f"by {stopped.owner}" if stopped.owner else "",
        f"until {stopped.until}" if stopped.until else "",
        "which has passed: remove the suspension, or set a later time" if overdue(stopped, now) else "",
    ]
    details = ", ".join(part for part in parts if part)
    return f"{what} is suspended" + (f" ({details})" if details else "")


def newest_commit(record: SpecRecord) -> str | None:
    """Returns the commit of the newest intent, declaration or rename that has a commit, or `None` if there is none."""
    # Events that were recorded outside git do not show how old a checkout is.
    intents = [(s.intent_position, s.commit) for s in reversed(record.submissions) if s.commit is not None][:1]
    others = (record.declaration, record.predecessor, *record.former_names)
    named = [(each.position, each.commit) for each in others if each is not None and each.commit is not None]
    return max((*intents, *named))[1] if intents or named else None


def stale_message(record: SpecRecord, desired: Desired) -> str | None:
    """Returns why this pass must not change the spec, or `None` if it may change it. The reason is that the change is
    left to an apply, that the project settings must not be changed, or the result of `why_stale` for the commit that
    was applied last."""
    if record.name in desired.unapplied:
        return UNAPPLIED
    return desired.stale or why_stale(newest_commit(record), desired)


UNAPPLIED = "its change in git is not applied yet, and this pass leaves changes to `apply`"


def why_stale(commit: str | None, desired: Desired) -> str | None:
    """Returns why this checkout must not change what was applied at `commit`, or `None` if it may, also with
    `allow_rollback`."""
    return None if desired.allow_rollback else desired.checkout.why_not_newer(commit)
