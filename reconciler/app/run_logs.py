"""Finds the logs of a run by its spec's name or its run id, and reads them once or until the run has ended."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from reconciler.app.history import find, without_index
from reconciler.aws.errors import TRANSIENT
from reconciler.core.ports import RunRef, RunReport
from reconciler.core.run_logs import LogStream, RunLogs
from reconciler.core.state import RunState
from reconciler.core.suggestions import did_you_mean
from reconciler.errors import ReconcilerError, ServiceError
from reconciler.model.kind import kind_named
from reconciler.values import dataclass

if TYPE_CHECKING:
    import threading

    from reconciler.app.session import Session
    from reconciler.aws.logs import Cursor
    from reconciler.core.run_logs import Logs
    from reconciler.core.state import Submission

POLL_SECONDS = 2.0
"""Seconds between two reads of a log that is followed. AWS allows 25 GetLogEvents calls per second and account."""
LOOK_EVERY = 5
"""The number of reads after which the state of the run, and the list of its logs, are read again."""
LATE_SECONDS = 30.0
"""Seconds after the end of a run for which its logs are still read, because AWS writes the last lines late."""

MOST_FAILURES = 30
"""The number of reads in a row that may fail, for example because AWS throttles them, before following ends."""

logger = logging.getLogger(__name__)

Line = tuple[LogStream, str]
"""A line of a log, together with its log."""


@dataclass(frozen=True, slots=True)
class LoggedRun:
    """A run whose logs are read. `ref` identifies the child or node if the user gave one. `kind` is the name of its
    kind."""

    name: str
    kind: str
    ref: RunRef
    attempt: int | None = None


def run_named(session: Session, what: str, attempt: int | None = None) -> LoggedRun:
    """Returns the run with this id, or the newest run of the spec with this name; with an index, its child or node.
    Raises `ReconcilerError` if there is none."""
    session.ledger.refresh()
    submission = find(session.ledger, what)
    if submission.run_id is None:
        submission = _newest_run(session, submission)
    run_id = submission.run_id or ""
    index = what.removeprefix(without_index(what))
    ref = RunRef(submission.token, run_id + index, submission.content.location)
    return LoggedRun(submission.name, submission.kind, ref, attempt)


def _newest_run(session: Session, submission: Submission) -> Submission:
    """Returns the last submission of the same spec that has a run id."""
    record = session.ledger.recorded.specs[submission.name]
    earlier = next((each for each in reversed(record.submissions) if each.run_id is not None), None)
    if earlier is None:
        raise ReconcilerError(f"{submission.name} has no run: its submission has no run id")
    return earlier


def logs_of(session: Session, run: LoggedRun) -> RunLogs:
    """Returns the logs of a run that exist now. Raises `ServiceError`, and `ReconcilerError` for the emulator."""
    return _service(session, run).logs(run.ref, run.attempt)


def _service(session: Session, run: LoggedRun) -> Logs:
    if session.target.is_emulator:
        raise ReconcilerError("the embedded emulator runs no code, so its runs have no logs and no pages")
    service = session.aws.logs(run.kind)
    if service is None:
        raise ReconcilerError(f"{run.kind} has no logs that this version can read")
    return service


def chosen(logs: RunLogs, name: str | None) -> tuple[LogStream, ...]:
    """Returns the logs whose name is `name` or starts with it (``executor/1``). Without a name, returns the usual logs,
    or all logs if none is usual. Raises `ReconcilerError` for a name that no log has."""
    if name is None:
        return tuple(stream for stream in logs.streams if stream.usual) or logs.streams
    streams = tuple(each for each in logs.streams if each.name == name or each.name.startswith(f"{name}/"))
    if not streams and logs.streams:
        names = [stream.name for stream in logs.streams]
        raise ReconcilerError(f"the run has no log {name!r}.{did_you_mean(name, names)} It has: {', '.join(names)}")
    return streams


def lines(session: Session, streams: Iterable[LogStream], newest: int | None = None) -> Iterator[Line]:
    """Yields the lines of these logs, one log after the other. With `newest`, yields only that many lines from the end
    of each log. Logs a warning for a log that does not exist. Raises `ServiceError`, and `ReconcilerError` if none of
    them exists."""
    cursors = [(stream, session.aws.log_cursor(stream, newest)) for stream in streams]
    for stream, cursor in cursors:
        yield from _first_lines(stream, cursor, newest)
    _check_exist(cursors)


def _check_exist(cursors: Sequence[tuple[LogStream, Cursor]]) -> None:
    """Logs a warning for each log that does not exist. Raises `ReconcilerError` if none of them exists."""
    absent = [absent_text(stream, cursor.absent) for stream, cursor in cursors if cursor.absent is not None]
    if absent and len(absent) == len(cursors):
        raise ReconcilerError("\n".join(absent))
    for text in absent:
        logger.warning("%s", text)


def _first_lines(stream: LogStream, cursor: Cursor, newest: int | None) -> Iterator[Line]:
    read = cursor.lines()
    for line in read if newest is None else deque(read, maxlen=newest):
        yield stream, line


def absent_text(stream: LogStream, why: str) -> str:
    """Returns the sentence about a log that does not exist. `why` is AWS's message."""
    if stream.in_s3:
        return f"there is no log at {stream.address}: {why}"
    return (
        f"there is no log at {stream.address}: {why.rstrip('.')}. Nothing was written yet, or the log was deleted, or "
        "the role of the run lacks logs:CreateLogStream and logs:PutLogEvents"
    )


