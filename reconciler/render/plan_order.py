"""What a plan shows, in which order: changes of git first, then what runs for other reasons, then holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from reconciler.core.plan import COUNTED, SENDS, Action, ActionType, ChangeType, Effect, Plan, Reason, SpecChange
from reconciler.model.kind import MODULES, kind_named
from reconciler.redact.request import masked
from reconciler.render.diff import fields, path_text

REQUEST = "request."
WORDS = {ChangeType.ADDED: "is added", ChangeType.CHANGED: "changes", ChangeType.REMOVED: "is removed"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One block of a plan: a change with the action that carries it out, or one of both alone."""

    change: SpecChange | None
    action: Action | None


def shown(plan: Plan, *, verbose: bool = False) -> list[Shown]:
    """The blocks of a plan in order. `verbose` adds the actions that do nothing."""
    by_name: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_name.setdefault(action.name, []).append(action)
    first: list[Shown] = []
    taken: set[int] = set()
    for change in plan.changes:
        causes = _causes(change, by_name.get(change.name, ()))
        first.append(Shown(change, causes[0] if causes else None))
        first += [Shown(None, cause) for cause in causes[1:]]
        taken |= {id(cause) for cause in causes}
    rest = [a for a in plan.actions if id(a) not in taken and (verbose or a.action is not ActionType.NONE)]
    held = [Shown(each.change, each.action) for each in first if each.change is not None and each.change.stale]
    return [
        *(each for each in first if each not in held),
        *(Shown(None, action) for action in rest if not _is_held(action)),
        *held,
        *(Shown(None, action) for action in rest if _is_held(action)),
    ]


def _is_held(action: Action) -> bool:
    return action.action is ActionType.HOLD or action.reason is Reason.SETTLING


def _causes(change: SpecChange, actions: Sequence[Action]) -> list[Action]:
    """The actions that carry out a change, or keep it from being carried out."""
    if change.stale:
        return [a for a in actions if a.reason is Reason.STALE_CHECKOUT][:1]
    if change.change is ChangeType.REMOVED:
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
    """When a change takes effect; empty if its action tells."""
    return "" if change.stale else change.message


def blocks_of(change: SpecChange) -> Iterator[tuple[str, object]]:
    """The fields of a change in order: either ``("new", (path, value))``, masked, or ``("change", Change)``."""
    for each in change.fields:
        if not each.path.startswith(REQUEST):
            yield "change", each
    request = change.content.request if change.content is not None else None
    if change.change is ChangeType.ADDED and request is not None:
        display = kind_named(change.kind).for_display(request) if change.kind in MODULES else request
        yield from (("new", (path_text(path), value)) for path, value in fields(masked(display)))
        return
    for each in change.fields:
        if each.path.startswith(REQUEST):
            yield "change", replace(each, path=each.path.removeprefix(REQUEST))
