"""How long the submissions of a plan take, where AWS's quota makes that long."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.model.kinds import kind_named
from reconciler.plan.action import ActionType

if TYPE_CHECKING:
    from reconciler.model.kind import Rate
    from reconciler.plan.value import Plan

LONG_SECONDS = 60.0
"""From here on it is worth a sentence."""


def seconds_needed(rate: Rate, calls: int) -> float:
    """How long so many calls take at their quota, from a full bucket."""
    return max(0.0, (calls - rate.burst) / rate.per_second)


def pace(plan: Plan, rates: Mapping[str, Rate]) -> tuple[str, ...]:
    """A sentence for each operation whose quota makes the plan's submissions take a minute or more."""
    calls = Counter(kind_named(a.kind).operation for a in plan.actions if a.action is ActionType.SUBMIT)
    return tuple(
        f"{count} {operation} calls take about {round(seconds / 60)} min: AWS's quota is {rate.per_second:g} a second "
        f"after the first {rate.burst}"
        for operation, count in sorted(calls.items())
        if (rate := rates.get(operation)) is not None and (seconds := seconds_needed(rate, count)) >= LONG_SECONDS
    )
