"""Renders runs as a table that fits the terminal, and the usual durations and costs of a spec."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from reconciler.core.durations import Usual
from reconciler.core.times import parse_time, seconds_text
from reconciler.model.kind import Resources
from reconciler.render.runs import (
    UNSUCCESSFUL,
    RunRow,
    Runs,
    aws_words,
    cost_text,
    duration_text,
    usual_text,
    which_text,
)
from reconciler.render.status_table import COLOURS, DIGITS, wide_cells
from reconciler.render.table import Layout, Line, fitted
from reconciler.render.text import Style, columns, count, lines_text, plain

LAYOUT = Layout(
    always=("NAME", "WHEN", "STATE"), if_they_fit=("RAN", "RUN OF", "WAITED", "COST", "RUN ID", "COMMIT", "BILLED")
)
ORDER = ("NAME", "WHEN", "RUN OF", "STATE", "WAITED", "RAN", "BILLED", "COST", "COMMIT", "RUN ID")
WIDE = ("KIND", "WHERE", "DEFINITION", "CONSOLE")


def runs_text(runs: Runs, now: datetime, *, color: bool = False, width: int | None = None, wide: bool = False) -> str:
    """Returns the rows as a table without a final line break. Its columns are the time of submission, the generation or
    slot, the state, how long the run waited and ran, what was billed, and the commit. Runs that wait or did not succeed
    also have AWS's reason. `width` and `wide` are as in `status_text`."""
    rows, currency = runs.rows, runs.currency
    if not rows:
        return "No runs."
    style = Style(color)
    headings = [heading for heading in ORDER if heading != "COST" or currency is not None] + [*(WIDE if wide else ())]
    lines = [_line(row, now, currency, style, wide=wide) for row in rows]
    table = fitted(lines, headings, LAYOUT, style, None if wide else width)
    summary = columns([(style.bold(_summary(rows, currency)),)], None if wide else width)
    return lines_text([*table, "", *_usual(runs.typical, None if wide else width), *summary])


def _line(row: RunRow, now: datetime, currency: str | None, style: Style, *, wide: bool) -> Line:
    cells = {
        "NAME": plain(row.name),
        "WHEN": seconds_text(parse_time(row.submitted_at)) if row.submitted_at else "-",
        "RUN OF": which_text(row.generation, row.slot, row.attempt),
        "STATE": style.paint(row.state, COLOURS.get(row.state, "")),
        "WAITED": duration_text(row.waited_seconds),
        "RAN": duration_text(row.ran_seconds),
        "BILLED": billed_text(row.billed),
        "COST": cost_text(row.cost, currency),
        "COMMIT": plain((row.commit or "-")[:DIGITS]),
        "RUN ID": plain(row.run_id or "-"),
        **(wide_cells(row) if wide else {}),
    }
    return Line(cells, tuple(_notes(row, now)))


def _notes(row: RunRow, now: datetime) -> Iterator[str]:
    if row.detail and row.state != "succeeded" and (words := aws_words(row, now)):
        yield words
    if row.stuck is not None:
        yield f"stuck: {row.stuck} for much longer than usual"


def billed_text(billed: Resources | None) -> str:
    """Returns a text such as ``1.5 vCPU-h, 6 GB-h``, or ``-`` if nothing is known."""
    if billed is None:
        return "-"
    storage = f", {billed.storage_gb_hours:.3g} storage GB-h" if billed.storage_gb_hours else ""
    return f"{billed.vcpu_hours:.3g} vCPU-h, {billed.memory_gb_hours:.3g} GB-h{storage}"


def _usual(typical: Usual | None, width: int | None) -> Iterator[str]:
    if typical is not None:
        yield from columns([(f"Usual: {usual_text(typical)}.",)], width)
        yield ""


def _summary(rows: Sequence[RunRow], currency: str | None) -> str:
    failed = sum(row.state in UNSUCCESSFUL for row in rows)
    known = [row.cost for row in rows if row.cost is not None]
    cost = f", {cost_text(sum(known), currency)} for {len(known)} of them" if known and currency else ""
    return f"{count(len(rows), 'run')}, {failed} not successful{cost}."
