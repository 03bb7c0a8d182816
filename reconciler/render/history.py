"""Renders the events of one spec, and the explanation of one submission, as text and as JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from textwrap import indent

from reconciler.core import events as e
from reconciler.core.event_codec import encode
from reconciler.core.fold import fold, overlay
from reconciler.core.identity import Place
from reconciler.core.plan import Change
from reconciler.core.state import Recorded, Submission
from reconciler.model.base import JSON
from reconciler.redact.escape import lines_text
from reconciler.redact.request import secrets_of
from reconciler.redact.text import without
from reconciler.render.json_text import dumps
from reconciler.render.plan_json import change_json
from reconciler.render.plan_text import change_block
from reconciler.render.runs import duration_text, location_text, run_json, run_row
from reconciler.render.text import (
    GAP,
    INDENT,
    Style,
    columns,
    hanging,
    packed,
    plain,
    sentence,
    value_text,
    visible_length,
)
from reconciler.values import dataclass

PositionedEvent = tuple[int, e.Event]
"""An event with its position in the ledger."""

RUN_FIELDS = (
    "aws_state", "location", "definition", "console_url", "created_at", "started_at", "waited_seconds", "ran_seconds",
    "billed",
)  # fmt: skip

NAMES_RUN = (e.Submitted, e.Adopted, e.ManuallyAdopted)
"""The events that record a new run."""

EVENT_COLOURS = {
    "submitted": "green", "adopted": "cyan", "rejected": "red", "unsent": "yellow", "unclear": "yellow",
    "conflicted": "red", "cancel-asked": "yellow", "taken": "cyan", "resolved": "cyan",
    "spec-renamed": "cyan", "accepted": "cyan",
}  # fmt: skip


def history_text(
    events: Sequence[PositionedEvent],
    color: bool = False,
    width: int | None = None,
    intents: Mapping[str, e.Beginning] | None = None,
    place: Place | None = None,
) -> str:
    """Returns events of one spec, in the order given, one row each: time, type, submission or slots, and details. There
    is no final line break. If the rows do not fit a terminal of `width` columns, the details are on separate lines
    below. `intents` contains the intents that are not among the events. With a `place`, the events that record a new
    run also have its location and its page in AWS's console."""
    style = Style(color)
    rows = [
        (*_cells(event, intent, style), [*_details(event, intent), *_where(event, intent, place)])
        for _, event, intent in _with_intents(events, intents)
    ]
    lines = columns([(*cells, (" " * GAP).join(details)) for *cells, details in rows])
    if width is not None and any(visible_length(line) > width for line in lines):
        lines = []
        for head, (*_, details) in zip(columns([row[:-1] for row in rows], width), rows, strict=True):
            lines.append(head)
            for detail in packed(details, width - len(INDENT) - 1):
                lines += hanging(INDENT, detail, width)
    return lines_text(lines) or "Nothing is recorded."


def _with_intents(
    events: Iterable[PositionedEvent], intents: Mapping[str, e.Beginning] | None
) -> list[tuple[int, e.Event, e.Beginning | None]]:
    """Returns each event with its position and the intent of its submission, if there is one."""
    events = list(events)
    by_token = dict(intents or {}) | {event.token: event for _, event in events if isinstance(event, e.Beginning)}
    return [(position, event, by_token.get(getattr(event, "token", ""))) for position, event in events]


def _cells(event: e.Event, intent: e.Beginning | None, style: Style) -> tuple[str, str, str]:
    about = intent.key.label if intent else _about(event)
    return plain(event.at), style.paint(event.type, EVENT_COLOURS.get(event.type, "")), plain(about)


def _where(event: e.Event, intent: e.Beginning | None, place: Place | None) -> Iterator[str]:
    """Yields the location and the page of the run that an event records."""
    if isinstance(event, NAMES_RUN):
        location, url = _location(event, intent, place)
        yield from (part for part in (location_text(location), plain(url or "")) if part)


def _location(event: e.Event, intent: e.Beginning | None, place: Place | None) -> tuple[Mapping[str, str], str | None]:
    """Returns the location of the run that an event names, and its page in AWS's console."""
    run_id = getattr(event, "run_id", None)
    if run_id is None or intent is None or place is None:
        return {}, None
    location = intent.content.location
    return location, place.console_url(intent.kind, location, run_id)


