"""What the ledger tells of one spec, and of one submission."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from reconciler.core import events as e
from reconciler.core.event_codec import encode
from reconciler.core.fold import fold
from reconciler.core.identity import SubmissionKey
from reconciler.core.plan import Change
from reconciler.core.state import Recorded
from reconciler.core.submission import Submission
from reconciler.model.base import JSON
from reconciler.redact.request import secrets_of
from reconciler.redact.text import without
from reconciler.render.plan_json import change_json
from reconciler.render.plan_text import change_block
from reconciler.render.text import Style, lines_text, plain, sentence, value_text

Placed = tuple[int, e.Event]
"""An event with its position in the ledger."""

WHAT_COLOURS = {
    "submitted": "green", "adopted": "cyan", "rejected": "red", "unsent": "yellow", "unclear": "yellow",
    "conflicted": "red", "cancel-asked": "yellow", "taken": "cyan", "resolved": "cyan",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a history; a field is `None` where the event does not say."""

    position: int
    at: str
    what: str
    key: SubmissionKey | None = None
    slots: str | None = None
    token: str | None = None
    run_id: str | None = None
    state: str | None = None
    commit: str | None = None
    actor: str | None = None
    reason: str | None = None
    error: str | None = None


def entries(events: Sequence[Placed]) -> list[Entry]:
    """A history as values, in the order given: an outcome tells the generation, slot and attempt of its intent."""
    intents = {event.token: event for _, event in events if isinstance(event, e.Beginning)}
    return [_entry(position, event, intents) for position, event in events]


def _entry(position: int, event: e.Event, intents: dict[str, e.Beginning]) -> Entry:
    token = event.token if isinstance(event, e.SubmissionEvent) else None
    intent = intents.get(token) if token else None
    return Entry(
        position=position,
        at=event.at,
        what=event.type,
        key=intent.key if intent else None,
        slots=None if intent else _slots(event),
        token=token,
        run_id=_run_id(event),
        state=getattr(event, "state", None),
        commit=getattr(event, "commit", None),
        actor=getattr(event, "actor", None),
        reason=getattr(event, "reason", None),
        error=_without_secrets(_error(event), intent),
    )


def _without_secrets(said: str | None, intent: e.Beginning | None) -> str | None:
    """What AWS said about a run, without the secrets of its request: it may quote them where nothing tells so."""
    return said if said is None or intent is None else without(said, secrets_of(intent.request))


def _slots(event: e.Event) -> str | None:
    """The slots that an event is about, of those that are about no submission."""
    match event:
        case e.Missed() if event.count == 1:
            return event.first
        case e.Missed():
            return f"{'many' if event.count is None else event.count} slots from {event.first} to {event.last}"
        case e.BackfillAsked():
            return f"{len(event.slots)} slots from {event.slots[0]} to {event.slots[-1]}" if event.slots else None
        case _:
            return None


def _run_id(event: e.Event) -> str | None:
    if isinstance(event, e.Conflicted):
        return ", ".join(event.run_ids)
    run_id: str | None = getattr(event, "run_id", None)
    return run_id


def _error(event: e.Event) -> str | None:
    match event:
        case e.Unsent() | e.Rejected() | e.Unclear():
            return f"{event.code}: {event.message}"
        case e.Observed():
            return event.detail
        case e.ScheduledSince():
            still = f", stands still: {event.stopped}" if event.stopped else ""
            return f"{event.schedule} {event.time_zone}, since {event.since}{still}"
        case e.Resolved():
            return f"decided: {event.decision}" + (", before it had settled" if event.forced else "")
        case _:
            return None


def history_text(events: Sequence[Placed], color: bool = False) -> str:
    """All events of one spec, oldest first, one line each: time, what, which run, run id, state, reason, commit, actor,
    error. Without a line end."""
    style = Style(color)
    told = entries(events)
    width = max((len(entry.what) for entry in told), default=0)
    return lines_text(_history_line(entry, width, style) for entry in told) or "Nothing is recorded."


def _history_line(entry: Entry, width: int, style: Style) -> str:
    what = style.paint(f"{entry.what:<{width}}", WHAT_COLOURS.get(entry.what, ""))
    parts = [plain(entry.at), what, plain(_which(entry)), *_details(entry)]
    return "  ".join(part for part in parts if part).rstrip()


def _details(entry: Entry) -> Iterator[str]:
    for label, value in (("run", entry.run_id), ("commit", (entry.commit or "")[:12]), ("by", entry.actor)):
        if value:
            yield plain(f"{label} {value}")
    for value in (entry.state, entry.reason, entry.error):
        if value:
            yield sentence(value)


def _which(entry: Entry) -> str:
    """The submission or the slots that an entry is about; empty if it is about the spec."""
    slots = entry.slots or ""
    return entry.key.label if entry.key else slots if " " in slots or not slots else f"slot {slots}"


def history_json(events: Sequence[Placed]) -> JSON:
    """``{"events": [{"position", "type", "at", …}]}``: the events as the ledger holds them. Nothing is masked."""
    return {"events": [{"position": position, **encode(event)} for position, event in events]}


def told_submission(events: Sequence[Placed]) -> tuple[Submission, e.Beginning]:
    """The submission that the events of one token add up to, and its newest intent, or how it was taken by hand: with
    one of these `events` begin."""
    recorded = Recorded()
    for position, event in events:
        fold(recorded, position, [event])
    intents = [event for _, event in events if isinstance(event, e.Beginning)]
    return recorded.by_token[intents[-1].token], intents[-1]


def why_json(events: Sequence[Placed], changes: Sequence[Change] = (), previous: Submission | None = None) -> JSON:
    """One submission's story as an object. `events` are those of its token, oldest first, an intent among them.

    `changes` are what its request differs in from that of `previous`, the submission accepted before it. Nothing is
    masked.
    """
    submission, intent = told_submission(events)
    return {
        "name": submission.name,
        "kind": submission.kind,
        "generation": submission.generation,
        "slot": submission.slot,
        "attempt": submission.attempt,
        "sends": len(submission.sends),
        "client_token": submission.token,
        "digest": submission.digest,
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
        "previous": _previous(previous),
        "changes": [change_json(change) for change in changes],
        "events": history_json(events)["events"],
    }


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


def why_text(
    events: Sequence[Placed], changes: Sequence[Change] = (), previous: Submission | None = None, color: bool = False
) -> str:
    """One submission's story for people; arguments as for `why_json`. Without a line end."""
    submission, intent = told_submission(events)
    style = Style(color)
    lines = [style.bold(plain(f"{submission.name} ({submission.kind}), {submission.key.label}")), ""]
    facts = list(_facts(submission, intent))
    width = max(len(label) for label, _ in facts)
    lines += [f"  {label:<{width}}  {value}" for label, value in facts]
    if previous is not None:
        lines += ["", f"  compared with {plain(previous.key.label)}:"]
        lines += [f"    {line}" for change in changes for line in change_block(change)] or ["    the same request"]
    return lines_text(lines)


def _facts(submission: Submission, intent: e.Beginning) -> Iterator[tuple[str, str]]:
    """Label and value of everything that is known, in the order people ask: what ran, from where, who, when."""
    for label, value in (
        ("run", submission.run_id),
        ("state", str(submission.run_state or submission.phase)),
        ("detail", submission.detail),
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
        ("digest", submission.digest),
        ("sends", str(len(submission.sends)) if len(submission.sends) > 1 else None),
    ):
        if value:
            told = label in {"detail", "error"}
            yield label, sentence(_without_secrets(value, intent) or "") if told else plain(str(value))
