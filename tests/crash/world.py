"""Provides a project whose processes are stopped at named points, and checks its state afterwards."""

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
"""The deadline of a send and the settling time. They are shorter than by default, because tests move the clock ahead
instead of waiting."""

SIGNATURE_SECONDS = 3
"""The number of seconds for which AWS accepts a signature, if a test limits it. Signatures contain whole seconds, so
only one second less is certain."""

PATIENCE_SECONDS = 300.0
"""The maximum duration of any step, after which it is considered stuck."""

LIMITED = ("StartJobRun", "ListJobRuns", "GetJobRun", "CancelJobRun", "SubmitJob")
"""The operations whose quotas are lifted for these campaigns."""

INIT = ("ledger", "init")

MOVING = {"submit", "replace", "adopt", "cancel", "skip", "wait"}
"""The actions that show that there is work left."""


class Ahead:
    """Moves the clock of this process ahead, which affects its commands, their signatures, and the fake AWS."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        real, signed = time.time, auth.get_current_datetime
        patch.setattr(time, "time", lambda: real() + self.seconds)
        patch.setattr(auth, "get_current_datetime", lambda *given: signed(*given) + timedelta(seconds=self.seconds))


@dataclass
class CrashWorld(World):
    """A `World` with any ledger, whose commands can be killed or frozen at a point."""

    ledger: str = "sqlite:///ledger.sqlite"
    ahead: Ahead = field(kw_only=True)
    marks: int = 0
    command: tuple[str, ...] = ("reconcile",)  # the stopped commands

    def prepare(self, claim_seconds: int = CLAIM_SECONDS, settle_seconds: int = SETTLE_SECONDS) -> None:
        """Writes the project file, with short waits and without quotas."""
        rates = "".join(f"\n        {call}: {{perSecond: 10000, burst: 10000}}" for call in LIMITED)
        waits = f"\n      claimSeconds: {claim_seconds}\n      settleSeconds: {settle_seconds}\n      rates:{rates}"
        text = project_text(limits=waits)
        self.write("reconciler.yaml", text.replace("sqlite:///ledger.sqlite", self.ledger))
        self.init()

    def run(self, *arguments: str | Path) -> Done:
        """Runs a command as `World` does, and checks that it prints no traceback."""
        done = super().run(*arguments)
        assert "Traceback" not in done.err, done
        return done

    def crash(self, point: Point) -> Done:
        """Runs the command until it is killed at the point. Fails if the point is not reached."""
        process, mark = self._armed(forked_command(), point, "kill")
        done = finished(process, PATIENCE_SECONDS)
        assert (done.code, mark.exists()) == (-signal.SIGKILL, True), f"{point} was not reached:\n{done}"
        return done

    def freeze(self, point: Point) -> subprocess.Popen[str]:
        """Runs the installed command until it is frozen at the point. Fails if the point is not reached."""
        process, mark = self._armed(COMMAND, point, "stop")
        _until(lambda: _state(process) is not None, f"{point} was not reached")
        assert (_state(process), mark.exists()) == (os.CLD_STOPPED, True), f"{point} was not reached: {process.poll()}"
        return process

    def thaw(self, process: subprocess.Popen[str]) -> Done:
        """Wakes a frozen command, and waits for its end."""
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
        """Runs several passes with a pause between them, because the two lookups that prove absence must be apart."""
        done = []
        for _ in range(count):
            done.append(self.run("reconcile"))
            self.pass_time(SETTLE_SECONDS / 20)
        return done

    def pass_time(self, seconds: float) -> None:
        """Moves the clock ahead, and lets AWS process the requests that are due by then."""
        due = time.time() + seconds
        self.ahead.seconds += seconds
        assert eventually(lambda: time.time() >= due and self.aws.faults()["on_the_way"] == 0)

    def pass_until_settled(self) -> None:
        """Moves the clock ahead until earlier submissions count as absent unless they are found."""
        self.pass_time(SETTLE_SECONDS + 0.1)

    def age_signatures(self) -> None:
        """From now on, AWS refuses all signatures that were made before."""
        self.pass_time(SIGNATURE_SECONDS + 0.1)
        self.aws.configure(signature_seconds=SIGNATURE_SECONDS)

    def move_ledger_away(self) -> Callable[[], None]:
        """Moves the SQLite ledger away. The returned function restores it."""
        names = [path for path in self.folder.iterdir() if path.name.startswith("ledger.sqlite")]
        for path in names:
            path.rename(path.with_name(f"away-{path.name}"))

        def back() -> None:
            for path in names:
                path.with_name(f"away-{path.name}").rename(path)

        return back

    def rest(self) -> list[dict[str, Any]]:
        """Runs passes until there is nothing left to do or to wait for, and returns the actions of the last pass."""
        actions: list[dict[str, Any]] = []
        if self.command == INIT:  # the next pass completes the work of a stopped one
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
    """The problems of a project after all work is done, of which there must be none.

    `duplicates` are tokens with several runs, `unrecorded` are runs that the ledger does not contain, and `invented`
    are runs that only the ledger contains. `unresolved` are submissions with an unknown outcome, and `held` are names
    on hold.
    """

    duplicates: list[str] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    unresolved: list[str] = field(default_factory=list)
    held: list[str] = field(default_factory=list)


def unresolved(world: CrashWorld) -> list[str]:
    """Returns the names of the submissions with an unknown outcome."""
    log = world.log()
    try:
        return sorted(submission.name for submission in log.recorded.unresolved())
    finally:
        log.close()


def verdict(world: CrashWorld) -> Verdict:
    """Completes all work, and compares AWS's runs with the ledger, which is fully read and must be valid."""
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
    """Returns the newest change of the process's state, or `None` while it runs. The process can still be waited for
    afterwards."""
    options = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
    seen = os.waitid(os.P_PID, process.pid, options)
    return None if seen is None else seen.si_code


def _moment() -> None:
    time.sleep(0.05)


def _until(reached: Callable[[], bool], otherwise: str, about: object = "", step: Callable[[], None] = _moment) -> None:
    """Polls until a condition holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline, f"{otherwise}: {about}"
        step()
