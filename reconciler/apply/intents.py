"""Builds what begins a submission: the draft of its intent with the exact request, or the event of an adoption."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypedDict

from reconciler.apply import protocol
from reconciler.apply.effects import moment
from reconciler.apply.interpreter import World
from reconciler.core.events import Intended, ManuallyAdopted, intent_of
from reconciler.core.identity import Content, Place
from reconciler.core.plan import Action
from reconciler.core.state import Recorded
from reconciler.core.unresolved import is_repeat
from reconciler.model.kind import kind_named
from reconciler.values import dataclass


class RecordedProvenance(TypedDict):
    """The fields in which an event records a `Provenance`."""

    commit: str | None
    uncommitted: bool | None
    actor: str
    tool_version: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """The person or service that applies a plan, and the checkout. Recorded with each intent.

    `commit` is the checked-out commit, or `None` outside git. `uncommitted` is true if the project has changes that are
    not in the commit. `owner` names the process, such as ``host:pid:random``.
    """

    commit: str | None
    actor: str
    tool_version: str
    owner: str
    uncommitted: bool = False

    @property
    def fields(self) -> RecordedProvenance:
        """The values for the fields of an event."""
        return {
            "commit": self.commit,
            "uncommitted": self.uncommitted or None,
            "actor": self.actor,
            "tool_version": self.tool_version,
        }


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """The values that all actions of one apply share. `outdated` returns why the plan of the spec with a name may no
    longer be applied, or `None`; it is part of the precondition of every new submission."""

    place: Place
    world: World
    provenance: Provenance
    claim_seconds: int
    settle_seconds: int
    outdated: Callable[[str, Recorded], str | None] = lambda _name, _recorded: None


def submit_task(action: Action, context: ApplyContext) -> protocol.SubmitTask:
    """Returns the task of a submit action, with the draft of its intent. If a submission is sent again, the same bytes
    are transmitted."""
    token, kind, key = action.client_token or "", kind_named(action.kind), action.key
    content = _content_to_send(action, token, context)
    assert key is not None  # noqa: S101 - a submit has a key
    draft = Intended(
        at="",
        token=token,
        kind=action.kind,
        key=key,
        content=content,
        send=action.send,
        not_after="",
        owner=context.provenance.owner,
        reason=str(action.reason),
        backoff_limit=action.backoff_limit or None,
        settled_slots=action.handled_until,
        **context.provenance.fields,
    )
    earlier = context.world.ledger.recorded.by_token.get(token)
    return protocol.SubmitTask(
        action=action,
        draft=draft,
        operation=kind.operation,
        claim_seconds=context.claim_seconds,
        settle_seconds=context.settle_seconds,
        idempotent=kind.token_field is not None,
        began=earlier.first_intent_at if earlier else None,
        repeats=earlier is not None and is_repeat(earlier, context.settle_seconds),
        outdated=partial(context.outdated, action.name),
    )


def _content_to_send(action: Action, token: str, context: ApplyContext) -> Content:
    """Returns the content with the request to transmit. If the submission was sent before, this is the request of its
    last intent, byte for byte."""
    if not token or action.request is None:
        raise ValueError("a submit without a token or a request")
    if action.send == 1:
        return _as_sent(action, token, context)
    # AWS returns an error if a token is reused with a different request, and the run must match its intent.
    recorded = context.world.ledger.recorded.by_token[token]
    intent = intent_of(context.world.ledger.batch(recorded.intent_position), action.name, token)
    return replace(action.content, request=intent.request, location=recorded.content.location)


def _as_sent(action: Action, token: str, context: ApplyContext) -> Content:
    """Returns the content of an action with our token and tags in the request."""
    request = kind_named(action.kind).as_sent(action.request or {}, token, context.place.owner(action.name))
    return replace(action.content, request=request)


def adoption(action: Action, context: ApplyContext) -> ManuallyAdopted:
    """Returns the event that adopts a run without an intent, as the run of the spec's current content."""
    if not action.client_token or action.key is None or action.request is None or action.run_id is None:
        raise ValueError("an adoption without a key, a token, a request or a run id")
    return ManuallyAdopted(
        at=moment(context.world.clock.now()),
        token=action.client_token,
        kind=action.kind,
        key=action.key,
        content=_as_sent(action, action.client_token, context),
        run_id=action.run_id,
        owner=context.place.owner(action.name),
        reason=str(action.reason),
        **context.provenance.fields,
    )
