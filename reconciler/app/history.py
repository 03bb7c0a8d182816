"""Reads earlier events from the ledger: the history of a spec or of a submission, and the runs of a spec."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from reconciler.core.archive import TOKEN_DIGITS
from reconciler.core.events import Beginning, Observed, SpecEvent, SubmissionEvent, intent_of
from reconciler.core.fold import overlay
from reconciler.core.identity import TOKEN_PREFIX
from reconciler.core.observations import incomplete
from reconciler.core.plan import Change
from reconciler.core.state import Recorded, SpecRecord, Submission
from reconciler.core.suggestions import did_you_mean
from reconciler.core.times import parse_time, time_text
from reconciler.errors import GuardError, ReconcilerError
from reconciler.ledger.log import Log
from reconciler.model.kind import kind_named
from reconciler.render.history import PositionedEvent, SubmissionHistory
from reconciler.render.runs import Runs, runs_of
from reconciler.values import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.app.session import Session

logger = logging.getLogger(__name__)

SHORTEST_PREFIX = 6
"""The minimum length of a token prefix to search for. The prefix must be unique."""

PAGE = 500
"""The number of events that are read and printed at once."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some consecutive events about a spec, oldest first, and the intents of the events' submissions, by token."""

    events: Sequence[PositionedEvent]
    intents: Mapping[str, Beginning]


def spec_history(
    ledger: Log, name: str, *, limit: int | None = None, since: datetime | None = None
) -> Iterator[HistoryPage]:
    """Yields the events about a spec, oldest first: all of them, the newest `limit`, or those recorded since the time
    `since`. Reads the history page by page, because it may be long. Raises `ReconcilerError` if the ledger has no such
    spec."""
    recorded = ledger.refresh()
    name = recorded.current_name(name)
    if name not in recorded.specs:
        raise ReconcilerError(f"the ledger has no spec {name!r}.{did_you_mean(name, recorded.specs)}")
    record = recorded.specs[name]
    text = time_text(since) if since is not None else None
    positions = ledger.history.newest_positions(recorded, record, limit=limit, since=text)
    events: Iterable[PositionedEvent] = (
        (position, event)
        for position, event in _events(ledger, positions, record.names)
        if _is_about(event, position, record, recorded) and (since is None or parse_time(event.at) >= since)
    )
    intents = _Intents(ledger, recorded)
    wanted = iter(events if limit is None else deque(events, limit))
    while page := list(islice(wanted, PAGE)):
        yield HistoryPage(page, intents.of(page))


def _is_about(event: SpecEvent, position: int, record: SpecRecord, recorded: Recorded) -> bool:
    """Returns whether an event at one of the record's positions is about the record. Compares the token or, if its
    submission is archived, the name."""
    if isinstance(event, SubmissionEvent):
        submission = recorded.by_token.get(event.token)
        if submission is not None:
            return submission.name == record.name
        return event.name in record.names
    return event.name == record.name_at(position)


class _Intents:
    """Finds the intents of submissions, and caches some of the most recent ones."""

    def __init__(self, ledger: Log, recorded: Recorded) -> None:
        self._ledger, self._recorded = ledger, recorded
        self._held: dict[str, Beginning] = {}

    def of(self, page: Sequence[PositionedEvent]) -> Mapping[str, Beginning]:
        """Returns the intents of the submissions in a page, by token."""
        tokens = {event.token for _, event in page if isinstance(event, SubmissionEvent)}
        intents = {token: intent for token, intent in self._held.items() if token in tokens}
        intents |= {event.token: event for _, event in page if isinstance(event, Beginning)}
        for token in tokens - intents.keys():
            intent = self._read(token)
            intents |= {token: intent} if intent is not None else {}
        self._held = intents
        return intents

    def _read(self, token: str) -> Beginning | None:
        submission = self._recorded.by_token.get(token)
        if submission is None:
            attempts = self._ledger.history.of_token(self._recorded, token)
            submission = next((each for each in attempts if each.token == token), None)
        if submission is None or submission.applied:
            return None
        return intent_of(self._ledger.batch(submission.intent_position), submission.name, token)


def submission_history(ledger: Log, what: str) -> tuple[Submission, SubmissionHistory]:
    """Returns the submission that `find` returns for `what`, with its history."""
    recorded = ledger.refresh()
    submission = find(ledger, what)
    events = [
        (position, event)
        for position, event in _events(ledger, submission.positions, recorded.spec(submission.name).names)
        if isinstance(event, SubmissionEvent) and event.token == submission.token
    ]
    previous = _previous(ledger, recorded, submission)
    changes = () if previous is None else _changes(ledger, previous, submission)
    return submission, SubmissionHistory(events, changes, previous, submission.name)


def ask(session: Session, names: Collection[str] | None) -> Sequence[Observed]:
    """Queries AWS about the live runs of these specs (`None` for all specs), and returns what the ledger does not have
    yet.

    Logs a warning if AWS cannot be reached, because the ledger still contains the last known state. Raises
    `GuardError`.
    """
    recorded, now = session.ledger.recorded, session.now()
    ended = (run for runs in incomplete(recorded, now).values() for run in runs)
    if not any(names is None or run.name in names for run in (*recorded.live(), *ended)):
        return ()
    from reconciler.aws.observe import observe

    try:
        with session.aws.reading("reading the states of runs"):
            events, sighting = observe(recorded, session.aws.service, names, now)
    # Wrong credentials are a mistake to correct, and must not look like an outage of AWS.
    except GuardError:
        raise
    except ReconcilerError as error:
        logger.warning("the recorded states are shown, because AWS could not be queried: %s", error)
        return ()
    for token, problem in sighting.observe_errors.items():
        logger.warning("the recorded state of run %s is shown: %s", recorded.by_token[token].run_id, problem)
    return events


