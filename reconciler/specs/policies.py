"""What is said about a policy beyond its form: parts without effect, and parts that surprise."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.errors import Problem
from reconciler.model.spec import Policy
from reconciler.specs.problems import View

NEEDS_SCHEDULE = ("timeZone", "startingDeadlineSeconds", "catchup")


def policy_warnings(view: View, policy: Policy) -> Iterator[Problem]:
    """Fields that say nothing where they stand."""
    if policy.schedule is None:
        for name in NEEDS_SCHEDULE:
            if name in policy.given:
                message = "has no effect without a schedule"
                yield view.problem(("spec", name), message, "no-schedule", "warning", on_key=True)


def streaming_warnings(view: View, policy: Policy) -> Iterator[Problem]:
    """What keeps a streaming job from ever being replaced."""
    if "concurrencyPolicy" in policy.given and policy.concurrencyPolicy == "Forbid":
        message = "Forbid never deploys a change: a streaming job runs until it is stopped. Use Replace, its default"
        yield view.problem(("spec", "concurrencyPolicy"), message, "streaming-forbid", "warning")
