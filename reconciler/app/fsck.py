"""`fsck`: checks the ledger against AWS, and rebuilds the records of runs of a lost ledger."""

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import timedelta

from reconciler import __version__
from reconciler.app.decisions import EventBatch, ExpectedState, Operator, append, observed, operator_of
from reconciler.app.session import Session
from reconciler.core import fsck
from reconciler.core.archive import SPEC, run_digits, token_digits
from reconciler.core.cron import slots_between
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.events import Adopted, Event, ManuallyAdopted
from reconciler.core.identity import Content, SubmissionKey, client_token
from reconciler.core.renames import after_renames, find_renames, name_now
from reconciler.core.state import RUN_STATES, Recorded, Submission
from reconciler.core.times import parse_time
from reconciler.errors import ReconcilerError
from reconciler.specs.git import read_checkout
from reconciler.specs.project import load_target
from reconciler.values import dataclass

GENERATIONS = 500
"""The number of generations of a spec's content that are tried to find the generation of a token."""

RETRIES = 10
"""The number of attempts beyond the spec's `backoffLimit` that are tried for each generation or slot."""

SLOT_AGE = timedelta(days=2)
"""The maximum time between a slot and the creation of its run."""

MOST_SLOTS = 5000
"""The maximum number of slots of a spec that are tried."""


@dataclass(frozen=True)
class Inspection:
    """The inputs of the check: the specs, the ledger, and the runs in AWS. For each spec that was renamed in git but
    not yet in the ledger, `renames` maps the new name to the former name."""

    session: Session
    specs: Mapping[str, DesiredSpec]
    recorded: Recorded
    inventory: fsck.AwsInventory
    renames: Mapping[str, str]

    @property
    def findings(self) -> tuple[fsck.Finding, ...]:
        """The differences between AWS and the current ledger. Specs are listed under the names that commands accept."""
        new_names = {old: new for new, old in self.renames.items()}
        present = tuple(run.now_called(new_names.get(run.name, run.name)) for run in self.inventory.present)
        inventory = replace(self.inventory, present=present)
        return fsck.findings(after_renames(self.recorded, self.renames), inventory, self.session.invocation)

    def spec(self, name: str) -> DesiredSpec | None:
        """Returns the spec in git for a name in the ledger. Because of a rename, the spec may have another name in git.
        Returns `None` if the spec is not in git."""
        new = next((new for new, old in self.renames.items() if old == name), name)
        return self.specs.get(new)

    def rebuilt(self) -> list[fsck.RebuiltSubmission]:
        """Returns the runs that can be recorded again, with their new keys, sorted by name and age."""
        names = sorted({run.name for run in self.inventory.present})
        return [rebuilt for name in names for rebuilt in self._rebuilt(name)]

    def _rebuilt(self, name: str) -> Sequence[fsck.RebuiltSubmission]:
        newer, _ = fsck.rebuildable(name, self.recorded, self.inventory)
        record, spec = self.recorded.spec(name), self.spec(name)
        used = {submission.key for submission in self.recorded.by_token.values() if submission.name == name}
        keys = {} if spec is None else _keys(spec, name, self.session, newer)
        free = {token: key for token, key in keys.items() if key not in used}
        first: dict[str | None, fsck.ListedRun] = {}
        for run in newer:
            # `_events` adds the other runs with the same token.
            first.setdefault(run.token, run)
        return fsck.numbered(list(first.values()), free, record.next_generation)


def inspect(session: Session, since: str | None) -> Inspection:
    """Reads specs, ledger and AWS; writes nothing. Raises `SpecErrors`, `LedgerError`, `GuardError`, `ServiceError`."""
    from reconciler.aws.observe import take_inventory

    specs = load_target(session.project_file, session.place.target)
    session.aws.name_runs(specs)
    # Other commands refuse a ledger that was rolled back, and tell the operator to run fsck.
    recorded = session.ledger.refresh(rolled_back=True)
    locations = [(spec.kind, spec.content.location) for spec in specs.values()]
    with session.aws.reading("listing the runs in AWS"):
        inventory = take_inventory(recorded, locations, session.place, session.aws.inventory, since)
    archived = _archived(session, recorded, inventory.present)
    if archived:
        # Archived submissions must not stay in the state of the ledger, which later steps append to.
        recorded = copy(recorded)
        recorded.by_token = {**recorded.by_token, **{submission.token: submission for submission in archived}}
    run_ids = {submission.run_id for submission in archived}
    missing = [run for run in inventory.present if run.run_id not in run_ids]
    present = tuple(run.now_called(_name_of(run, specs, recorded)) for run in missing)
    inventory = replace(inventory, present=present)
    desired = Desired(session.place, specs, frozenset(specs))
    return Inspection(session, specs, recorded, inventory, find_renames(desired, recorded).pending)


