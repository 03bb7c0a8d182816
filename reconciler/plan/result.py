"""What became of each action of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ActionOutcome(StrEnum):
    """How an action ended. The order is that of the summary after an apply."""

    SUBMITTED = "submitted"  # AWS accepted it: it has a run id
    ADOPTED = "adopted"  # a run that carries its tag was found and recorded
    CANCELLED = "cancelled"  # AWS was asked to stop the run
    RECORDED = "recorded"  # the ledger says it now; nothing was asked of AWS
    UNKNOWN = "unknown"  # sent, and no answer that tells: the next look resolves it
    REJECTED = "rejected"  # AWS said no to its content
    UNSENT = "unsent"  # nothing reached AWS, or AWS refused it for a passing reason
    NONE = "none"  # nothing was to be done


@dataclass(frozen=True, slots=True)
class ActionResult:
    """How one action ended. `outcome` is an `ActionOutcome` value.

    `run_id` is the run that was submitted, adopted or cancelled, `None` where there is none. `error` is what went
    wrong, as ``CODE: message``, `None` where nothing did.
    """

    outcome: str
    run_id: str | None = None
    error: str | None = None