def follow(
    session: Session, run: LoggedRun, name: str | None, newest: int | None, stop: threading.Event
) -> Iterator[Line]:
    """Yields the lines of the chosen logs, and then new lines, until the run has ended and its last lines were written,
    or until `stop` is set. Waits for a run that has not started. Raises `ServiceError` and `ReconcilerError`.
    """
    followed = _Followed(session, run, name, newest)
    failures = 0
    for number in _until(stop):
        try:
            yield from followed.new_lines(look=number % LOOK_EVERY == 0)
        except ServiceError as error:
            failures += 1
            if error.code not in TRANSIENT or failures >= MOST_FAILURES:
                raise
            if failures == 1:
                logger.warning("the logs could not be read, and are read again: %s", error)
        else:
            failures = 0
            if followed.is_over():
                followed.check_exist()
                return


class _Followed:
    """The logs of a run that are followed, and whether the run has ended."""

    def __init__(self, session: Session, run: LoggedRun, name: str | None, newest: int | None) -> None:
        self._session, self._run, self._name, self._newest = session, run, name, newest
        self._cursors: dict[LogStream, Cursor] = {}
        self._ended_at: float | None = None
        self._look_failed = False
        self._missing, self._warnings = "", tuple[str, ...]()

    def new_lines(self, *, look: bool) -> Iterator[Line]:
        """Yields the lines that were added since the last call. With `look`, or if that failed before, first reads the
        state of the run and the list of its logs. Raises `ServiceError` and `ReconcilerError`."""
        if look or self._look_failed:
            self._look_failed = True
            if self._ended_at is None and _has_ended(self._session, self._run):
                self._ended_at = self._session.clock.boot()
            yield from self._open_new()
            self._look_failed = False
        for stream, cursor in self._cursors.items():
            for line in cursor.lines():
                yield stream, line
                self._ended_at = self._ended_at and self._session.clock.boot()  # more lines may follow the last line

    def is_over(self) -> bool:
        """Returns whether the run has ended and its last lines were written."""
        return self._ended_at is not None and self._session.clock.boot() - self._ended_at >= LATE_SECONDS

    def check_exist(self) -> None:
        """Raises `ReconcilerError` if none of the logs exists."""
        if not self._cursors:
            raise ReconcilerError(f"run {self._run.ref.run_id}: {self._missing}")
        _check_exist([*self._cursors.items()])

    def _open_new(self) -> Iterator[Line]:
        """Opens the chosen logs that did not exist before, and yields their lines."""
        logs = logs_of(self._session, self._run)
        self._missing = logs.missing
        if not logs.streams and not logs.expected:
            self.check_exist()
        if logs.warnings != self._warnings:
            self._warnings = logs.warnings
            for warning in logs.warnings:
                logger.warning("%s", warning)
        for stream in chosen(logs, self._name):
            if stream not in self._cursors:
                cursor = self._session.aws.log_cursor(stream, self._newest)
                if self._newest is not None:  # together, so that a failed read starts again from the end
                    last = [*_first_lines(stream, cursor, self._newest)]
                    self._cursors[stream] = cursor
                    yield from last
                self._cursors[stream] = cursor


def _until(stop: threading.Event) -> Iterator[int]:
    """Yields 0, 1, 2 … and pauses before each further number, until `stop` is set."""
    number = 0
    while not stop.is_set():
        yield number
        number += 1
        stop.wait(POLL_SECONDS)


def _has_ended(session: Session, run: LoggedRun) -> bool:
    """Returns whether AWS reports that the run has ended. If the state cannot be read, the run is treated as live."""
    report = session.aws.service(run.kind).observe([run.ref]).get(run.ref.token)
    return isinstance(report, RunReport) and (not report.exists or not RunState(report.state).live)


@dataclass(frozen=True, slots=True)
class Pages:
    """The web pages of a run: the page in AWS's console, and the application's own page. `live_problem` is the reason
    if the application's page is not available."""

    console: str | None
    live: str | None
    live_problem: str | None = None


def pages_of(session: Session, run: LoggedRun) -> Pages:
    """Returns the web pages of a run. Raises `ReconcilerError` for the emulator, which has no pages."""
    service = _service(session, run)
    console = kind_named(run.kind).console_url(session.place.region, run.ref.location, run.ref.run_id)
    try:
        return Pages(console, service.live_page(run.ref, run.attempt))
    except ServiceError as error:
        return Pages(console, None, str(error))
