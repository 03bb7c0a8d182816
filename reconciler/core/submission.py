"""One submission and its run, as the fold records them."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.core.identity import Content, SubmissionKey
from reconciler.core.times import parse_time
from reconciler.values import dataclass


class Phase(StrEnum):
    """The progress of a submission."""

    INTENDED = "intended"  # a send may be in progress, or its outcome is unclear: unresolved
    UNSENT = "unsent"  # nothing reached AWS, or AWS refused it for a temporary reason
    REJECTED = "rejected"  # AWS rejected its content
    CONFLICTED = "conflicted"  # several runs carry its tag
    SUPERSEDED = "superseded"  # proven absent, and no longer needed
    ABANDONED = "abandoned"  # an operator gave up on it: never sent again
    APPLIED = "applied"  # an operator accepted its content as applied, without a run: never sent
    SUBMITTED = "submitted"  # it has a run; this never changes again


class RunState(StrEnum):
    """The state of a run, in terms common to both services."""

    SUBMITTED = "submitted"  # accepted, not yet running
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # was live, and AWS no longer has it

    @property
    def live(self) -> bool:
        """Whether the run may still do work."""
        return self in {RunState.SUBMITTED, RunState.RUNNING}


RUN_STATES = frozenset[str](RunState)
"""The states that this version can record. It is made once, because each observed run is compared with it."""


@dataclass(slots=True)
class Send:
    """One transmission of a submission: its number, the time of its intent, its deadline and its outcome.

    `outcome` is ``None`` while unresolved, else ``submitted``, ``unsent``, ``rejected``, ``absent`` or ``abandoned``.
    Number 0 belongs to a run that an operator adopted without a transmission.
    """

    number: int
    at: str
    not_after: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class CountsAs:
    """The content that an operator accepted as applied by the run of a submission: its digest and revision."""

    digest: str
    revision: int


@dataclass(slots=True)
class Submission:
    """One intended run. Only the fold changes it.

    * `token`: its client token.
    * `content`: the content that it runs; the request is only in the ledger.
    * `positions`: the ledger positions of its events.
    * `intent_position`: the ledger position of its newest intent, which contains the request as sent.
    * `commit`, `actor`: from its newest intent, as are the source and the deletion policy of `content`.
    * `reason`: the plan's reason for the first intent, or an empty text for a run that an operator adopted.
    * `backoff_limit`: the number of extra attempts that its spec allowed when it was intended.
    * `created_at`, `started_at`, `finished_at`: the times that AWS reports for its run, or `None`.
    * `ended_at`: the time when its end was recorded.
    * `unseen`: the times at which AWS did not return the run since it was last seen, newest last.
    * `retry_asked_at`: the time when an operator requested a new attempt after this one.
    * `not_started`: whether its run was cancelled because it had not started in time.
    * `replaced`: whether its run was cancelled to make room for a newer run of its spec.
    * `looked`: the times of complete listings that found no run, since the newest intent, newest last.
    * `run_id`: the id of its run, or `None` until AWS has accepted it.
    * `reassigned_to`: the spec to which an operator assigned this run; this submission no longer follows it.
    * `conflict`: the runs that have this submission's tag, if there are several.
    * `token_known`: whether AWS answered that the token was already used; then only a lookup can find the run.
    * `usage`: other reported fields of its run, or `None`.
    * `definition`: the job definition revision that AWS runs, or `None`.
    * `partial`: whether AWS may still add a reason or usage to its ended run.
    * `reports`, `reported_at`: the number of recorded observations in this state, and the time of the newest one.
    * `error`: the last error of AWS or the client, ``CODE: message``, or `None`.
    * `counts_as`: the content that its run counts as, if that is not its own.
    """

    key: SubmissionKey
    kind: str
    token: str
    content: Content
    intent_position: int
    commit: str | None
    actor: str
    phase: Phase = Phase.INTENDED
    sends: list[Send] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)
    run_id: str | None = None
    run_state: RunState | None = None
    aws_state: str | None = None
    detail: str | None = None
    submitted_at: str | None = None
    finished_at: str | None = None
    cancel_asked_at: str | None = None
    cancel_accepted_at: str | None = None
    usage: Mapping[str, object] | None = None
    error: str | None = None
    conflict: tuple[str, ...] = ()
    token_known: bool = False
    reassigned_to: str | None = None
    positions: list[int] = field(default_factory=list)
    reason: str = ""
    backoff_limit: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    unseen: list[str] = field(default_factory=list)
    retry_asked_at: str | None = None
    replaced: bool = False
    counts_as: CountsAs | None = None
    created_at: str | None = None
    definition: str | None = None
    partial: bool = False
    reports: int = 0
    reported_at: str | None = None
    not_started: bool = False

    @property
    def name(self) -> str:
        """The name of its spec."""
        return self.key.name

    @property
    def generation(self) -> int | None:
        """Its generation, `None` for a slot."""
        return self.key.generation

    @property
    def slot(self) -> str | None:
        """Its slot, `None` for a one-off."""
        return self.key.slot

    @property
    def attempt(self) -> int:
        """Its attempt, from 1."""
        return self.key.attempt

    @property
    def digest(self) -> str:
        """The digest of its content, or of the content that its run counts as."""
        return self.counts_as.digest if self.counts_as is not None else self.content.digest

    @property
    def revision(self) -> int:
        """The revision of the same content as `digest`."""
        return self.counts_as.revision if self.counts_as is not None else self.content.revision

    @property
    def unresolved(self) -> bool:
        """Whether a run may exist that is missing from the ledger."""
        return is_unresolved(self.phase)

    @property
    def accepted(self) -> bool:
        """Whether AWS accepted it."""
        return self.phase is Phase.SUBMITTED

    @property
    def failed(self) -> bool:
        """Whether its run failed, or was cancelled because it had not started in time. A run that was cancelled for any
        other reason did not fail."""
        late = self.not_started and self.run_state is RunState.CANCELLED
        return late or (self.run_state is RunState.FAILED and not self.stopped_on_request)

    @property
    def stopped_on_request(self) -> bool:
        """Whether its cancellation was requested for any reason except that its run had not started in time."""
        return self.cancel_asked_at is not None and not self.not_started

    @property
    def applied(self) -> bool:
        """Whether an operator accepted its content as applied, without a run."""
        return self.phase is Phase.APPLIED

    @property
    def counts(self) -> bool:
        """Whether the submission fulfils the request of the spec. An unsent submission does not, unless an operator
        abandoned it."""
        return self.phase not in {Phase.UNSENT, Phase.SUPERSEDED}

    @property
    def live(self) -> bool:
        """Whether it has a run that may still do work."""
        return is_live(self.run_state, self.reassigned_to)

    @property
    def aws_words(self) -> str:
        """AWS's own state and reason, such as ``RUNNABLE: MISCONFIGURATION:…``; empty if AWS has reported neither."""
        return ": ".join(words for words in (self.aws_state, self.detail) if words)

    @property
    def first_intent_at(self) -> str:
        """The time of the first intent."""
        return self.sends[0].at

    @property
    def first_position(self) -> int:
        """The ledger position of its first event. In a state without positions, it is the position of its newest
        intent."""
        return self.positions[0] if self.positions else self.intent_position

    @property
    def newest_send(self) -> Send:
        """The last transmission."""
        return self.sends[-1]

    def settles_at(self, settle_seconds: int) -> datetime:
        """Returns the time after which the newest send can no longer arrive."""
        return parse_time(self.newest_send.at) + timedelta(seconds=settle_seconds)


