"""A project whose reconcilers are stopped at named points, and what is found out about it afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore import auth

from tests.cli.world import COMMAND, Done, World, finished, forked_command, project_text
from tests.crash.points import ROOT_NAME, Point
from tests.waiting import eventually

HOOK = Path(__file__).parent / "hook"
CLAIM_SECONDS, SETTLE_SECONDS = 30, 60
"""What was sent must start within the first, and is given up after the second: shorter than elsewhere, since no process
here waits as long as a clock is moved ahead at once."""

SIGNATURE_SECONDS = 3
"""How long AWS takes a signature, if a test says so; its time is cut to whole seconds, so one less is sure."""

PATIENCE_SECONDS = 300.0
"""The longest that anything here may take; then it is stuck."""

LIMITED = ("StartJobRun", "ListJobRuns", "GetJobRun", "CancelJobRun", "SubmitJob")
"""What has a quota, which these campaigns lift."""

INIT = ("ledger", "init")

MOVING = {"submit", "replace", "adopt", "cancel", "skip", "wait"}
"""Actions of a plan that is not at rest."""


class Ahead:
    """Moves the clock of this process ahead: that of its commands, of their signatures, and of the stand-in."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        real, signed = time.time, auth.get_current_datetime
        patch.setattr(time, "time", lambda: real() + self.seconds)
        patch.setattr(auth, "get_current_datetime", lambda *given: signed(*given) + timedelta(seconds=self.seconds))


