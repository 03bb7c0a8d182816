"""The results of checks, and the checks of the ledger against AWS, including those for a lost ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum

from reconciler.core.identity import SubmissionKey
from reconciler.core.ports import RunReport
from reconciler.core.state import Recorded
from reconciler.core.suggestions import Invocation, adopt, resolve
from reconciler.core.times import parse_time
from reconciler.values import dataclass


class Severity(StrEnum):
    """The result of a check. `WARN` never changes an exit code: it is advice, or a check was not possible."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, with a message of one sentence.

    `check` is the name of the check in JSON, and `position` is a position of the ledger. `name`, `run_id` and `token`
    identify a submission; `kind` and `location` describe its run. `advice` describes what to do. `commands` are
    reconciler commands from which an operator can choose.
    """

    severity: Severity
    message: str
    check: str = ""
    position: int | None = None
    name: str | None = None
    run_id: str | None = None
    token: str | None = None
    commands: tuple[str, ...] = ()
    advice: str | None = None
    kind: str = ""
    location: Mapping[str, str] = field(default_factory=dict)


def ok(message: str) -> Finding:
    """Returns a finding for a check that passed."""
    return Finding(Severity.OK, message)


def warn(message: str) -> Finding:
    """Returns a finding with advice, or for a check that was not possible."""
    return Finding(Severity.WARN, message)


def fail(message: str) -> Finding:
    """Returns a finding for a check that failed."""
    return Finding(Severity.FAIL, message)


def failures(findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings of failed checks, in their order."""
    return [finding for finding in findings if finding.severity is Severity.FAIL]


class Check(StrEnum):
    """Possible differences between the ledger and AWS."""

    UNKNOWN_TOKEN = "unknown-token"  # AWS has a run of this project that is missing from the ledger
    SECOND_RUN = "second-run"  # a run carries the tag of a submission that has another run
    NOT_ADOPTED = "not-adopted"  # the run of an unresolved submission: the next pass adopts it
    NEVER_RAN = "never-ran"  # the ledger has no run, and AWS has one
    LOST = "lost"  # live in the ledger, but AWS cannot find it
    UNRESOLVED = "unresolved"  # it may be running, but AWS lists no run of it
    UNREADABLE = "unreadable"  # a listing failed
    NOT_COMPARED = "not-compared"  # the service of a kind has no inventory


@dataclass(frozen=True, slots=True)
class ListedRun:
    """One run of this project and target as AWS lists it: its tags, location and report.

    `name` is the current name of the spec, `tagged` the name in the tag if it differs. `token` is `None` if the run has
    no tag with a token. Times are ISO 8601 text.
    """

    name: str
    run_id: str
    token: str | None
    kind: str
    location: Mapping[str, str]
    created_at: str
    report: RunReport
    tagged: str | None = None

    @property
    def state(self) -> str:
        """The state of the run."""
        return self.report.state

    def now_called(self, name: str) -> ListedRun:
        """Returns the run with the current name of its spec."""
        return self if name == self.name else replace(self, name=name, tagged=self.name)


@dataclass(frozen=True, slots=True)
class ListedQueue:
    """One queue or application that was listed: the number of its runs, and how many of them belong to this project and
    target.

    `error` is the reason if the listing failed; then the numbers are 0.
    """

    kind: str
    place: str
    runs: int = 0
    ours: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AwsInventory:
    """The result of listing AWS: `places` are the queues and applications; `present` are the runs with our tags whose
    ids are missing from the ledger, oldest first; `gone` are the ids of live runs that AWS does not find; `unlisted`
    are the kinds whose service has no `ports.Inventory`."""

    places: tuple[ListedQueue, ...] = ()
    present: tuple[ListedRun, ...] = ()
    gone: frozenset[str] = frozenset()
    unlisted: tuple[str, ...] = ()


def findings(recorded: Recorded, stock: AwsInventory, by: Invocation) -> tuple[Finding, ...]:
    """Returns all problems, sorted by name. Failed listings come first."""
    unread = [
        Finding(Severity.FAIL, f"{listed.kind}, {listed.place}: {listed.error}", Check.UNREADABLE)
        for listed in stock.places
        if listed.error
    ]
    unread += [
        Finding(Severity.WARN, f"{kind} cannot be compared: its service does not list runs", Check.NOT_COMPARED)
        for kind in stock.unlisted
    ]
    problems = [
        *(finding for run in stock.present if (finding := _of_run(run, recorded, by)) is not None),
        *_of_ledger(recorded, stock, by),
    ]
    return (*unread, *sorted(problems, key=lambda finding: finding.name or ""))


