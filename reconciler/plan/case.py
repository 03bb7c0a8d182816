"""One spec in one pass: everything that a decision about it is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.plan.desired import Desired, DesiredSpec, Suspension
from reconciler.plan.suspension import suspension
from reconciler.recorded.state import Recorded, SpecRecord


@dataclass(frozen=True, slots=True)
class Case:
    """What git asks for, what is recorded of it, everything else that is known, and the time."""

    spec: DesiredSpec
    record: SpecRecord
    recorded: Recorded
    desired: Desired
    now: datetime

    @property
    def stopped(self) -> tuple[str, Suspension] | None:
        """What is suspended, the project or the spec, and how; `None` where neither is."""
        for what, found in (
            ("the project", self.desired.suspension),
            ("the spec", suspension(self.spec.policy.suspend)),
        ):
            if found is not None:
                return what, found
        return None
