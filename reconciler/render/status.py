"""Renders the status of each spec and its last run: rows for JSON, and a table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.renames import after_renames
from reconciler.core.state import Phase, Recorded, Submission
from reconciler.core.suggested_commands import SuggestedCommands
from reconciler.core.times import parse_time
from reconciler.render.phrases import suggested_lines
from reconciler.render.text import Style, columns, lines_text, plain, sentence

NO_RUN = "none"
NOT_RUN = frozenset({Phase.REJECTED, Phase.UNSENT, Phase.SUPERSEDED, Phase.ABANDONED})
COLOURS = {
    "none": "dim", "intended": "cyan", "submitted": "cyan", "running": "cyan", "succeeded": "green", "failed": "red",
    "cancelled": "yellow", "unknown": "yellow", "lost": "red",
}  # fmt: skip
MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class StatusRow:
    """The status of one spec. The fields are those of ``status --format json``, in which `suggested` is ``remedy``.

    `generation` to `digest`, `run_id` and the times are those of the submission that the plan's action is about,
    otherwise of the newest one. Without a submission they are `None`, and `digest` is that of the spec. `state` is
    ``none``, ``intended``, ``submitted``, ``running``, ``succeeded``, ``failed``, ``cancelled``, ``unknown`` or
    ``lost``. `in_sync` is whether neither a pass nor an operator has anything to do. `reason` is the plan's reason,
    with its message after a colon. `suggested` are the commands by which an operator can resolve an unknown.
    `next_slot` is the spec's next slot, `None` without a schedule.
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


def rows(plan: Plan, recorded: Recorded) -> tuple[StatusRow, ...]:
    """Returns one row for each name in the plan, sorted by name with retired specs last, as of the time of the plan."""
    recorded = after_renames(recorded, plan.renames)
    by_name: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_name.setdefault(action.name, []).append(action)
    now = parse_time(plan.created_at)
    ordered = sorted(by_name, key=lambda name: (_is_retired(by_name[name]), name))
    found = [_row(by_name[name], _submission(by_name[name][-1], recorded), now) for name in ordered]
    changed = {change.name for change in plan.changes if not change.stale}
    return tuple(replace(row, reason=CHANGE_PENDING) if _is_pending(row, changed) else row for row in found)


CHANGE_PENDING = "in sync, change pending"
"""The reason shown for a spec whose last run is correct, but whose policy or content in git differs for later runs."""


def _is_pending(row: StatusRow, changed: Collection[str]) -> bool:
    return row.name in changed and row.in_sync and not row.reason.startswith(Reason.RETIRED)


def _submission(action: Action, recorded: Recorded) -> Submission | None:
    """Returns the submission of a row: the one that the action is about, otherwise the newest of the spec."""
    return recorded.by_token.get(action.client_token or "") or recorded.spec(action.name).newest


def _is_retired(actions: Sequence[Action]) -> bool:
    return all(action.reason is Reason.RETIRED for action in actions)


def _row(actions: Sequence[Action], last: Submission | None, now: datetime) -> StatusRow:
    """Returns the row of a spec from its newest action and submission. It is in sync if all of its actions are."""
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
        reason="; ".join([*(_reason(each) for each in actions), *_not_run(actions, last)]),
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


def _reason(action: Action) -> str:
    return f"{action.reason}: {action.message}" if action.message else str(action.reason)


def _not_run(actions: Sequence[Action], last: Submission | None) -> Iterable[str]:
    """Yields why the submission has no run, unless one of the actions contains the reason."""
    if last is not None and last.phase in NOT_RUN:
        reason = last.error or str(last.phase)
        if not any(reason in f"{action.reason} {action.message}" for action in actions):
            yield f"{last.phase}: {last.error}" if last.error else reason


HEADINGS = ("NAME", "RUN OF", "STATE", "AGE", "RUN ID")


def status_text(rows: Sequence[StatusRow], now: datetime, color: bool = False, width: int | None = None) -> str:
    """Returns the rows as a table without a final line break: name, generation or slot, state, age, run id, the next
    slot if any spec has a schedule, and the reason unless in sync. The age is the time since the run ended, or since
    its submission. `width` is as in `columns`."""
    if not rows:
        return "No specs, and nothing recorded."
    style = Style(color)
    scheduled = any(row.next_slot for row in rows)
    headings = (*HEADINGS, "NEXT SLOT", "") if scheduled else (*HEADINGS, "")
    table = [_cells(row, now, style, scheduled=scheduled) for row in rows]
    lines = columns([[style.bold(heading) for heading in headings], *table], width)
    return lines_text([*lines, "", *_suggestions(rows), style.bold(_summary(rows))])


def _suggestions(rows: Iterable[StatusRow]) -> Iterator[str]:
    """Yields the suggested commands of each spec, which are printed below the table."""
    for row in rows:
        if row.suggested is not None:
            first, *commands = suggested_lines(row.suggested)
            yield from (f"{plain(row.name)}: {first}", *commands, "")


def _cells(row: StatusRow, now: datetime, style: Style, *, scheduled: bool) -> tuple[str, ...]:
    which = row.slot or (f"#{row.generation}" if row.generation else "-")
    attempt = f"/{row.attempt}" if row.attempt and row.attempt > 1 else ""
    reason = "" if row.reason == Reason.IN_SYNC else sentence(row.reason)
    following = (plain(row.next_slot or "-"),) if scheduled else ()
    state = style.paint(row.state, COLOURS[row.state])
    return plain(row.name), plain(which) + attempt, state, _age(row, now), plain(row.run_id or "-"), *following, reason


def _age(row: StatusRow, now: datetime) -> str:
    """Returns the time since the run ended or was submitted, such as ``2h``, or ``-`` without either time."""
    since = row.finished_at or row.submitted_at
    return age_text((now - parse_time(since)).total_seconds()) if since else "-"


def age_text(seconds: float) -> str:
    """Returns a period in its largest whole unit: ``45s``, ``12m``, ``5h``, ``3d``. It is never negative."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def _summary(rows: Sequence[StatusRow]) -> str:
    return f"{sum(row.in_sync for row in rows)} of {len(rows)} in sync."
