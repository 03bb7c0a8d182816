"""Renders the status of each spec and its last run: the rows of `status`, and their table, which fits the terminal."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.durations import stuck, usual
from reconciler.core.identity import Place
from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.renames import after_renames
from reconciler.core.retries import waits_words
from reconciler.core.state import Phase, Recorded, SpecRecord, Submission
from reconciler.core.suggestions import SuggestedCommands
from reconciler.core.times import age_text, parse_time
from reconciler.redact.escape import lines_text
from reconciler.render.plan_phrases import suggested_lines
from reconciler.render.runs import COLOURS, RunRow, aws_words, duration_text, run_row, which_text, wide_cells
from reconciler.render.text import Layout, Line, Style, fitted, plain, sentence
from reconciler.values import dataclass

NO_RUN = "none"
NOT_RUN = frozenset({Phase.REJECTED, Phase.UNSENT, Phase.SUPERSEDED, Phase.ABANDONED})


@dataclass(frozen=True, slots=True)
class StatusRow:
    """The status of one spec. The fields have the same names as in ``status --format json``, except that `suggested` is
    called ``remedy`` there.

    `generation` to `digest`, `run_id` and the times belong to the submission that the plan's action is about, or
    otherwise to the newest submission. Without a submission they are `None`, and `digest` is the spec's digest. `state`
    is ``none``, ``intended``, ``submitted``, ``running``, ``succeeded``, ``failed``, ``cancelled``, ``unknown`` or
    ``lost``. `in_sync` is true if neither a pass nor an operator has anything to do. `reason` is the plan's reason,
    with its message after a colon. `suggested` are the commands with which an operator can resolve an unknown outcome.
    `next_slot` is the spec's next slot, or `None` without a schedule.

    `aws_state` and `detail` are AWS's own state and reason of the run, and `console_url` is its page in AWS's console.
    `location` contains the fields that identify where the run is in AWS, such as the application id. `definition` is
    the job definition revision that AWS runs, and `commit` is the commit from which the run was submitted. `runs` are
    all live runs of the spec, oldest first. `stuck` is ``waiting`` or ``running`` if the run has been doing so for much
    longer than usual.
    """

    name: str
    kind: str
    generation: int | None
    slot: str | None
    attempt: int | None
    state: str
    run_id: str | None
    client_token: str | None
    digest: str | None
    submitted_at: str | None
    finished_at: str | None
    in_sync: bool
    reason: str
    suggested: SuggestedCommands | None = None
    next_slot: str | None = None
    aws_state: str | None = None
    detail: str | None = None
    console_url: str | None = None
    location: Mapping[str, str] | None = None
    definition: str | None = None
    runs: tuple[RunRow, ...] = ()
    stuck: str | None = None
    commit: str | None = None


def rows(plan: Plan, recorded: Recorded) -> tuple[StatusRow, ...]:
    """Returns one row for each name in the plan, as of the time of the plan. The rows are sorted by name, with retired
    specs last."""
    recorded = after_renames(recorded, plan.renames)
    by_name: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_name.setdefault(action.name, []).append(action)
    now = parse_time(plan.created_at)
    ordered = sorted(by_name, key=lambda name: (_is_retired(by_name[name]), name))
    rows = [
        _with_runs(_row(by_name[name], last, now), last, recorded.spec(name), plan.place, now)
        for name in ordered
        for last in [_submission(by_name[name][-1], recorded)]
    ]
    changed = {change.name for change in plan.changes if not change.stale}
    return tuple(replace(row, reason=CHANGE_PENDING) if _is_pending(row, changed) else row for row in rows)


def selected(rows: Sequence[StatusRow], states: Collection[str], sort: str) -> tuple[StatusRow, ...]:
    """Returns the rows in these states (all rows if no states are given), sorted by ``name`` (retired specs last),
    ``state``, ``age`` (the youngest first) or ``next-slot``."""
    kept = [row for row in rows if not states or row.state in states]
    match sort:
        case "state":
            kept.sort(key=lambda row: (row.state, row.name))
        case "age":
            kept.sort(key=lambda row: row.finished_at or row.submitted_at or "", reverse=True)
        case "next-slot":
            kept.sort(key=lambda row: (row.next_slot is None, row.next_slot or "", row.name))
        case _:
            pass
    return tuple(kept)


def _with_runs(row: StatusRow, last: Submission | None, record: SpecRecord, place: Place, now: datetime) -> StatusRow:
    """Adds AWS's report about the run of a row, and the live runs of the row's spec."""
    typical = usual(record.submissions, now) if record.live else None
    live = tuple(run_row(run, place, now, None, typical) for run in record.live)
    if last is None or last.run_id is None or last.reassigned_to is not None:
        return replace(row, runs=live)
    return replace(
        row,
        aws_state=last.aws_state,
        detail=last.detail,
        location=dict(last.content.location),
        definition=last.definition,
        commit=last.commit,
        console_url=place.console_url(last.kind, last.content.location, last.run_id),
        runs=live,
        stuck=stuck(last, typical, now),
    )


CHANGE_PENDING = "in sync, change pending"
"""The reason shown for a spec whose last run is correct, but whose policy or content in git differs for later runs."""


def _is_pending(row: StatusRow, changed: Collection[str]) -> bool:
    return row.name in changed and row.in_sync and not row.reason.startswith(Reason.RETIRED)


def _submission(action: Action, recorded: Recorded) -> Submission | None:
    """Returns the submission of a row: the submission that the action is about, otherwise the newest submission of the
    spec."""
    return recorded.by_token.get(action.client_token or "") or recorded.spec(action.name).newest


def _is_retired(actions: Sequence[Action]) -> bool:
    return all(action.reason is Reason.RETIRED for action in actions)


def _row(actions: Sequence[Action], last: Submission | None, now: datetime) -> StatusRow:
    """Returns the row of a spec from its newest action and submission. The row is in sync if all actions of the spec
    are in sync."""
    action = actions[-1]
    return StatusRow(
        name=action.name,
        kind=last.kind if last else action.kind,
        generation=last.generation if last else None,
        slot=last.slot if last else None,
        attempt=last.attempt if last else None,
        state=state(last, now),
        run_id=last.run_id if last else None,
        client_token=last.token if last else None,
        digest=last.digest if last else action.digest,
        submitted_at=last.submitted_at if last else None,
        finished_at=last.finished_at if last else None,
        in_sync=all(each.action is ActionType.NONE for each in actions),
        reason="; ".join([*(_reason(each, last) for each in actions), *_not_run(actions, last)]),
        suggested=action.suggested,
        next_slot=action.next_slot,
    )


def state(submission: Submission | None, now: datetime) -> str:
    """Returns the state of a submission in one word.

    It is ``intended`` while a send may be in flight; ``unknown`` after an error, after its deadline, or if several runs
    were found; ``none`` if there is no run, because AWS rejected or never received the submission, or because its run
    is proven absent or was reassigned.
    """
    if submission is None or submission.reassigned_to is not None:
        return NO_RUN
    match submission.phase:
        case Phase.SUBMITTED:
            return str(submission.run_state or "submitted")
        case Phase.INTENDED:
            in_flight = submission.error is None and now <= parse_time(submission.newest_send.not_after)
            return "intended" if in_flight else "unknown"
        case Phase.CONFLICTED:
            return "unknown"
        case Phase.REJECTED | Phase.UNSENT | Phase.SUPERSEDED | Phase.ABANDONED | Phase.APPLIED:
            return NO_RUN


def _reason(action: Action, last: Submission | None) -> str:
    """Returns the reason and the message of an action. AWS's own state and reason of a live run are in other fields."""
    shown = last is not None and last.live and action.action is ActionType.NONE and action.message == waits_words(last)
    return f"{action.reason}: {action.message}" if action.message and not shown else str(action.reason)


