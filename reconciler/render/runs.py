"""Renders runs: one row for each run, as in `status`, `runs` and the JSON of both commands, and the table of `runs`
with the usual durations and costs of a spec."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from io import StringIO
from itertools import chain, pairwise

from reconciler.core.durations import Usual, billed, ran, stuck, usual, waited
from reconciler.core.identity import Place
from reconciler.core.state import Recorded, Submission
from reconciler.core.times import UNITS, age_text, parse_time, seconds_text
from reconciler.model.base import JSON
from reconciler.model.kind import Resources
from reconciler.model.project import Prices
from reconciler.redact.escape import lines_text
from reconciler.render.text import Layout, Line, Style, columns, count, fitted, plain, sentence
from reconciler.values import dataclass

COLOURS = {
    "none": "dim", "intended": "cyan", "submitted": "cyan", "running": "cyan", "succeeded": "green", "failed": "red",
    "cancelled": "yellow", "unknown": "yellow", "lost": "red",
}  # fmt: skip
DIGITS = 12  # of a commit
UNSUCCESSFUL = frozenset({"failed", "cancelled", "lost"})
"""The states of runs that ended without success."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. Its fields are the fields of the JSON form.

    `state` is a `RunState`; `aws_state` and `detail` are AWS's own state and reason. `definition` is the job definition
    revision that AWS runs. `location` contains the fields that identify where the run is in AWS, such as the
    application id. `console_url` is its page in AWS's console, or `None` for the emulator. `waited_seconds` and
    `ran_seconds` grow while the run waits or runs. `billed` contains the vCPU-hours and the GB-hours of memory and
    storage; `cost` is their cost at the target's prices. `stuck` is ``waiting`` or ``running`` if the run has been
    doing so for much longer than usual. Unknown values are `None`.
    """

    name: str
    kind: str
    generation: int | None
    slot: str | None
    attempt: int
    run_id: str | None
    state: str
    aws_state: str | None
    detail: str | None
    location: Mapping[str, str]
    definition: str | None
    console_url: str | None
    commit: str | None
    submitted_at: str | None
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    waited_seconds: int | None
    ran_seconds: int | None
    billed: Resources | None
    cost: float | None = None
    stuck: str | None = None


def run_row(
    run: Submission, place: Place, now: datetime, prices: Prices | None = None, typical: Usual | None = None
) -> RunRow:
    """Returns the row of a submission that has a run, as of `now`. `typical` contains the usual durations of its
    spec."""
    resources = billed(run, now)
    return RunRow(
        name=run.name,
        kind=run.kind,
        generation=run.generation,
        slot=run.slot,
        attempt=run.attempt,
        run_id=run.run_id,
        state=str(run.run_state or run.phase),
        aws_state=run.aws_state,
        detail=run.detail,
        location=dict(run.content.location),
        definition=run.definition,
        console_url=place.console_url(run.kind, run.content.location, run.run_id),
        commit=run.commit,
        submitted_at=run.submitted_at,
        created_at=run.created_at,
        started_at=run.started_at,
        finished_at=run.finished_at,
        waited_seconds=_seconds(waited(run, now)),
        ran_seconds=_seconds(ran(run, now)),
        billed=resources,
        cost=prices.cost_of(run.kind, resources) if prices is not None else None,
        stuck=stuck(run, typical, now),
    )


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs, newest first; their usual durations and costs, if all of them belong to one spec; and the currency of their
    costs (`None` without prices)."""

    rows: tuple[RunRow, ...]
    typical: Usual | None = None
    currency: str | None = None

    def selected(self, after: datetime | None, *, unsuccessful: bool) -> Runs:
        """Returns the runs that were submitted since `after`. With `unsuccessful`, returns only runs that ended without
        success."""
        kept = (row for row in self.rows if not unsuccessful or row.state in UNSUCCESSFUL)
        recent = (
            row for row in kept if after is None or row.submitted_at is None or parse_time(row.submitted_at) >= after
        )
        return replace(self, rows=tuple(recent))


def runs_of(  # noqa: PLR0917 - what to show, and what its rows depend on
    recorded: Recorded,
    names: Collection[str],
    place: Place,
    now: datetime,
    prices: Prices | None,
    archived: Iterable[Submission] = (),
) -> Runs:
    """Returns the runs of these specs in the current state, and the runs of their `archived` submissions. Runs that now
    belong to another spec are left out."""
    records = [recorded.spec(name) for name in names]
    typical = {record.name: usual(record.submissions, now, prices) for record in records}
    rows = [
        run_row(run, place, now, prices, typical[run.name])
        for run in chain((run for record in records for run in record.submissions), archived)
        if run.run_id is not None and run.reassigned_to is None
    ]
    rows.sort(key=lambda row: (row.submitted_at or "", row.name, row.attempt), reverse=True)
    one = typical[records[0].name] if len(records) == 1 else None
    return Runs(tuple(rows), one, prices.currency if prices is not None else None)


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else int(duration.total_seconds())


def run_json(row: RunRow) -> JSON:
    """Returns the JSON form of a row. Nothing is masked."""
    return asdict(row)


