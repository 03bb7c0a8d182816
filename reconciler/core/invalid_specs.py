"""Decides about specs that are not valid in git, or that may be in a file that cannot be read. They are on hold.

Their desired state is unknown, so nothing is submitted, cancelled, withdrawn or treated as removed.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.core.changes import is_applied, recorded_kind
from reconciler.core.desired import Desired, InvalidSpec
from reconciler.core.identity import NO_CONTENT
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.state import Recorded, SpecRecord
from reconciler.core.unresolved import decide_unresolved


def why_invalid(name: str, desired: Desired, recorded: Recorded) -> InvalidSpec | None:
    """Returns why a spec is on hold; `None` if its desired state is known."""
    why, record = desired.invalid.get(name), recorded.spec(name)
    if why is None and name not in desired.names:  # an invalid spec may still have a former name
        why = next((each for old, each in desired.invalid.items() if recorded.current_name(old) == name), None)
    if why is not None:
        return None if why.elsewhere and not _in_use(record) else why
    if desired.unnamed is None or name in desired.names or not _in_use(record):
        return None
    return desired.unnamed


def _in_use(record: SpecRecord) -> bool:
    """Returns whether the removal of a spec would have an effect: it was applied, or has runs that may still do
    work."""
    return is_applied(record) or bool(record.live) or bool(record.unresolved)


def decide_invalid(
    why: InvalidSpec, record: SpecRecord, recorded: Recorded, desired: Desired, now: datetime
) -> Sequence[Action]:
    """Returns the adoption of each run that was found by its tag, which is always safe, and the hold of the spec."""
    unresolved = [decide_unresolved(s, None, record, recorded, desired, now) for s in record.unresolved]
    hold = Action(
        name=record.name,
        kind=why.kind or recorded_kind(record),
        action=ActionType.HOLD,
        reason=Reason.INVALID_SPEC,
        content=replace(NO_CONTENT, source=why.source),
        ledger_head=record.head,
        message=why.message,
    )
    return [*(action for action in unresolved if action.action is ActionType.ADOPT), hold]
