"""What the events that begin a submission say: who, from what, which request, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.apply import protocol
from reconciler.apply.effects import moment
from reconciler.apply.interpreter import World
from reconciler.core.absence import is_repeat
from reconciler.core.events import Intended, ManuallyAdopted, intent_of
from reconciler.core.identity import Place
from reconciler.core.plan import Action
from reconciler.model.base import JSON
from reconciler.model.kind import kind_named


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who does this, from what: recorded with each intent.

    `commit` is the checked-out commit, `None` outside git, and `uncommitted` says that it does not hold all; `owner`
    names the process, such as ``host:pid:random``.
    """

    commit: str | None
    actor: str
    tool_version: str
    owner: str
    uncommitted: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """What every action of one pass shares."""

    place: Place
    world: World
    provenance: Provenance
    claim_seconds: int
    settle_seconds: int


def intent(action: Action, task: Task) -> protocol.Intent:
    """The intent of a submit. A further send of the same submission transmits the bytes of the first again."""
    token, kind = action.client_token or "", kind_named(action.kind)
    request, locate = _bytes_to_send(action, token, task)
    earlier = task.world.ledger.recorded.by_token.get(token)

    return protocol.Intent(
        action=action,
        token=token,
        request=request,
        operation=kind.operation,
        claim_seconds=task.claim_seconds,
        settle_seconds=task.settle_seconds,
        idempotent=kind.token_field is not None,
        began=earlier.first_intent_at if earlier else None,
        repeats=earlier is not None and is_repeat(earlier, task.settle_seconds),
        describe=_describing(action, task, token, request, locate),
    )


def _describing(
    action: Action, task: Task, token: str, request: JSON, locate: Mapping[str, str]
) -> Callable[[int, str, str, bool], Intended]:
    """What makes the event of a send from its number, its time and deadline, and whether earlier ones are absent."""

    def describe(number: int, at: str, not_after: str, proven: bool) -> Intended:
        return Intended(
            at=at,
            name=action.name,
            token=token,
            kind=action.kind,
            generation=action.generation,
            slot=action.slot,
            attempt=action.attempt,
            send=number,
            digest=action.digest or "",
            revision=action.revision,
            request=request,
            locate=dict(locate),
            not_after=not_after,
            owner=task.provenance.owner,
            reason=str(action.reason),
            deletion_policy=action.deletion_policy,
            streaming=action.streaming,
            proven=proven or None,
            backoff_limit=action.backoff_limit or None,
            settled_slots=action.settled_slots,
            source=_source(action),
            commit=task.provenance.commit,
            uncommitted=task.provenance.uncommitted or None,
            actor=task.provenance.actor,
            tool_version=task.provenance.tool_version,
        )

    return describe


def _bytes_to_send(action: Action, token: str, task: Task) -> tuple[JSON, Mapping[str, str]]:
    """The request to transmit and where its run will be: of a further send exactly what the last intent holds."""
    if not token or action.request is None:
        raise ValueError("a submit without a token or a request")
    if action.send == 1:
        return kind_named(action.kind).as_sent(action.request, token, task.place.owner(action.name)), action.locate
    recorded = task.world.ledger.recorded.by_token[token]
    intent = intent_of(task.world.ledger.batch(recorded.intent_position), action.name, token)
    return intent.request, recorded.locate


def taken(action: Action, task: Task) -> ManuallyAdopted:
    """The event of a run that no intent stands for: what the spec asks for now is what it counts as."""
    if not action.client_token or action.request is None or action.run_id is None:
        raise ValueError("a run to be taken without a token, a request or a run id")
    return ManuallyAdopted(
        at=moment(task.world.clock.now()),
        name=action.name,
        token=action.client_token,
        kind=action.kind,
        generation=action.generation,
        slot=action.slot,
        attempt=action.attempt,
        digest=action.digest or "",
        revision=action.revision,
        request=kind_named(action.kind).as_sent(action.request, action.client_token, task.place.owner(action.name)),
        locate=dict(action.locate),
        run_id=action.run_id,
        owner=task.place.owner(action.name),
        reason=str(action.reason),
        deletion_policy=action.deletion_policy,
        streaming=action.streaming,
        source=_source(action),
        commit=task.provenance.commit,
        uncommitted=task.provenance.uncommitted or None,
        actor=task.provenance.actor,
        tool_version=task.provenance.tool_version,
    )


def _source(action: Action) -> JSON:
    return {"path": action.source.path, "line": action.source.line} if action.source else {}
