"""One broken rule, as patches to the shipped modules."""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.patches import Patch, Text


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule. `says` is what the patched code does instead."""

    name: str
    rule: str
    says: str
    patches: tuple[Patch, ...]


def text(where: str, *edits: tuple[str, str]) -> Patch:
    """A `Text` patch."""
    return Text(where, edits)


def mutant(name: str, rule: str, says: str, *patches: Patch) -> Mutant:
    """A `Mutant`."""
    return Mutant(name, rule, says, patches)


PROTOCOL, DECIDED = "apply.protocol", "apply.decided"
SETTLING, UNRESOLVED, DECIDE = "plan.settling", "plan.unresolved", "plan.decide"
OUTCOME, TRANSMISSION, LOG, FOLD = "services.outcome", "services.transmission", "ledger.log", "recorded.fold"
"""Shipped modules, below ``reconciler``."""
