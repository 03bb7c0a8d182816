"""What is said about a policy beyond its form: parts without effect, and parts that this version does not act on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def unsupported(view: View, policy: Policy, spec_dependencies: Sequence[str]) -> tuple[str, ...]:
    """The parts that a spec needs and this version does not act on yet, each as a sentence with its place.

    Defaults of streaming jobs do not count: such a spec is submitted once all the same.
    """
    needed = {
        "schedule": policy.schedule is not None,
        "dependsOn": bool(policy.dependsOn),
        "request.dependsOn": bool(spec_dependencies),
        "backoffLimit": policy.backoffLimit > 0,
        "restartPolicy": "restartPolicy" in policy.given and policy.restartPolicy == "Always",
        "concurrencyPolicy": "concurrencyPolicy" in policy.given and policy.concurrencyPolicy == "Replace",
    }
    return tuple(
        f"{view.place(('spec', *field.split('.')), on_key=True)}: spec.{field} is read and checked, and not acted on "
        "yet by this version"
        for field, is_needed in needed.items()
        if is_needed
    )