def _not_run(actions: Sequence[Action], last: Submission | None) -> Iterable[str]:
    """Yields the reason why the submission has no run, unless one of the actions contains it."""
    if last is not None and last.phase in NOT_RUN:
        reason = last.error or str(last.phase)
        if not any(reason in f"{action.reason} {action.message}" for action in actions):
            yield f"{last.phase}: {last.error}" if last.error else reason


LAYOUT = Layout(always=("NAME", "STATE", "AGE"), if_they_fit=("RUN OF", "NEXT SLOT", "RUN ID"))
ORDER = ("NAME", "RUN OF", "STATE", "AGE", "RUN ID", "NEXT SLOT")
WIDE = ("KIND", "COMMIT", "WHERE", "DEFINITION", "CONSOLE")
SHOWN_ENDS = {"failed", "cancelled", "lost"}


def status_text(
    rows: Sequence[StatusRow], now: datetime, color: bool = False, width: int | None = None, *, wide: bool = False
) -> str:
    """Returns the rows as a table without a final line break: the name, generation or slot, state, age, run id, the
    next slot if any spec has a schedule, and the reason unless the spec is in sync, with AWS's own state and reason.
    Each further live run of a spec has a separate line. The age is the time since the run ended or, for a live run,
    since it was submitted.

    The table fits a terminal of `width` characters; `None` and `wide` mean that lines are never wrapped. `wide` adds
    the kind, the commit, the location, the job definition and the console page of each run.
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
            **wide_cells(row.kind, row.commit, row.location, row.definition, row.console_url),
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
                **wide_cells(run.kind, run.commit, run.location, run.definition, run.console_url),
            }
            words = aws_words(run, now)
            yield Line(cells, tuple(note for note in ("also live", words) if note))


def _notes(row: StatusRow, own: RunRow | None, now: datetime) -> Iterator[str]:
    """Yields the reason unless the spec is in sync, AWS's own state and reason, and whether the run is stuck."""
    if row.reason != Reason.IN_SYNC:
        yield sentence(row.reason)
    repeats = row.detail is not None and row.detail in row.reason  # the reason already contains AWS's text
    if own is not None and not repeats and (words := aws_words(own, now)):
        yield words
    elif own is None and row.state in SHOWN_ENDS and row.detail and row.detail not in row.reason:
        yield ": ".join(part for part in (plain(row.aws_state or ""), sentence(row.detail)) if part)
    if row.stuck is not None and own is not None:
        taken = own.waited_seconds if row.stuck == "waiting" else own.ran_seconds
        yield f"stuck: {row.stuck} for {duration_text(taken)}, much longer than usual"


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
