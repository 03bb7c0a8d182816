"""Reads earlier events and requests from the ledger: the history of a spec or a submission, and the field
differences that a plan shows."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.core.declarations import Declared
from reconciler.core.events import Event, Observed, SpecEvent, SubmissionEvent, intent_of
from reconciler.core.fold import overlay
from reconciler.core.identity import TOKEN_PREFIX
from reconciler.core.near_names import did_you_mean
from reconciler.core.observations import incomplete
from reconciler.core.plan import Action, Change, ChangeType, Plan, SpecChange
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.errors import GuardError, ReconcilerError
from reconciler.ledger.log import Log
from reconciler.model.kind import kind_named
from reconciler.model.template import render_slot
from reconciler.render.runs import Runs, runs_of

if TYPE_CHECKING:
    from reconciler.app.session import Session
    from reconciler.model.base import JSON

logger = logging.getLogger(__name__)

SHORTEST_PREFIX = 6
"""The minimum length of a token prefix to search for. The prefix must be unique."""

PositionedEvent = tuple[int, Event]
"""An event with its position in the ledger."""


@dataclass(frozen=True, slots=True)
class SubmissionHistory:
    """One submission: its events, oldest first; `previous`, the submission that AWS accepted before it, if any; and
    the differences between their requests. `name` is the current name of its spec."""

    name: str
    token: str
    events: Sequence[PositionedEvent]
    changes: Sequence[Change]
    previous: Submission | None


def spec_history(ledger: Log, name: str) -> list[PositionedEvent]:
    """Returns every event about a spec, oldest first. Raises `ReconcilerError` if the ledger has none."""
    recorded = ledger.refresh()
    name = recorded.current_name(name)
    if name not in recorded.specs:
        raise ReconcilerError(f"the ledger has no spec {name!r}.{did_you_mean(name, recorded.specs)}")
    record = recorded.specs[name]
    positions = {*record.positions, *(position for s in record.submissions for position in s.positions)}
    tokens = {submission.token for submission in record.submissions}
    return [each for each in _events(ledger, positions) if _is_about(each[1], each[0], record, tokens)]


def _is_about(event: SpecEvent, position: int, record: SpecRecord, tokens: Collection[str]) -> bool:
    """Returns whether an event is about a spec: it has the token of one of its submissions, or the name of the spec at
    `position`."""
    if isinstance(event, SubmissionEvent):
        return event.token in tokens
    return event.name == record.name_at(position)


def submission_history(ledger: Log, what: str) -> SubmissionHistory:
    """Returns the history of the submission that `find` returns for `what`."""
    recorded = ledger.refresh()
    submission = find(recorded, what)

    events = [
        (position, event)
        for position, event in _events(ledger, submission.positions)
        if isinstance(event, SubmissionEvent) and event.token == submission.token
    ]
    previous = _previous(recorded, submission)
    return SubmissionHistory(
        submission.name,
        submission.token,
        events,
        () if previous is None else _changes(ledger, previous, submission),
        previous,
    )


def ask(session: Session, names: Collection[str] | None) -> Sequence[Observed]:
    """Returns what AWS reports of the live runs of these specs (`None` for all) and the ledger lacks.

    Logs a warning if AWS cannot be asked, because the ledger still has an answer. Raises `GuardError`.
    """
    recorded, now = session.ledger.recorded, session.now()
    ended = (run for runs in incomplete(recorded, now).values() for run in runs)
    if not any(names is None or run.name in names for run in (*recorded.live(), *ended)):
        return ()
    from reconciler.aws.observe import observe

    try:
        session.aws.check()
        events, sighting = observe(recorded, session.aws.service, names, now)
    except GuardError:
        raise
    except ReconcilerError as error:
        logger.warning("the recorded states are shown, because AWS could not be asked: %s", error)
        return ()
    for token, problem in sighting.observe_errors.items():
        logger.warning("the recorded state of run %s is shown: %s", recorded.by_token[token].run_id, problem)
    return events


def recorded_runs(session: Session, name: str | None, *, refresh: bool) -> Runs:
    """Returns the runs of a spec (`None` for all), newest first. With `refresh`, AWS is asked about live ones.

    Raises `ReconcilerError` if the ledger has no spec of this name.
    """
    recorded = session.ledger.refresh()
    names = sorted(recorded.specs) if name is None else [recorded.current_name(name)]
    if name is not None and names[0] not in recorded.specs:
        raise ReconcilerError(f"the ledger has no spec {name!r}.{did_you_mean(name, recorded.specs)}")
    overlay(recorded, ask(session, None if name is None else names) if refresh else ())
    return runs_of(recorded, names, session.place, session.now(), session.target.prices)


def find(recorded: Recorded, what: str) -> Submission:
    """Returns the submission with this run id (or the id of a child of an array job, or of a node), the submission
    whose token starts with `what`, or the newest of the spec with this name.

    Raises `ReconcilerError` unless there is exactly one.
    """
    record = recorded.specs.get(recorded.current_name(what))
    if record is not None and record.newest is not None:
        newest = next((s for s in reversed(record.submissions) if not s.applied), None)
        if newest is None:
            raise ReconcilerError(f"{record.name} was never submitted: an operator took its content as applied")
        return newest
    run_id, digits = what.partition(":")[0].partition("#")[0], what.removeprefix(TOKEN_PREFIX)
    submissions = recorded.by_token.values()
    matches = [s for s in submissions if s.run_id == run_id and s.reassigned_to is None]
    if not matches and len(digits) >= SHORTEST_PREFIX:
        matches = [s for s in submissions if s.token.removeprefix(TOKEN_PREFIX).startswith(digits) and not s.applied]
    if len(matches) > 1:
        raise ReconcilerError(f"{len(matches)} tokens start with {what!r}. Give more characters")
    if not matches:
        raise ReconcilerError(
            f"the ledger has no spec, run or token {what!r}.{did_you_mean(what, recorded.specs)} "
            "It contains only runs that reconciler submitted or adopted."
        )
    return matches[0]


def _events(ledger: Log, positions: Iterable[int]) -> Iterator[tuple[int, SpecEvent]]:
    for position, batch in ledger.batches(sorted(positions)):
        yield from ((position, event) for event in batch if isinstance(event, SpecEvent))


def _previous(recorded: Recorded, submission: Submission) -> Submission | None:
    """Returns the last submission of the same spec that AWS accepted before this one."""
    submissions = recorded.specs[submission.name].submissions
    older = submissions[: submissions.index(submission)]
    return next((s for s in reversed(older) if s.accepted), None)


def _changes(ledger: Log, before: Submission, after: Submission) -> Sequence[Change]:
    from reconciler.render.diff import explain as compare

    requests = (intent_of(ledger.batch(s.intent_position), s.name, s.token).request for s in (before, after))
    return compare(kind_named(after.kind), *requests)


def explain(session: Session, made: Plan, *, added: bool = True) -> Plan:
    """Adds field differences to a plan: compares each changed request with the one that was applied, or sent, before
    it.

    Only these requests are read and compared, because the digests already show which requests differ. If the ledger has
    only masked requests, both sides are compared masked, and a warning names the values that may differ. `added` is
    whether the fields of added specs are needed: text and Markdown show their requests instead.
    """
    compared = [
        (action.client_token, action.compared_with, action.request, action)
        for action in made.actions
        if action.request is not None and action.compared_with is not None and action.client_token is not None
    ]
    positions = {position for _, position, _, _ in compared}
    positions |= {change.compared_with for change in made.changes if change.compared_with is not None}
    batches = dict(session.ledger.batches(sorted(positions))) if positions else {}
    compare, present = (
        Comparison(session.masked),
        [c for c in made.changes if c.content is not None and (added or c.change is not ChangeType.ADDED)],
    )
    explained = made.with_changes(
        {token: _action_changes(action, request, batches[at], compare) for token, at, request, action in compared},
        {change.name: _request_fields(change, batches, compare) for change in present},
    )
    return replace(explained, warnings=(*explained.warnings, *compare.unknown))


@dataclass(frozen=True, slots=True)
class Comparison:
    """How to compare two requests. If the earlier ones are `masked`, `unknown` collects a sentence about each spec with
    values that cannot be compared."""

    masked: bool = False
    unknown: dict[str, None] = field(default_factory=dict)

    def both(self, name: str, before: JSON, after: JSON) -> tuple[JSON, JSON]:
        """Returns two requests in the form in which they can be compared."""
        from reconciler.redact.request import masked, secret_places
        from reconciler.render.diff import path_text

        if not self.masked:
            return before, after
        if places := [path_text(place) for place in secret_places(after)]:
            self.unknown[
                f"{name}: the ledger snapshot has masked values, so it is unknown whether these change: "
                f"{', '.join(places)}"
            ] = None
        return before, masked(after)


def _action_changes(
    action: Action, request: JSON, compared_with: Sequence[Event], compare: Comparison
) -> tuple[Change, ...]:
    from reconciler.render.diff import explain as differences

    intent = intent_of(compared_with, action.name, action.compared_token or "")
    if not intent.request:  # a run recorded again after its ledger was lost: its request is unknown
        return ()
    return differences(kind_named(action.kind), *compare.both(action.name, intent.request, request))


def _request_fields(
    change: SpecChange, batches: Mapping[int, Sequence[Event]], compare: Comparison
) -> tuple[Change, ...]:
    """Returns the fields of the request that differ; for an added spec, all of them. Their paths begin with
    ``request.``."""
    from reconciler.render.diff import added_fields, request_changes

    kind, request = kind_named(change.kind), change.content.request if change.content else None
    if request is None:
        return ()
    if change.change is ChangeType.ADDED:
        found = added_fields(kind, request)
    elif change.compared_with is None:
        return ()
    else:
        before, slot = _earlier_request(change, batches[change.compared_with]), change.compared_slot
        if not before:  # a run recorded again after its ledger was lost: its request is unknown
            return ()
        after = render_slot(request, slot, change.time_zone) if slot is not None else request
        found = request_changes(kind, *compare.both(change.name, before, after))
    return tuple(replace(each, path=f"request.{each.path}") for each in found)


def _earlier_request(change: SpecChange, batch: Sequence[Event]) -> JSON:
    """Returns the last-applied request; an empty one if it is unknown."""
    if change.token is None:
        declared = next((e for e in batch if isinstance(e, Declared) and e.name == change.compared_name), None)
        return (declared.request or {}) if declared is not None else {}
    return intent_of(batch, change.name, change.token).request