def _about(event: e.Event) -> str:
    """Returns the slots or the generation of an event without an intent, or an empty string if the event is about the
    whole spec."""
    match event:
        case e.ContentAccepted() if event.generation is not None:
            return f"generation {event.generation}"
        case e.Missed() if event.count == 1:
            return f"slot {event.first}"
        case e.Missed():
            return f"{'many' if event.count is None else event.count} slots from {event.first} to {event.last}"
        case e.BackfillAsked() if event.slots:
            return f"{len(event.slots)} slots from {event.slots[0]} to {event.slots[-1]}"
        case _:
            return ""


def _details(event: e.Event, intent: e.Beginning | None) -> Iterator[str]:
    run_id = ", ".join(event.run_ids) if isinstance(event, e.Conflicted) else getattr(event, "run_id", None)
    commit, actor = getattr(event, "commit", None), getattr(event, "actor", None)
    for label, value in (("run", run_id), ("commit", (commit or "")[:12]), ("by", actor)):
        if value:
            yield plain(f"{label} {value}")
    for value in (getattr(event, "state", None), getattr(event, "reason", None), _message(event)):
        if value:
            yield sentence(_without_secrets(value, intent))


def _message(event: e.Event) -> str | None:
    match event:
        case e.Unsent() | e.Rejected() | e.Unclear():
            return f"{event.code}: {event.message}"
        case e.Observed():
            return event.detail
        case e.ScheduledSince():
            stopped = f", stopped: {event.stopped}" if event.stopped else ""
            return f"{event.schedule} {event.time_zone}, since {event.since}{stopped}"
        case e.SpecRenamed():
            return f"renamed from {event.renamed_from}"
        case e.Resolved():
            return f"decision: {event.decision}" + (", before it had settled" if event.forced else "")
        case _:
            return None


def _without_secrets(text: str, intent: e.Beginning | None) -> str:
    """Removes the request's secrets from `text`, because an AWS error message may quote a secret without its key."""
    return text if intent is None else without(text, secrets_of(intent.request))


def history_json(events: Sequence[PositionedEvent]) -> JSON:
    """Returns ``{"events": [{"position", "type", "at", …}]}``: the events as recorded in the ledger. Nothing is
    masked."""
    return {"events": [{"position": position, **encode(event)} for position, event in events]}


def runs_in(
    events: Iterable[PositionedEvent], intents: Mapping[str, e.Beginning] | None, place: Place
) -> dict[str, JSON]:
    """Returns the ``location`` and the ``console_url`` of each run that the events name, by run id. `intents` are as in
    `history_text`."""
    runs = {}
    for _, event, intent in _with_intents(events, intents):
        location, url = _location(event, intent, place)
        if location:
            runs[getattr(event, "run_id", "")] = {"location": dict(location), "console_url": url}
    return runs


def history_json_parts(events: Iterable[PositionedEvent], runs: Mapping[str, JSON]) -> Iterator[str]:
    """Yields the text of `history_json`, with `runs` as a second key, in parts that consist of whole lines, so that a
    long history need not fit into memory. `runs` may be filled while the events are read."""
    forms = (indent(dumps({"position": position, **encode(event)}), "    ") for position, event in events)
    last = next(forms, None)
    if last is None:
        yield dumps({**history_json(()), "runs": runs})
        return
    yield '{\n  "events": ['
    for form in forms:
        yield f"{last},"
        last = form
    yield f"{last}\n  ],"
    yield f'  "runs": {indent(dumps(runs), "  ").lstrip()}\n}}'


@dataclass(frozen=True, slots=True)
class SubmissionHistory:
    """One submission: the events with its token, oldest first, including at least one intent; `previous`, the
    submission that AWS accepted before it, if any; and the differences between their requests. `name` is the current
    name of its spec, if the spec may have been renamed since then."""

    events: Sequence[PositionedEvent]
    changes: Sequence[Change] = ()
    previous: Submission | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Refresh:
    """The report of AWS about a run, at the time `at`, that is not yet in the ledger."""

    place: Place
    at: datetime
    events: Sequence[e.Observed] = ()


def _submission(events: Sequence[PositionedEvent], now: Refresh | None) -> tuple[Submission, e.Beginning]:
    """Returns the submission that results from one token's events and from what AWS reports now. Also returns its
    newest intent or manual adoption."""
    recorded = Recorded()
    for position, event in events:
        fold(recorded, position, [event])
    overlay(recorded, now.events if now is not None else ())
    intent = [event for _, event in events if isinstance(event, e.Beginning)][-1]
    return recorded.by_token[intent.token], intent