def _archived(session: Session, recorded: Recorded, runs: Sequence[fsck.ListedRun]) -> Sequence[Submission]:
    """Returns the archived submissions that have the token or run id of a listed run."""
    if not runs or not recorded.archives:
        return ()
    history = session.ledger.history
    tokens, ids = {token_digits(run.token or "") for run in runs}, {run_digits(run.run_id) for run in runs}
    entries = history.find(recorded, lambda entry: entry.token in tokens or entry.run in ids)
    return [history.load(record, entry) for record, entry in entries if entry.where != SPEC]


def _name_of(run: fsck.ListedRun, specs: Mapping[str, DesiredSpec], recorded: Recorded) -> str:
    """Returns the name that a run's spec has in the ledger or, if the ledger is lost, in git."""
    submission = recorded.by_token.get(run.token or "")
    if submission is not None:
        return submission.name
    current = recorded.current_name(run.name)
    return current if run.name in specs or current in recorded.specs else name_now(run.name, specs, recorded)


def _keys(
    spec: DesiredSpec, recorded_name: str, session: Session, runs: Sequence[fsck.ListedRun]
) -> dict[str, SubmissionKey]:
    """Returns the submission keys of the spec's current content, by token, for the tokens that the runs have. The keys
    contain the spec's name in the ledger."""
    keys: dict[str, SubmissionKey] = {}
    tokens = {run.token for run in runs if run.token is not None}
    names = {spec.name, recorded_name, *(run.tagged for run in runs if run.tagged is not None)}
    for first in _candidates(spec, runs):
        for attempt in range(1, spec.policy.backoffLimit + RETRIES + 1):
            if not tokens:
                return keys
            for name in names:
                key = SubmissionKey(name, first.generation, first.slot, attempt)  # `replace` is slow, and keys are many
                token = client_token(session.place, spec.kind, key, spec.digest)
                if token in tokens:
                    keys[token] = replace(key, name=recorded_name)
                    tokens.discard(token)
    return keys


def _candidates(spec: DesiredSpec, runs: Sequence[fsck.ListedRun]) -> Iterator[SubmissionKey]:
    """Yields the submission keys that runs may have: for the slots of the days before the runs were created, and for
    the first generations."""
    policy, created = spec.policy, [parse_time(run.created_at) for run in runs]
    if policy.schedule is not None and created:
        slots = slots_between(policy.schedule, policy.timeZone, min(created) - SLOT_AGE, max(created), MOST_SLOTS)
        yield from (SubmissionKey(spec.name, slot=slot) for slot in slots)
    yield from (SubmissionKey(spec.name, generation) for generation in range(1, GENERATIONS + 1))


def record(inspection: Inspection, rebuilt: Sequence[fsck.RebuiltSubmission], reason: str | None) -> None:
    """Records runs again, all runs of a spec or none. Raises `ReconcilerError` if a spec changed since the
    inspection."""
    session = inspection.session
    operator, commit = operator_of(session, reason), read_checkout(session.root, ()).commit
    for name in dict.fromkeys(each.run.name for each in rebuilt):
        of_spec = [each for each in rebuilt if each.run.name == name]

        def events(at: str, of_spec: Sequence[fsck.RebuiltSubmission] = of_spec) -> list[Event]:
            return [event for each in of_spec for event in _events(inspection, each, operator, commit, at)]

        expected = ExpectedState(name, inspection.recorded.spec(name).head)
        result = append(session, EventBatch(events, expected.objection))
        if result.error is not None:
            raise ReconcilerError(f"{result.error}. Specs that were recorded earlier remain recorded; run fsck again")


def _events(
    inspection: Inspection, rebuilt: fsck.RebuiltSubmission, operator: Operator, commit: str | None, at: str
) -> Iterator[Event]:
    """Yields the events that record a run again."""
    run, spec = rebuilt.run, inspection.spec(rebuilt.run.name)
    token, proven = run.token or "", spec is not None and rebuilt.content_known
    content = spec.content if spec else Content()
    # Only the token proves that a run has the spec's current content. Otherwise its content is unknown.
    if not proven:
        content = replace(content, digest=fsck.UNKNOWN_DIGEST, revision=0, request={})
    yield ManuallyAdopted(
        at=at,
        token=token,
        kind=run.kind,
        key=rebuilt.key,
        content=replace(content, location=dict(run.location)),
        run_id=run.run_id,
        owner=inspection.session.place.owner(run.tagged or run.name),
        reason=operator["reason"] or "rebuilt from tags",
        commit=commit if proven else None,
        actor=operator["actor"],
        tool_version=__version__,
    )
    if run.state in RUN_STATES:  # another version may have more states
        report = replace(run.report, created_at=None, definition=None, partial=False)
        yield observed(run.name, token, run.run_id, report, at)
    for other in inspection.inventory.present:  # recorded too, so that an operator decides which run counts
        if other.token == run.token and other.run_id != run.run_id:
            yield Adopted(at=at, name=run.name, token=token, run_id=other.run_id)
