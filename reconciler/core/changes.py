"""Compares the specs in git with the last-applied content, spec by spec. Pure, and independent of what a pass does now.

Only git and the declaration in the ledger are compared. Due slots and retries never hide a difference; the actions of
the plan only determine when the difference takes effect.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from reconciler.core.cron import next_slot
from reconciler.core.decide_scheduled import missed_words
from reconciler.core.declarations import PendingDeclaration
from reconciler.core.desired import Desired, DesiredSpec, stale_message
from reconciler.core.due_slots import lost_slots
from reconciler.core.identity import digests
from reconciler.core.plan import COUNTED, SENDS, Action, ActionType, Change, ChangeType, Effect, Reason, SpecChange
from reconciler.core.settings import differences, leaves
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.core.times import MissedReason, parse_time
from reconciler.model.spec import PLAIN_POLICY, Policy
from reconciler.values import dataclass

LEGACY_STOPS = {"removed", "unscheduled"}  # changes that end a schedule


@dataclass(frozen=True, slots=True)
class Applied:
    """The last-applied content of a spec, as far as the ledger records it.

    `policy` contains the known fields. `same_request` is true if the request in git is the same. `compared_with`,
    `token` and `slot` locate the request in the ledger, as in `SpecChange`.
    """

    kind: str
    policy: Mapping[str, Any] = field(default_factory=dict)
    same_request: bool = True
    compared_with: int | None = None
    token: str | None = None
    slot: str | None = None


def policy_json(spec: DesiredSpec) -> Mapping[str, Any]:
    """Returns every field of the effective policy of a spec, as JSON."""
    return _dumped(spec.policy)


@lru_cache(maxsize=1024)
def _dumped(policy: Policy) -> Mapping[str, Any]:
    return policy.model_dump(mode="json")


def changes(
    desired: Desired,
    recorded: Recorded,
    names: Iterable[str],
    actions: Iterable[Action],
    created_at: str,
    *,
    renames: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[SpecChange]:
    """Yields one change for each of `names`, in this order. All of them must differ between git and the last-applied
    content.

    `actions` and `created_at` are the actions and the time of the plan, and `renames` maps renamed specs to their
    former names.
    """
    by_name: dict[str, list[Action]] = {}
    for action in actions:
        by_name.setdefault(action.name, []).append(action)
    for name in names:
        record, spec = recorded.spec(name), desired.specs.get(name)
        stale = stale_message(record, desired)
        mine = by_name.get(name, [])
        if stale is not None:
            effect = ChangeEffect(message=stale)
        elif spec is None:
            effect = effect_of_removal(record, mine, parse_time(created_at), stops=bool(desired.names))
        else:
            effect = effect_of_spec(spec, record, mine, parse_time(created_at), renames.get(name))
        yield _change(spec, record, effect, stale=stale is not None, renamed_from=renames.get(name))


def pending_declarations(
    desired: Desired, recorded: Recorded, names: Iterable[str], different: Collection[str]
) -> Iterator[PendingDeclaration]:
    """Yields the declarations that an apply records: one for each spec that is in `different` or not declared yet,
    unless this checkout may not change the spec. An empty project does not count as a removal of its specs."""
    for name in names:
        record, spec = recorded.spec(name), desired.specs.get(name)
        declared = spec is None or record.declaration is not None
        if (name not in different and declared) or (spec is None and not desired.names):
            continue
        if name in different and stale_message(record, desired) is not None:
            continue
        if spec is None:
            yield PendingDeclaration(name, recorded_kind(record), record.declared_at)
        else:
            yield PendingDeclaration(name, spec.kind, record.declared_at, spec.content, policy_json(spec))


def differs(spec: DesiredSpec | None, record: SpecRecord) -> bool:
    """Returns whether a spec in git differs from its last-applied content. If the ledger has no declaration of the
    spec, only the known fields are compared."""
    if spec is None:
        return is_applied(record)
    applied = _applied(spec, record)
    return (
        applied is None
        or not applied.same_request
        or applied.kind != spec.kind
        or bool(policy_changes(applied.policy, policy_json(spec)))
    )


def is_applied(record: SpecRecord) -> bool:
    """Returns whether the spec counts as applied, so that its removal is a change."""
    if record.declaration is not None:
        return not record.undeclared
    schedule = record.schedule
    return bool(record.live) or (schedule is not None and schedule.stopped is None)


def _applied(spec: DesiredSpec, record: SpecRecord) -> Applied | None:
    """Returns the last-applied content, compared with git, or `None` if nothing was applied or the spec was already
    removed from git."""
    declared = record.declaration
    if record.undeclared:
        return None
    if declared is None or not declared.digest:
        return _legacy(spec, record)
    holder = declared.request_at or declared.position
    if declared.token is not None:
        holder = next((s.intent_position for s in record.submissions if s.token == declared.token), holder)
    same, defaults, policy = declared.request_digest == spec.request_digest, _defaults(), declared.policy
    return Applied(
        declared.kind,
        policy if policy.keys() >= defaults.keys() else {**defaults, **policy},
        same,
        None if same else holder,
        None if same else declared.token,
    )


def _legacy(spec: DesiredSpec, record: SpecRecord) -> Applied | None:
    """Returns the last-applied content in a ledger without declarations. It is derived from the newest submission that
    counts, and from the recorded schedule."""
    last, schedule = record.baseline or record.newest, record.schedule
    if last is None and schedule is None:
        return None
    policy: dict[str, Any] = {}
    if schedule is None or schedule.stopped in LEGACY_STOPS:
        policy["schedule"] = None
    else:
        policy |= {"schedule": schedule.schedule, "timeZone": schedule.time_zone}
    if last is None:
        return Applied(spec.kind, policy)
    # Of the policy, an intent records only these two fields.
    policy |= {"deletionPolicy": last.content.deletion_policy, "revision": last.revision}
    same = last.digest == spec.digest or _revision_only(last.revision, last.digest, spec)
    # Content that was accepted without a run has no recorded request.
    if same or last.applied:
        return Applied(last.kind, policy)
    return Applied(last.kind, policy, same, last.intent_position, last.token, last.slot)


def _revision_only(revision: int, before: str, spec: DesiredSpec) -> bool:
    """Returns whether the revision is the only difference among the values from which the digest is computed."""
    return revision != spec.policy.revision and before in digests(spec.kind, revision, spec.request)


@cache
def _defaults() -> Mapping[str, Any]:
    """Returns every field of an empty policy. They are the defaults for fields that older declarations do not have."""
    return PLAIN_POLICY.model_dump(mode="json")


def policy_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Change, ...]:
    """Returns the differences between two policies, sorted by path. Only fields that are known for the earlier policy
    are compared."""
    if before == after or all(before[name] == after.get(name) for name in before):
        return ()
    compared = {name: after[name] for name in after if name in before}
    return tuple(differences(dict(leaves(before)), dict(leaves(compared))))


def _change(
    spec: DesiredSpec | None, record: SpecRecord, effect: ChangeEffect, *, stale: bool, renamed_from: str | None = None
) -> SpecChange:
    """Returns the change of one spec that differs from its last-applied content."""
    declared = record.declaration
    commit = declared.commit if declared is not None else None
    applied = _applied(spec, record) if spec is not None else None
    fields: tuple[Change, ...] = ()
    if spec is None:
        change = ChangeType.REMOVED
    elif applied is None:
        change, fields = ChangeType.ADDED, policy_changes(_plain_policy(spec), policy_json(spec))
    else:
        change, fields = ChangeType.CHANGED, policy_changes(applied.policy, policy_json(spec))
        if applied.kind != spec.kind:
            fields = (Change("kind", "change", applied.kind, spec.kind), *fields)
    return SpecChange(
        name=record.name,
        kind=spec.kind if spec is not None else recorded_kind(record),
        change=change if renamed_from is None else ChangeType.RENAMED,
        effect=effect.effect,
        message=effect.message,
        effect_at=effect.at,
        fields=fields,
        declared_commit=commit,
        content=spec.content if spec is not None else None,
        time_zone=spec.policy.timeZone if spec is not None else "UTC",
        compared_with=applied.compared_with if applied is not None else None,
        token=applied.token if applied is not None else None,
        compared_slot=applied.slot if applied is not None else None,
        stale=stale,
        renamed_from=renamed_from,
        compared_name=record.name_at(applied.compared_with or 0) if applied is not None else "",
    )


def _plain_policy(spec: DesiredSpec) -> Mapping[str, Any]:
    """Returns the policy of a spec that sets no policy fields. The policy of an added spec is compared with it."""
    return Policy().effective(streaming=spec.content.streaming).model_dump(mode="json")


def recorded_kind(record: SpecRecord) -> str:
    """Returns the kind of a removed spec, or an empty string if none is recorded."""
    declared, schedule = record.declaration, record.schedule
    if declared is not None and declared.kind:
        return declared.kind
    return record.newest.kind if record.newest is not None else schedule.kind if schedule is not None else ""


STANDS = frozenset({ActionType.WAIT, ActionType.HOLD})
NEXT_ONE = "starts no run; takes effect with the next run"


@dataclass(frozen=True, slots=True)
class ChangeEffect:
    """The effect of a change, a sentence that describes it, and the slot of a `NEXT_SLOT`."""

    effect: Effect = Effect.NO_RUN
    message: str = ""
    at: str | None = None


def effect_of_spec(
    spec: DesiredSpec, record: SpecRecord, actions: Sequence[Action], now: datetime, renamed_from: str | None = None
) -> ChangeEffect:
    """Returns the effect of a new, changed or renamed spec."""
    own = _of_content(spec, record, actions, now)
    if renamed_from is None:
        return own
    takes_over = f"takes over the record of {renamed_from}"
    if own.effect is not Effect.NO_RUN:
        return replace(own, message=_joined(takes_over, own.message))
    if record.live:
        runs = "; ".join(f"run {run.run_id} keeps running" for run in record.live)
        return ChangeEffect(Effect.RUN_GOES_ON, _joined(takes_over, runs))
    note = "starts no run" if own.message == NEXT_ONE else own.message
    return ChangeEffect(message=_joined(takes_over, note))


def _of_content(spec: DesiredSpec, record: SpecRecord, actions: Sequence[Action], now: datetime) -> ChangeEffect:
    stops = _schedule_that_leaves(record, now) if spec.policy.schedule is None else ""
    sent = next((action for action in actions if action.action in SENDS and action.reason in COUNTED), None)
    if sent is not None:
        replaced = sent.message if sent.action is ActionType.REPLACE else ""
        return ChangeEffect(Effect.RUNS_NOW, _joined(replaced, stops))
    if spec.policy.schedule is not None:
        return _of_scheduled(spec, record, actions, now)
    adopted = next((a for a in actions if a.action is ActionType.ADOPT), None)
    if adopted is not None:
        return ChangeEffect(message=f"run {adopted.run_id} is adopted")
    baseline = record.baseline
    if baseline is None or baseline.digest != spec.digest or baseline.replaced:
        waiting = next((a for a in actions if a.action in STANDS), None)
        if waiting is not None:
            return ChangeEffect(Effect.WAITS, _joined(_waiting(waiting, spec), stops))
    if stops:
        return ChangeEffect(message=stops)
    return ChangeEffect(message=NEXT_ONE)


def _of_scheduled(spec: DesiredSpec, record: SpecRecord, actions: Sequence[Action], now: datetime) -> ChangeEffect:
    """Returns the effect on a spec with a schedule: the slot due now, the wait of the spec, or the next slot."""
    suspended = next((a for a in actions if a.action is ActionType.WAIT and a.reason is Reason.SUSPENDED), None)
    if suspended is not None:
        return ChangeEffect(Effect.WAITS, _joined(_waiting(suspended, spec), _schedule_that_pauses(record)))
    due = [a for a in actions if a.slot is not None and a.digest == spec.digest and a.attempt == 1]
    sent = next((a for a in due if a.action in SENDS), None)
    if sent is not None:
        return ChangeEffect(Effect.NEXT_SLOT, f"takes effect with the slot {_short(sent.slot)}", sent.slot)
    # A wait of a recorded submission is not an effect of this change.
    waiting = next((a for a in due if a.action is ActionType.WAIT and a.client_token not in _tokens(record)), None)
    if waiting is not None:
        return ChangeEffect(Effect.WAITS, _waiting(waiting, spec), waiting.slot)
    slot = next_slot(spec.policy.schedule or "", spec.policy.timeZone, now)
    if slot is None:
        return ChangeEffect(message="starts no run: the schedule has no further slot")
    return ChangeEffect(Effect.NEXT_SLOT, f"takes effect with the slot {_short(slot)}", slot)


def _tokens(record: SpecRecord) -> set[str]:
    return {submission.token for submission in record.submissions}


def _short(slot: str | None) -> str:
    """Returns a slot in a short form without seconds: ``2026-11-29T02:00Z``."""
    return (slot or "").replace(":00Z", "Z")


def _waiting(action: Action, spec: DesiredSpec) -> str:
    """Returns ``waits for run 00f1… (Forbid)``, or the message of the action."""
    if action.reason is Reason.CONCURRENCY and action.run_id is not None:
        return f"waits for run {action.run_id} ({spec.policy.concurrencyPolicy})"
    return f"waits: {action.message}" if action.message else f"waits: {action.reason}"


def _schedule_that_stops(record: SpecRecord) -> str:
    schedule = record.schedule
    return f"schedule stops: {schedule.schedule}" if schedule is not None and schedule.stopped is None else ""


def _schedule_that_leaves(record: SpecRecord, now: datetime) -> str:
    """Returns a sentence about a schedule that was removed from a spec, and about its due slots, which never run."""
    lost = lost_slots(record, now, MissedReason.RESCHEDULED)
    return _joined(_schedule_that_stops(record), *map(missed_words, lost))


def _suspended_schedule(record: SpecRecord) -> str:
    """Returns a sentence about the schedule of a spec that was removed from git while it was suspended. It is empty
    without a schedule."""
    declared = record.declaration.policy.get("schedule") if record.declaration is not None else None
    return f"schedule stops: {declared} (it was suspended)" if declared else ""


def _schedule_that_pauses(record: SpecRecord) -> str:
    return _schedule_that_stops(record).replace("schedule stops", "schedule pauses")


def effect_of_removal(record: SpecRecord, actions: Sequence[Action], now: datetime, *, stops: bool) -> ChangeEffect:
    """Returns the effect of removing a spec from git: which runs are cancelled or keep running, which schedule stops,
    and which due slots never run."""
    if not stops:
        return ChangeEffect(
            Effect.RUN_GOES_ON if record.live else Effect.NO_RUN,
            "nothing is stopped, because the project has no spec for this target",
        )
    stops_schedule = _schedule_that_stops(record) or _suspended_schedule(record)
    schedule = _joined(stops_schedule, *map(missed_words, lost_slots(record, now, MissedReason.REMOVED)))
    cancelled = {a.run_id for a in actions if a.action is ActionType.CANCEL and a.reason is Reason.SPEC_REMOVED}
    waiting = next((a for a in actions if a.action is ActionType.WAIT and a.reason is Reason.SUSPENDED), None)
    if not cancelled and waiting is not None and record.live:
        return ChangeEffect(Effect.WAITS, _joined(f"waits: {waiting.message}", schedule))
    message = _joined(*(_end_of_run(run, cancelled) for run in record.live), schedule) or "starts and stops no run"
    if not record.live:
        return ChangeEffect(message=message)
    goes_on = not cancelled and any(run.cancel_asked_at is None for run in record.live)
    return ChangeEffect(Effect.RUN_GOES_ON if goes_on else Effect.RUN_IS_CANCELLED, message)


def _end_of_run(run: Submission, cancelled: Collection[str | None]) -> str:
    """Returns a phrase such as ``run 00f1… keeps running (deletionPolicy Orphan)``."""
    if run.run_id in cancelled:
        return f"run {run.run_id} is cancelled (deletionPolicy Cancel)"
    if run.cancel_asked_at is not None:
        return f"run {run.run_id} was asked to stop"
    return f"run {run.run_id} keeps running (deletionPolicy {run.content.deletion_policy})"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
