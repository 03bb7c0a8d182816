"""Plays the story of one seed: first passes with faults, then passes without faults, and then the final checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.ledger.builders import MemoryStore
from tests.simulation.cloud import Cloud, Run, foreign_request
from tests.simulation.command import SETTLE, Command
from tests.simulation.desired import Wanted, edited
from tests.simulation.ending import judge, settled
from tests.simulation.faults import drawn
from tests.simulation.oracle import Oracle, Violation
from tests.simulation.timeline import Timeline

QUIET_PASSES = 10
"""The number of passes without faults after which nothing may be pending."""

AROUND = (-120.0, -61.0, -1.0, 1.0, 61.0)
"""Offsets in seconds from the time at which a submission settles if clocks are correct."""


class World:
    """The complete state of one story."""

    def __init__(
        self, seed: int, counts: Counter[tuple[str, str]], lines: list[str] | None, faults: Mapping[str, Any]
    ) -> None:
        self.dice = dice = Random(seed)
        self.timeline = Timeline()
        self.faults = replace(drawn(dice), **faults)
        self.oracle = Oracle(self.timeline, self.faults, counts, lines)
        self.cloud = Cloud(self.timeline, dice, self.faults, self.oracle)
        self.store = MemoryStore()
        self.wanted = Wanted(
            deletion="Cancel" if dice.random() < 0.5 else "Orphan",
            concurrency="Allow" if dice.random() < 0.5 else "Forbid",
            pending=self.faults.pending_seconds or None,
            backoff=1 if self.faults.pending_seconds else 0,
        )
        self._commands = self._nonces = 0

    def nonce(self) -> str:
        """Returns a new nonce for each append."""
        self._nonces += 1
        return f"{self._nonces:032x}"

    def offset(self) -> float:
        """Returns the error of the next machine's clock."""
        faults, dice = self.faults, self.dice
        if faults.wrong and dice.random() < faults.wrong:
            return dice.choice((-90_000.0, -1800.0, -70.0, 70.0, 1800.0, 90_000.0))
        if not faults.clocks:
            return 0.0
        if faults.edges:
            return faults.clocks * dice.choice((-0.98, 0.98))
        return faults.clocks * (2 * dice.random() - 1)

    def command(self, passes: int = 1) -> Command:
        """Starts a process now."""
        self._commands += 1
        command = Command(self, self._commands, passes)
        command.start()
        return command

    # --- trouble ------------------------------------------------------------------------------------------------------

    def trouble(self) -> None:
        """Runs some passes, one after the other and in parallel, while the spec is edited and faults occur."""
        if self.faults.paging or self.dice.random() < 0.1:
            self.cloud.foreign(foreign_request(self.faults.kind))
        self._launch(self.dice.choice((2, 3, 3, 4, 5)))
        self.timeline.drain()

    def _launch(self, left: int) -> None:
        dice = self.dice
        if dice.random() < 0.3:
            self.edit()
        self.command(2 if dice.random() < 0.15 else 1)
        if dice.random() < 0.1:
            self.timeline.at(self.timeline.now + dice.random() * 2, self.edit)
        if left > 1:
            self.timeline.at(self.timeline.now + self._gap(), lambda: self._launch(left - 1))

    def edit(self) -> None:
        """Creates the next commit."""
        self.wanted = edited(self.wanted, self.dice)
        self.oracle.record("git", f"asks for {self.wanted}" if self.oracle.lines is not None else "an edit")

    def _gap(self) -> float:
        """Returns the pause before the next start: none, a few seconds, until a submission settles, or days."""
        dice, now = self.dice, self.timeline.now
        roll = dice.random()
        if roll < 0.25:
            return 1.5 * dice.random()
        if roll < 0.4:
            return dice.choice((8.0, 25.0, 55.0, 70.0))
        if roll < 0.9 and self.oracle.intent_times:
            since = now - self.oracle.intent_times[-1]
            if since < SETTLE - 130:
                early = dice.random() < 0.3  # a lookup that must not count
                return dice.random() * (SETTLE - since) if early else SETTLE - since + dice.choice(AROUND)
            return dice.choice((1.0, 20.0, 61.0) if self.faults.glitch else (1.0, 61.0, 61.0, 122.0))
        return dice.choice((400.0, 1000.0, 1600.0, 100_000.0))

    def _late_runs(self) -> list[Run]:
        """Returns those waiting runs of ours that are cancelled if they do not start in time."""
        if not self.faults.pending_seconds or self.wanted.asks is None:
            return []
        known = {run_id for token in self.oracle.runs for run_id in self.oracle.known(token)}
        return [run for run in self.cloud.waiting() if run.run_id in known]

    # --- quiet --------------------------------------------------------------------------------------------------------

    def quiet(self) -> None:
        """Runs passes without faults until nothing is pending, and then runs the final checks."""
        self.faults.calm()
        for _ in range(QUIET_PASSES):
            command = self.command()
            self.timeline.drain()
            waiting = self._late_runs()
            if command.made is not None and settled(command.made) and not waiting:
                judge(self, command.made)
                return
            ends = [run.ends for run in self.cloud.live() if not waiting]
            self.timeline.now = max([self.timeline.now + SETTLE + 65, *ends])
        self.oracle.broken("after many quiet passes something is still pending")


@dataclass(frozen=True, slots=True)
class Story:
    """The result of one story. `broken` is the broken promise, or `None`."""

    seed: int
    broken: str | None
    lines: tuple[str, ...] = ()


def play(
    seed: int,
    counts: Counter[tuple[str, str]] | None = None,
    *,
    tell: bool = False,
    faults: Mapping[str, Any] | None = None,
) -> Story:
    """Plays the story of a seed, which is the same every time. Counts events in `counts`, and with `tell` also records
    them as lines. `faults` replaces fields of the drawn `Faults`."""
    lines: list[str] | None = [] if tell else None
    world = World(seed, counts if counts is not None else Counter(), lines, faults or {})
    if lines is not None:
        lines.append(str(world.faults))
    broken = None
    try:
        world.trouble()
        world.quiet()
    except Violation as violation:
        broken = str(violation)
    return Story(seed, broken, tuple(lines or ()))
