"""`fsck`: the ledger held against AWS, and what of a lost one is recorded again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

from reconciler import __version__
from reconciler.app.reconcile import run_names
from reconciler.core.events import Adopted, ManuallyAdopted, Observed
from reconciler.core.fsck import (
    UNKNOWN_DIGEST,
    AwsInventory,
    RebuiltSubmission,
    findings,
    numbered,
    rebuildable,
)
from reconciler.core.identity import Content, SubmissionKey, client_token
from reconciler.core.submission import RunState
from reconciler.core.times import parse_time, slots_between
from reconciler.errors import ReconcilerError
from reconciler.specs.git import actor, read_checkout
from reconciler.specs.load import load

if TYPE_CHECKING:
    from reconciler.app.decisions import Operator
    from reconciler.app.session import Session
    from reconciler.core.desired import DesiredSpec
    from reconciler.core.events import SubmissionEvent
    from reconciler.core.findings import Finding
    from reconciler.core.fsck import ListedRun
    from reconciler.core.state import Recorded

GENERATIONS = 500
"""How many generations of a spec's content are tried for a token."""

RETRIES = 10
"""How many attempts of each are tried, beyond those that the spec allows."""

SLOT_AGE = timedelta(days=2)
"""How much older than its run a slot may be, to be tried for its token."""

MOST_SLOTS = 5000
"""How many slots of a spec are tried."""


@dataclass(frozen=True)
class Inspection:
    """What was read: the specs, the ledger, and what AWS has."""

    session: Session
    specs: Mapping[str, DesiredSpec]
    recorded: Recorded
    stock: AwsInventory

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is not as it should be, as the ledger is now."""
        return findings(self.recorded, self.stock, self.session.place)

    def rebuilt(self) -> list[RebuiltSubmission]:
        """The runs that can be recorded again, with the numbers they get, by name and age."""
        names = sorted({run.name for run in self.stock.present})
        return [made for name in names for made in self._rebuilt(name)]

    def _rebuilt(self, name: str) -> Sequence[RebuiltSubmission]:
        newer, _ = rebuildable(name, self.recorded, self.stock)
        record, spec = self.recorded.spec(name), self.specs.get(name)
        used = {submission.key for submission in record.submissions}
        keys = {} if spec is None else _keys(spec, self.session, newer)
        free = {token: key for token, key in keys.items() if key not in used}
        first: dict[str | None, ListedRun] = {}
        for run in newer:
            first.setdefault(run.token, run)
        return numbered(list(first.values()), free, record.next_generation)


def inspect(session: Session, since: str | None) -> Inspection:
    """Reads specs, ledger and AWS; writes nothing. Raises `SpecErrors`, `LedgerError`, `GuardError`, `ServiceError`."""
    from reconciler.aws.observe import take_stock

    specs = load(session.project_file, targets=[session.place.target], warn=False).specs[session.place.target]
    session.aws.name_runs(run_names(specs))
    recorded = session.ledger.refresh()
    wheres = [(spec.kind, spec.content.location) for spec in specs.values()]
    session.aws.check()
    return Inspection(
        session, specs, recorded, take_stock(recorded, wheres, session.place, session.aws.inventory, since)
    )


def _keys(spec: DesiredSpec, session: Session, runs: Sequence[ListedRun]) -> dict[str, SubmissionKey]:
    """Which of the runs' tokens are those of what the spec asks for now, and as which submission."""
    found: dict[str, SubmissionKey] = {}
    left = {run.token for run in runs if run.token is not None}
    for first in _candidates(spec, runs):
        for attempt in range(1, spec.policy.backoffLimit + RETRIES + 1):
            if not left:
                return found
            key = replace(first, attempt=attempt)
            token = client_token(session.place, spec.kind, key, spec.digest)
            if token in left:
                found[token] = key
                left.discard(token)
    return found


def _candidates(spec: DesiredSpec, runs: Sequence[ListedRun]) -> Iterator[SubmissionKey]:
    """The generations and slots that runs may be of: any of the first generations, and slots of the days before."""
    policy, created = spec.policy, [parse_time(run.created_at) for run in runs]
    if policy.schedule is not None and created:
        found = slots_between(policy.schedule, policy.timeZone, min(created) - SLOT_AGE, max(created), MOST_SLOTS)
        yield from (SubmissionKey(spec.name, slot=slot) for slot in found)
    yield from (SubmissionKey(spec.name, generation) for generation in range(1, GENERATIONS + 1))


def record(inspection: Inspection, made: Sequence[RebuiltSubmission], reason: str | None) -> None:
    """Records runs again, spec by spec, each whole or not at all. Raises `ReconcilerError` where a spec has moved."""
    from reconciler.app.decisions import ExpectedState, Operator, rebuild
    from reconciler.apply.interpreter import World, drive

    session = inspection.session
    mine = Operator(actor(session.environ, session.root), (reason or "").strip() or None)
    commit = read_checkout(session.root, ()).commit
    world = World(session.ledger, session.aws.service, session.clock, session.aws.quota, Event())
    for name in dict.fromkeys(each.run.name for each in made):
        some = [each for each in made if each.run.name == name]
        seen = ExpectedState(name, inspection.recorded.spec(name).head)
        result = drive(rebuild(seen, _events(inspection, some, mine, commit)), world)
        if result.error is not None:
            raise ReconcilerError(f"{result.error}. What was recorded before stays; run fsck again")


def _events(
    inspection: Inspection, made: Sequence[RebuiltSubmission], mine: Operator, commit: str | None
) -> Callable[[str], Sequence[SubmissionEvent]]:
    """The events of the runs of one spec, from the time they are written."""

    def at(moment: str) -> Sequence[SubmissionEvent]:
        return [
            event
            for each in made
            for event in (
                _taken(inspection, each, mine, commit, moment),
                *_state(each.run, moment),
                *_further(inspection, each.run, moment),
            )
        ]

    return at


def _taken(
    inspection: Inspection, made: RebuiltSubmission, mine: Operator, commit: str | None, at: str
) -> ManuallyAdopted:
    """A run recorded again: as what the spec asks for now where its token proves it, else without its content."""
    run, place = made.run, inspection.session.place
    spec = inspection.specs.get(run.name)
    content = spec.content if spec else Content()
    if spec is None or not made.known:
        content = replace(content, digest=UNKNOWN_DIGEST, revision=0, request={})
    return ManuallyAdopted(
        at=at,
        token=run.token or "",
        kind=run.kind,
        key=made.key,
        content=replace(content, location=dict(run.location)),
        run_id=run.run_id,
        owner=place.owner(run.name),
        reason=mine.reason or "rebuilt from tags",
        commit=commit if spec is not None and made.known else None,
        actor=mine.actor,
        tool_version=__version__,
    )


def _state(run: ListedRun, at: str) -> Iterator[Observed]:
    """How the run stands, where that is a word of ours."""
    if run.state in set(RunState):
        yield Observed(
            at=at,
            name=run.name,
            token=run.token or "",
            run_id=run.run_id,
            state=run.state,
            aws_state=run.aws_state,
            detail=run.detail,
            started_at=run.started_at,
            finished_at=run.finished_at,
        )


def _further(inspection: Inspection, first: ListedRun, at: str) -> Iterator[Adopted]:
    """Further runs with the same token: recorded too, so that a person decides which one counts."""
    for run in inspection.stock.present:
        if run.token == first.token and run.run_id != first.run_id:
            yield Adopted(at=at, name=first.name, token=first.token or "", run_id=run.run_id)
