"""Renders the rows of `status` as a table that fits the terminal.

If all columns fit, or the output is not a terminal, each run has one line. Otherwise run ids and notes are on lines of
their own below the row, where they are never cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.plan import Reason
from reconciler.core.times import parse_time
from reconciler.render.phrases import suggested_lines
from reconciler.render.runs import RunRow, age_text, aws_words, duration_text, location_text, which_text
from reconciler.render.status import StatusRow
from reconciler.render.text import Style, columns, hanging, lines_text, plain, sentence, visible_length

COLOURS = {
    "none": "dim", "intended": "cyan", "submitted": "cyan", "running": "cyan", "succeeded": "green", "failed": "red",
    "cancelled": "yellow", "unknown": "yellow", "lost": "red",
}  # fmt: skip
ALWAYS = ("NAME", "STATE", "AGE")
IF_THEY_FIT = ("RUN OF", "NEXT SLOT", "RUN ID")
"""The columns that move below the row on a narrow terminal, those to keep first."""
ORDER = ("NAME", "RUN OF", "STATE", "AGE", "RUN ID", "NEXT SLOT")
WIDE = ("KIND", "COMMIT", "WHERE", "DEFINITION", "CONSOLE")
GAP = 2
INDENT = " "
DIGITS = 12  # of a commit
SHOWN_ENDS = {"failed", "cancelled", "lost"}


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the table: its cells by heading, the notes after or below them, and a name too long for a cell."""

    cells: dict[str, str]
    notes: tuple[str, ...] = ()
    long_name: str = ""


def status_text(
    rows: Sequence[StatusRow], now: datetime, color: bool = False, width: int | None = None, *, wide: bool = False
) -> str:
    """Returns the rows as a table without a final line break: name, generation or slot, state, age, run id, the next
    slot if any spec has a schedule, and the reason unless in sync, with AWS's own state and reason. Each further live
    run of a spec has a line of its own. The age is the time since the run ended, or since its submission.

    The table fits a terminal of `width` characters; `None` and `wide` mean that lines are never folded. `wide` adds the
    kind, the commit, the location, the job definition and the console page of each run.
    """
    if not rows:
        return "No specs, and nothing recorded."
    style = Style(color)
    lines = [line for row in rows for line in _lines(row, now, style, wide=wide)]
    scheduled = any(row.next_slot for row in rows)
    headings = [heading for heading in ORDER if scheduled or heading != "NEXT SLOT"] + [*(WIDE if wide else ())]
    table = _table(lines, headings, style, None if wide else width)
    return lines_text([*table, "", *_suggestions(rows), style.bold(_summary(rows))])


def _table(lines: Sequence[_Line], headings: Sequence[str], style: Style, width: int | None) -> list[str]:
    """Returns the table with one line for each run if it fits, otherwise with some cells below the rows."""
    cells = [[*(_cell(line, heading) for heading in headings), "; ".join(line.notes)] for line in lines]
    head = [*map(style.bold, headings), ""]
    if width is None or _fits([head, *cells], width):
        return columns([head, *cells])
    lines = [_with_short_name(line, width) for line in lines]
    kept = _kept(lines, headings, width)
    first, *rest = columns([list(map(style.bold, kept)), *([_cell(line, h) for h in kept] for line in lines)])
    table = [first]
    for line, text in zip(lines, rest, strict=True):
        table += columns([(line.long_name,)], width) if line.long_name else []
        table.append(text)
        for note in (*_moved(line, headings, kept), *line.notes):
            table += hanging(INDENT, note, width)
    return table


def _with_short_name(line: _Line, width: int) -> _Line:
    """Moves a name that takes more than half of the terminal to a line of its own."""
    name = line.cells["NAME"]
    return replace(line, cells={**line.cells, "NAME": ""}, long_name=name) if len(name) > width // 2 else line


def _cell(line: _Line, heading: str) -> str:
    return line.cells.get(heading, "-")


def _fits(rows: Iterable[Sequence[str]], width: int) -> bool:
    widths = [max(map(visible_length, cells)) for cells in zip(*rows, strict=True)]
    return sum(widths) + GAP * (len(widths) - 1) <= width


