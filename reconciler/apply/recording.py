"""Records what a pass observed, which schedules start or stop, which specs are renamed, and the content that it applied
for each spec, so that the next plan can compare it with git."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.apply.effects import always
from reconciler.apply.intents import Provenance
from reconciler.core import declarations
from reconciler.core.changes import policy_changes
from reconciler.core.due_slots import event_of, missed_by
from reconciler.core.event_codec import encode
from reconciler.core.events import Event, SpecEvent, SpecRenamed, SubmissionEvent, intent_of
from reconciler.core.identity import request_digest
from reconciler.core.plan import SENDS, Action, ActionType, Plan, ScheduleChange
from reconciler.core.ports import Ledger
from reconciler.core.renames import after_renames
from reconciler.core.settings import others_applied, settings_declared_at
from reconciler.core.state import Recorded, SpecRecord
from reconciler.errors import RenameMoved
from reconciler.model.kind import kind_named

AnyDeclared = declarations.Declared | declarations.Undeclared | declarations.ProjectDeclared

MOST_EVENTS = 200
MOST_BYTES = 128 * 1024
"""The maximum number of events in one append, and the maximum size of the declarations in one, so that a batch is far
below DynamoDB's limit of 400 KB per item."""


def record_observations(ledger: Ledger, observed: Sequence[SubmissionEvent]) -> None:
    """Records the states of runs that AWS reported, and the lookups that found no run. Raises `LedgerError`.

    If two passes record the same observation, the second changes nothing.
    """
    for start in range(0, len(observed), MOST_EVENTS):
        ledger.append(observed[start : start + MOST_EVENTS], always)


def outdated_check(plan: Plan) -> Callable[[str, Recorded], str | None]:
    """Returns a function that returns why the plan of a spec may no longer be applied, or `None`: another pass has
    applied other project settings, or other content of the spec."""
    own = {each.name: each for each in plan.declarations}

    def outdated(name: str, recorded: Recorded) -> str | None:
        other_settings = others_applied(plan.settings_digest, plan.ledger_position, recorded)
        return other_settings or _declared_otherwise(recorded.spec(name), own.get(name), plan.ledger_position)

    return outdated


def _declared_otherwise(
    record: SpecRecord, own: declarations.PendingDeclaration | None, ledger_position: int
) -> str | None:
    """Returns the objection to a plan of a spec if another pass has declared other content or another policy of it, or
    its removal, since the plan was made. A declaration does not change the ledger head, because several services may
    declare the same content. `own` is the declaration that the plan itself would record."""
    declared = record.declaration
    if declared is None or declared.position <= ledger_position:
        return None
    if own is not None and (own.content is None) == record.undeclared:
        same = own.content is None or own.content.digest == declared.digest
        if same and not policy_changes(declared.policy, own.policy):
            return None
    return f"another pass applied other content of {record.name} since the plan was created: plan again"


def record_schedule_changes(
    ledger: Ledger, plan: Plan, changes: Sequence[ScheduleChange], now: datetime, actor: str
) -> None:
    """Records which of a plan's schedules start or stop, and which due slots are lost as a result. Skips changes that
    another pass has recorded already, and specs of which another pass has applied other content since the plan was
    made. Raises `LedgerError`."""
    outdated = outdated_check(plan)
    losing = {change for change in changes if missed_by(change, ledger.recorded.spec(change.name), now)}
    others = [change for change in changes if change not in losing]
    batches = [others[start : start + MOST_EVENTS] for start in range(0, len(others), MOST_EVENTS)]
    for batch in (*([change] for change in changes if change in losing), *batches):
        _record_schedules(ledger, batch, outdated, now, actor)


def _record_schedules(
    ledger: Ledger,
    changes: Sequence[ScheduleChange],
    outdated: Callable[[str, Recorded], str | None],
    now: datetime,
    actor: str,
) -> None:
    def events(recorded: Recorded) -> dict[ScheduleChange, tuple[SpecEvent, ...]]:
        valid_still = [change for change in changes if outdated(change.name, recorded) is None]
        made = {change: event_of(change, recorded.spec(change.name), now, actor) for change in valid_still}
        return {
            change: (*missed_by(change, recorded.spec(change.name), now), event)
            for change, event in made.items()
            if event is not None
        }

    wanted = events(ledger.recorded)

    def valid(recorded: Recorded) -> str | None:
        present = events(recorded)
        others = [change.name for change, made in wanted.items() if present.get(change) != made]
        return f"another pass recorded the schedule of {', '.join(others)}, or some of its slots" if others else None

    if wanted:
        ledger.append([event for made in wanted.values() for event in made], valid)


def record_declarations(
    ledger: Ledger,
    pending: Iterable[declarations.PendingDeclaration],
    actions: Sequence[Action],
    at: str,
    provenance: Provenance,
) -> None:
    """Appends declarations in as few batches as possible. Skips a spec if another pass has recorded its declaration
    meanwhile.

    `actions` are the actions that the pass carried out. Their intents already contain most of the requests. Raises
    `LedgerError`.
    """
    sent = {action.name: action for action in actions if action.action in {*SENDS, ActionType.ADOPT}}
    wanted = [each for each in pending if _is_next(each, ledger.recorded)]
    after = {each.name: each for each in wanted}
    for batch in _batches(declaration_of(each, sent.get(each.name), ledger, at, provenance) for each in wanted):

        def valid(recorded: Recorded, names: Sequence[str] = tuple(map(_name, batch))) -> str | None:
            late = [name for name in names if not _is_next(after[name], recorded)]
            return f"another pass declared {', '.join(late)}" if late else None

        ledger.append(batch, valid)


