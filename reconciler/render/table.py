"""Renders tables that fit the terminal.

If all columns fit, or the output is not a terminal, each row has one line. Otherwise the less important cells, such as
run ids, and the notes are on separate lines below the row, where they are never truncated.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from reconciler.render.text import Style, columns, hanging, visible_length
from reconciler.values import dataclass

NAME = "NAME"
GAP = 2
INDENT = " "


@dataclass(frozen=True, slots=True)
class Layout:
    """The headings of the columns that a table always has, and of the optional columns that it has if they fit, the
    most important first."""

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
    """Joins short texts, so that as many as possible share a line of `width` columns and none is folded needlessly."""
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
