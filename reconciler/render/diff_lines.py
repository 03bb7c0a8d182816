"""Renders changed fields as lines of a diff. Every line starts with its sign, so that code hosts colour the whole
value.

A value that does not fit on a line is wrapped. A long text, or a text of several lines, is compared piece by piece. If
the result is still too long, it is truncated, and its length is shown.
"""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from reconciler.core.plan import Change
from reconciler.redact.escape import escape
from reconciler.redact.request import SENSITIVE_CHANGED, masked_change
from reconciler.redact.text import SENSITIVE
from reconciler.render.text import count, path_label, value_text
from reconciler.values import regex

WIDTH = 100  # the maximum length of a value on one line
INDENT = "    "
MOST_LINES = 60  # of one field
CONTEXT = 2  # unchanged lines around changed ones
MOST_COMPARED = 200  # changed lines; comparing many more repetitive lines takes seconds
BREAK = regex(r"(?<=[\s,;&])")


def change_lines(change: Change) -> list[str]:
    """Returns a change as lines, with secrets masked."""
    before, after = masked_change(change)
    path = path_label(change.path)
    match change.op:
        case "add":
            return _side("+", path, after)
        case "remove":
            return _side("-", path, before)
        case "reorder":
            return [f"  {path}: order changed", *_side("-", path, before), *_side("+", path, after)]
        case "change" if before == after:
            return [f"- {path}: {SENSITIVE}", f"+ {path}: {SENSITIVE_CHANGED}"]
        case "change":
            if isinstance(before, str) and isinstance(after, str) and (_is_long(before) or _is_long(after)):
                return _compared(path, before, after)
            return [*_side("-", path, before), *_side("+", path, after)]


def added_lines(path: str, value: object) -> list[str]:
    """Returns a field of a new request as lines. The request is already masked."""
    return _side("+", path_label(path), value)


def _is_long(text: str) -> bool:
    return _has_lines(text) or len(text) > WIDTH


def _has_lines(text: str) -> bool:
    return "\n" in text.rstrip("\n")


def _side(sign: str, path: str, value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """Returns the lines of a value that only one side of the comparison has."""
    first, *others = _value_lines(value)
    return [f"{sign} {path}: {first}", *_cut(sign, others)]


def _value_lines(value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    """Returns a value as lines. The first line continues the line with the path."""
    text = value_text(value)
    if isinstance(value, str) and _has_lines(value):
        return [f"{_lines_label(value)}:", *(INDENT + escape(piece) for piece in _pieces(value, by_lines=True))]
    if len(text) <= WIDTH:
        return [text]
    if isinstance(value, list):
        entries = [line for entry in value for line in _entry(entry)]
        return ["[", *(INDENT + line for line in entries), "  ]"]
    return [f"{len(text):,} characters:", *(INDENT + part for part in _wrapped(text))]


def _entry(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON value
    *lines, last = _value_lines(value)
    yield from lines
    yield last if isinstance(value, str) and _has_lines(value) else f"{last},"


def _lines_label(text: str) -> str:
    """Returns ``12 lines``, with a note if the text does not end with a line break."""
    number = len(text.removesuffix("\n").split("\n"))
    return count(number, "line") + ("" if text.endswith("\n") else ", without a line end")


def _wrapped(text: str) -> list[str]:
    """Splits the text into pieces of at most `WIDTH` characters, preferably after a space or a comma."""
    pieces, start = [], 0
    while len(text) - start > WIDTH:
        breaks = [match.start() for match in BREAK.finditer(text, start + WIDTH // 2, start + WIDTH)]
        end = breaks[-1] if breaks else start + WIDTH
        pieces.append(text[start:end])
        start = end
    return [*pieces, text[start:]]


def _cut(sign: str, lines: Sequence[str], most: int = MOST_LINES) -> list[str]:
    """Returns the lines with their sign. If there are more than `most` lines, returns the first lines and the number of
    omitted lines."""
    shown = [f"{sign} {line}" for line in lines[:most]]
    rest = lines[most:]
    if rest:
        characters = sum(len(line.strip()) for line in rest)
        shown.append(f"{sign} {INDENT}… {count(len(rest), 'more line')} ({characters:,} characters) not shown")
    return shown


def _compared(path: str, before: str, after: str) -> list[str]:
    """Returns two long texts as one diff. Common parts appear once, and only near differences."""
    by_lines = _has_lines(before) or _has_lines(after)
    old, new = (_pieces(text, by_lines=by_lines) for text in (before, after))
    labels = [_lines_label(text) if by_lines else f"{len(text):,} characters" for text in (before, after)]
    if old == new:  # the texts differ only in the final line break
        return [f"- {path}: {labels[0]}", f"+ {path}: {labels[1]}"]
    body = list(_hunks(old, new))
    rest = len(body) - MOST_LINES
    if rest > 0:
        body = [*body[:MOST_LINES], f"  {INDENT}… {count(rest, 'more line')} not shown"]
    return [f"  {path}: {' -> '.join(labels)}", *body]


def _pieces(text: str, *, by_lines: bool) -> list[str]:
    """Splits a text into units for the comparison: lines, or the parts between spaces and commas."""
    parts = text.removesuffix("\n").split("\n") if by_lines else [part for part in BREAK.split(text) if part]
    return [piece for part in parts for piece in _wrapped(part)]


def _hunks(old: list[str], new: list[str]) -> Iterator[str]:
    """Yields the lines that differ, with some context, and dots for omitted lines."""
    operations = _operations(old, new)
    for number, (tag, first, end, new_first, new_end) in enumerate(operations):
        if tag == "equal":
            yield from _context(old[first:end], is_first=number == 0, is_last=number == len(operations) - 1)
            continue
        for sign, lines in (("-", old[first:end]), ("+", new[new_first:new_end])):
            yield from _cut(sign, [INDENT + escape(line) for line in lines], MOST_LINES // 3)


def _context(lines: list[str], *, is_first: bool, is_last: bool) -> Iterator[str]:
    """Yields the unchanged lines next to a change."""
    head = [] if is_first else lines[:CONTEXT]
    rest = lines[len(head) :]
    tail = [] if is_last else rest[-CONTEXT:]
    yield from (f"  {INDENT}{escape(line)}" for line in head)
    if len(rest) > len(tail):
        yield f"  {INDENT}…"
    yield from (f"  {INDENT}{escape(line)}" for line in tail)


def _operations(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    """Returns the edit steps from one list of lines to the other. The common start and end are not compared again."""
    shorter = min(len(old), len(new))
    # `SequenceMatcher` takes quadratic time, and most long texts differ only in the middle.
    start = next((i for i in range(shorter) if old[i] != new[i]), shorter)
    end = next((i for i in range(shorter - start) if old[-1 - i] != new[-1 - i]), shorter - start)
    middle_old, middle_new = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(middle_old), len(middle_new)) > MOST_COMPARED:
        middle = [("replace", 0, len(middle_old), 0, len(middle_new))]
    else:
        middle = list(SequenceMatcher(None, middle_old, middle_new, autojunk=False).get_opcodes())
    return [
        *([("equal", 0, start, 0, start)] if start else []),
        *((tag, a + start, b + start, c + start, d + start) for tag, a, b, c, d in middle),
        *([("equal", len(old) - end, len(old), len(new) - end, len(new))] if end else []),
    ]
