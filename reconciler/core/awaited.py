"""Computes the progress of the runs that a command waits for, from the plan and the ledger after a pass."""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from enum import StrEnum

from reconciler.core.desired import DesiredSpec
from reconciler.core.identity import SubmissionKey
from reconciler.core.plan import SENDS, Action, ActionType, Plan, Reason
from reconciler.core.state import Recorded, RunState, SpecRecord, Submission
from reconciler.model.kind import kind_named
from reconciler.values import dataclass

PASSING = frozenset({
    Reason.CONCURRENCY, Reason.BACKOFF, Reason.SETTLING, Reason.REPLACING, Reason.QUOTA, Reason.LIMIT,
})  # fmt: skip
"""The reasons for waits that end without an operator."""


class Progress(StrEnum):
    """The progress of a run. `HELD` means that the submission needs an operator, or that it waits for something that
    will not happen while the command waits."""

    MOVING = "moving"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Awaited:
    """A run that a command waits for: the key of its first attempt, its progress, and its newest submission, if there
    is one.

    `state` is a word such as ``running``; `message` is the reason for a wait or a hold.
    """

    key: SubmissionKey
    progress: Progress
    state: str
    message: str = ""
    submission: Submission | None = None


def keys_of_plan(plan: Plan) -> frozenset[SubmissionKey]:
    """Returns the keys of the runs that a plan submits, retries or adopts, and of the runs that wait for a dependency,
    another run of the spec or a later attempt. Suspended runs are left out, because only an operator ends a
    suspension."""
    kinds = {*SENDS, ActionType.ADOPT}
    return frozenset(
        first(action.key)
        for action in plan.actions
        if action.key is not None and (action.action in kinds or _passes(action))
    )


def open_keys(recorded: Recorded, plan: Plan, names: Collection[str] | None) -> frozenset[SubmissionKey]:
    """Returns the keys of the live and unresolved runs of the specs in `names`, and of their runs in `keys_of_plan`. If
    `names` is `None`, all specs are included."""
    records = [record for name, record in recorded.specs.items() if names is None or name in names]
    open_runs = {first(s.key) for record in records for s in (*record.live, *record.unresolved)}
    return frozenset(open_runs | {key for key in keys_of_plan(plan) if names is None or key.name in names})


def first(key: SubmissionKey) -> SubmissionKey:
    """Returns the key of the first attempt, which identifies a generation or a slot."""
    return replace(key, attempt=1)


def _passes(action: Action) -> bool:
    return action.action is ActionType.WAIT and (action.reason in PASSING or action.reason is Reason.DEPENDENCY)


def progress(
    keys: Collection[SubmissionKey], plan: Plan, recorded: Recorded, specs: Mapping[str, DesiredSpec]
) -> list[Awaited]:
    """Returns the progress of each run, sorted by name and then from oldest to newest. `plan` is the plan of the newest
    pass, `recorded` is the state after it, and `specs` are the specs of the target."""
    actions = {first(action.key): action for action in plan.actions if action.key is not None}
    alone = {key: _alone(key, actions.get(key), recorded, specs) for key in keys}
    behind = set[str]()
    if any(each is None for each in alone.values()):
        moving = {key.name for key, each in alone.items() if each is not None and each.progress is Progress.MOVING}
        behind = _behind(moving | {name for name, record in recorded.specs.items() if _is_open(record)}, specs)
    # Of several actions of a spec, the first one counts.
    causes = _causes({action.name: action for action in reversed(plan.actions)}, specs)
    awaited = [
        each if each is not None else _gated(actions[key], key, behind, causes.get(key.name))
        for key, each in alone.items()
    ]
    return sorted(awaited, key=lambda each: (each.key.name, each.key.generation or 0, each.key.slot or ""))


