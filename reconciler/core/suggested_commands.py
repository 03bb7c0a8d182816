"""Commands to suggest when only an operator can decide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from shlex import join

from reconciler.core.absence import settles_at
from reconciler.core.event_fields import Text, Texts
from reconciler.core.state import Phase, Recorded, Submission
from reconciler.core.times import parse_time, seconds_text

RUN_ID = "RUN_ID"
"""The placeholder for the id of a run that the operator must find."""


@dataclass(frozen=True, slots=True)
class SuggestedCommands:
    """The commands by which an operator decides, ready to be pasted into a shell.

    Of an unknown submission `since` is when it was first sent, and `settles_at` when nothing of it can arrive any more:
    before that, `resolve` needs ``--force``. Both are ISO 8601 text to the second, `None` of anything else.
    """

    commands: Texts
    since: Text | None = None
    settles_at: Text | None = None


def suggested_commands(
    name: str, token: str | None, recorded: Recorded, target: str, settle_seconds: int
) -> SuggestedCommands | None:
    """Returns the commands for a submission of a spec; `None` if nothing about it is unknown."""
    submission = recorded.by_token.get(token or "")
    tagged = recorded.runs_by_token.get(token or "", ())
    if submission is None:
        return SuggestedCommands(tuple(adopt(name, run_id, target) for run_id in tagged)) if len(tagged) > 1 else None
    if not submission.unresolved:
        runs = submission.conflict
        return SuggestedCommands(tuple(adopt(name, run_id, target) for run_id in runs)) if runs else None
    several = len(recorded.spec(name).unresolved) > 1
    runs = tuple(dict.fromkeys((*tagged, *submission.conflict)))
    return SuggestedCommands(
        tuple(_commands(submission, runs, target, token if several else None)),
        seconds_text(parse_time(submission.first_intent_at)),
        seconds_text(settles_at(submission, settle_seconds)),
    )


def _commands(submission: Submission, runs: Sequence[str], target: str, token: str | None) -> Iterator[str]:
    for run_id in runs or (RUN_ID,):
        yield adopt(submission.name, run_id, target)
    if not runs and submission.phase is Phase.INTENDED:
        yield resolve(submission.name, "submit", target, token)
    if len(runs) != 1:
        yield resolve(submission.name, "abandon", target, token)


def retry(name: str, slot: str | None, target: str) -> SuggestedCommands:
    """Returns the command that runs a held spec once more after a bad end."""
    which = ["--slot", slot] if slot is not None else []
    return SuggestedCommands((join(["reconciler", "retry", name, *which, "-t", target]) + WHY,))


def adopt(name: str, run_id: str, target: str) -> str:
    """Returns the command that adopts a run for a spec."""
    return join(["reconciler", "adopt", name, run_id, "-t", target]) + WHY


def resolve(name: str, decision: str, target: str, token: str | None = None) -> str:
    """Returns the command that decides an unresolved submission: ``submit`` or ``abandon``; `token` if several."""
    which = ["--token", token] if token is not None else []
    return join(["reconciler", "resolve", name, f"--{decision}", *which, "-t", target]) + WHY


WHY = ' --reason "..."'
"""For the operator to fill in."""
