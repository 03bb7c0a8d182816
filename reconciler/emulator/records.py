"""Reads and writes stored data inside one transaction: runs, dependencies, tags of other resources."""

import dataclasses
import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from reconciler.emulator.lifecycle import ENDED, Facts, Timeline, batch_timeline, emr_timeline, end
from reconciler.emulator.settings import Settings

EMR: Final = "emr-serverless"
BATCH: Final = "batch"
_HIGHEST = "\U0010ffff"
"""The highest character. With it, a query selects all texts that start with a prefix."""

Condition = tuple[str, list[Any]]
"""An SQL condition with question marks, and the values for the question marks."""


@dataclass(frozen=True, slots=True)
class Run:
    """One accepted run."""

    request: dict[str, Any]  # as received
    facts: Facts
    tags: dict[str, str]
    service: Literal["emr-serverless", "batch"]
    id: str
    scope: str  # the application id, or the queue's name
    name: str
    definition: str = ""  # ``name:revision``
    share: str = ""
    mode: str = ""
    token: str | None = None  # the client token
    fingerprint: str = ""  # the digest of everything but the token
    seq: int = 0  # the order of acceptance; 0 before the run is stored

    def timeline(self) -> Timeline:
        """Returns every state that the run has had and will have."""
        return emr_timeline(self.facts) if self.service == EMR else batch_timeline(self.facts)


@dataclass(frozen=True, slots=True)
class Search:
    """The criteria of a search for runs. Empty text and `None` do not restrict the result."""

    service: str
    scope: str = ""
    name: str = ""  # in upper or lower case
    name_prefix: bool = False  # matches names that start with `name`
    definition: str = ""  # without a revision it matches every revision
    share: str = ""
    mode: str = ""
    states: frozenset[str] = frozenset()
    accepted_after: float | None = None  # or at that moment
    accepted_before: float | None = None  # or at that moment
    before: int | None = None  # the `seq` at which an earlier page ended

    def conditions(self, now: float) -> Iterator[Condition]:
        """Returns SQL conditions that a run must all meet. They are exact except for `states`: they select live runs in
        any state."""
        optional: list[tuple[str, Any]] = [
            ("service = ?", self.service),
            ("place = ?", self.scope or None),
            ("share = ?", self.share or None),
            ("mode = ?", self.mode or None),
            ("accepted_at >= ?", self.accepted_after),
            ("accepted_at <= ?", self.accepted_before),
            ("seq < ?", self.before),
        ]
        yield from ((text, [value]) for text, value in optional if value is not None)
        if self.name_prefix:
            yield "name_key >= ? AND name_key < ?", [self.name.lower(), self.name.lower() + _HIGHEST]
        elif self.name:
            yield "name_key = ?", [self.name.lower()]
        if ":" in self.definition:
            yield "definition = ?", [self.definition]
        elif self.definition:
            yield "definition >= ? AND definition < ?", [f"{self.definition}:", f"{self.definition}:{_HIGHEST}"]
        if self.states:
            yield _in_states(self.states, now)


def _in_states(states: frozenset[str], now: float) -> Condition:
    ended = sorted(states & ENDED)
    matches = f"(ended_at <= ? AND end_state IN ({', '.join('?' * len(ended))}))"
    if states <= ENDED:
        return matches, [now, *ended]
    return f"(ended_at IS NULL OR ended_at > ? OR {matches})", [now, now, *ended]


