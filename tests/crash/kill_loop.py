"""Runs several reconciler processes on one project, and kills and freezes them at any moment, while specs change and
AWS fails."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from reconciler.emulator import Plan, Rule
from tests.cli.world import COMMAND, batch_text, spark_text
from tests.crash.faults import SENDS
from tests.crash.world import CrashWorld, Verdict, verdict

CLAIM_SECONDS, SIGNATURE_SECONDS, LATE_SECONDS, SETTLE_SECONDS = 2, 3, 1.0, 6
"""As with the defaults, the settling time is longer than the sum of the other times, so no request can arrive after
it."""

STEP_SECONDS = 0.02
FROZEN_SECONDS = 9.0
"""The maximum time for which a process is frozen, which is longer than the settling time."""
LEAST = 1
"""The minimum numbers of kills and freezes, however slow the machine is."""
EDIT_SHARE = 0.3
"""The share of passes in which a spec changes."""

FAULTS = Plan(
    (
        Rule("lost", "closed", operation=SENDS, probability=0.08, seed=1),
        Rule("processed", "closed", operation=SENDS, probability=0.08, seed=2),
        Rule("processed", "error", operation=SENDS, probability=0.08, seed=3, status=500),
        Rule("processed", "empty", operation=SENDS, probability=0.08, seed=4),
        Rule("late", "closed", operation=SENDS, probability=0.08, seed=5, late_seconds=LATE_SECONDS),
        Rule("lost", "error", operation=SENDS, probability=0.08, seed=6, code="ThrottlingException"),
    ),
    {"signature_seconds": SIGNATURE_SECONDS},
)
"""About half of the calls that start a run fail, in various ways."""


@dataclass
class Passing:
    """One reconciler process: its fate, and when it is due, by the monotonic clock."""

    process: subprocess.Popen[bytes]
    began: float
    fate: str
    at: float
    until: float = 0.0

    @property
    def frozen(self) -> bool:
        """Returns whether the process is frozen now."""
        return self.until > 0.0


@dataclass
class KillLoop:
    """A loop with several processes and specs. The seed determines every decision, but not the times of the
    decisions."""

    world: CrashWorld
    seed: int
    reconcilers: int
    specs: int
    counts: Counter[str] = field(default_factory=Counter)
    wanted: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._running: list[Passing] = []
        self.errors = self.world.folder.parent / "errors.txt"
        self._pass_seconds = 0.0  # the duration of a pass on this machine, to choose when fates are due

    def run(self, seconds: float) -> Verdict:
        """Runs for this long, and until the minimum numbers are reached. After that, faults end, the remaining work is
        completed, and the result is checked."""
        self.world.prepare(CLAIM_SECONDS, SETTLE_SECONDS)
        for number in range(self.specs):
            self._edit(number)
        self._pass_seconds = self._measured()
        self.world.aws.inject(FAULTS)
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until or min(self.counts["kills"], self.counts["freezes"]) < LEAST:
                self._step()
                time.sleep(STEP_SECONDS)
        finally:
            for passing in self._running:
                passing.process.kill()
                passing.process.wait()
        self.world.aws.inject(Plan())
        return verdict(self.world)

    def runs_of_wanted(self) -> dict[str, int]:
        """Returns how often the final content of each spec was run."""
        contents = Counter(_content(run.request) for run in self.world.runs())
        return {name: contents[content] for name, content in self.wanted.items()}

    def most_runs_of_any(self) -> int:
        """Returns the largest number of runs of one content. No two submissions of the loop have the same content."""
        return max(Counter(_content(run.request) for run in self.world.runs()).values())

    def _measured(self) -> float:
        """Measures the duration of a pass without faults."""
        began = time.monotonic()
        self._started().wait()
        return time.monotonic() - began

    def _step(self) -> None:
        """Carries out the fates that are due, and starts processes until enough are running."""
        now = time.monotonic()
        for passing in self._running:
            if passing.process.poll() is None:
                self._meet(passing, now)
            elif passing.fate == "end":
                self._pass_seconds += (now - passing.began - self._pass_seconds) / 8
        self._running = [passing for passing in self._running if passing.process.poll() is None]
        while len(self._running) < self.reconcilers:
            self._running.append(self._passing(now))

    def _passing(self, now: float) -> Passing:
        """Starts a process whose fate is due at some time during its pass."""
        self.counts["passes"] += 1
        if self._random.random() < EDIT_SHARE:
            self._edit(self._random.randrange(self.specs))
            self.counts["edits"] += 1
        fate = self._random.choices(["kill", "freeze", "end"], [5, 3, 2])[0]
        at = now + self._pass_seconds * self._random.uniform(0.2, 1.2)
        return Passing(self._started(), now, fate, at)

    def _meet(self, passing: Passing, now: float) -> None:
        """Carries out the fate that is due for a running or frozen process."""
        if passing.frozen and now >= passing.until:
            passing.process.send_signal(signal.SIGCONT)
            passing.fate, passing.until = "woken", 0.0
        elif passing.fate == "kill" and now >= passing.at:
            passing.process.kill()
            passing.process.wait()
            self.counts["kills"] += passing.process.returncode == -signal.SIGKILL
        elif passing.fate == "freeze" and now >= passing.at and not passing.frozen:
            passing.process.send_signal(signal.SIGSTOP)
            passing.until = now + FROZEN_SECONDS * self._random.random() ** 2
            self.counts["freezes"] += 1

    def _started(self) -> subprocess.Popen[bytes]:
        with self.errors.open("ab") as errors:
            return subprocess.Popen(
                [COMMAND, "reconcile"],
                cwd=self.world.folder,
                env=self.world.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def _edit(self, number: int) -> None:
        """Changes the content of a spec atomically, so that a reader sees either the old file or the new one."""
        name = f"job-{number}"
        content = f"{name}-{self.counts[name]}"
        self.counts[name] += 1
        draft = self.world.folder.parent / "draft.yaml"
        draft.write_text((batch_text if number % 2 else spark_text)(name, content))
        draft.replace(self.world.folder / f"{name}.yaml")
        self.wanted[name] = content


def _content(request: object) -> str:
    """Returns the part of a request that differs between contents."""
    match request:
        case {"containerOverrides": {"command": [_, str(word)]}}:
            return word
        case {"jobDriver": {"sparkSubmit": {"entryPointArguments": [str(word)]}}}:
            return word
        case _:
            raise AssertionError(f"a request of nobody: {request}")