@dataclass
class CrashWorld(World):
    """A `World` over any ledger, whose commands can be killed or frozen at a point."""

    ledger: str = "sqlite:///ledger.sqlite"
    ahead: Ahead = field(kw_only=True)
    marks: int = 0
    command: tuple[str, ...] = ("reconcile",)  # what is stopped

    def prepare(self, claim_seconds: int = CLAIM_SECONDS, settle_seconds: int = SETTLE_SECONDS) -> None:
        """Writes the project file: chosen waits, and no quota."""
        rates = "".join(f"\n        {call}: {{perSecond: 10000, burst: 10000}}" for call in LIMITED)
        waits = f"\n      claimSeconds: {claim_seconds}\n      settleSeconds: {settle_seconds}\n      rates:{rates}"
        text = project_text(limits=waits)
        self.write("reconciler.yaml", text.replace("sqlite:///ledger.sqlite", self.ledger))
        self.init()

    def run(self, *arguments: str | Path) -> Done:
        """Runs a command as `World` does. Whatever goes wrong, it prints no traceback."""
        done = super().run(*arguments)
        assert "Traceback" not in done.err, done
        return done

    def crash(self, point: Point) -> Done:
        """Runs the command until it reaches the point, where it is killed. It must get there."""
        process, mark = self._armed(forked_command(), point, "kill")
        done = finished(process, PATIENCE_SECONDS)
        assert (done.code, mark.exists()) == (-signal.SIGKILL, True), f"{point} was not reached:\n{done}"
        return done

    def freeze(self, point: Point) -> subprocess.Popen[str]:
        """Runs the installed command until it is frozen at the point. It must get there."""
        process, mark = self._armed(COMMAND, point, "stop")
        _until(lambda: _state(process) is not None, f"{point} was not reached")
        assert (_state(process), mark.exists()) == (os.CLD_STOPPED, True), f"{point} was not reached: {process.poll()}"
        return process

    def thaw(self, process: subprocess.Popen[str]) -> Done:
        """Lets a frozen command go on, to its end."""
        process.send_signal(signal.SIGCONT)
        done = finished(process, PATIENCE_SECONDS)
        assert "Traceback" not in done.err, done
        return done

    def _armed(self, command: Path, point: Point, deed: str) -> tuple[subprocess.Popen[str], Path]:
        self.marks += 1
        mark = self.folder.parent / f"mark-{self.marks}"
        order = {
            "point": ROOT_NAME + point.name,
            "about": point.about,
            "nth": point.nth,
            "deed": deed,
            "mark": str(mark),
        }
        process = subprocess.Popen(
            [command, *self.command],
            cwd=self.folder,
            env=self.environment(
                {"PYTHONPATH": str(HOOK), "CRASH_AT": json.dumps(order), "CRASH_AHEAD": str(self.ahead.seconds)}
            ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return process, mark

    def passes(self, count: int) -> list[Done]:
        """So many passes, a little apart: two looks that prove absence lie apart too."""
        done = []
        for _ in range(count):
            done.append(self.run("reconcile"))
            self.pass_time(SETTLE_SECONDS / 20)
        return done

    def pass_time(self, seconds: float) -> None:
        """Moves the clock ahead, and lets AWS process the requests that are due by it."""
        due = time.time() + seconds
        self.ahead.seconds += seconds
        assert eventually(lambda: time.time() >= due and self.aws.faults()["on_the_way"] == 0)

    def pass_until_settled(self) -> None:
        """Moves the clock ahead until what was intended before counts as absent, if it is not found."""
        self.pass_time(SETTLE_SECONDS + 0.1)

    def age_signatures(self) -> None:
        """Lets AWS refuse from now on what was signed before."""
        self.pass_time(SIGNATURE_SECONDS + 0.1)
        self.aws.configure(signature_seconds=SIGNATURE_SECONDS)

    def move_ledger_away(self) -> Callable[[], None]:
        """Takes the SQLite ledger from its place; the answer puts it back."""
        names = [path for path in self.folder.iterdir() if path.name.startswith("ledger.sqlite")]
        for path in names:
            path.rename(path.with_name(f"away-{path.name}"))

        def back() -> None:
            for path in names:
                path.with_name(f"away-{path.name}").rename(path)

        return back

    def rest(self) -> list[dict[str, Any]]:
        """Passes until there is nothing left to do or to wait for; the actions of the last one."""
        actions: list[dict[str, Any]] = []
        if self.command == INIT:  # one that was stopped is finished by the next
            done = self.run(*self.command)
            assert done.code == 0, done

        def resting() -> bool:
            done = self.run("reconcile", "--format", "json")
            assert done.out, done  # 1 for a send that came too late on a busy machine; nothing printed for an error
            actions[:] = done.json["actions"]
            return all(action["action"] not in MOVING for action in actions)

        _until(resting, "it does not come to rest", actions, step=lambda: self.pass_time(SETTLE_SECONDS / 5))
        return actions


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with a world at rest: nothing, in the end.

    `duplicates`: tokens with several runs. `unrecorded`: runs that the ledger does not know. `invented`: runs that only
    the ledger knows. `unresolved`: submissions that nobody knows about. `held`: names a person is asked about.
    """

    duplicates: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


def unresolved(world: CrashWorld) -> list[str]:
    """The names of the submissions that nobody knows about."""
    log = world.log()
    try:
        return sorted(submission.name for submission in log.recorded.unresolved())
    finally:
        log.close()


def verdict(world: CrashWorld) -> Verdict:
    """Brings the world to rest and judges it by AWS's runs and by the ledger, which is read whole and must be sound."""
    actions = world.rest()
    sound = world.run("ledger", "verify")
    assert sound.code == 0, sound
    log = world.log()
    try:
        submissions = list(log.recorded.by_token.values())
    finally:
        log.close()
    accepted = {run.id: run.token or "" for run in world.runs()}
    recorded = {s.run_id: s.token for s in submissions if s.run_id is not None}
    return Verdict(
        duplicates=sorted(token for token, count in Counter(accepted.values()).items() if count > 1),
        unrecorded=sorted(run for run, token in accepted.items() if recorded.get(run) != token),
        invented=sorted(run for run in recorded if run not in accepted),
        unresolved=sorted(s.name for s in submissions if s.unresolved),
        held=sorted(action["name"] for action in actions if action["action"] == "hold"),
    )


def _state(process: subprocess.Popen[str]) -> int | None:
    """How the process was last seen to change, `None` while it runs; it can still be waited for afterwards."""
    options = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
    seen = os.waitid(os.P_PID, process.pid, options)
    return None if seen is None else seen.si_code


def _moment() -> None:
    time.sleep(0.05)


def _until(reached: Callable[[], bool], otherwise: str, about: object = "", step: Callable[[], None] = _moment) -> None:
    """Waits for other processes, in steps."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"{otherwise}: {about}"
        step()
