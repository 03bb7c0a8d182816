"""Colours, columns, signs and phrases that all text output shares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, assert_never

from reconciler.core.identity import Place
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.suggested_commands import SuggestedCommands
from reconciler.redact.escape import escape, inert, lines_text
from reconciler.redact.request import SENSITIVE_CHANGED
from reconciler.redact.text import SENSITIVE, mask_sentence

__all__ = ["MARKS", "columns", "count", "hanging", "inert", "lines_text", "plain", "sentence", "value_text"]

COLOURS = {"": "", "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
ANSI = re.compile(r"\x1b\[[0-9;]*m")
LEAST_SENTENCE = 20  # characters that folding leaves to the last column before it folds the others
MARKS = frozenset({SENSITIVE, SENSITIVE_CHANGED})


@dataclass(frozen=True, slots=True)
class Style:
    """Adds ANSI colours to text if `color` is true."""

    color: bool = False

    def paint(self, text: str, *colours: str) -> str:
        """`text` in these colours, such as ``red`` and ``bold``; no text and no colour stay as they are."""
        codes = ";".join(COLOURS[colour] for colour in colours)
        return f"\x1b[{codes}m{text}\x1b[0m" if self.color and codes and text else text

    def bold(self, text: str) -> str:
        """Headings and summaries."""
        return self.paint(text, "bold")

    def dim(self, text: str) -> str:
        """Details that most readers skip."""
        return self.paint(text, "dim")


def columns(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Rows of escaped and maybe coloured cells as lines, with aligned columns.

    Cells are folded to fit a terminal of `width` characters. With `None`, for a pipe or a file, each row is one line.
    """
    widths = [max(map(_visible_length, cells)) for cells in zip(*rows, strict=True)]
    # Only rows that do not fit need rich, which takes 0.3 s to import and 1 ms a row.
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        return _folded(rows, widths, width)
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def hanging(mark: str, text: str, width: int | None = None) -> list[str]:
    """`text` after a mark; lines folded to fit a terminal of `width` characters are indented below the text."""
    indent = _visible_length(mark) + 1
    first, *others = columns([(text,)], None if width is None else width - indent)
    return [f"{mark} {first}", *(" " * indent + line for line in others)]


def _visible_length(cell: str) -> int:
    return len(ANSI.sub("", cell))


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _visible_length(cell))


def _folded(rows: Sequence[Sequence[str]], widths: Sequence[int], width: int) -> list[str]:
    from rich.console import Console  # noqa: PLC0415 - see `columns`
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    names = widths[:-1]
    narrow = width - sum(names) - 2 * len(names) < LEAST_SENTENCE
    for natural in names:
        table.add_column(overflow="fold", width=None if narrow else natural)  # a name is not cut if a sentence can be
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*map(Text.from_ansi, row))  # as Text, so that "[bold]" in a name is not markup
    # The environment is empty because the caller has decided on colours and width.
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard", _environ={})
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


def value_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """A JSON value on one line. The marks for secrets are bare words, strings are quoted."""
    if isinstance(value, str) and value in MARKS:
        return value
    return escape(json.dumps(value, ensure_ascii=False))


def plain(text: str) -> str:
    """A name, path or id on one line, escaped."""
    return escape(text)


def sentence(text: str) -> str:
    """A message on one line, escaped, with secrets masked: it may quote AWS."""
    return escape(mask_sentence(text))


def count(number: int, one: str, many: str | None = None) -> str:
    """``1 spec``, ``2 specs``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def place_line(place: Place) -> str:
    """``Project analytics, target prod (account 444455556666, region eu-west-1)``."""
    return plain(f"Project {place.project}, target {place.target} (account {place.account}, region {place.region})")


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
    """The sign before an action; ``?`` if it is unknown whether, or as which run, a job ran."""
    return UNKNOWN_SYMBOL if action.reason in UNKNOWN_REASONS and not action.effective else SYMBOLS[action.action]


def symbol_word(sign: str) -> str:
    """The meaning of a sign, for the legend."""
    return "unknown" if sign == UNKNOWN_SYMBOL else next(str(kind) for kind, s in SYMBOLS.items() if s == sign)


def reason_words(reason: Reason) -> str:
    """``spec-changed`` → ``spec changed``."""
    return str(reason).replace("-", " ")


def which_run(action: Action) -> str:
    """``generation 3``, ``slot 2026-11-22T02:00:00Z, attempt 2``; empty if the action is not about a run."""
    return action.key.label if action.key else ""


def what_happens(action: Action) -> str:
    """``will be submitted: spec changed (generation 3)``."""
    run = f"run {action.run_id}" if action.action in {ActionType.ADOPT, ActionType.CANCEL} else ""
    about = ", ".join(part for part in (run, which_run(action)) if part)
    return f"{_verb(action)}: {reason_words(action.reason)}" + (f" ({about})" if about else "")


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
            return "is waiting"
        case ActionType.HOLD:
            return "is on hold"
        case ActionType.NONE:
            return "needs no action"
        case _ as never:
            assert_never(never)


def suggested_lines(suggested: SuggestedCommands) -> Iterator[str]:
    """What an operator can do: since when the outcome is unknown, then one command a line, ready to be pasted."""
    unknown = f"Unknown since {suggested.since}, settles at {suggested.settles_at}. " if suggested.since else ""
    yield plain(f"{unknown}To resolve it, run{' one of' if len(suggested.commands) > 1 else ''}:")
    yield from (f"  {plain(command)}" for command in suggested.commands)


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
    """``Plan: 2 to submit, 1 to cancel, 57 in sync.``, or ``No changes. 57 in sync.`` if nothing would be done."""
    counts = plan.summary()
    retired = sum(action.reason is Reason.RETIRED for action in plan.actions)
    parts = [f"{counts[kind]} {words}" for kind, words in COUNTED.items() if counts[kind]]
    parts.append(f"{counts[ActionType.NONE] - retired} in sync")
    if retired:
        parts.append(f"{retired} retired")
    stopping = sum(change.stopped is not None for change in plan.schedule_changes)
    for verb, number in (("start", len(plan.schedule_changes) - stopping), ("stop", stopping)):
        if number:
            parts.append(f"{count(number, 'schedule')} to {verb}")
    return ("Plan: " if plan.pending or plan.schedule_changes else "No changes. ") + ", ".join(parts) + "."


def next_slots(plan: Plan) -> dict[str, str]:
    """When each spec with a schedule is due next, by name, with a note if its schedule starts with the next apply."""
    starting = {change.name for change in plan.schedule_changes if change.stopped is None}
    note = ", after an apply has started its schedule"
    return {a.name: a.next_slot + (note if a.name in starting else "") for a in plan.actions if a.next_slot is not None}
