"""Renders a plan as Markdown for a pull request comment of limited size.

Nothing that users or AWS wrote becomes markup, a mention, a reference or a link.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from reconciler import __version__
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.redact.escape import escape
from reconciler.redact.text import mask_sentence
from reconciler.render.phrases import (
    WORDS,
    Shown,
    effect_line,
    next_slots,
    origin_words,
    shown,
    summary_line,
    symbol,
    what_happens,
)
from reconciler.render.plan_text import field_blocks, shown_blocks
from reconciler.render.text import count, inert

PLAIN = re.compile(r"[A-Za-z0-9 ,.;()'/:-]*")
MARKUP = re.compile(r"://|www\.|GH-\d|:(?=[\w+-]*[a-z])[\w+-]+:|--|^\s|\s$|^$|^[-:]|^\d+[.)]", re.IGNORECASE)


def prose(text: str) -> str:
    """`text` unchanged if Markdown and its hosts give no meaning to any of it, else as code.

    Hosts turn ``@name``, ``#1`` and web addresses into links after the markup is rendered, except in code.
    """
    return text if _is_plain(text) else code(text)


def _is_plain(text: str) -> bool:
    return PLAIN.fullmatch(text) is not None and not MARKUP.search(text)


def code(text: str) -> str:
    """A code span with `text`, escaped to one line. For table cells see `cell_code`."""
    shown = inert(escape(text)) or " "
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[0] in "` " or shown[-1] in "` " else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def cell_code(text: str) -> str:
    """A code span for a table cell, in which a bar would end the cell even between backticks."""
    shown = inert(escape(text))
    if "|" not in shown:
        return code(text)
    return f"<code>{''.join(char if char.isalnum() or char == ' ' else f'&#{ord(char)};' for char in shown)}</code>"


def cell_prose(text: str) -> str:
    """`prose` for a table cell."""
    return text if _is_plain(text) else cell_code(text)


def fenced(lines: Sequence[str]) -> list[str]:
    """A block of code in diff colours, its fence longer than any run of backticks in it."""
    fence = "`" * max(3, *(_longest_run(line) + 1 for line in lines))
    return [f"{fence}diff", *(inert(line) for line in lines), fence]


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall(r"`+", text)), default=0)


FOLD_ABOVE = 12  # field lines; a longer diff is folded
SMALLEST = 2_000  # bytes: enough for the heading, the summary, the note on omissions and the footer
NOTE_ROOM = 200
LONGEST_TITLE = 120  # characters
LONGEST_MESSAGE = 400

TABLE_HEAD = ["| | spec | why | |", "|---|---|---|---|"]
HELD_HEADING = ["#### Action required, or outcome unknown", "", *TABLE_HEAD]
CHANGE_HEADING = ["#### Changes", ""]
ACTION_HEADING = ["#### Actions", ""]
WAIT_HEADING = ["#### Waiting", "", *TABLE_HEAD]


def plan_markdown(plan: Plan, *, title: str | None = None, max_bytes: int = 60_000) -> str:
    """The plan as Markdown of at most `max_bytes` UTF-8 bytes, without a line end.

    First a hidden marker, to find the comment again, then the summary, what needs an operator, the actions with their
    field changes, and what is waiting. If not all fits, actions are kept first, then what is on hold, what is waiting,
    and field changes, the shortest first. The rest is left out by whole rows and fields, and counted. Secrets are
    masked. Raises `ValueError` if `max_bytes` is under 2,000.
    """
    if max_bytes < SMALLEST:
        raise ValueError(f"max_bytes is {max_bytes}; a plan needs at least {SMALLEST}")
    top, bottom = _top(plan, title), _footer(plan)
    room = _Room(max_bytes - _size(top) - _size(bottom) - NOTE_ROOM)
    warnings = [line for line in _warnings(plan) if room.take([line], at_least=max_bytes // 2)]
    sections = _sections(plan)
    for section in sections:
        section.admit(room)
    items = sorted((item for section in sections for item in section.shown), key=lambda item: _size(item.lines))
    for item in items:
        item.fill(room)
    body = [line for section in sorted(sections, key=lambda section: section.order) for line in section.text()]
    slots = _next_slots(plan)
    body += slots if room.take(slots) else []
    note = _note(sections, len(plan.warnings) - len(warnings))
    return "\n".join([*top, *warnings, *([""] if warnings else []), *body, *note, *bottom])


def _top(plan: Plan, title: str | None) -> list[str]:
    place = f"{plan.place.project}/{plan.place.target}"
    shown = (title or f"Plan for {place}")[:LONGEST_TITLE]
    return [marker(plan), f"### {prose(mask_sentence(shown))}", "", f"**{summary_line(plan)}**", ""]


def marker(plan: Plan) -> str:
    """The first line: a hidden comment, the same for every plan of a project and target."""
    place = f"{plan.place.project}/{plan.place.target}"
    safe = "".join(char if char.isascii() and (char.isalnum() or char in "/._-") else "-" for char in place)
    return f"<!-- reconciler:plan {safe} -->"


def _footer(plan: Plan) -> list[str]:
    counts = ", ".join(f"{number} {kind}" for kind, number in plan.summary().items() if number) or "no actions"
    parts = [counts, f"ledger position {plan.ledger_position}", f"planned {plan.created_at}"]
    if plan.changes and plan.plan_id:
        parts.append(f"plan id {plan.plan_id}")
    if plan.commit:
        parts.append(f"commit {plan.commit[:12]}")
    return ["---", f"{' · '.join(prose(part) for part in parts)} · reconciler {__version__}"]


def _warnings(plan: Plan) -> Iterator[str]:
    for warning in plan.warnings:
        yield f"- Warning: {code(_shortened(mask_sentence(warning)))}"


def _shortened(message: str) -> str:
    return message if len(message) <= LONGEST_MESSAGE else message[:LONGEST_MESSAGE] + "…"


def _note(sections: Iterable[_Section], warnings: int) -> list[str]:
    """How much is left out; nothing if everything is shown."""
    actions = sum(len(section.items) for section in sections)
    shown = [item for section in sections for item in section.shown]
    omitted = [
        (actions - len(shown), f"of {count(actions, 'action')}"),
        (sum(len(item.blocks) - item.filled for item in shown), f"of their {_fields(shown)}"),
        (warnings, "warnings" if warnings > 1 else "warning"),
    ]
    note = [f"{number} {what} {'is' if number == 1 else 'are'} not shown here." for number, what in omitted if number]
    return [f"**{' '.join(note)}**", ""] if note else []


def _fields(shown: Iterable[_Item]) -> str:
    return count(sum(len(item.blocks) for item in shown), "field")


class _Room:
    """The bytes that are left. Every line counts with its line end."""

    def __init__(self, size: int) -> None:
        self.left = size

    def take(self, lines: Iterable[str], at_least: int = 0) -> bool:
        """Takes the room for some lines if that leaves `at_least`; else takes nothing and returns `False`."""
        size = _size(lines)
        if self.left - size < at_least:
            return False
        self.left -= size
        return True

    def fits(self, lines: Iterable[str]) -> bool:
        """Whether there is room for some lines."""
        return self.left >= _size(lines)


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


@dataclass(slots=True)
class _Item:
    """One action: its heading, shown or left out as a whole, and its fields, of which the first `filled` are shown."""

    head: list[str]
    blocks: list[list[str]] = field(default_factory=list)
    filled: int = 0

    @property
    def lines(self) -> list[str]:
        return [line for block in self.blocks for line in block]

    def fill(self, room: _Room) -> None:
        """Takes room for as many fields as fit, from the first."""
        numbers = range(1, len(self.blocks) + 1)
        fitting = len(numbers) if self.blocks and room.fits(self._diff(len(numbers))) else 0
        self.filled = fitting or bisect(numbers, 0, key=lambda number: not room.fits(self._diff(number)))
        if self.filled:
            room.take(self._diff(self.filled))

    def text(self) -> list[str]:
        return [*self.head, *(self._diff(self.filled) if self.filled else [])]

    def _diff(self, number: int) -> list[str]:
        """The first fields as a block, folded if it is long, with a last line for the number of missing ones."""
        lines = [line for block in self.blocks[:number] for line in block]
        missing = len(self.blocks) - number
        rest = [f"… {missing} of {count(len(self.blocks), 'field')} not shown here"] if missing else []
        block = fenced([*lines, *rest])
        if len(lines) <= FOLD_ABOVE:
            return [*block, ""]
        return [f"<details><summary>{count(len(self.blocks), 'field')}</summary>", "", *block, "", "</details>", ""]


@dataclass(slots=True)
class _Section:
    """Similar actions under a heading. `order` is its position on the page; the list of sections is by priority."""

    order: int
    heading: list[str]
    items: list[_Item]
    shown: list[_Item] = field(default_factory=list)

    def admit(self, room: _Room) -> None:
        """Takes room for the heads of as many actions as fit, and for the heading with the first."""
        for item in self.items:
            opening = [] if self.shown else [*self.heading, ""]
            if room.take([*opening, *item.head]):
                self.shown.append(item)

    def text(self) -> list[str]:
        lines = [line for item in self.shown for line in item.text()]
        return [*self.heading, *lines, *([""] if lines[-1] else [])] if lines else []


def _sections(plan: Plan) -> list[_Section]:
    blocks = [block for block in shown(plan) if block.change is None or not block.change.stale]
    changed = [_Item(_head(block), list(shown_blocks(block))) for block in blocks if block.change is not None]
    rest = [block.action for block in blocks if block.change is None and block.action is not None]
    doing = [_Item(_paragraph(action), list(field_blocks(action))) for action in rest if action.effective]
    held = [_Item([_row(action)]) for action in plan.held]
    waiting = [a for a in rest if a.action is ActionType.WAIT and a.reason is not Reason.SETTLING]
    return [
        _Section(1, CHANGE_HEADING, changed),
        _Section(2, ACTION_HEADING, doing),
        _Section(4, HELD_HEADING, held),
        _Section(3, WAIT_HEADING, [_Item([_row(action)]) for action in waiting]),
    ]


def _next_slots(plan: Plan) -> list[str]:
    """When specs are due next, folded; nothing if no spec has a schedule."""
    rows = [f"| {cell_code(name)} | {cell_prose(slot)} |" for name, slot in next_slots(plan).items()]
    if not rows:
        return []
    title = f"<details><summary>{count(len(rows), 'next slot')}</summary>"
    return [title, "", "| spec | due |", "|---|---|", *rows, "", "</details>", ""]


def _head(block: Shown) -> list[str]:
    """The lines above the fields of a change: what happens, and when it takes effect."""
    change, action = block.change, block.action
    assert change is not None  # noqa: S101 - of a block with a change
    effect = effect_line(change)
    if action is not None:
        lines = _paragraph(replace(action, message="") if action.message in effect else action)
    else:
        where = f" · {code(f'{change.source.path}:{change.source.line}')}" if change.source else ""
        lines = [f"{code('~')} {code(change.name)} {WORDS[change.change]}{where}", ""]
    told = [part for part in (effect, f"origin: {origin_words(change)}" if change.origin is not None else "") if part]
    return [*lines, *(line for part in told for line in (prose(_shortened(mask_sentence(part))), ""))]


def _paragraph(action: Action) -> list[str]:
    where = f" · {code(f'{action.source.path}:{action.source.line}')}" if action.source else ""
    lines = [f"{code(symbol(action))} {code(action.name)} {prose(mask_sentence(what_happens(action)))}{where}", ""]
    return [*lines[:1], "", code(_shortened(mask_sentence(action.message))), ""] if action.message else lines


def _row(action: Action) -> str:
    why, message = mask_sentence(what_happens(action)), _shortened(mask_sentence(action.message))
    commands = action.suggested.commands if action.suggested else ()
    details = " ".join(cell_code(line) for line in (*([message] if message else []), *commands))
    return f"| {cell_code(symbol(action))} | {cell_code(action.name)} | {cell_prose(why)} | {details} |"