def _alone(
    key: SubmissionKey, action: Action | None, recorded: Recorded, specs: Mapping[str, DesiredSpec]
) -> Awaited | None:
    """Returns the progress of a run, or `None` if it depends on runs that this run waits for."""
    last = _newest(recorded, key)
    if action is not None and action.effective:
        return Awaited(key, Progress.MOVING, _word(last), action.message, last)
    if action is not None and action.action is ActionType.WAIT:
        if action.reason is Reason.DEPENDENCY:
            return None
        passes = action.reason in PASSING and not action.overdue
        return Awaited(key, Progress.MOVING if passes else Progress.HELD, _word(last), action.message, last)
    if action is not None and action.action is ActionType.HOLD:
        failed = last is not None and last.run_state in {RunState.FAILED, RunState.CANCELLED}
        return Awaited(key, Progress.FAILED if failed else Progress.HELD, _word(last), action.message, last)
    if last is None:
        return Awaited(key, Progress.HELD, "none", "it was not submitted")
    return Awaited(key, _progress_of(last, specs.get(last.name)), _word(last), last.aws_words, last)


def _progress_of(last: Submission, spec: DesiredSpec | None) -> Progress:
    """Returns the progress of the newest attempt."""
    if last.unresolved:
        return Progress.MOVING
    if last.live:
        # A running stream counts as succeeded, because it runs until it is stopped.
        streams = spec is not None and kind_named(spec.kind).is_streaming(spec.request)
        runs = streams and last.run_state is RunState.RUNNING and last.cancel_asked_at is None
        return Progress.SUCCEEDED if runs else Progress.MOVING
    done = last.run_state is RunState.SUCCEEDED or last.applied
    return Progress.SUCCEEDED if done else Progress.FAILED if last.run_state is not None else Progress.HELD


def _gated(action: Action, key: SubmissionKey, behind: Collection[str], cause: Action | None) -> Awaited:
    """Returns the progress of a run that waits for its dependencies. `behind` contains the specs whose runs may still
    be submitted; all others are on hold, and `cause` is the action that stops them."""
    if key.name in behind:
        return Awaited(key, Progress.MOVING, "waiting", action.message)
    is_named = cause is not None and cause.run_id is not None and cause.run_id in action.message
    why = "" if cause is None or is_named else f"; {cause.name}: {cause.message or cause.reason}"
    return Awaited(key, Progress.HELD, "waiting", action.message + why)


def _causes(actions: Mapping[str, Action], specs: Mapping[str, DesiredSpec]) -> dict[str, Action]:
    """Returns, by name, the action that stops the specs which a spec directly or indirectly depends on: a hold, or a
    wait for something other than a dependency."""
    waits = {name: each for name, each in actions.items() if each.action in {ActionType.HOLD, ActionType.WAIT}}
    dependents, causes = _dependents(specs), dict[str, Action]()
    rest = deque((name, each) for name, each in waits.items() if each.reason is not Reason.DEPENDENCY)
    while rest:
        stopped, cause = rest.popleft()
        fresh = [name for name in dependents[stopped] if name not in causes]
        causes.update(dict.fromkeys(fresh, cause))
        rest += [(name, cause) for name in fresh if name in waits and waits[name].reason is Reason.DEPENDENCY]
    return causes


def _dependencies(spec: DesiredSpec | None) -> list[str]:
    """Returns the names of the specs that a spec depends on."""
    if spec is None:
        return []
    named = kind_named(spec.kind).spec_dependencies(spec.request)
    return [*(dependency.name for dependency in spec.policy.dependsOn), *named]


def _behind(names: Iterable[str], specs: Mapping[str, DesiredSpec]) -> set[str]:
    """Returns the names of the specs that directly or indirectly depend on one of `names`."""
    dependents = _dependents(specs)
    behind, rest = set[str](), [*names]
    while rest:
        fresh = [name for name in dependents.pop(rest.pop(), ()) if name not in behind]
        behind.update(fresh)
        rest += fresh
    return behind


def _dependents(specs: Mapping[str, DesiredSpec]) -> defaultdict[str, list[str]]:
    """Returns the names of the specs that depend on each spec."""
    dependents = defaultdict[str, list[str]](list)
    for spec in specs.values():
        for name in _dependencies(spec):
            dependents[name].append(spec.name)
    return dependents


def _is_open(record: SpecRecord) -> bool:
    return bool(record.live or record.unresolved)


def _newest(recorded: Recorded, key: SubmissionKey) -> Submission | None:
    record = recorded.specs.get(key.name)
    attempts = [s for s in record.submissions if first(s.key) == key] if record is not None else []
    return attempts[-1] if attempts else None


def _word(last: Submission | None) -> str:
    return "waiting" if last is None else str(last.run_state or last.phase)
