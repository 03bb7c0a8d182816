"""Tests `apply --wait` and `wait`: passes run until the runs have ended, and dependents are submitted by the same
command."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.app import wait as waiting
from reconciler.cli.wait import _changed_lines
from reconciler.core.awaited import Awaited, Progress
from reconciler.core.identity import Content, SubmissionKey
from reconciler.core.state import Phase, RunState, Submission
from tests.cli.clients import running_aws
from tests.cli.doubt import terminated_by_others
from tests.cli.test_watch import read_until
from tests.cli.world import World, aws_environment, forked_command, project_text


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 0.02)
    monkeypatch.setattr(waiting, "LONGEST_PAUSE", 0.02)


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[World]:
    """A project with a fake AWS in which runs end as soon as they have started. Runs whose name is `breaks` fail."""
    with running_aws(run_seconds=0, outcomes={"breaks": "failed"}) as aws:
        made = World(tmp_path / "project", aws, env=aws_environment(aws.url))
        made.write("reconciler.yaml", project_text())
        made.init()
        yield made


def after(name: str) -> str:
    """Returns the dependency on another spec."""
    return f"[{{name: {name}}}]"


def test_a_chain_runs_in_one_command(quick: World):
    """On both services, each spec is submitted after its predecessor has ended."""
    quick.spark("one")
    for name, before in (("two", "one"), ("three", "two"), ("four", "three"), ("five", "four")):
        write = quick.batch if name in {"two", "four"} else quick.spark
        write(name, dependsOn=after(before))
    done = quick.run("apply", "--yes", "--wait")
    assert done.code == 0, done.err
    names = [run.request["tags"]["reconciler:spec"].rpartition("/")[2] for run in quick.runs()]
    assert names == ["one", "two", "three", "four", "five"]
    assert "5 succeeded." in done.out
    assert quick.run("plan", "--detailed-exitcode").code == 0


def test_a_failed_run_is_exit_code_3(quick: World):
    """Specs that depend on the failed run are on hold. All other runs end as usual."""
    quick.spark("breaks")
    quick.spark("after", dependsOn=after("breaks"))
    quick.batch("apart")
    done = quick.run("apply", "--yes", "--wait", "--format", "json")
    assert done.code == 3
    outcomes = {run["name"]: (run["state"], run["outcome"]) for run in done.json["runs"]}
    assert outcomes == {
        "after": ("waiting", "held"),
        "apart": ("succeeded", "succeeded"),
        "breaks": ("failed", "failed"),
    }


def test_a_failed_attempt_is_repeated_while_the_command_waits(quick: World):
    """The command also waits for the retries of a run."""
    quick.spark("breaks", backoffLimit="1", backoffSeconds="0")
    done = quick.run("apply", "--yes", "--wait", "--format", "json")
    assert (done.code, [run["attempt"] for run in done.json["runs"]]) == (3, [2])
    assert len(quick.runs()) == 2


def test_content_that_was_not_approved_is_not_submitted(world: World):
    """A spec that changes while the command waits is submitted only by the next apply."""
    world.batch("clicks")
    reports = 0

    def change(_clock: object, _seconds: float, _stop: object) -> None:
        nonlocal reports
        reports += 1
        world.batch("clicks", "B")
        world.batch("more")
        if reports == 2:
            terminated_by_others(world, world.runs()[0].id)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waiting, "pause", change)
        done = world.run("apply", "--yes", "--wait")
    assert done.code == 3
    assert len(world.runs()) == 1


def test_a_replaced_stream_ends_with_the_new_run_live(world: World):
    """The old run is cancelled, and the new run is submitted in the same command."""
    text = (
        world.spark("feed", concurrencyPolicy="Replace")
        .read_text()
        .replace("    jobDriver:", "    mode: STREAMING\n    jobDriver:")
    )
    world.write("feed.yaml", text)
    assert world.run("apply", "--yes", "--wait").code == 0
    world.write("feed.yaml", text.replace('"A"', '"B"'))
    done = world.run("apply", "--yes", "--wait", "--max-cancellations", "1")
    assert (done.code, len(world.runs())) == (0, 2), done.err
    states = {run["run_id"]: run["state"] for run in world.run("runs", "--format", "json").json["runs"]}
    assert [states[run.id] for run in world.runs()] == ["cancelled", "running"]


def test_the_time_for_waiting_ends(world: World):
    """After the timeout, the runs continue, and `wait` can wait for them again."""
    world.batch("clicks")
    done = world.run("apply", "--yes", "--wait", "--timeout", "1s")
    assert (done.code, "timed out before these ended: clicks" in done.err) == (1, True)
    terminated_by_others(world, world.runs()[0].id)
    again = world.run("wait", "--all", "--format", "json")
    assert (again.code, len(world.runs())) == (0, 1)
    assert world.run("wait", "clicks").code == 0


def test_an_interrupted_wait_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    """After a signal, the command ends and the runs continue. The next apply submits only the remaining specs of the
    chain."""
    world.batch("clicks")
    world.spark("orders", dependsOn=after("clicks"))
    with monkeypatch.context() as patch:
        patch.setattr(waiting, "pause", lambda *_: signal.raise_signal(signal.SIGINT))
        done = world.run("apply", "--yes", "--wait")
    assert (done.code, "Interrupted. These have not ended: clicks, orders." in done.err) == (1, True)
    assert "2 moving." in done.out
    (first,) = world.runs()
    world.aws.configure(run_seconds=0)
    assert (world.run("plan", "--format", "json").json["summary"]["submit"], len(world.runs())) == (0, 1)
    assert first.name == "clicks"


def test_a_reason_that_comes_later_is_printed(capsys: pytest.CaptureFixture[str]):
    """While a run is live, a line is printed for each change of its state and of AWS's reason."""
    key = SubmissionKey("clicks", 1)
    run = Submission(key, "BatchJob", "r1-x", Content(), 1, None, "ops", phase=Phase.SUBMITTED, run_id="job-1")
    run.run_state, run.aws_state = RunState.SUBMITTED, "RUNNABLE"
    report = _changed_lines(shown=True)
    for detail in (None, None, "CAPACITY:X", "CAPACITY:X"):
        run.detail = detail
        report([Awaited(key, Progress.MOVING, "submitted", run.aws_words, run)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("RUNNABLE")[2] for line in lines] == ["", ": CAPACITY:X"]


def test_failed_passes_are_repeated(world: World, monkeypatch: pytest.MonkeyPatch):
    """If a few passes in a row fail, they are repeated. After more failures, the command ends with their error."""
    world.batch("clicks")
    world.run("apply", "--yes")
    world.aws.stop()
    monkeypatch.setattr(waiting, "MOST_FAILURES", 2)
    done = world.run("wait", "--all")
    assert done.code == 1
    assert "a pass failed and will be repeated" in done.err


def test_a_missing_ledger_ends_the_wait_at_once(world: World):
    """An error that would occur again in the next pass is not repeated."""
    world.batch("clicks")
    (world.folder / "ledger.sqlite").unlink()
    done = world.run("wait", "--all")
    assert done.code == 1
    assert "Error: there is no ledger" in done.err
    assert "repeated" not in done.err


def test_a_terminal_shows_a_table(quick: World):
    """The table is updated while the command waits, and is printed at the end."""
    quick.spark("one")
    quick.batch("two", dependsOn=after("one"))
    terminal, other = pty.openpty()
    env = {**quick.environment(), "COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
    command = [str(forked_command()), "apply", "--yes", "--wait"]
    process = subprocess.Popen(command, cwd=quick.folder, env=env, stdin=other, stdout=other, stderr=other)
    os.close(other)
    try:
        shown = read_until(terminal, "2 succeeded.")
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert "RUN ID" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ("wait",),
        ("wait", "clicks", "--all"),
        ("apply", "--timeout", "1s"),
        ("apply", "p.plan", "--detached", "--wait"),
    ],
)
def test_options_that_do_not_belong_together(world: World, arguments: tuple[str, ...]):
    """These options together are a usage error."""
    assert world.run(*arguments).code == 64
