"""Tests `apply` and `reconcile`: confirmation, refusals, failures of one job, and stop signals."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from reconciler.core.events import CancelAsked, Intended, Observed, Rejected, Submitted
from tests.cli.world import World, batch_text, finished, forked_command, project_text
from tests.waiting import PATIENCE_SECONDS


def _at_a_terminal(world: World, answer: str, *arguments: str) -> tuple[int, str, str]:
    """Runs the command on a terminal and types `answer` at the prompt. Returns exit code, output, and terminal text."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [forked_command(), *arguments],
        cwd=world.folder,
        env=world.environment({"TERM": "xterm"}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    shown = _until(ours, "Enter a value:")
    os.write(ours, f"{answer}\n".encode())
    shown += _until(ours, None)
    out = process.communicate(timeout=PATIENCE_SECONDS)[0]
    os.close(ours)
    return process.returncode, out, shown


def _until(terminal: int, text: str | None) -> str:
    """Returns the output of the terminal up to `text`, or all output if `text` is `None`."""
    seen = ""
    while text is None or text not in seen:
        if not select.select([terminal], [], [], 60)[0]:
            raise AssertionError(f"nothing more came after: {seen}")
        try:
            read = os.read(terminal, 4096)
        except OSError:  # the other side has closed the terminal
            break
        if not read:
            break
        seen += read.decode()
    return seen


def test_yes_at_the_terminal_submits(world: World):
    """Answering `yes` applies the plan. Progress and the prompt go to the terminal, the result goes to standard
    output."""
    world.batch("clicks")

    code, out, shown = _at_a_terminal(world, "yes", "apply")

    assert code == 0, shown
    assert "Only 'yes' will be accepted" in shown
    assert "clicks: submitted" in shown
    assert world.runs()[0].id in out
    assert "Enter a value" not in out


class Typed(io.StringIO):
    """Simulates the input of an operator at a terminal."""

    def isatty(self) -> bool:
        """Returns `True`, as a terminal does."""
        return True


def test_no_with_json_shows_the_plan_beside_the_question(world: World, monkeypatch: pytest.MonkeyPatch):
    """Any answer other than `yes` exits 1, and standard output stays empty."""
    world.batch("clicks")
    monkeypatch.setattr(sys, "stdin", Typed("no\n"))

    done = world.run("apply", "--format", "json")

    assert (done.code, done.out) == (1, "")
    assert "will be submitted" in done.err
    assert "apply cancelled" in done.err
    assert world.runs() == []


@pytest.mark.parametrize("answer", ["y\n", "YES\n", "\n", "", "yes please\n"])
def test_only_yes_is_yes(world: World, monkeypatch: pytest.MonkeyPatch, answer: str):
    """Any other answer and the end of input mean no, and nothing is sent or recorded."""
    world.batch("clicks")
    monkeypatch.setattr(sys, "stdin", Typed(answer))

    done = world.run("apply")

    assert done.code == 1
    assert "apply cancelled" in done.err
    assert world.runs() == []
    assert [event.type for event in world.events()] == ["opened"]


def test_without_a_terminal_apply_needs_yes(world: World):
    """Without a terminal, `apply` refuses to act and suggests --yes. If there is nothing to do, `apply` does not ask
    for confirmation."""
    world.batch("clicks")

    refused = world.run("apply")
    world.run("apply", "--yes")
    idle = world.run("apply")

    assert refused.code == 1
    assert "--yes" in refused.err
    assert idle.code == 0
    assert len(world.runs()) == 1


def test_a_rejected_job_does_not_stop_the_others(world: World):
    """The rejection is recorded and shown, the other jobs are submitted, and the next apply does not submit the
    rejected job again."""
    world.aws.configure(definitions=["worker"])
    world.write("bad.yaml", batch_text("bad").replace("worker:1", "missing:1"))
    world.batch("clicks")
    world.spark("orders")

    done = world.run("apply", "--yes", "--format", "json")
    again = world.run("apply", "--yes", "--format", "json")

    assert done.code == 3
    assert done.actions("name", "outcome") == [("bad", "rejected"), ("clicks", "submitted"), ("orders", "submitted")]
    assert "missing" in done.json["actions"][0]["error"]
    assert [event.name for event in world.events() if isinstance(event, Rejected)] == ["bad"]
    assert again.code == 3
    assert again.actions("action", "reason")[0] == ("hold", "rejected")
    assert len([event for event in world.events() if isinstance(event, Intended)]) == 3


def test_the_run_of_a_removed_spec_is_cancelled_by_deletion_policy_cancel(world: World):
    """The policy that was recorded with the intent applies. A run with the policy Orphan keeps running."""
    gone = world.batch("clicks", deletionPolicy="Cancel")
    left = world.spark("orders")
    world.batch("kept")
    world.run("apply", "--yes")
    gone.unlink()
    left.unlink()

    done = world.run("apply", "--yes", "--format", "json")
    again = world.run("apply", "--yes", "--format", "json")

    assert done.code == 0
    assert done.actions("name", "action", "outcome") == [
        ("clicks", "cancel", "cancelled"),
        ("kept", "none", "none"),
        ("orders", "none", "none"),
    ]
    assert again.actions("action") == [("none",), ("none",), ("none",)]
    assert [event.name for event in world.events() if isinstance(event, CancelAsked)] == ["clicks"]
    assert [e.state for e in world.events() if isinstance(e, Observed) and e.name == "clicks"][-1] == "cancelled"


def test_a_project_without_specs_cancels_nothing(world: World):
    """If all specs disappear, as after a wrong checkout, nothing is cancelled, and a warning explains this."""
    path = world.batch("clicks", deletionPolicy="Cancel")
    world.run("apply", "--yes")
    path.unlink()

    done = world.run("apply", "--yes")

    assert done.code == 0, done.err
    assert "nothing is cancelled" in done.out
    assert [event for event in world.events() if isinstance(event, CancelAsked)] == []


@pytest.mark.parametrize("command", [["apply", "--yes"], ["reconcile"]], ids=" ".join)
def test_a_plan_beyond_the_limit_is_refused_as_a_whole(world: World, command: list[str]):
    """The plan is shown and then refused, and the message contains the numbers. `--max-submissions` raises the limit
    for one command."""
    world.write("reconciler.yaml", project_text(limits="\n      limits: {maxSubmissions: 1}"))
    world.batch("clicks")
    world.spark("orders")

    refused = world.run(*command)
    nothing = world.runs()
    allowed = world.run(*command, "--max-submissions", "2")

    assert refused.code == 1
    assert "2 to submit" in refused.out
    assert "maxSubmissions is 1, and this plan has 2" in refused.err
    assert nothing == []
    assert allowed.code == 0
    assert len(world.runs()) == 2


def test_selection_leaves_others_alone(world: World):
    """--only and -l limit a command to the selected specs. A spec that only the ledger contains can be selected by its
    name."""
    world.batch("clicks", labels="{team: growth}")
    gone = world.spark("orders", labels="{team: sales}", deletionPolicy="Cancel")
    world.batch("third")

    by_label = world.run("apply", "--yes", "-l", "team=growth", "--format", "json")
    by_name = world.run("--only", "orders", "apply", "--yes", "--format", "json")
    gone.unlink()
    removed = world.run("apply", "--yes", "--only", "orders", "--format", "json")

    assert by_label.actions("name") == [("clicks",)]
    assert by_name.actions("name") == [("orders",)]
    assert removed.actions("name", "action") == [("orders", "cancel")]
    assert world.sent("third") == []


def test_only_with_a_spec_of_another_target_names_that_target(world: World):
    """The message names the target in which the spec is."""
    world.batch("clicks", targets="[local]")
    world.batch("other")

    done = world.run("plan", "--only", "clicks")

    assert done.code == 64
    assert "It exists in: local" in done.err


@contextmanager
def _gate(url: str, path: str, opened: threading.Event, arrived: threading.Semaphore) -> Iterator[str]:
    """A proxy in front of the emulator that delays calls to one path until `opened` is set, and signals each
    arrival."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path.endswith(path):
                arrived.release()
                opened.wait(PATIENCE_SECONDS)
            request = Request(url + self.path, data=body, headers=dict(self.headers), method="POST")
            try:
                with urlopen(request, timeout=PATIENCE_SECONDS) as reply:
                    status, headers, content = reply.status, reply.headers, reply.read()
            except HTTPError as error:
                status, headers, content = error.code, error.headers, error.read()
            self.send_response(status)
            for name in ("x-amzn-RequestId", "Content-Type"):
                if headers.get(name):
                    self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):  # the client may have disconnected
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


PATIENT = """
import sys
from reconciler.apply import executor
from reconciler.cli import main
executor.GRACE_SECONDS = 120.0  # a busy machine may take long to record the calls
sys.exit(main(sys.argv[1:]))
"""


def test_an_interrupted_apply_sends_nothing_new_and_records_calls_under_way(world: World):
    """After SIGINT nothing new is sent, every call in progress is recorded, and the command exits 1."""
    jobs = 16  # two for each thread
    for job in range(jobs):
        world.batch(f"job-{job:02}")
    opened, arrived = threading.Event(), threading.Semaphore(0)
    with _gate(world.aws.url, "/submitjob", opened, arrived) as url:
        process = subprocess.Popen(
            [sys.executable, "-c", PATIENT, "apply", "--yes", "--format", "json"],
            cwd=world.folder,
            env=world.environment({"AWS_ENDPOINT_URL_BATCH": url}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        under_way = 8  # the number of calls that are sent at once
        for _ in range(under_way):
            assert arrived.acquire(timeout=PATIENCE_SECONDS)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        line = next(line for line in process.stderr if "relative" not in line)
        opened.set()
        done = finished(process)

    assert line.startswith("Stopping")
    assert done.code == 1, done.err
    assert "Interrupted" in done.err
    outcomes = Counter(outcome for (outcome,) in done.actions("outcome"))
    assert outcomes == {"submitted": under_way, "unsent": jobs - under_way}
    assert len(world.runs()) == under_way
    assert not arrived.acquire(blocking=False)
    assert len([event for event in world.events() if isinstance(event, Submitted)]) == under_way


def test_a_command_stopped_before_it_acts_exits_1(world: World):
    """SIGTERM during the confirmation prompt ends the command with a message."""
    world.batch("clicks")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [forked_command(), "apply"],
        cwd=world.folder,
        env=world.environment(),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    _until(ours, "Enter a value:")
    process.send_signal(signal.SIGTERM)
    shown = _until(ours, None)
    os.close(ours)

    assert process.wait(PATIENCE_SECONDS) == 1
    assert "Interrupted." in shown
    assert world.runs() == []


def test_a_second_signal_ends_a_command_that_waits_for_aws(world: World):
    """While a read waits for AWS, two signals end the command at once with exit code 1."""
    world.batch("clicks")
    world.run("apply", "--yes")
    opened, arrived = threading.Event(), threading.Semaphore(0)
    with _gate(world.aws.url, "/describejobs", opened, arrived) as url:
        process = world.start("plan", AWS_ENDPOINT_URL_BATCH=url)
        assert arrived.acquire(timeout=PATIENCE_SECONDS)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        done = finished(process)
        opened.set()

    assert done.code == 1
    assert "Interrupted." in done.err
    assert done.out == ""