def why_json(history: SubmissionHistory, now: Refresh | None = None) -> JSON:
    """Returns the explanation of one submission. `now` is what AWS reports. Nothing is masked."""
    submission, intent = _submission(history.events, now)
    return {
        "name": history.name or submission.name,
        "kind": submission.kind,
        "generation": submission.generation,
        "slot": submission.slot,
        "attempt": submission.attempt,
        "sends": len(submission.sends),
        "client_token": submission.token,
        "digest": submission.content.digest,
        "revision": submission.content.revision,
        "reason": intent.reason,
        "run_id": submission.run_id,
        "state": str(submission.run_state or submission.phase),
        "detail": submission.detail,
        "usage": submission.usage,
        "error": submission.error,
        "source": asdict(intent.content.source) if intent.content.source else {},
        "commit": intent.commit,
        "actor": intent.actor,
        "tool_version": intent.tool_version,
        "intended_at": submission.first_intent_at,
        "submitted_at": submission.submitted_at,
        "finished_at": submission.finished_at,
        "previous": _previous(history.previous),
        **(_run_json(submission, now) if now is not None and submission.run_id is not None else {}),
        "changes": [change_json(change) for change in history.changes],
        "events": history_json(history.events)["events"],
    }


def _run_json(submission: Submission, now: Refresh) -> JSON:
    """Returns the fields that only the row of a run has, such as AWS's own state and the console page."""
    form = run_json(run_row(submission, now.place, now.at))
    return {name: form[name] for name in RUN_FIELDS}


def _previous(previous: Submission | None) -> JSON | None:
    if previous is None:
        return None
    return {
        "generation": previous.generation,
        "slot": previous.slot,
        "attempt": previous.attempt,
        "run_id": previous.run_id,
        "client_token": previous.token,
        "digest": previous.digest,
        "commit": previous.commit,
    }


def why_text(history: SubmissionHistory, now: Refresh | None = None, *, color: bool = False) -> str:
    """Returns the explanation of one submission as text, without a final line break. `now` is what AWS reports."""
    submission, intent = _submission(history.events, now)
    was = f", submitted as {submission.name}" if history.name not in {None, submission.name} else ""
    title = f"{history.name or submission.name} ({submission.kind}), {submission.key.label}{was}"
    lines = [
        Style(color).bold(plain(title)),
        "",
        *(f"  {line}" for line in columns([*_facts(submission, intent, now)])),
    ]
    if history.previous is not None:
        lines += ["", f"  compared with {plain(history.previous.key.label)}:"]
        changed = [f"    {line}" for change in history.changes for line in change_block(change)]
        lines += changed or ["    the same request"]
    return lines_text(lines)


def _facts(submission: Submission, intent: e.Beginning, now: Refresh | None) -> Iterator[tuple[str, str]]:
    """Yields labels and values: first what ran, then its source, the user, and the times."""
    for label, value in (
        ("run", submission.run_id),
        ("state", str(submission.run_state or submission.phase)),
        ("AWS state", submission.aws_state),
        ("detail", submission.detail),
        *(_run_facts(submission, now) if now is not None and submission.run_id is not None else ()),
        *((name, value_text(fact)) for name, fact in sorted((submission.usage or {}).items())),
        ("error", submission.error),
        ("reason", intent.reason),
        ("spec", str(intent.content.source or "")),
        ("commit", intent.commit),
        ("actor", intent.actor),
        ("tool version", intent.tool_version),
        ("intended", submission.first_intent_at),
        ("submitted", submission.submitted_at),
        ("finished", submission.finished_at),
        ("client token", submission.token),
        ("digest", submission.content.digest),
        ("sends", str(len(submission.sends)) if len(submission.sends) > 1 else None),
    ):
        if value:
            from_aws = label in {"detail", "error", "AWS state", "definition"}
            yield label, sentence(_without_secrets(value, intent)) if from_aws else plain(value)


def _run_facts(submission: Submission, now: Refresh) -> Iterator[tuple[str, str | None]]:
    """Yields labels and values of a run: its location, its job definition, how long it waited and ran, and its page."""
    row = run_row(submission, now.place, now.at)
    yield "where", location_text(row.location)
    yield "definition", row.definition
    yield "waited", None if row.waited_seconds is None else duration_text(row.waited_seconds)
    yield "ran", None if row.ran_seconds is None else duration_text(row.ran_seconds)
    yield "console", row.console_url
