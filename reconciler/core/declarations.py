"""Declarations: the events that record the last-applied content of a spec, or the last-applied settings of the project
file, and the values to which they are folded.

A pass that acts on new content of a spec records a declaration, which contains the policy, and the request before
``${run.slot}`` is rendered. A declaration neither starts a run nor makes a plan stale. The next plan compares it with
git.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, ClassVar

from reconciler.core.event_fields import Flag, Number, Request, Text
from reconciler.core.events import Event, SpecEvent
from reconciler.core.identity import Content, Source
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared(SpecEvent):
    """A pass acted on this content of a spec.

    `policy` has every field of the effective policy. The request is stored once: in `request`, in the intent of the
    submission `token`, or in an earlier declaration of the spec, at the ledger position `request_at`.
    """

    type: ClassVar[str] = "declared"
    kind: Text
    digest: Text
    request_digest: Text
    policy: Request
    request: Request | None = None
    token: Text | None = None
    request_at: Number | None = None
    source: Source | None = None
    commit: Text | None = None
    uncommitted: Flag | None = None
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Undeclared(SpecEvent):
    """The spec was removed from git, and a pass acted on its removal."""

    type: ClassVar[str] = "undeclared"
    commit: Text | None = None
    uncommitted: Flag | None = None
    actor: Text
    tool_version: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDeclared(Event):
    """A pass acted on these settings of the project file (`core.settings`): those of the project, and those of the
    target that the ledger belongs to."""

    type: ClassVar[str] = "project-declared"
    settings: Request
    commit: Text | None = None
    uncommitted: Flag | None = None
    actor: Text
    tool_version: Text


PROJECT_NAME, PROJECT_KIND = "reconciler.yaml", "Project"
"""The name and the kind that stand for the project file in the changes and the declarations of a plan. No spec has such
a name."""


@dataclass(frozen=True, slots=True)
class ProjectDeclaration:
    """The newest declaration of the project file: the position of its event, the settings, and the commit of the newest
    declaration that had one (`None` if all were made outside git). If secrets in the settings are masked, `digest` is
    the digest of the complete settings."""

    position: int
    commit: str | None
    settings: Mapping[str, Any]
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The newest declaration of a spec.

    `position` is the position of its event, and `commit` is the commit of its content (`None` outside git). `token` and
    `request_at` are as in `Declared`; if both are empty, the event at `position` contains the request. The other fields
    are empty if only the removal of the spec is recorded.
    """

    position: int
    commit: str | None
    kind: str = ""
    digest: str = ""
    request_digest: str = ""
    policy: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None
    request_at: int | None = None


@dataclass(frozen=True, slots=True)
class PendingDeclaration:
    """The declaration that an apply records for one spec: its content and policy or, without content, its removal from
    git. For the project file (`PROJECT_KIND`), `policy` contains its settings.

    `after` is the ledger position of the previous declaration, or 0 if this is the first.
    """

    name: Text
    kind: Text
    after: Number
    content: Content | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)


def declaration(event: Declared, position: int) -> Declaration:
    """Returns the declaration that the event at `position` records."""
    return Declaration(
        position,
        event.commit,
        event.kind,
        event.digest,
        event.request_digest,
        event.policy,
        event.token,
        event.request_at,
    )


def withdrawn(event: Undeclared, position: int, before: Declaration | None) -> Declaration:
    """Returns the last declaration of a spec that was removed from git, with the position and commit of its removal."""
    return replace(before or Declaration(position, None), position=position, commit=event.commit)
