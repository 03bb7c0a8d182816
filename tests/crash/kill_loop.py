"""A kill loop: reconcilers over one project, killed and frozen at any moment, while specs change and AWS fails."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from reconciler.emulator.server import Plan, Rule
from tests.cli.world import COMMAND, batch_text, spark_text
from tests.crash.faults import SENDS
from tests.crash.world import CrashWorld, Verdict, verdict

CLAIM_SECONDS, SIGNATURE_SECONDS, LATE_SECONDS, SETTLE_SECONDS = 1, 2, 1.0, 5
"""The settling time is longer than the others together, as it is by default: what was sent cannot arrive after it."""

STEP_SECONDS = 0.1
FROZEN_SECONDS = 8.0
"""The longest that a reconciler is frozen: longer than everything settles."""

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
"""About half of the calls that start a run go wrong, in every way."""


@dataclass
class KillLoop:
    """So many reconcilers and specs. Everything that is decided is decided by the seed; when it happens is not."""

    world: CrashWorld
    seed: int
    reconcilers: int
    specs: int
    counts: Counter[str] = field(default_factory=Counter)
    wanted: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._running: list[subprocess.Popen[bytes]] = []
        self._frozen: dict[subprocess.Popen[bytes], float] = {}

    def run(self, seconds: float) -> Verdict:
        """Goes on for so long; then nothing fails any more, and the world comes to rest and is judged."""
        self.world.prepare(CLAIM_SECONDS, SETTLE_SECONDS)
        for number in range(self.specs):
            self._edit(number)
        self.world.aws.inject(FAULTS)
        until = time.monotonic() + seconds
        try:
            while time.monotonic() < until:
                self._step()
                time.sleep(STEP_SECONDS * self._random.random())
        finally:
            for process in self._running:
                process.kill()
                process.wait()
        self.world.aws.inject(Plan())
        return verdict(self.world)

    def runs_of_wanted(self) -> dict[str, int]:
        """How often the content that each spec has in the end was run."""
        contents = Counter(_content(run.request) for run in self.world.runs())
        return {name: contents[content] for name, content in self.wanted.items()}

    def most_runs_of_any(self) -> int:
        """How often the content was run that was run most often: no two submissions of the loop have the same one."""
        return max(Counter(_content(run.request) for run in self.world.runs()).values())

    def _step(self) -> None:
        """One thing happens."""
        self._thaw(time.monotonic())
        self._running = [process for process in self._running if process.poll() is None]
        while len(self._running) < self.reconcilers:
            self._running.append(self._started())
            self.counts["passes"] += 1
        happens = self._random.choices([self._kill, self._freeze, self._change, self._nothing], [3, 3, 2, 4])[0]
        happens()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [COMMAND, "reconcile"],
            cwd=self.world.folder,
            env=self.world.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _kill(self) -> None:
        process = self._random.choice(self._running)
        process.kill()
        process.wait()
        self._frozen.pop(process, None)
        self.counts["kills"] += process.returncode == -signal.SIGKILL

    def _freeze(self) -> None:
        process = self._random.choice(self._running)
        if process not in self._frozen:
            process.send_signal(signal.SIGSTOP)
            self._frozen[process] = time.monotonic() + FROZEN_SECONDS * self._random.random() ** 3
            self.counts["freezes"] += 1

    def _thaw(self, now: float) -> None:
        for process in [process for process, until in self._frozen.items() if until <= now]:
            process.send_signal(signal.SIGCONT)
            del self._frozen[process]

    def _change(self) -> None:
        self._edit(self._random.randrange(self.specs))
        self.counts["edits"] += 1

    def _nothing(self) -> None:
        pass

    def _edit(self, number: int) -> None:
        """A new content, in one step: a reader sees the old file or the new one."""
        name = f"job-{number}"
        content = f"{name}-{self.counts[name]}"
        self.counts[name] += 1
        draft = self.world.folder.parent / "draft.yaml"
        draft.write_text((batch_text if number % 2 else spark_text)(name, content))
        draft.replace(self.world.folder / f"{name}.yaml")
        self.wanted[name] = content


def _content(request: object) -> str:
    """The one interesting word of a request."""
    match request:
        case {"containerOverrides": {"command": [_, str(word)]}}:
            return word
        case {"jobDriver": {"sparkSubmit": {"entryPointArguments": [str(word)]}}}:
            return word
        case _:
            raise AssertionError(f"a request of nobody: {request}")
