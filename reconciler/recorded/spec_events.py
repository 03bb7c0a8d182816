"""What happens to a spec, its slots included, and to none of its submissions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from reconciler.recorded.event import SpecEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledSince(SpecEvent):
    """From `since` on, the slots of `schedule` in `time_zone` are due; earlier ones are not, whatever was before.

    With `stopped` (``suspended``, ``removed`` or ``unscheduled``) the schedule stands still from `since` on, until a
    later event starts it again.
    """

    type: ClassVar[str] = "scheduled-since"
    kind: str
    since: str
    schedule: str
    time_zone: str
    stopped: str | None = None
    actor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(SpecEvent):
    """Slots that came due and never run. `reason` is one of `MissedReason`.

    Meant are the slots of `slots`; where that is absent, every slot from `first` to `last` that was not submitted.
    `count` is their number, `None` where there were too many to count. `settled` is the last slot up to which every
    slot is dealt with.
    """

    type: ClassVar[str] = "missed"
    first: str
    last: str
    count: int | None = None
    slots: tuple[str, ...] | None = None
    reason: str
    settled: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillAsked(SpecEvent):
    """A person asks for runs of past slots, in this order, each once more whatever became of it before."""

    type: ClassVar[str] = "backfill-asked"
    slots: tuple[str, ...]
    reason: str | None = None
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(SpecEvent):
    """People are told of something that happened: written before it is sent, so that it is told at most once.

    `key` stands for what happened, such as ``rejected:TOKEN``; `kinds` are those of `plan.notice.NoticeKind`.
    """

    type: ClassVar[str] = "notified"
    key: str
    kinds: tuple[str, ...]
