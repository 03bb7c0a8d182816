"""Words, signs and colours that all text output shares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, assert_never

from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.suggested_commands import SuggestedCommands
from reconciler.redact.escape import escape, inert, lines_text
from reconciler.redact.request import SENSITIVE_CHANGED
from reconciler.redact.text import SENSITIVE, mask_sentence

BOLD, DIM, RED, GREEN, YELLOW, CYAN = "1", "2", "31", "32", "33", "36"


@dataclass(frozen=True, slots=True)
class Style:
    """Paints text with ANSI colours where `color` is true, and leaves it as it is where it is not."""

    color: bool = False

    def paint(self, text: str, *codes: str) -> str:
        """`text` in the colours of `codes`."""
        return f"\x1b[{';'.join(codes)}m{text}\x1b[0m" if self.color and codes and text else text

    def bold(self, text: str) -> str:
        """For what is read first."""
        return self.paint(text, BOLD)

    def dim(self, text: str) -> str:
        """For what may be passed over."""
        return self.paint(text, DIM)


__all__ = ["MARKS", "count", "inert", "lines_text", "plain", "sentence", "value_text"]

MARKS = frozenset({SENSITIVE, SENSITIVE_CHANGED})


def value_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A JSON value on one line. The marks that stand for secrets are bare words, strings are quoted."""
    if isinstance(value, str) and value in MARKS:
        return value
    return escape(json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """A name, path or id on one line, escaped."""
    return escape(text)


def sentence(text: str) -> str:
    """A message on one line: what AWS said may be in it, so secrets are masked."""
    return escape(mask_sentence(text))


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 spec``, ``2 specs``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


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
    "+": GREEN, "±": YELLOW, "<=": CYAN, "-": RED, "/": DIM, "…": DIM, "!": RED, "=": DIM, "?": YELLOW, "~": YELLOW,
}  # fmt: skip


def symbol(action: Action) -> str:
    """The sign in front of an action; ``?`` where it is not known whether, or how, something ran."""
    return UNKNOWN_SYMBOL if action.reason in UNKNOWN_REASONS and not action.effective else SYMBOLS[action.action]


def symbol_word(sign: str) -> str:
    """What a sign stands for, as the legend says it."""
    return "unknown" if sign == UNKNOWN_SYMBOL else next(str(kind) for kind, s in SYMBOLS.items() if s == sign)


def reason_words(reason: Reason) -> str:
    """``spec-changed`` → ``spec changed``."""
    return str(reason).replace("-", " ")


def which_run(action: Action) -> str:
    """``generation 3``, ``slot 2026-11-22T02:00:00Z, attempt 2``; empty where no run is meant."""
    if action.slot is not None:
        which = f"slot {action.slot}"
    elif action.generation is not None:
        which = f"generation {action.generation}"
    else:
        return ""
    return which + (f", attempt {action.attempt}" if action.attempt > 1 else "")


def what_happens(action: Action) -> str:
    """``will be submitted: spec changed (generation 3)``."""
    run = f"run {action.run_id}" if action.action in {ActionType.ADOPT, ActionType.CANCEL} else ""
    told = ", ".join(part for part in (run, which_run(action)) if part)
    return f"{_verb(action)}: {reason_words(action.reason)}" + (f" ({told})" if told else "")


def _verb(action: Action) -> str:  # noqa: PLR0911 - one case for each action
    match action.action:
        case ActionType.SUBMIT:
            return "will be submitted" if action.send == 1 else "will be sent again"
        case ActionType.REPLACE:
            return f"will replace run {action.replaces}" if action.replaces else "will replace its run"
        case ActionType.ADOPT:
            return "will be adopted"
        case ActionType.CANCEL:
            return "will be cancelled"
        case ActionType.SKIP:
            return "will be skipped"
        case ActionType.WAIT:
            return "waits"
        case ActionType.HOLD:
            return "is held"
        case ActionType.NONE:
            return "needs nothing"
        case _ as never:
            assert_never(never)


def remedy_lines(remedy: SuggestedCommands) -> Iterator[str]:
    """What a person can do: when, in words, then one command a line, ready to be pasted."""
    if remedy.since and remedy.settles_at:
        yield plain(f"Unknown since {remedy.since}, settles at {remedy.settles_at}. To decide it by hand:")
    else:
        yield "To decide it by hand:"
    yield from (f"  {plain(command)}" for command in remedy.commands)


COUNTED = {
    ActionType.SUBMIT: "to submit",
    ActionType.REPLACE: "to replace",
    ActionType.ADOPT: "to adopt",
    ActionType.CANCEL: "to cancel",
    ActionType.SKIP: "to skip",
    ActionType.WAIT: "waiting",
    ActionType.HOLD: "held",
}


def summary_line(plan: Plan) -> str:
    """``Plan: 2 to submit, 1 to cancel, 57 in sync.``, or ``No changes. 57 in sync.`` where nothing would be done."""
    counts = plan.summary()
    retired = sum(action.reason is Reason.RETIRED for action in plan.actions)
    parts = [f"{counts[kind]} {words}" for kind, words in COUNTED.items() if counts[kind]]
    parts.append(f"{counts[ActionType.NONE] - retired} in sync")
    if retired:
        parts.append(f"{retired} retired")
    for word, number in (("begin", _begins(plan, stop=False)), ("stop", _begins(plan, stop=True))):
        if number:
            parts.append(f"{number} {'schedule' if number == 1 else 'schedules'} to {word}")
    return ("Plan: " if plan.pending or plan.begins else "No changes. ") + ", ".join(parts) + "."


def _begins(plan: Plan, *, stop: bool) -> int:
    return sum((begin.stopped is not None) == stop for begin in plan.begins)


def next_slots(plan: Plan) -> dict[str, str]:
    """When each spec with a schedule is due next, by name: the slot, and that its schedule is not in force before the
    next apply where that is so."""
    begin = {begin.name for begin in plan.begins if begin.stopped is None}
    note = ", once an apply has begun its schedule"
    return {a.name: a.next_slot + (note if a.name in begin else "") for a in plan.actions if a.next_slot is not None}
