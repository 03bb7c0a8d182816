"""The rules of the protocol, each removed or weakened in turn, as patches to the shipped modules.

A simulation that finds none of these broken would find nothing: every one must be caught.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.simulation.patches import Patch, Text, Value


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken rule. `rule` is that of docs/protocol.md, `says` what the patched code does instead."""

    name: str
    rule: str
    says: str
    patches: tuple[Patch, ...]


PROTOCOL, SETTLING, UNRESOLVED = "apply.protocol", "plan.settling", "plan.unresolved"
OUTCOME, TRANSMISSION, LOG = "services.outcome", "services.transmission", "ledger.log"

NO_GUARD = Text(
    f"{TRANSMISSION}:Transmission.pass_on",
    'if self.sent:\n        raise TransmissionRefused("this call was transmitted before: it is not transmitted again")\n',
    "if False:\n        raise TransmissionRefused\n",
)

BEFORE_SENDING = (
    Mutant(
        "no-intent",
        "R1",
        "the call is made first, the intent is written after it",
        (
            Text(
                f"{PROTOCOL}:_send",
                "    try:\n        appended = yield Append",
                "    outcome = yield Transmit(intent.action.kind, intent.request, deadline)\n"
                "    try:\n        appended = yield Append",
            ),
            Text(f"{PROTOCOL}:_send", "    outcome = yield Transmit(intent.action.kind, intent.request, deadline)\n", ""),
        ),
    ),
)