def recorded_runs(session: Session, name: str | None, *, refresh: bool, since: datetime | None = None) -> Runs:
    """Returns the runs of a spec (`None` for all specs), newest first. With `refresh`, queries AWS about the live runs.
    Archived runs are read only with `since`; without it, a warning contains their number.

    Raises `ReconcilerError` if the ledger has no spec of this name.
    """
    recorded = session.ledger.refresh()
    names = sorted(recorded.specs) if name is None else [recorded.current_name(name)]
    if name is not None and names[0] not in recorded.specs:
        raise ReconcilerError(f"the ledger has no spec {name!r}.{did_you_mean(name, recorded.specs)}")
    overlay(recorded, ask(session, None if name is None else names) if refresh else ())
    archives = [record for each in names if (record := recorded.specs[each]).archive is not None]
    archived = sum(record.archive.number for record in archives if record.archive is not None)
    if since is None and archived:
        logger.warning("%s older runs are not shown. Use --since TIME to include them", f"{archived:,}")
    older = session.ledger.history.archived(recorded, archives, time_text(since)) if since is not None else ()
    return runs_of(recorded, names, session.place, session.now(), session.target.prices, older)


def find(ledger: Log, what: str) -> Submission:
    """Returns the submission with this run id, the submission whose token starts with `what`, or the newest of the spec
    with this name. A run id or a name may be followed by the index of a child (``:3``) or of a node (``#1``).

    Raises `ReconcilerError` unless exactly one submission matches.
    """
    recorded, run_id = ledger.recorded, without_index(what)
    record = recorded.specs.get(recorded.current_name(run_id))
    if record is not None and record.newest is not None:
        newest = next((s for s in reversed(record.submissions) if not s.applied), None)
        if newest is None:
            raise ReconcilerError(f"{record.name} was never submitted: an operator accepted its content as applied")
        return newest
    digits = what.removeprefix(TOKEN_PREFIX)
    matches = of_run(ledger, recorded, run_id)
    if not matches and len(digits) >= SHORTEST_PREFIX:
        matches = _of_token(ledger, recorded, digits)
    if len(matches) > 1:
        raise ReconcilerError(f"{len(matches)} tokens start with {what!r}. Give more characters")
    if not matches:
        raise ReconcilerError(
            f"the ledger has no spec, run or token {what!r}.{did_you_mean(what, recorded.specs)} "
            "It contains only runs that reconciler submitted or adopted."
        )
    return matches[0]


def without_index(what: str) -> str:
    """Returns a name or a run id without the index of a child or a node. Neither contains a colon or a number sign."""
    return what.partition(":")[0].partition("#")[0]


def of_run(ledger: Log, recorded: Recorded, run_id: str) -> Sequence[Submission]:
    """Returns the submission that the run `run_id` belongs to, in a list that is empty if the ledger does not have the
    run."""
    held = [s for s in recorded.by_token.values() if s.run_id == run_id and s.reassigned_to is None]
    return held or ledger.history.of_run(recorded, run_id)[:1]


def _of_token(ledger: Log, recorded: Recorded, digits: str) -> list[Submission]:
    """Returns the submissions whose token starts with these digits, except those of content that an operator accepted
    as applied."""
    matches = [s for s in recorded.by_token.values() if s.token.removeprefix(TOKEN_PREFIX).startswith(digits)]
    if not matches or len(digits) < TOKEN_DIGITS:  # the archived token has other first digits
        archived = ledger.history.find(recorded, lambda entry: entry.token.startswith(digits[:TOKEN_DIGITS]))
        loaded = (ledger.history.load(record, entry) for record, entry in archived)
        matches += [s for s in loaded if s.token.removeprefix(TOKEN_PREFIX).startswith(digits)]
    return [submission for submission in matches if not submission.applied]


def _previous(ledger: Log, recorded: Recorded, submission: Submission) -> Submission | None:
    """Returns the last submission of the same spec that AWS accepted before the given submission."""
    record, first = recorded.specs[submission.name], submission.first_position
    held = next((s for s in reversed(record.submissions) if s.accepted and s.first_position < first), None)
    if record.archive is None or not record.archive.number:
        return held
    after = held.first_position if held is not None else 0
    return next(ledger.history.accepted(recorded, record, after, first), held)


def _events(ledger: Log, positions: Iterable[int], names: Container[str]) -> Iterator[tuple[int, SpecEvent]]:
    """Yields the events about the specs in `names` at some positions, oldest first."""
    for position, batch in ledger.history.batches(sorted(positions), names):
        yield from ((position, event) for event in batch if isinstance(event, SpecEvent))


def _changes(ledger: Log, before: Submission, after: Submission) -> Sequence[Change]:
    from reconciler.render.diff import explain as compare

    requests = (intent_of(ledger.batch(s.intent_position), s.name, s.token).request for s in (before, after))
    return compare(kind_named(after.kind), *requests)