def _of_run(run: ListedRun, recorded: Recorded, by: Invocation) -> Finding | None:
    """Returns the problem with a listed run, or `None` if the ledger has it as the run of its submission."""
    submission = recorded.by_token.get(run.token or "")
    if submission is None:
        which = f"token {run.token}" if run.token else "no token"
        message = f"AWS has run {run.run_id} of {run.name}, {run.state}, with {which}, which is not in the ledger"
        return _finding(Check.UNKNOWN_TOKEN, run, message, (adopt(run.name, run.run_id, by),))
    message = f"run {run.run_id}, {run.state}, has the tag of {submission.key}"
    if submission.unresolved:
        message += ", whose outcome is unknown: the next pass adopts it"
        return _finding(Check.NOT_ADOPTED, run, message, (adopt(run.name, run.run_id, by),))
    if submission.accepted:
        message += f", whose run is {submission.run_id}: there are two"
        ways = tuple(adopt(run.name, run_id, by) for run_id in submission.conflict)
        return None if run.run_id == submission.run_id else _finding(Check.SECOND_RUN, run, message, ways)
    message += f", which is {submission.phase} in the ledger"
    return _finding(Check.NEVER_RAN, run, message, (adopt(run.name, run.run_id, by),))


def _finding(check: Check, run: ListedRun, message: str, commands: tuple[str, ...] = ()) -> Finding:
    return Finding(
        Severity.FAIL, message, check, name=run.name, run_id=run.run_id, token=run.token, commands=commands,
        kind=run.kind, location=run.location,
    )  # fmt: skip


def _of_ledger(recorded: Recorded, stock: AwsInventory, by: Invocation) -> Iterator[Finding]:
    """Yields findings for submissions whose recorded state contradicts AWS."""
    tokens = {run.token for run in stock.present}
    for submission in recorded.by_token.values():
        name, token = submission.name, submission.token
        if submission.live and submission.run_id in stock.gone:
            run_id, state = submission.run_id, submission.run_state
            message = f"run {run_id} of {submission.key} was {state}, but AWS cannot find it"
            yield Finding(
                Severity.FAIL, message, Check.LOST, name=name, run_id=run_id, token=token,
                kind=submission.kind, location=submission.content.location,
            )  # fmt: skip
        elif submission.unresolved and token not in tokens:
            message = f"the outcome of {submission.key} is unknown, and AWS shows no run with its tag"
            ways = tuple(resolve(name, decision, by, token) for decision in ("submit", "abandon"))
            yield Finding(Severity.FAIL, message, Check.UNRESOLVED, name=name, token=token, commands=ways)


# --- rebuilding a ledger ----------------------------------------------------------------------------------------------

UNKNOWN_DIGEST = "unknown"
"""The digest of a run whose content is unknown. It differs from the digest of every spec."""

GIVEN_ATTEMPTS = 1000
"""Attempts above this number are invented, to distinguish runs whose attempt is unknown."""


@dataclass(frozen=True, slots=True)
class RebuiltSubmission:
    """A run with its key in the rebuilt ledger. If `content_known` is true, the token confirms the key and that the run
    has the current content of the spec. Otherwise the key only preserves the order of runs, and the content is
    unknown."""

    run: ListedRun
    key: SubmissionKey
    content_known: bool


def numbered(
    runs: Sequence[ListedRun], keys: Mapping[str, SubmissionKey], next_generation: int
) -> list[RebuiltSubmission]:
    """Returns keys for the runs of one spec, oldest first, such that the next generation is above all of them.

    `keys` are the keys of the spec's own content, by token. Any other run is assigned the next generation or, if a
    later run of `keys` has that generation, an invented attempt.
    """
    made: list[RebuiltSubmission] = []
    last = next_generation - 1
    for index, run in enumerate(runs):
        key = keys.get(run.token or "")
        if key is not None:
            last = max(last, key.generation or 0)
            made.append(RebuiltSubmission(run, key, content_known=True))
            continue
        later = [own.generation or 0 for r in runs[index + 1 :] if (own := keys.get(r.token or "")) is not None]
        if last + 1 < min(later, default=last + 2):
            last += 1
            made.append(RebuiltSubmission(run, SubmissionKey(run.name, last), content_known=False))
        else:
            key = SubmissionKey(run.name, max(last, 1), attempt=GIVEN_ATTEMPTS + index + 1)
            made.append(RebuiltSubmission(run, key, content_known=False))
    return made


def rebuildable(name: str, recorded: Recorded, stock: AwsInventory) -> tuple[list[ListedRun], list[ListedRun]]:
    """Returns the runs of one spec that are missing from the ledger, oldest first: those that may be recorded as its
    newest, and those that are older than its recorded submissions."""
    mine = [run for run in stock.present if run.name == name and run.token and run.token not in recorded.by_token]
    newest = recorded.spec(name).newest
    if newest is None:
        return mine, []
    # An older run must not be recorded, because it would become the newest submission.
    since = parse_time(newest.first_intent_at)
    return [r for r in mine if parse_time(r.created_at) > since], [r for r in mine if parse_time(r.created_at) <= since]
