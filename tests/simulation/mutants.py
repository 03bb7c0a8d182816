"""Collects the mutants. Defines mutants. Each removes or weakens one rule of the protocol, by patching the shipped
modules.

The simulation must detect every mutant. `rule` is the name of the rule in docs/protocol.md.
"""

from __future__ import annotations

from tests.simulation import mutants_looking as looking
from tests.simulation import mutants_recording as recording
from tests.simulation import mutants_sending as sending
from tests.simulation.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *sending.INTENT,
    *sending.TRANSMISSIONS,
    *sending.OUTCOMES,
    *looking.LOOKS,
    *looking.ABSENCE,
    *looking.REPEATS,
    *recording.ENDS,
    *recording.STARTS,
    *recording.WRITES,
    *recording.CLOCKS,
    *recording.STOPPING,
    *recording.CHANGES,
)
BY_NAME: dict[str, Mutant] = {one.name: one for one in MUTANTS}
