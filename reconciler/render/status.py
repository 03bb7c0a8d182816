"""Each spec's last run, as rows for machines and as a table for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler.core.plan import Action, ActionType, Plan, Reason
from reconciler.core.state import Recorded
from reconciler.core.submission import Phase, Submission
from reconciler.core.suggested_commands import SuggestedCommands
from reconciler.core.times import parse_time
from reconciler.render.text import CYAN, DIM, GREEN, RED, YELLOW, Style, lines_text, plain, remedy_lines, sentence

NO_RUN = "none"
NOT_RUN = frozenset({Phase.REJECTED, Phase.UNSENT, Phase.SUPERSEDED, Phase.ABANDONED})
COLOURS = {
    "none": DIM, "intended": CYAN, "submitted": CYAN, "running": CYAN, "succeeded": GREEN, "failed": RED,
    "cancelled": YELLOW, "unknown": YELLOW, "lost": RED,
}  # fmt: skip
MINUTE, HOUR, DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class StatusRow:
    """How one spec stands; the fields are those of ``status --format json``.

    `generation` to `digest`, `run_id` and the times are of the submission that the plan is about (what is in sync, held
    or waited for), else of the newest, `None` without one (then `digest` is what the spec asks for). `state` is
    ``none``, ``intended``, ``submitted``, ``running``, ``succeeded``, ``failed``, ``cancelled``, ``unknown`` or
    ``lost``. `in_sync`: a pass would do nothing about it, and nobody is needed. `reason` is the plan's reason, with its
    message after a colon where there is one. `remedy` is what a person can do about an unknown. `next_slot` is when the
    spec is due next, `None` without a schedule.
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
    remedy: SuggestedCommands | None = None
    next_slot: str | None = None


def rows(plan: Plan, recorded: Recorded) -> tuple[StatusRow, ...]:
    """One row for each name of the plan, by name, retired ones last. The time of the plan is the time of the rows."""
    by_name: dict[str, list[Action]] = {}
    for action in plan.actions:
        by_name.setdefault(action.name, []).append(action)
    now = parse_time(plan.created_at)
    ordered = sorted(by_name, key=lambda name: (_is_retired(by_name[name]), name))
    return tuple(_row(by_name[name], _told(by_name[name][-1], recorded), now) for name in ordered)


def _told(action: Action, recorded: Recorded) -> Submission | None:
    """The submission that a row is about: the one that the action is about, else the newest."""
    return recorded.by_token.get(action.client_token or "") or recorded.spec(action.name).newest


def _is_retired(actions: Sequence[Action]) -> bool:
    return all(action.reason is Reason.RETIRED for action in actions)


def _row(actions: Sequence[Action], told: Submission | None, now: datetime) -> StatusRow:
    """The newest action of a name and the submission it is about; it is in sync where all of its actions say so."""
    action = actions[-1]
    return StatusRow(
        name=action.name,
        kind=told.kind if told else action.kind,
        generation=told.generation if told else None,
        slot=told.slot if told else None,
        attempt=told.attempt if told else None,
        state=state(told, now),
        run_id=told.run_id if told else None,
        client_token=told.token if told else None,
        digest=told.digest if told else action.digest,
        submitted_at=told.submitted_at if told else None,
        finished_at=told.finished_at if told else None,
        in_sync=all(each.action is ActionType.NONE for each in actions),
        reason="; ".join([*(_reason(each) for each in actions), *_not_run(actions, told)]),
        remedy=action.remedy,
        next_slot=action.next_slot,
    )


def state(submission: Submission | None, now: datetime) -> str:
    """The state of a submission in one word. ``intended`` while a send may be under way; ``unknown`` once its
    outcome is unclear: an error, its deadline has passed, or there are several runs. What AWS
    rejected or never received, or is known to be absent, has no run: ``none``; nor has one whose run was given to
    another.
    """
    if submission is None or submission.reassigned_to is not None:
        return NO_RUN
    match submission.phase:
        case Phase.SUBMITTED:
            return str(submission.run_state or "submitted")
        case Phase.INTENDED:
            under_way = submission.error is None and now <= parse_time(submission.newest_send.not_after)
            return "intended" if under_way else "unknown"
        case Phase.CONFLICTED:
            return "unknown"
        case Phase.REJECTED | Phase.UNSENT | Phase.SUPERSEDED | Phase.ABANDONED:
            return NO_RUN


def _reason(action: Action) -> str:
    return f"{action.reason}: {action.message}" if action.message else str(action.reason)


def _not_run(actions: Sequence[Action], told: Submission | None) -> Iterable[str]:
    """That the submission has no run, and why, where no action says so already."""
    if told is not None and told.phase in NOT_RUN:
        words = told.error or str(told.phase)
        if not any(words in f"{action.reason} {action.message}" for action in actions):
            yield f"{told.phase}: {told.error}" if told.error else words


HEADINGS = ("NAME", "RUN OF", "STATE", "AGE", "RUN ID", "")


def status_text(rows: Sequence[StatusRow], now: datetime, color: bool = False) -> str:
    """The rows as a table, without a line end: name, generation or slot, state, age, run id, the next slot where a spec
    has a schedule, and the reason where it is more than in sync. The age is that of the end, or of the submission where
    the run has not ended.
    """
    if not rows:
        return "No specs, and nothing recorded."
    style = Style(color)
    scheduled = any(row.next_slot for row in rows)
    headings = HEADINGS if not scheduled else (*HEADINGS[:-1], "NEXT SLOT", HEADINGS[-1])
    table = [headings, *(_cells(row, now, scheduled=scheduled) for row in rows)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(headings) - 1)]
    lines = [style.bold(_joined(headings, widths))]
    for row, cells in zip(rows, table[1:], strict=True):
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)]
        padded[2] = style.paint(padded[2], COLOURS[row.state])
        lines.append("  ".join([*padded, cells[-1]]).rstrip())
    return lines_text([*lines, "", *_remedies(rows), style.bold(_summary(rows))])


def _remedies(rows: Iterable[StatusRow]) -> Iterator[str]:
    """What a person can do, spec by spec, under the table."""
    for row in rows:
        if row.remedy is not None:
            first, *commands = remedy_lines(row.remedy)
            yield from (f"{plain(row.name)}: {first}", *commands, "")


def _joined(cells: Iterable[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=False)).rstrip()


def _cells(row: StatusRow, now: datetime, *, scheduled: bool) -> tuple[str, ...]:
    which = row.slot or (f"#{row.generation}" if row.generation else "-")
    attempt = f"/{row.attempt}" if row.attempt and row.attempt > 1 else ""
    reason = "" if row.reason == Reason.IN_SYNC else sentence(row.reason)
    following = (plain(row.next_slot or "-"),) if scheduled else ()
    run_id = plain(row.run_id or "-")
    return plain(row.name), plain(which) + attempt, row.state, _age(row, now), run_id, *following, reason


def _age(row: StatusRow, now: datetime) -> str:
    """``2h`` since the end, or the submission; ``-`` without either."""
    since = row.finished_at or row.submitted_at
    return age_text((now - parse_time(since)).total_seconds()) if since else "-"


def age_text(seconds: float) -> str:
    """A span of time in its largest whole unit: ``45s``, ``12m``, ``5h``, ``3d``. Never negative."""
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE)):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def _summary(rows: Sequence[StatusRow]) -> str:
    in_sync = sum(row.in_sync for row in rows)
    return f"{in_sync} of {len(rows)} in sync."
