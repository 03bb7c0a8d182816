"""Contains what the text and Markdown forms of a plan share: its order, its phrases and its signs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace

from reconciler.core.changes import STANDS
from reconciler.core.declarations import PROJECT_KIND
from reconciler.core.plan import (
    COUNTED,
    SENDS,
    Action,
    ActionType,
    Change,
    ChangeType,
    Effect,
    Plan,
    Reason,
    ScheduleChange,
    SpecChange,
)
from reconciler.core.settings import change_of_settings
from reconciler.core.suggestions import SuggestedCommands
from reconciler.model.base import JSON
from reconciler.model.kind import MODULES, kind_named
from reconciler.redact.request import masked
from reconciler.render.diff import fields, path_text
from reconciler.render.text import count, plain
from reconciler.values import dataclass

UNKNOWN_REASONS = frozenset({Reason.UNKNOWN, Reason.SETTLING, Reason.LOST, Reason.CONFLICT})
UNKNOWN_SYMBOL = "?"
SYMBOLS = {
    ActionType.SUBMIT: "+",
    ActionType.REPLACE: "±",
    ActionType.ADOPT: "<=",
    ActionType.CANCEL: "-",
    ActionType.SKIP: "/",
    ActionType.WAIT: "…",
    ActionType.HOLD: "!",
    ActionType.NONE: "=",
}
SYMBOL_COLOURS = {
    "+": "green", "±": "yellow", "<=": "cyan", "-": "red", "/": "dim", "…": "dim", "!": "red", "=": "dim",
    "?": "yellow", "~": "yellow",
}  # fmt: skip


def symbol(action: Action) -> str:
    """Returns the sign of an action. The sign is ``?`` if it is unknown whether a job ran or which run belongs to the
    action."""
    return UNKNOWN_SYMBOL if action.reason in UNKNOWN_REASONS and not action.effective else SYMBOLS[action.action]


def symbol_word(sign: str) -> str:
    """Returns the meaning of a sign, for the legend."""
    return "unknown" if sign == UNKNOWN_SYMBOL else next(str(kind) for kind, s in SYMBOLS.items() if s == sign)


def reason_words(reason: Reason) -> str:
    """Converts ``spec-changed`` to ``spec changed``."""
    return str(reason).replace("-", " ")


def which_run(action: Action) -> str:
    """Returns ``generation 3`` or ``slot 2026-11-22T02:00:00Z, attempt 2``, or an empty string if the action is not
    about a run."""
    return action.key.label if action.key else ""


def what_happens(action: Action) -> str:
    """Returns a phrase such as ``will be submitted: spec changed (generation 3)``."""
    run = f"run {action.run_id}" if action.action in {ActionType.ADOPT, ActionType.CANCEL} else ""
    about = ", ".join(part for part in (run, which_run(action)) if part)
    return f"{_verb(action)}: {reason_words(action.reason)}" + (f" ({about})" if about else "")


VERBS = {
    ActionType.SUBMIT: "will be submitted",
    ActionType.REPLACE: "will replace its run",
    ActionType.ADOPT: "will be adopted",
    ActionType.CANCEL: "will be cancelled",
    ActionType.SKIP: "will be skipped",
    ActionType.WAIT: "is waiting",
    ActionType.HOLD: "is on hold",
    ActionType.NONE: "needs no action",
}


def _verb(action: Action) -> str:
    if action.action is ActionType.SUBMIT and action.send != 1:
        return "will be sent again"
    if action.action is ActionType.REPLACE and action.replaces:
        return f"will replace run {action.replaces}"
    return VERBS[action.action]


def suggested_lines(suggested: SuggestedCommands) -> Iterator[str]:
    """Yields a line with the time since which the outcome has been unknown, then one line for each command that an
    operator can run."""
    unknown = f"Unknown since {suggested.since}, settles at {suggested.settles_at}. " if suggested.since else ""
    yield plain(f"{unknown}To resolve it, run{' one of' if len(suggested.commands) > 1 else ''}:")
    yield from (f"  {plain(command)}" for command in suggested.commands)


TOTALS = {
    ActionType.SUBMIT: "to submit now",
    ActionType.REPLACE: "to replace",
    ActionType.ADOPT: "to adopt",
    ActionType.CANCEL: "to cancel",
    ActionType.SKIP: "to skip",
    ActionType.WAIT: "waiting",
    ActionType.HOLD: "held",
}


def summary_line(plan: Plan) -> str:
    """Returns ``Plan: 2 to submit now, 3 changes take effect later, 1 removed. 54 in sync.``, or ``No changes. 57 in
    sync.`` if git and the ledger agree and there is nothing to do."""
    changed = {change.name for change in plan.changes}
    waiting = {change.name for change in plan.changes if change.effect is Effect.WAITS}
    counts = Counter(a.action for a in plan.actions if a.action not in STANDS or a.name not in waiting)
    later = sum(change.takes_effect_later for change in plan.changes)
    parts = list(_settings(plan))
    parts += [f"{counts[kind]} {words}" for kind, words in TOTALS.items() if counts[kind] and kind not in STANDS]
    if later:
        parts.append(f"{count(later, 'change takes', 'changes take')} effect later")
    removed = sum(change.change is ChangeType.REMOVED and not change.stale for change in plan.changes)
    if removed:
        parts.append(f"{removed} removed")
    if plan.renames:
        parts.append(f"{len(plan.renames)} renamed")
    parts += [f"{counts[kind]} {words}" for kind, words in TOTALS.items() if counts[kind] and kind in STANDS]
    parts += _schedules([change for change in plan.schedule_changes if change.name not in changed])
    rest = [a for a in plan.actions if a.action is ActionType.NONE and a.name not in changed]
    retired = sum(action.reason is Reason.RETIRED for action in rest)
    in_sync = f"{len(rest) - retired} in sync" + (f", {retired} retired" if retired else "")
    if plan.pending or plan.schedule_changes or plan.changes:
        return (f"Plan: {', '.join(parts)}. {in_sync}." if parts else f"Plan: {in_sync}.") + _origins(plan)
    return "No changes. " + ", ".join([*parts, in_sync]) + "."


def _settings(plan: Plan) -> Iterator[str]:
    if (change := change_of_settings(plan)) is not None:
        yield f"{count(len(change.fields), 'setting')} {'on hold' if change.stale else 'changed'}"


def _origins(plan: Plan) -> str:
    """Returns `` Changes: 2 this-change, 1 already-on-base.``, or an empty string without a base."""
    counts = [f"{number} {origin}" for origin, number in plan.origins().items()]
    return f" Changes: {', '.join(counts)}." if counts else ""


def origin_words(change: SpecChange) -> str:
    """Returns words such as ``this-change; the base has another pending change to it``, or an empty string without a
    base."""
    note = f"; {change.origin_note}" if change.origin_note else ""
    return f"{change.origin}{note}" if change.origin is not None else ""


def _schedules(changes: Sequence[ScheduleChange]) -> Iterator[str]:
    stopping = sum(change.stopped is not None for change in changes)
    for verb, number in (("start", len(changes) - stopping), ("stop", stopping)):
        if number:
            yield f"{count(number, 'schedule')} to {verb}"


def next_slots(plan: Plan) -> dict[str, str]:
    """Returns the next slot of each spec with a schedule, sorted by name, with a note if the schedule starts with the
    next apply."""
    starting = {change.name for change in plan.schedule_changes if change.stopped is None}
    note = ", after an apply has started its schedule"
    return {a.name: a.next_slot + (note if a.name in starting else "") for a in plan.actions if a.next_slot is not None}


REQUEST = "request."
WORDS = {ChangeType.ADDED: "is added", ChangeType.CHANGED: "changes", ChangeType.REMOVED: "is removed"}


def change_words(change: SpecChange) -> str:
    """Returns ``is added`` or ``is renamed from orders``."""
    if change.stale and change.kind == PROJECT_KIND:
        return "is on hold: stale checkout"
    return f"is renamed from {change.renamed_from}" if change.renamed_from is not None else WORDS[change.change]


@dataclass(frozen=True, slots=True)
class Block:
    """One block of a plan: a change with the action that carries it out, or only one of the two."""

    change: SpecChange | None
    action: Action | None


def blocks_of(plan: Plan) -> list[Block]:
    """Returns the blocks of a plan in order, without actions that do nothing."""
    by_name: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_name.setdefault(action.name, []).append(action)
    first: list[Block] = []
    taken: set[int] = set()
    for change in plan.changes:
        causes = _causes(change, by_name.get(change.name, ()))
        first.append(Block(change, causes[0] if causes else None))
        first += [Block(None, cause) for cause in causes[1:]]
        taken |= {id(cause) for cause in causes}
    rest = [a for a in plan.actions if id(a) not in taken and a.action is not ActionType.NONE]
    # Changes that are on hold come next to the other holds, not among the changes that will be made.
    held = [each for each in first if each.change is not None and each.change.stale]
    return [
        *(each for each in first if each.change is None or not each.change.stale),
        *(Block(None, action) for action in rest if not _is_held(action)),
        *held,
        *(Block(None, action) for action in rest if _is_held(action)),
    ]


def _is_held(action: Action) -> bool:
    return action.action is ActionType.HOLD or action.reason is Reason.SETTLING


def _causes(change: SpecChange, actions: Sequence[Action]) -> list[Action]:
    """Returns the actions that carry out or prevent a change."""
    if change.stale:
        return [a for a in actions if a.reason is Reason.STALE_CHECKOUT][:1]
    if change.change is ChangeType.REMOVED:
        # A removed spec may have several live runs, each with its own action.
        return [a for a in actions if a.action is ActionType.CANCEL or a.action is ActionType.WAIT]
    match change.effect:
        case Effect.RUNS_NOW:
            return [a for a in actions if a.action in SENDS and a.reason in COUNTED][:1]
        case Effect.WAITS:
            return [a for a in actions if a.action in {ActionType.WAIT, ActionType.HOLD}][:1]
        case Effect.NEXT_SLOT:
            return [a for a in actions if a.action in SENDS and a.slot == change.effect_at][:1]
        case _:
            return [a for a in actions if a.action is ActionType.ADOPT][:1]


def effect_line(change: SpecChange) -> str:
    """Returns when a change takes effect, or an empty string if its action already shows that. A change of the project
    file has no action."""
    return "" if change.stale and change.kind != PROJECT_KIND else change.message


def fields_of(block: Block) -> Iterator[Change | tuple[str, object]]:
    """Yields the fields of a block in order: a difference, or the path and masked value of a new field.

    If git contains a change of the spec, yields the fields of the change: first the policy's fields and then the
    request's; for an added spec, the whole request. Otherwise yields the fields of the action: the differences from the
    last run, or the whole request if there was no run.
    """
    changes, new = _compared_and_new(block)
    yield from changes
    if new is not None:
        yield from ((path_text(path), value) for path, value in fields(masked(new)))


def fields_key(block: Block) -> str:
    """Returns a text that differs for blocks whose fields differ, and that is much faster to compute than the
    fields."""
    changes, new = _compared_and_new(block)
    return json.dumps([[astuple(change) for change in changes], new])


def _compared_and_new(block: Block) -> tuple[Sequence[Change], JSON | None]:
    """Returns the differences of a block, and the display form of the new request whose fields follow them."""
    change, action = block.change, block.action
    if change is not None:
        policy = [each for each in change.fields if not each.path.startswith(REQUEST)]
        request = change.content.request if change.content is not None else None
        if change.change is ChangeType.ADDED and request is not None:
            return policy, _displayed(change.kind, request)
        in_request = (each for each in change.fields if each.path.startswith(REQUEST))
        return [*policy, *(replace(each, path=each.path.removeprefix(REQUEST)) for each in in_request)], None
    if action is not None and action.changes:
        return action.changes, None
    if action is not None and action.request is not None and (action.reason is Reason.NEW or _first_slot(action)):
        return (), _displayed(action.kind, action.request)
    return (), None


def _first_slot(action: Action) -> bool:
    return action.slot is not None and action.compared_with is None and action.attempt == 1


def _displayed(kind: str, request: JSON) -> JSON:
    """Returns the display form of a request. A request of a kind that this version does not know is shown as sent."""
    return kind_named(kind).for_display(request) if kind in MODULES else request