def record_renames(ledger: Ledger, made: Plan, at: str, provenance: Provenance) -> None:
    """Appends the renames of a plan that are not recorded yet. Must run before the plan's actions, because they use the
    new names.

    Raises `LedgerError`, and `RenameMoved` if another pass changed one of the specs since the plan was made.
    """
    while pending := _unrecorded(made, ledger.recorded):
        if moved := _moved(made, pending, ledger.recorded):
            raise RenameMoved(moved, pending[moved])

        def valid(recorded: Recorded, pending: dict[str, str] = pending) -> str | None:
            same = _unrecorded(made, recorded) == pending and _moved(made, pending, recorded) is None
            return None if same else "another pass recorded a rename, or an event of a renamed spec"

        ledger.append([_renamed(name, old, at, provenance) for name, old in pending.items()], valid)


def _unrecorded(made: Plan, recorded: Recorded) -> dict[str, str]:
    """Returns the renames of a plan that are not recorded yet."""
    return {
        name: old
        for name, old in made.renames.items()
        if all(former.name != old for former in recorded.spec(name).former_names)
    }


def _moved(made: Plan, pending: Mapping[str, str], recorded: Recorded) -> str | None:
    """Returns the first renamed spec that changed since the plan was made, because it was declared again or has
    submissions now."""
    after = {each.name: each.after for each in made.declarations}
    for name, old in pending.items():
        if old not in recorded.specs or recorded.spec(name).submissions:
            return name
        if after_renames(recorded, {name: old}).spec(name).declared_at != after.get(name):
            return name
    return None


def _renamed(name: str, old: str, at: str, provenance: Provenance) -> SpecRenamed:
    return SpecRenamed(
        at=at,
        name=name,
        renamed_from=old,
        **provenance.fields,
    )


def _is_next(pending: declarations.PendingDeclaration, recorded: Recorded) -> bool:
    """Returns whether no other declaration of the spec, or of the project file, was recorded first."""
    if pending.kind == declarations.PROJECT_KIND:
        return settings_declared_at(recorded) == pending.after
    return recorded.spec(pending.name).declared_at == pending.after


def _name(event: AnyDeclared) -> str:
    return declarations.PROJECT_NAME if isinstance(event, declarations.ProjectDeclared) else event.name


def _batches(events: Iterable[AnyDeclared]) -> Iterator[list[AnyDeclared]]:
    """Yields the events in batches of limited length and size. An event that exceeds the maximum size is put in a batch
    by itself."""
    batch: list[AnyDeclared] = []
    size = 0
    for event in events:
        more = len(json.dumps(encode(event)))
        if batch and (len(batch) == MOST_EVENTS or size + more > MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += more
    if batch:
        yield batch


def declaration_of(
    pending: declarations.PendingDeclaration, action: Action | None, ledger: Ledger, at: str, provenance: Provenance
) -> AnyDeclared:
    """Returns the event that records the last-applied content of one spec, or the settings of the project file.
    `action` is the action that sent this content, if any."""
    if pending.kind == declarations.PROJECT_KIND:
        return declarations.ProjectDeclared(
            at=at,
            settings=dict(pending.policy),
            **provenance.fields,
        )
    if pending.content is None:
        return declarations.Undeclared(
            at=at,
            name=pending.name,
            **provenance.fields,
        )
    content = pending.content
    bare = declarations.Declared(
        at=at,
        name=pending.name,
        kind=pending.kind,
        digest=content.digest,
        request_digest=request_digest(content.request or {}),
        policy=dict(pending.policy),
        source=content.source,
        **provenance.fields,
    )
    return _with_request(bare, pending, action, ledger)


def _with_request(
    bare: declarations.Declared, pending: declarations.PendingDeclaration, action: Action | None, ledger: Ledger
) -> declarations.Declared:
    """Returns the event with its request or, if the ledger already contains the request, with the location of the
    request."""
    recorded = ledger.recorded
    record = recorded.spec(pending.name)
    request = pending.content.request if pending.content is not None else None
    if action is not None and action.request == request and action.client_token in recorded.by_token:
        submission = recorded.by_token[action.client_token or ""]
        # A further send transmits the request of the first one, which may have other tags or another name than the spec
        # now.
        if action.send == 1 and submission.name == pending.name:
            return replace(bare, token=action.client_token)
    earlier = record.declaration
    if earlier is not None and earlier.request_digest == bare.request_digest:
        if earlier.token is not None:
            return replace(bare, token=earlier.token)
        return replace(bare, request_at=earlier.request_at or earlier.position)
    token = _holder(bare, request or {}, record, ledger)
    return replace(bare, token=token) if token is not None else replace(bare, request=request)


def _holder(
    bare: declarations.Declared, request: Mapping[str, object], record: SpecRecord, ledger: Ledger
) -> str | None:
    """Returns the token of the newest submission of the same content if its intent has exactly this request; otherwise
    `None`."""
    same = next((s for s in reversed(record.submissions) if s.content.digest == bare.digest and not s.applied), None)
    if same is None:
        return None
    events: Sequence[Event] = ledger.batch(same.intent_position)
    intent = intent_of(events, record.name, same.token)
    # Requests of the same content can differ in tags and names, which the digest leaves out.
    return same.token if kind_named(bare.kind).as_written(intent.request) == request else None