def is_unresolved(phase: Phase) -> bool:
    """Returns whether a submission in this phase may have a run that is missing from the ledger."""
    return phase is Phase.INTENDED or phase is Phase.CONFLICTED


def is_live(run_state: RunState | None, reassigned_to: str | None) -> bool:
    """Returns whether a run in this state may still do work, unless an operator gave it to another spec."""
    return (run_state is RunState.RUNNING or run_state is RunState.SUBMITTED) and reassigned_to is None


Attempts = Sequence[Submission]
"""The attempts of one generation or slot, oldest first."""


def attempts_of(submissions: Sequence[Submission], one: Submission) -> Attempts:
    """Returns the attempts of the generation or slot of a submission, oldest first."""
    same = [s for s in submissions if (s.generation, s.slot) == (one.generation, one.slot)]
    return sorted(same, key=lambda s: s.attempt)


def last_of(attempts: Attempts) -> Submission:
    """Returns the newest attempt that counts. Superseded attempts do not count, because they never reached AWS."""
    return next((s for s in reversed(attempts) if s.phase is not Phase.SUPERSEDED), attempts[-1])


def ended_at(run: Submission) -> datetime:
    """Returns when a run ended: the time that AWS reports, else the time of recording, else the time of submission."""
    return parse_time(run.finished_at or run.ended_at or run.submitted_at or run.first_intent_at)
