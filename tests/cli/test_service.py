"""`reconcile --every` as the installed command: signals, logs and metrics. See also tests/app/test_service.py."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

from reconciler.emulator import Plan, Rule
from tests.cli.world import World

PATIENCE = 30.0


class Running:
    """A service, and the lines of its standard error as they arrive."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[str]()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def wait(self, until: Callable[[], object]) -> None:
        """Waits until a condition holds."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def exit_code(self) -> int:
        """Waits for the end, and returns the exit code."""
        code = self.process.wait(timeout=PATIENCE)
        self._reader.join(timeout=PATIENCE)
        return code


@contextmanager
def serving(world: World, *more: str) -> Iterator[Running]:
    """A service with passes a second apart; killed if the test leaves it running."""
    process = world.start("reconcile", "--every", "1s", *more)
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


def test_sigterm_ends_a_service_with_0_after_passes_metrics_and_health(world: World):
    """Each pass is a line of JSON; /metrics counts passes, actions, calls and runs by state; /healthz answers ok."""
    world.batch("clicks")
    with serving(world, "--metrics-port", "0", "-v", "--log-format", "json") as service:
        service.wait(lambda: any('"event": "pass"' in line for line in service.lines))
        port = re.search(r"metrics on port (\d+)", "\n".join(service.lines))
        assert port is not None
        url = f"http://127.0.0.1:{port[1]}"
        metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()
        health = urllib.request.urlopen(f"{url}/healthz").read().decode()
        try:
            urllib.request.urlopen(f"{url}/other")
        except urllib.error.HTTPError as error:
            missing = error.code
            error.close()
        service.process.send_signal(signal.SIGTERM)
        assert service.exit_code() == 0
    assert (health, missing) == ("ok\n", 404)
    for line in (
        'reconciler_actions_total{action="submit",outcome="submitted"} 1.0',
        'reconciler_api_calls_total{operation="SubmitJob"} 1.0',
        'reconciler_passes_total{result="good"}',
        "reconciler_holds 0.0",
    ):
        assert line in metrics
    assert re.search(r'reconciler_runs\{state="(submitted|running)"\} 1\.0', metrics)  # as of the newest pass
    assert re.search(r"reconciler_ledger_position [34]\.0", metrics)
    first = next(json.loads(line) for line in service.lines if '"event": "pass"' in line)
    assert (first["counts"], first["ledger_position"], first["level"]) == ({"submitted": 1}, 3, "info")
    assert all(json.loads(line) for line in service.lines if not line.startswith("Stopping"))


def test_a_second_signal_ends_a_service_at_once(world: World):
    """Even while AWS does not answer; the intent is in the ledger, so the next pass resolves it."""
    world.aws.inject(Plan([Rule("lost", "never", operation="SubmitJob")]))
    world.batch("clicks")
    with serving(world) as service:
        service.wait(lambda: world.log().recorded.position)
        service.process.send_signal(signal.SIGTERM)
        service.wait(lambda: any(line.startswith("Stopping") for line in service.lines))
        service.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert service.exit_code() == 0
    assert time.monotonic() - began < 5
    assert [event.type for event in world.events()] == ["opened", "intended"]


def test_git_pull_updates_the_checkout_before_the_pass(world: World, tmp_path: Path):
    """A commit that somebody pushed runs in the pass, under its own commit; an unreachable remote is an error."""
    desk, origin = with_origin(world, tmp_path)
    desk.batch("pushed")
    pushed = desk.commit()
    desk.git("push", "--quiet")

    done = world.run("reconcile", "--git-pull", "--format", "json")
    origin.rename(tmp_path / "gone")
    failed = world.run("reconcile", "--git-pull")

    assert done.code == 0, done.err
    assert f"checkout at {pushed[:12]}" in done.err
    assert done.json["commit"] == pushed
    assert [len(world.sent(name)) for name in ("clicks", "pushed")] == [1, 1]
    assert (failed.code, "git fetch" in failed.err) == (1, True)


def with_origin(world: World, folder: Path) -> tuple[World, Path]:
    """Makes the project of `world` a clone of a bare repository; returns another clone, and the repository."""
    world.batch("clicks")
    world.git("init", "--quiet", "--initial-branch=main")
    world.commit()
    origin, desk = folder / "origin.git", replace(world, folder=folder / "desk")
    world.git("clone", "--quiet", "--bare", ".", str(origin))
    world.git("clone", "--quiet", str(origin), str(desk.folder))
    world.git("remote", "add", "origin", str(origin))
    world.git("fetch", "--quiet", "origin")
    world.git("branch", "--quiet", "--set-upstream-to=origin/main")
    return desk, origin