def runs_json(runs: Runs) -> JSON:
    """Returns ``{"runs": […], "usual": …, "currency": …}``. Nothing is masked."""
    usual_form = usual_json(runs.typical) if runs.typical is not None else None
    return {"runs": [run_json(row) for row in runs.rows], "usual": usual_form, "currency": runs.currency}


def usual_json(typical: Usual) -> JSON:
    """Returns ``{"runs", "waited_seconds", "ran_seconds", "cost", "currency"}``, the durations and the cost with
    ``median`` and ``p90``, or ``None``."""
    spreads = {"waited_seconds": typical.waited, "ran_seconds": typical.ran, "cost": typical.cost}
    forms = {name: spread and asdict(spread) for name, spread in spreads.items()}
    return {"runs": typical.runs, **forms, "currency": typical.currency}


def usual_text(typical: Usual) -> str:
    """Returns ``waits 1m (90% within 3m), runs 12m (90% within 15m), as the last 20 successful runs``."""
    parts = [
        f"{verb} {duration_text(spread.median)} (90% within {duration_text(spread.p90)})"
        for verb, spread in (("waits", typical.waited), ("runs", typical.ran))
        if spread is not None
    ]
    if typical.cost is not None:
        high = cost_text(typical.cost.p90, typical.currency)
        parts.append(f"costs {cost_text(typical.cost.median, typical.currency)} (90% up to {high})")
    return f"{', '.join(parts) or 'no times known'}; last {count(typical.runs, 'successful run')}"


def cost_text(cost: float | None, currency: str | None) -> str:
    """Returns ``0.42 USD``, with four decimals below 0.1, or ``-`` if the cost is not known."""
    if cost is None or currency is None:
        return "-"
    return f"{cost:.2f} {currency}" if cost >= 0.1 or cost == 0 else f"{cost:.4f} {currency}"


def runs_csv(rows: Sequence[RunRow]) -> str:
    """Returns the rows as CSV with a heading, as in RFC 4180 but with line feeds. A nested value has a column for each
    part. A text that a spreadsheet would evaluate as a formula is prefixed with an apostrophe."""
    forms = [_flat(run_json(row)) for row in rows]
    names = list(dict.fromkeys(name for form in forms for name in form)) or [field.name for field in fields(RunRow)]
    text = StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(forms)
    return text.getvalue().rstrip("\n")


def _flat(form: JSON) -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in form.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{part}": _cell(each) for part, each in value.items()}
        # An unknown nested value has no column of its own. The columns of its parts come from other rows.
        elif value is not None or name not in {"billed", "location"}:
            flat[name] = _cell(value)
    return flat


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = sentence(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def duration_text(seconds: float | None) -> str:
    """Returns a duration in its two largest units, such as ``2h 5m`` or ``45s``, or ``-`` if it is not known."""
    if seconds is None:
        return "-"
    left = max(0, int(seconds))
    for (unit, size), (smaller, small) in pairwise(UNITS):
        if left >= size:
            rest = left % size // small
            return f"{left // size}{unit}" + (f" {rest}{smaller}" if rest else "")
    return f"{left}s"


def aws_words(run: RunRow, now: datetime) -> str:
    """Returns AWS's state of a run, how long it has been in that state, and the reason: ``RUNNABLE 3h:
    MISCONFIGURATION:…``.

    The time is counted from the creation of a waiting run, or from the start of a running one. It is left out for ended
    runs.
    """
    since = run.started_at or run.created_at or run.submitted_at
    age = "" if run.finished_at or since is None else f" {age_text((now - parse_time(since)).total_seconds())}"
    state = f"{plain(run.aws_state)}{age}" if run.aws_state else ""
    return ": ".join(part for part in (state, sentence(run.detail or "")) if part)


def which_text(generation: int | None, slot: str | None, attempt: int | None) -> str:
    """Returns the generation or slot of a run and, unless it is the first attempt, the attempt: ``#3`` or
    ``2026-11-22T02:00:00Z/2``."""
    which = slot or (f"#{generation}" if generation else "-")
    return plain(which) + (f"/{attempt}" if attempt and attempt > 1 else "")


def where_text(location: Mapping[str, str], url: str | None) -> str:
    """Returns the location of a run and its page in AWS's console, each if it is known."""
    return "  ".join(part for part in (location_text(location), plain(url or "")) if part)


def location_text(location: Mapping[str, str]) -> str:
    """Returns the location of a run: ``applicationId 00f1…``."""
    return ", ".join(plain(f"{name} {value}") for name, value in location.items())


def wide_cells(
    kind: str, commit: str | None, location: Mapping[str, str] | None, definition: str | None, url: str | None
) -> dict[str, str]:
    """Returns the cells about a run that only wide tables contain."""
    return {
        "KIND": kind,
        "COMMIT": plain((commit or "-")[:DIGITS]),
        "WHERE": location_text(location or {}) or "-",
        "DEFINITION": plain(definition or "-"),
        "CONSOLE": plain(url or "-"),
    }


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
        **(wide_cells(row.kind, row.commit, row.location, row.definition, row.console_url) if wide else {}),
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
    costs = [row.cost for row in rows if row.cost is not None]
    cost = f", {cost_text(sum(costs), currency)} for {len(costs)} of them" if costs and currency else ""
    return f"{count(len(rows), 'run')}, {failed} not successful{cost}."
