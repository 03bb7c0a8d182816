"""What is stored, inside one transaction: runs, what waits for what, tags of other resources."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from reconciler.emulator.lifecycle import Facts, Timeline, batch_timeline, emr_timeline, end
from reconciler.emulator.search import Condition, Search
from reconciler.emulator.settings import Settings

EMR: Final = "emr-serverless"
BATCH: Final = "batch"


@dataclass(frozen=True, slots=True)
class Run:
    """One accepted run. `place` is the application id or the queue's name; `definition` is ``name:revision`` or empty;
    `token` the client token, `fingerprint` the digest of everything but the token. `seq` orders acceptance, 0 before
    it is stored. `request` is as received."""

    service: Literal["emr-serverless", "batch"]
    id: str
    place: str
    name: str
    request: dict[str, Any]
    facts: Facts
    tags: dict[str, str]
    definition: str = ""
    share: str = ""
    mode: str = ""
    token: str | None = None
    fingerprint: str = ""
    seq: int = 0

    def timeline(self) -> Timeline:
        """Every state the run has and will have."""
        return emr_timeline(self.facts) if self.service == EMR else batch_timeline(self.facts)


_SELECT = (
    "SELECT seq, service, id, place, name, definition, share, mode, token, fingerprint, request, facts, tags FROM runs"
)
_INSERT = (
    "INSERT INTO runs (service, id, place, name, name_key, definition, share, mode, token, fingerprint,"
    " accepted_at, ended_at, end_state, request, facts, tags)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def _run(row: Sequence[Any]) -> Run:
    seq, service, run_id, place, name, definition, share, mode, token, fingerprint, request, facts, tags = row
    return Run(
        service=service,
        id=run_id,
        place=place,
        name=name,
        request=json.loads(request),
        facts=Facts.of(json.loads(facts)),
        tags=json.loads(tags),
        definition=definition,
        share=share,
        mode=mode,
        token=token,
        fingerprint=fingerprint,
        seq=seq,
    )


class Records:
    """The state inside one transaction of `State`; of no use after it."""

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
        last = end(run.timeline())
        self.execute(
            _INSERT,
            [
                *(run.service, run.id, run.place, run.name, run.name.lower(), run.definition, run.share, run.mode),
                *(run.token, run.fingerprint, run.facts.accepted_at),
                *((last.at, last.state) if last else (None, None)),
                *(json.dumps(run.request), json.dumps(run.facts.plain()), json.dumps(run.tags)),
            ],
        )

    def change(self, run: Run, *, facts: Facts | None = None, tags: dict[str, str] | None = None) -> Run:
        """Stores new facts or tags of a run, and returns it with them."""
        run = dataclasses.replace(run, facts=facts or run.facts, tags=run.tags if tags is None else tags)
        last = end(run.timeline())
        self.execute(
            "UPDATE runs SET facts = ?, tags = ?, ended_at = ?, end_state = ? WHERE id = ?",
            [
                *(json.dumps(run.facts.plain()), json.dumps(run.tags)),
                *((last.at, last.state) if last else (None, None)),
                run.id,
            ],
        )
        return run

    def run(self, run_id: str, now: float | None) -> Run | None:
        """The run with this id, while AWS still knows it at `now`; `None`: forgotten ones too."""
        kept, values = ("1", []) if now is None else self._described(now)
        row = self.execute(f"{_SELECT} WHERE id = ? AND {kept}", [run_id, *values]).fetchone()
        return None if row is None else _run(row)

    def by_token(self, service: str, place: str, token: str) -> Run | None:
        """The run that was accepted with this client token, ended and forgotten ones too."""
        row = self.execute(
            f"{_SELECT} WHERE service = ? AND place = ? AND token = ?", [service, place, token]
        ).fetchone()
        return None if row is None else _run(row)

    def forget_token(self, run: Run) -> None:
        """Lets the run's client token be free for another run."""
        self.execute("UPDATE runs SET token = NULL WHERE id = ?", [run.id])

    def search(self, search: Search, now: float) -> Iterator[Run]:
        """The runs of a listing that AWS still knows, newest first, read as they are asked for."""
        conditions = [*search.conditions(now), self._listed(now)]
        where = " AND ".join(text for text, _ in conditions)
        values = [value for _, values in conditions for value in values]
        for row in self.execute(f"{_SELECT} WHERE {where} ORDER BY seq DESC", values):
            yield _run(row)

    def accepted(self) -> Iterator[Run]:
        """Every run ever accepted since the last reset, oldest first, forgotten ones too."""
        for row in self.execute(f"{_SELECT} ORDER BY seq"):
            yield _run(row)

    def named(self, service: str, what: Literal["place", "definition"]) -> list[str]:
        """The applications and queues, or the definitions, that accepted runs have named, sorted."""
        column = {"place": "SELECT DISTINCT place FROM runs", "definition": "SELECT DISTINCT definition FROM runs"}[
            what
        ]
        return [row[0] for row in self.execute(f"{column} WHERE service = ? ORDER BY 1", [service])]

    def wait(self, run_id: str, needs: Sequence[str]) -> None:
        """Records that a job waits for others."""
        for needed in needs:
            self.execute("INSERT INTO waits VALUES (?, ?)", [run_id, needed])

    def waiting_for(self, run_id: str) -> list[str]:
        """The jobs that wait for this one or for a child of it."""
        rows = self.execute("SELECT DISTINCT id FROM waits WHERE needs = ?", [run_id])
        return [row[0] for row in rows.fetchall()]

    def tags(self, arn: str) -> dict[str, str]:
        """The tags given to a resource that is not a run."""
        row = self.execute("SELECT tags FROM tags WHERE arn = ?", [arn]).fetchone()
        return {} if row is None else dict(json.loads(row[0]))

    def put_tags(self, arn: str, tags: dict[str, str]) -> None:
        """Replaces the tags of a resource that is not a run."""
        self.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", [arn, json.dumps(tags)])

    def forget(self) -> None:
        """Removes every run and tag; the settings stay."""
        for statement in ("DELETE FROM runs", "DELETE FROM waits", "DELETE FROM tags"):
            self.execute(statement)

    def _listed(self, now: float) -> Condition:
        settings = self.settings
        return _known(now, settings.listing_lag_seconds, settings.retention_seconds, settings.listing_retention_seconds)

    def _described(self, now: float) -> Condition:
        settings = self.settings
        return _known(
            now, settings.describe_lag_seconds, settings.retention_seconds, settings.describe_retention_seconds
        )


def _known(now: float, lag: float, *retentions: float | None) -> Condition:
    """Runs that AWS knows already and still."""
    condition, values = "1", list[Any]()
    if lag:
        condition, values = "accepted_at <= ?", [now - lag]
    limits = [seconds for seconds in retentions if seconds is not None]
    if not limits:
        return condition, values
    return f"({condition} AND (ended_at IS NULL OR ended_at > ?))", [*values, now - min(limits)]
