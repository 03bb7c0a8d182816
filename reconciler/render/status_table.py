"""Renders the rows of `status` as a table that fits the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from reconciler.core.plan import Reason
from reconciler.core.times import age_text, parse_time
from reconciler.render.plan_phrases import suggested_lines
from reconciler.render.runs import RunRow, aws_words, duration_text, location_text, which_text
from reconciler.render.status import StatusRow
from reconciler.render.table import Layout, Line, fitted
from reconciler.render.text import Style, lines_text, plain, sentence

COLOURS = {
    "none": "dim", "intended": "cyan", "submitted": "cyan", "running": "cyan", "succeeded": "green", "failed": "red",
    "cancelled": "yellow", "unknown": "yellow", "lost": "red",
}  # fmt: skip
LAYOUT = Layout(always=("NAME", "STATE", "AGE"), if_they_fit=("RUN OF", "NEXT SLOT", "RUN ID"))
ORDER = ("NAME", "RUN OF", "STATE", "AGE", "RUN ID", "NEXT SLOT")
WIDE = ("KIND", "COMMIT", "WHERE", "DEFINITION", "CONSOLE")
DIGITS = 12  # of a commit
SHOWN_ENDS = {"failed", "cancelled", "lost"}


def status_text(
    rows: Sequence[StatusRow], now: datetime, color: bool = False, width: int | None = None, *, wide: bool = False
) -> str:
    """Returns the rows as a table without a final line break: the name, generation or slot, state, age, run id, the
    next slot if any spec has a schedule, and the reason unless the spec is in sync, with AWS's own state and reason.
    Each further live run of a spec has a separate line. The age is the time since the run ended or, for a live run,
    since it was submitted.

    The table fits a terminal of `width` characters; `None` and `wide` mean that lines are never folded. `wide` adds the
    kind, the commit, the location, the job definition and the console page of each run.
    """
    if not rows:
        return "No specs, and nothing recorded."
    style = Style(color)
    lines = [line for row in rows for line in _lines(row, now, style)]
    scheduled = any(row.next_slot for row in rows)
    headings = [heading for heading in ORDER if scheduled or heading != "NEXT SLOT"] + [*(WIDE if wide else ())]
    table = fitted(lines, headings, LAYOUT, style, None if wide else width)
    return lines_text([*table, "", *_suggestions(rows), style.bold(_summary(rows))])


def _lines(row: StatusRow, now: datetime, style: Style) -> Iterator[Line]:
    """Yields the line of a spec, and one line for each further live run of the spec."""
    own = next((run for run in row.runs if run.run_id == row.run_id), None)
    yield Line(
        {
            "NAME": plain(row.name),
            "RUN OF": which_text(row.generation, row.slot, row.attempt or 1),
            "STATE": style.paint(row.state, COLOURS[row.state]),
            "AGE": _age(row.finished_at or row.submitted_at, now),
            "RUN ID": plain(row.run_id or "-"),
            "NEXT SLOT": plain(row.next_slot or "-"),
            **wide_cells(row),
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
                **wide_cells(run),
            }
            words = aws_words(run, now)
            yield Line(cells, tuple(note for note in ("also live", words) if note))


def _notes(row: StatusRow, own: RunRow | None, now: datetime) -> Iterator[str]:
    """Yields the reason unless the spec is in sync, AWS's own words, and whether the run is stuck."""
    if row.reason != Reason.IN_SYNC:
        yield sentence(row.reason)
    known = row.detail is not None and row.detail in row.reason  # the reason already contains AWS's words
    if own is not None and not known and (words := aws_words(own, now)):
        yield words
    elif own is None and row.state in SHOWN_ENDS and row.detail and row.detail not in row.reason:
        yield ": ".join(part for part in (plain(row.aws_state or ""), sentence(row.detail)) if part)
    if row.stuck is not None and own is not None:
        taken = own.waited_seconds if row.stuck == "waiting" else own.ran_seconds
        yield f"stuck: {row.stuck} for {duration_text(taken)}, much longer than usual"


def wide_cells(row: RunRow | StatusRow) -> dict[str, str]:
    """Returns the cells about a run that only wide tables have."""
    return {
        "KIND": row.kind,
        "COMMIT": plain((row.commit or "-")[:DIGITS]),
        "WHERE": location_text(row.location or {}) or "-",
        "DEFINITION": plain(row.definition or "-"),
        "CONSOLE": plain(row.console_url or "-"),
    }


def _age(since: str | None, now: datetime) -> str:
    """Returns the time since `since`, such as ``2h``, or ``-`` if `since` is `None`."""
    return age_text((now - parse_time(since)).total_seconds()) if since else "-"


def aged_lines(text: str, rows: Sequence[StatusRow]) -> list[tuple[str, float | str, str]]:
    """Splits each line of a table at its age into the text before, the time from which the age is computed (in seconds
    since the epoch), and the text after. The table has no colours, and one line for each of `rows`. For other lines,
    the text after is empty."""
    heading, *lines = text.split("\n")
    start = heading.find("AGE")
    if start < 0:
        return [(line, "", "") for line in (heading, *lines)]
    end = start + max(len(line[start:].partition(" ")[0]) for line in (heading, *lines[: len(rows)]))
    aged: list[tuple[str, float | str, str]] = [(heading[:start], "AGE", heading[end:])]
    for line, row in zip(lines, rows, strict=False):
        since = row.finished_at or row.submitted_at
        aged.append((line[:start], parse_time(since).timestamp() if since else "-", line[end:]))
    return [*aged, *((line, "", "") for line in lines[len(rows) :])]


def _suggestions(rows: Iterable[StatusRow]) -> Iterator[str]:
    """Yields each spec's suggested commands, which are printed below the table."""
    for row in rows:
        if row.suggested is not None:
            first, *commands = suggested_lines(row.suggested)
            yield from (f"{plain(row.name)}: {first}", *commands, "")


def _summary(rows: Sequence[StatusRow]) -> str:
    return f"{sum(row.in_sync for row in rows)} of {len(rows)} in sync."
