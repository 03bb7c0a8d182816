"""One submission as the ledger tells it, and the run it became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.core.identity import Content, SubmissionKey


class Phase(StrEnum):
    """How far a submission has come."""

    INTENDED = "intended"  # a send may be under way, or its outcome is unclear: unresolved
    UNSENT = "unsent"  # nothing reached AWS, or AWS refused it for a passing reason
    REJECTED = "rejected"  # AWS said no to its content
    CONFLICTED = "conflicted"  # several runs carry its tag
    SUPERSEDED = "superseded"  # proven absent, and no longer asked for
    ABANDONED = "abandoned"  # given up by a person: never sent again
    SUBMITTED = "submitted"  # it has a run; this never changes again


class RunState(StrEnum):
    """The state of a run in our words, for both services."""

    SUBMITTED = "submitted"  # accepted, not yet running
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"  # was live, and AWS does not know it now

    @property
    def live(self) -> bool:
        """Whether the run may still do work."""
        return self in {RunState.SUBMITTED, RunState.RUNNING}


@dataclass(slots=True)
class Send:
    """One transmission of a submission: its number, its intent's time and deadline, and what is known of its outcome.

    `outcome` is ``None`` while unresolved, else ``submitted``, ``unsent``, ``rejected``, ``absent`` or ``abandoned``.
    Number 0 is that of a run that was taken by hand: nothing was transmitted.
    """

    number: int
    at: str
    not_after: str
    outcome: str | None = None


@dataclass(slots=True)
class Submission:
    """One intended run. The fold changes it as events come in; to everybody else it is read-only.

    `token`           its client token.
    `content`         what it runs; the request is only in the ledger.
    `positions`       where in the ledger its events are.
    `intent_position` where in the ledger its newest intent is, whose request is what was sent.
    `commit`          that of its newest intent, as are `actor`, and of `content` the source and the deletion policy.
    `reason`          why it was intended first, as the plan said it; empty for a run taken by hand.
    `backoff_limit`   the extra attempts its spec allowed when it was intended.
    `started_at`      when AWS began the run, `finished_at` when it ended, both as AWS says, `None` where it does not.
    `ended_at`        when its end was recorded.
    `unseen`          when AWS did not know the run, since it was seen last (newest last).
    `retry_asked_at`  when a person asked for a fresh attempt after this one.
    `replaced`        whether its run was asked to end to make room for a newer one of its spec.
    `looked`          when complete listings since the newest intent found nothing (newest last).
    `run_id`          `None` until AWS accepted it.
    `reassigned_to`   the spec to which an operator gave this run; this submission no longer follows it.
    `conflict`        the runs that claim to be this submission's, where there are several.
    `token_known`     whether AWS answered that it knows the token: then only a look can tell by which run.
    `usage`           what else the service said of its run; `None` where it said nothing.
    `error`           what AWS or the client said last, ``CODE: message``; `None` where nothing went wrong.
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
        """The digest of its content."""
        return self.content.digest

    @property
    def unresolved(self) -> bool:
        """Whether a run may exist that the ledger does not know."""
        return self.phase is Phase.INTENDED or self.phase is Phase.CONFLICTED

    @property
    def accepted(self) -> bool:
        """Whether AWS accepted it."""
        return self.phase is Phase.SUBMITTED

    @property
    def counts(self) -> bool:
        """Whether it is an answer to what was asked for. One that never reached AWS is not, decisions by hand aside."""
        return self.phase not in {Phase.UNSENT, Phase.SUPERSEDED}

    @property
    def live(self) -> bool:
        """Whether it has a run that may still do work."""
        working = self.run_state is RunState.RUNNING or self.run_state is RunState.SUBMITTED
        return working and self.reassigned_to is None

    @property
    def first_intent_at(self) -> str:
        """When the first send was intended."""
        return self.sends[0].at

    @property
    def newest_send(self) -> Send:
        """The last transmission."""
        return self.sends[-1]
