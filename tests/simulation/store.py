"""Simulates a command's access to the store: replies are lost, writes arrive late, and other commands write in
between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.errors import LedgerUnreachable
from reconciler.ledger import chained_batches as batch
from tests.ledger.builders import MemoryStore

if TYPE_CHECKING:
    from tests.simulation.command import Command


class FaultyStore:
    """Gives one command access to the store of the story, as a `ports.Store`."""

    def __init__(self, store: MemoryStore, command: Command) -> None:
        self._store, self._command = store, command

    @property
    def address(self) -> str:
        """The address of the store."""
        return self._store.address

    def append(self, position: int, raw: bytes) -> bytes:
        """Implements `ports.Store`. Other commands may write before the write arrives, and before its reply arrives."""
        command = self._command
        command.away("ledger: before the write")
        if self._fails():
            command.world.oracle.record("ledger", "a write was lost on the way")
            if command.world.dice.random() < 0.3:
                late = command.world.timeline.now + 4 * command.world.dice.random()
                command.world.timeline.at(late, lambda: self._come_late(position, raw))
            raise LedgerUnreachable("the request was lost")
        held = self._put(position, raw)
        command.away("ledger: written")
        if self._fails():
            command.world.oracle.record("ledger", "the reply to a write was lost")
            raise LedgerUnreachable("the reply was lost")
        return held

    def read(self, after: int) -> Iterator[tuple[int, bytes]]:
        """As `ports.Store`."""
        if self._fails(0.2):
            self._command.world.oracle.record("ledger", "a read failed")
            raise LedgerUnreachable("no answer")
        return self._store.read(after)

    def get(self, position: int) -> bytes | None:
        """As `ports.Store`."""
        return self._store.get(position)

    def _come_late(self, position: int, raw: bytes) -> None:
        self._put(position, raw, "a write came late")

    def _put(self, position: int, raw: bytes, record: str = "") -> bytes:
        if position > len(self._store.batches) + 1:
            self._command.world.oracle.broken(f"position {position} is written while an earlier one is empty")
        before = len(self._store.batches)
        held = self._store.append(position, raw)
        if len(self._store.batches) > before:
            if record:
                self._command.world.oracle.record("ledger", record)
            events = batch.decode(raw, position, self.address).events
            self._command.world.oracle.written(self._command, position, events)
        return held

    def _fails(self, part: float = 1.0) -> bool:
        chance = self._command.world.faults.ledger_faults * part
        return chance > 0 and self._command.world.dice.random() < chance