def _kept(lines: Sequence[_Line], headings: Sequence[str], width: int) -> list[str]:
    """Returns the headings of the columns that fit beside one another, in their order."""
    widths = {
        heading: max(len(heading), *(visible_length(_cell(line, heading)) for line in lines)) for heading in headings
    }
    kept = [heading for heading in ALWAYS if heading in headings]
    for heading in IF_THEY_FIT:
        more = [*kept, heading]
        if heading in headings and sum(widths[each] for each in more) + GAP * (len(more) - 1) <= width:
            kept = more
    return [heading for heading in headings if heading in kept]


def _moved(line: _Line, headings: Sequence[str], kept: Sequence[str]) -> Iterator[str]:
    """Yields the cells of a line that have no column, with their headings in lower case."""
    for heading in headings:
        value = _cell(line, heading)
        if heading not in kept and value != "-":
            yield f"{heading.lower()} {value}"


def _lines(row: StatusRow, now: datetime, style: Style, *, wide: bool) -> Iterator[_Line]:
    """Yields the line of a spec, and one for each further live run of it."""
    own = next((run for run in row.runs if run.run_id == row.run_id), None)
    yield _Line(
        {
            "NAME": plain(row.name),
            "RUN OF": which_text(row.generation, row.slot, row.attempt or 1),
            "STATE": style.paint(row.state, COLOURS[row.state]),
            "AGE": _age(row.finished_at or row.submitted_at, now),
            "RUN ID": plain(row.run_id or "-"),
            "NEXT SLOT": plain(row.next_slot or "-"),
            **(_wide(own) if own is not None else _wide_of(row)),
        },
        tuple(_notes(row, own, now)),
    )
    for run in row.runs:
        if run is not own:
            cells = {
                "NAME": plain(run.name),
                "RUN OF": which_text(run.generation, run.slot, run.attempt),
                "STATE": style.paint(run.state, COLOURS[run.state]),
                "AGE": _age(run.submitted_at, now),
                "RUN ID": plain(run.run_id or "-"),
                **_wide(run),
            }
            words = aws_words(run, now)
            yield _Line(cells, tuple(note for note in ("also live", words) if note))


def _notes(row: StatusRow, own: RunRow | None, now: datetime) -> Iterator[str]:
    """Yields the reason unless it is in sync, AWS's own words, and whether the run is stuck."""
    if row.reason != Reason.IN_SYNC:
        yield sentence(row.reason)
    if own is not None and (words := aws_words(own, now)):
        yield words
    elif own is None and row.state in SHOWN_ENDS and row.detail and row.detail not in row.reason:
        yield ": ".join(part for part in (plain(row.aws_state or ""), sentence(row.detail)) if part)
    if row.stuck is not None and own is not None:
        taken = own.waited_seconds if row.stuck == "waiting" else own.ran_seconds
        yield f"stuck: {row.stuck} for {duration_text(taken)}, much longer than usual"


def _wide(run: RunRow) -> dict[str, str]:
    return {
        "KIND": run.kind,
        "COMMIT": plain((run.commit or "-")[:DIGITS]),
        "WHERE": location_text(run.location) or "-",
        "DEFINITION": plain(run.definition or "-"),
        "CONSOLE": plain(run.console_url or "-"),
    }


def _wide_of(row: StatusRow) -> dict[str, str]:
    return {"KIND": row.kind, "CONSOLE": plain(row.console_url or "-")}


def _age(since: str | None, now: datetime) -> str:
    """Returns the time since a moment, such as ``2h``, or ``-`` without one."""
    return age_text((now - parse_time(since)).total_seconds()) if since else "-"


def _suggestions(rows: Iterable[StatusRow]) -> Iterator[str]:
    """Yields the suggested commands of each spec, which are printed below the table."""
    for row in rows:
        if row.suggested is not None:
            first, *commands = suggested_lines(row.suggested)
            yield from (f"{plain(row.name)}: {first}", *commands, "")


def _summary(rows: Sequence[StatusRow]) -> str:
    return f"{sum(row.in_sync for row in rows)} of {len(rows)} in sync."
