"""`reconcile --every`: the service, as the installed command."""

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
    """A service, and the lines of its standard error as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, list[str]()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))

    def passes(self) -> list[str]:
        """The lines of passes."""
        return [line for line in self.lines if " reconcile shop/staging: " in line]

    def wait(self, until: Callable[[], object]) -> None:
        """Waits for something to be so."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def ended(self) -> int:
        """The exit code."""
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


def test_it_reads_specs_anew_and_ends_well_on_sigterm(world: World):
    """A spec that comes later runs once; a broken one fails its passes and stops nothing; SIGTERM is no failure."""
    world.batch("clicks")
    with serving(world) as service:
        service.wait(lambda: len(world.runs()) == 1)
        world.batch("later")
        service.wait(lambda: len(world.runs()) == 2)
        broken = world.write("broken.yaml", "apiVersion: reconciler/v1\nkind: Nothing\n")
        service.wait(lambda: any("the pass failed" in line and "broken.yaml:1:1" in line for line in service.lines))
        broken.unlink()
        seen = len(service.passes())
        service.wait(lambda: len(service.passes()) > seen)
        service.process.send_signal(signal.SIGTERM)
        assert service.ended() == 0
    assert any("2 in sync; ledger position" in line for line in service.passes())
    assert len(world.runs()) == 2


def test_a_second_signal_ends_it_at_once(world: World):
    """While AWS does not answer; the intent is in the ledger, so the next pass knows of it."""
    world.aws.inject(Plan([Rule("lost", "never", operation="SubmitJob")]))
    world.batch("clicks")
    with serving(world) as service:
        service.wait(lambda: world.log().recorded.position)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        service.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert service.ended() == 0
    assert time.monotonic() - began < 5
    assert [event.type for event in world.events()] == ["opened", "intended"]


def test_metrics_and_health(world: World):
    """Counts of passes, actions, calls and runs by state; well while passes are good."""
    world.batch("clicks")
    with serving(world, "--metrics-port", "0", "-v", "--log-format", "json") as service:
        service.wait(lambda: any('"event": "pass"' in line for line in service.lines))
        found = re.search(r"metrics on port (\d+)", "\n".join(service.lines))
        assert found is not None
        url = f"http://127.0.0.1:{found[1]}"
        told = urllib.request.urlopen(f"{url}/metrics").read().decode()
        health = urllib.request.urlopen(f"{url}/healthz").read().decode()
        try:
            urllib.request.urlopen(f"{url}/other")
        except urllib.error.HTTPError as error:
            missing = error.code
            error.close()
        service.process.send_signal(signal.SIGTERM)
        assert service.ended() == 0
    assert (health, missing) == ("ok\n", 404)
    for line in (
        'reconciler_actions_total{action="submit",outcome="submitted"} 1.0',
        'reconciler_api_calls_total{operation="SubmitJob"} 1.0',
        'reconciler_passes_total{result="good"}',
        "reconciler_holds 0.0",
    ):
        assert line in told
    assert re.search(r'reconciler_runs\{state="(submitted|running)"\} 1\.0', told)  # as of the newest pass
    assert re.search(r"reconciler_ledger_position [23]\.0", told)
    first = next(json.loads(line) for line in service.lines if '"event": "pass"' in line)
    assert (first["counts"], first["ledger_position"], first["level"]) == ({"submitted": 1}, 2, "info")
    assert all(json.loads(line) for line in service.lines if not line.startswith("Stopping"))


def test_git_pull_brings_the_checkout_up_to_date_first(world: World, tmp_path: Path):
    """A commit that others pushed runs at the next pass, under its own commit; a remote that is gone stops nothing."""
    world.batch("clicks")
    world.git("init", "--quiet", "--initial-branch=main")
    world.commit()
    origin, desk = tmp_path / "origin.git", replace(world, folder=tmp_path / "desk")
    world.git("clone", "--quiet", "--bare", ".", str(origin))
    world.git("clone", "--quiet", str(origin), str(desk.folder))
    world.git("remote", "add", "origin", str(origin))
    world.git("fetch", "--quiet", "origin")
    world.git("branch", "--quiet", "--set-upstream-to=origin/main")
    desk.batch("pushed")
    pushed = desk.commit()
    desk.git("push", "--quiet")

    done = world.run("reconcile", "--git-pull", "--format", "json")

    assert done.code == 0, done.err
    assert f"checkout at {pushed[:12]}" in done.err
    assert done.json["commit"] == pushed
    assert [len(world.sent(name)) for name in ("clicks", "pushed")] == [1, 1]
    origin.rename(tmp_path / "gone")
    once = world.run("reconcile", "--git-pull")
    assert (once.code, "git fetch" in once.err) == (1, True)
    with serving(world, "--git-pull") as service:
        service.wait(service.passes)
        service.process.send_signal(signal.SIGTERM)
        assert service.ended() == 0
    assert any("the checkout is not up to date: git fetch" in line for line in service.lines)
