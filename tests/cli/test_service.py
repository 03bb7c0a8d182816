"""Tests `reconcile --every` as the installed command: signals, logs and metrics. See also tests/app/test_service.py."""

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
from tests.waiting import PATIENCE_SECONDS


class Running:
    """Contains a running service and the lines that it has written to standard error."""

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
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not until():
            assert self.process.poll() is None, self.lines
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.02)

    def exit_code(self) -> int:
        """Waits until the process has ended, and returns its exit code."""
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        self._reader.join(timeout=PATIENCE_SECONDS)
        return code


@contextmanager
def serving(world: World, *more: str) -> Iterator[Running]:
    """Runs a service with one pass per second. Kills the service if the test leaves it running."""
    process = world.start("reconcile", "--every", "1s", *more)
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


def test_sigterm_ends_a_service_with_0_after_passes_metrics_and_health(world: World):
    """Each pass prints one line of JSON, /metrics counts passes, actions, calls and runs by state, and /healthz returns
    ok."""
    world.batch("clicks")
    with serving(world, "--metrics-port", "0", "-v", "--log-format", "json") as service:
        service.wait(lambda: any('"event": "pass"' in line for line in service.lines))
        port = re.search(r"metrics on port (\d+)", "\n".join(service.lines))
        assert port is not None
        url = f"http://127.0.0.1:{port[1]}"
        metrics = ""

        def counted() -> bool:  # the metrics of a pass are updated after its log line
            nonlocal metrics
            metrics = urllib.request.urlopen(f"{url}/metrics").read().decode()
            return re.search(r'reconciler_passes_total\{result="good"\} [1-9]', metrics) is not None

        service.wait(counted)
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
        "reconciler_holds 0.0",
    ):
        assert line in metrics
    assert re.search(r'reconciler_runs\{state="(submitted|running)"\} 1\.0', metrics)  # from the newest pass
    assert re.search(r"reconciler_ledger_position [34]\.0", metrics)
    first = next(json.loads(line) for line in service.lines if '"event": "pass"' in line)
    assert (first["counts"], first["ledger_position"], first["level"]) == ({"submitted": 1}, 4, "info")
    assert all(json.loads(line) for line in service.lines if not line.startswith("Stopping"))


def test_a_second_signal_ends_a_service_at_once(world: World):
    """The service ends even while AWS does not reply. The ledger then contains only the intent, and the next pass
    resolves it."""
    world.aws.inject(Plan([Rule("lost", "never", operation="SubmitJob")]))
    world.batch("clicks")
    with serving(world) as service:
        service.wait(lambda: world.log().recorded.intends)
        service.process.send_signal(signal.SIGTERM)
        service.wait(lambda: any(line.startswith("Stopping") for line in service.lines))
        service.process.send_signal(signal.SIGINT)
        assert service.exit_code() == 0
    assert [event.type for event in world.events()] == ["opened", "intended"]


def test_git_pull_updates_the_checkout_before_the_pass(world: World, tmp_path: Path):
    """A pushed commit runs in the next pass and is recorded as its source. An unreachable remote is an error."""
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


def test_a_service_whose_pulls_fail_is_not_healthy(world: World, tmp_path: Path):
    """Passes continue with the old checkout, /healthz returns 503 with the time since the last pull, and metrics count
    the pulls."""
    _, origin = with_origin(world, tmp_path)
    origin.rename(tmp_path / "gone")
    options = ("--git-pull", "--metrics-port", "0", "--max-checkout-age", "1s", "-v", "--log-format", "json")
    with serving(world, *options) as service:
        service.wait(lambda: any("metrics on port" in line for line in service.lines))
        port = re.search(r"metrics on port (\d+)", "\n".join(service.lines))
        assert port is not None

        def health() -> str:
            try:
                return str(urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/healthz").read(), "utf-8")
            except urllib.error.HTTPError as error:
                with error:
                    return f"{error.code} {error.read().decode()}"

        service.wait(lambda: health().startswith("503 no good pull of the checkout for "))
        service.wait(lambda: any('"event": "pass"' in line for line in service.lines))
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/metrics").read().decode()
    assert 'reconciler_pulls_total{result="failed"}' in metrics
    assert "reconciler_checkout_age_seconds" in metrics
    assert len(world.sent("clicks")) == 1


def test_a_rewritten_history_is_named(world: World, tmp_path: Path):
    """After a force push, the pull fails with an explanation and advice, and the checkout stays unchanged."""
    desk, _ = with_origin(world, tmp_path)
    here = world.git("rev-parse", "HEAD")
    desk.git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--amend", "-m", "rewritten")
    desk.git("push", "--quiet", "--force")

    failed = world.run("reconcile", "--git-pull")

    assert failed.code == 1
    assert "the history of origin/main does not contain HEAD" in failed.err
    assert "reset --hard @{upstream}" in failed.err
    assert world.git("rev-parse", "HEAD") == here
    assert world.sent("clicks") == []


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