# `place` is the column of `Run.scope`, because state files of every version have that name for it.
_SELECT = (
    "SELECT request, facts, tags, service, id, place, name, definition, share, mode, token, fingerprint, seq FROM runs"
)
_INSERT = (
    "INSERT INTO runs (service, id, place, name, name_key, definition, share, mode, token, fingerprint,"
    " accepted_at, ended_at, end_state, request, facts, tags)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _run(row: Sequence[Any]) -> Run:
    request, facts, tags, *columns = row
    return Run(json.loads(request), Facts.from_json(json.loads(facts)), json.loads(tags), *columns)


class Records:
    """The state inside one transaction of `State`. It cannot be used afterwards."""

    def __init__(self, connection: sqlite3.Connection, settings: Settings) -> None:
        self._connection = connection
        self.settings = settings

    @property
    def now(self) -> float:
        """The service's clock, in seconds since the epoch."""
        return time.time() + self.settings.clock_offset_seconds

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Runs one statement in the transaction."""
        return self._connection.execute(statement, values)

    def add(self, run: Run) -> None:
        """Stores a newly accepted run."""
        self.execute(
            _INSERT,
            [
                *(run.service, run.id, run.scope, run.name, run.name.lower(), run.definition, run.share, run.mode),
                *(run.token, run.fingerprint, run.facts.accepted_at, *_end_columns(run)),
                *(json.dumps(run.request), json.dumps(run.facts.to_json()), json.dumps(run.tags)),
            ],
        )

    def change(self, run: Run, *, facts: Facts | None = None, tags: Mapping[str, str] | None = None) -> Run:
        """Stores new facts or tags of a run, and returns the changed run."""
        run = dataclasses.replace(run, facts=facts or run.facts, tags=run.tags if tags is None else dict(tags))
        self.execute(
            "UPDATE runs SET facts = ?, tags = ?, ended_at = ?, end_state = ? WHERE id = ?",
            [json.dumps(run.facts.to_json()), json.dumps(run.tags), *_end_columns(run), run.id],
        )
        return run

    def run(self, run_id: str, now: float | None) -> Run | None:
        """Returns the run with this id, if it can be looked up at `now`. If `now` is `None`, expired runs are found
        too.
        """
        settings = self.settings
        condition, values = ("1", list[Any]())
        if now is not None:
            condition, values = self._visible(now, settings.describe_lag_seconds, settings.describe_retention_seconds)
        row = self.execute(f"{_SELECT} WHERE id = ? AND {condition}", [run_id, *values]).fetchone()
        return None if row is None else _run(row)

    def by_token(self, service: str, scope: str, token: str) -> Run | None:
        """Returns the run that was accepted with this client token, even if it has ended or expired."""
        statement = f"{_SELECT} WHERE service = ? AND place = ? AND token = ?"
        row = self.execute(statement, [service, scope, token]).fetchone()
        return None if row is None else _run(row)

    def forget_token(self, run: Run) -> None:
        """Releases the run's client token for another run."""
        self.execute("UPDATE runs SET token = NULL WHERE id = ?", [run.id])

    def search(self, search: Search, now: float) -> Iterator[Run]:
        """Yields the matching runs that a listing contains at `now`, newest first, and reads them one by one."""
        settings = self.settings
        visible = self._visible(now, settings.listing_lag_seconds, settings.listing_retention_seconds)
        conditions = [*search.conditions(now), visible]
        where = " AND ".join(text for text, _ in conditions)
        values = [value for _, values in conditions for value in values]
        for row in self.execute(f"{_SELECT} WHERE {where} ORDER BY seq DESC", values):
            yield _run(row)

    def accepted(self) -> Iterator[Run]:
        """Yields every run accepted since the last reset, oldest first, including expired ones."""
        for row in self.execute(f"{_SELECT} ORDER BY seq"):
            yield _run(row)

    def scopes(self, service: str) -> list[str]:
        """Returns the applications or queues of all accepted runs, sorted."""
        return self._distinct("SELECT DISTINCT place FROM runs WHERE service = ? ORDER BY 1", service)

    def definitions(self, service: str) -> list[str]:
        """Returns the definitions of all accepted runs, sorted."""
        return self._distinct("SELECT DISTINCT definition FROM runs WHERE service = ? ORDER BY 1", service)

    def _distinct(self, statement: str, value: str) -> list[str]:
        return [row[0] for row in self.execute(statement, [value]).fetchall()]

    def add_dependencies(self, run_id: str, needed_ids: Sequence[str]) -> None:
        """Records that a job waits for others."""
        for needed in needed_ids:
            self.execute("INSERT INTO waits VALUES (?, ?)", [run_id, needed])

    def dependents(self, run_id: str) -> list[str]:
        """Returns the jobs that wait for this one or for a child of it."""
        return self._distinct("SELECT DISTINCT id FROM waits WHERE needs = ?", run_id)

    def tags(self, arn: str) -> dict[str, str]:
        """Returns the tags of a resource that is not a run."""
        row = self.execute("SELECT tags FROM tags WHERE arn = ?", [arn]).fetchone()
        return {} if row is None else dict(json.loads(row[0]))

    def put_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        """Replaces the tags of a resource that is not a run."""
        self.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", [arn, json.dumps(tags)])

    def clear(self) -> None:
        """Removes every run and tag. The settings are kept."""
        for statement in ("DELETE FROM runs", "DELETE FROM waits", "DELETE FROM tags"):
            self.execute(statement)

    def _visible(self, now: float, lag: float, retention: float | None) -> Condition:
        """Returns the SQL condition for runs that were accepted at least `lag` seconds ago and whose retention has not
        ended. The shorter of the two retention times applies."""
        condition, values = ("accepted_at <= ?", [now - lag]) if lag else ("1", list[float]())
        limits = [seconds for seconds in (retention, self.settings.retention_seconds) if seconds is not None]
        if not limits:
            return condition, values
        return f"({condition} AND (ended_at IS NULL OR ended_at > ?))", [*values, now - min(limits)]


def _end_columns(run: Run) -> tuple[float | None, str | None]:
    last = end(run.timeline())
    return (last.at, last.state) if last else (None, None)
