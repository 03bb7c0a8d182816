"""Defines a mutant: one broken rule, implemented as patches to the shipped modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.patches import Patch, Text


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule. `says` describes what the patched code does instead. `faults` sets fields of `Faults` in every
    story, if only rare stories would detect the mutant otherwise."""

    name: str
    rule: str
    says: str
    patches: tuple[Patch, ...]
    faults: Mapping[str, Any] = field(default_factory=dict)


def text(where: str, *edits: tuple[str, str]) -> Patch:
    """Returns a `Text` patch."""
    return Text(where, edits)


def mutant(name: str, rule: str, says: str, *patches: Patch, **faults: Any) -> Mutant:
    """Returns a `Mutant`."""
    return Mutant(name, rule, says, patches, faults)


PROTOCOL, DECIDED = "apply.protocol", "apply.actions"
SUBMISSION, UNRESOLVED, DECIDE = "core.submission", "core.unresolved", "core.decide"
OUTCOME, LOG, FOLD = "aws.outcome", "ledger.log", "core.fold"
"""The shipped modules to patch, below ``reconciler``."""
