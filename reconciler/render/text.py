"""Escapes, colours and aligns text for every kind of output, and renders tables that fit the terminal.

If all columns of a table fit, or the output is not a terminal, each row has one line. Otherwise the less important
cells, such as run ids, and the notes are on separate lines below the row, where they are never truncated.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from io import StringIO
from typing import Any

from reconciler.core.identity import Place
from reconciler.redact.escape import escape
from reconciler.redact.request import SENSITIVE_CHANGED
from reconciler.redact.text import SENSITIVE, mask_sentence
from reconciler.values import dataclass, regex

COLOURS = {"": "", "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
ANSI = regex(r"\x1b\[[0-9;]*m")
LEAST_SENTENCE = 20  # the minimum width of the last column; other columns are wrapped only once it is reached
MARKS = frozenset({SENSITIVE, SENSITIVE_CHANGED})

_encoded = json.JSONEncoder(ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Style:
    """Adds ANSI colours to text if `color` is true."""

    color: bool = False

    def paint(self, text: str, *colours: str) -> str:
        """Returns `text` in these colours, such as ``red`` and ``bold``. An empty text is returned unchanged, and so is
        every text if colours are off."""
        codes = ";".join(COLOURS[colour] for colour in colours)
        return f"\x1b[{codes}m{text}\x1b[0m" if self.color and codes and text else text

    def bold(self, text: str) -> str:
        """Formats headings and summaries."""
        return self.paint(text, "bold")

    def dim(self, text: str) -> str:
        """Formats details that most readers skip."""
        return self.paint(text, "dim")


def columns(rows: Sequence[Sequence[str]], width: int | None = None) -> list[str]:
    """Returns rows of escaped and possibly coloured cells as lines, with aligned columns.

    Cells are wrapped to fit a terminal of `width` characters. If `width` is `None` (for a pipe or a file), each row is
    one line.
    """
    widths = [max(map(visible_length, cells)) for cells in zip(*rows, strict=True)]
    # Only rows that do not fit need rich, which takes 0.3 s to import and 1 ms per row.
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        return _folded(rows, widths, width)
    return ["  ".join(map(_padded, row, widths)).rstrip() for row in rows]


def hanging(mark: str, text: str, width: int | None = None) -> list[str]:
    """Returns `text` after a mark. Lines that are wrapped to fit a terminal of `width` characters are indented to the
    text."""
    indent = visible_length(mark) + 1
    first, *others = columns([(text,)], None if width is None else width - indent)
    return [f"{mark} {first}", *(" " * indent + line for line in others)]


def visible_length(cell: str) -> int:
    """Returns the number of columns that a cell takes on a terminal, without colour codes. A Chinese character or an
    emoji takes two columns, and a combining mark takes none."""
    text = ANSI.sub("", cell)
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - most output is ASCII and does not need rich

    return cell_len(text)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - visible_length(cell))


def _folded(rows: Sequence[Sequence[str]], widths: Sequence[int], width: int) -> list[str]:
    from rich.console import Console  # noqa: PLC0415 - see `columns`
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    names = widths[:-1]
    narrow = width - sum(names) - 2 * len(names) < LEAST_SENTENCE
    for natural in names:
        table.add_column(overflow="fold", width=None if narrow else natural)  # wrap the sentence instead of a name
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*map(Text.from_ansi, row))  # as Text, so that "[bold]" in a name is not markup
    # The environment is empty, because the caller has already chosen the colours and the width.
    console = Console(file=StringIO(), width=width, force_terminal=True, color_system="standard", _environ={})
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().rstrip("\n").split("\n")]


def value_text(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Returns a JSON value on one line. Strings are quoted, but the marks of masked secrets are not."""
    if isinstance(value, str) and value in MARKS:
        return value
    return escape(_encoded(value))


def plain(text: str) -> str:
    """Returns a name, path or id on one line, escaped."""
    return escape(text)


@lru_cache(maxsize=4096)
def path_label(path: str) -> str:
    """Returns a path in a request on one line. Users choose some keys in it, which may contain secrets, so it is
    masked. Cached, because specs share most of their paths."""
    return sentence(path)


def sentence(text: str) -> str:
    """Returns a message on one line, escaped, with secrets masked, because it may quote AWS."""
    return escape(mask_sentence(text))


def count(number: int, one: str, many: str | None = None) -> str:
    """Returns ``1 spec`` or ``2 specs``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def place_line(place: Place) -> str:
    """Returns ``Project analytics, target prod (account 444455556666, region eu-west-1)``."""
    return plain(f"Project {place.project}, target {place.target} (account {place.account}, region {place.region})")


NAME = "NAME"
GAP = 2
INDENT = " "


@dataclass(frozen=True, slots=True)
class Layout:
    """The headings of the columns that a table always has, and of the optional columns that it has if there is room,
    the most important first."""

    always: tuple[str, ...]
    if_they_fit: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: its cells by heading, the notes after or below the cells, and a name that is too long for
    a cell."""

    cells: dict[str, str]
    notes: tuple[str, ...] = ()
    long_name: str = ""


def fitted(
    lines: Sequence[Line], headings: Sequence[str], layout: Layout, style: Style, width: int | None
) -> list[str]:
    """Returns a table with these headings. It has one line for each row if all columns fit a terminal of `width`
    columns, or if `width` is `None`. Otherwise some cells and all notes are below their rows."""
    cells = [[*(_cell(line, heading) for heading in headings), "; ".join(line.notes)] for line in lines]
    head = [*map(style.bold, headings), ""]
    if width is None or _fits([head, *cells], width):
        return columns([head, *cells])
    lines = [_with_short_name(line, width) for line in lines]
    kept = _kept(lines, headings, layout, width)
    first, *rest = columns([list(map(style.bold, kept)), *([_cell(line, h) for h in kept] for line in lines)])
    table = [first]
    for line, text in zip(lines, rest, strict=True):
        table += columns([(line.long_name,)], width) if line.long_name else []
        table.append(text)
        for note in (*packed(_moved(line, headings, kept), width - len(INDENT) - 1), *line.notes):
            table += hanging(INDENT, note, width)
    return table


def packed(texts: Iterable[str], width: int) -> list[str]:
    """Joins short texts, so that as many as possible share a line of `width` columns and none is wrapped
    unnecessarily."""
    lines: list[str] = []
    for text in texts:
        if lines and visible_length(lines[-1]) + GAP + visible_length(text) <= width:
            lines[-1] += " " * GAP + text
        else:
            lines.append(text)
    return lines


def _with_short_name(line: Line, width: int) -> Line:
    """Moves a name that takes more than half of the terminal's width to a separate line."""
    name = line.cells[NAME]
    return replace(line, cells={**line.cells, NAME: ""}, long_name=name) if visible_length(name) > width // 2 else line


def _cell(line: Line, heading: str) -> str:
    return line.cells.get(heading, "-")


def _fits(rows: Iterable[Sequence[str]], width: int) -> bool:
    widths = [max(map(visible_length, cells)) for cells in zip(*rows, strict=True)]
    return sum(widths) + GAP * (len(widths) - 1) <= width


def _kept(lines: Sequence[Line], headings: Sequence[str], layout: Layout, width: int) -> list[str]:
    """Returns the headings of the columns that fit side by side, in their order."""
    widths = {
        heading: max(len(heading), *(visible_length(_cell(line, heading)) for line in lines)) for heading in headings
    }
    kept = [heading for heading in layout.always if heading in headings]
    for heading in layout.if_they_fit:
        more = [*kept, heading]
        if heading in headings and sum(widths[each] for each in more) + GAP * (len(more) - 1) <= width:
            kept = more
    return [heading for heading in headings if heading in kept]


def _moved(line: Line, headings: Sequence[str], kept: Sequence[str]) -> Iterator[str]:
    """Yields the cells of a line whose column was dropped, with their headings in lower case."""
    for heading in headings:
        value = _cell(line, heading)
        if heading not in kept and value != "-":
            yield f"{heading.lower()} {value}"
