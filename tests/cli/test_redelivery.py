"""Tests that notifications that a receiver did not accept are posted again in later passes. Accepted notifications are
never posted again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from reconciler.app import webhooks
from reconciler.core.events import Notified
from reconciler.core.notification_retries import Redelivering, Undelivered
from tests.app.webhook_receiver import Hook, hook
from tests.cli.test_notify import with_hooks
from tests.cli.world import World, finished

VARIABLE = "RECONCILER_NOTIFY_HOOK"


@pytest.fixture
def failing(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A project with two specs whose runs have failed, without a notification yet."""
    monkeypatch.setattr(webhooks, "PAUSE_SECONDS", 0)
    world.aws.configure(outcome="failed", run_seconds=0)
    world.write("reconciler.yaml", with_hooks(f"{{urlEnv: {VARIABLE}}}"))
    world.env[VARIABLE] = "http://127.0.0.1:1/c4n4ry"
    world.batch("clicks")
    world.batch("views")
    assert world.run("apply", "--yes").code == 0
    return world


def specs(there: Hook) -> list[Any]:
    """Returns the specs in the documents that a receiver got."""
    return sorted(document["spec"] for document in there.documents)


@pytest.mark.parametrize("command", [["reconcile"], ["apply", "--yes"]])
def test_a_receiver_that_is_down_for_one_pass_is_told_in_the_next(failing: World, command: list[str]):
    """Every notification arrives once; further passes post and record nothing. No record contains the address of the
    webhook."""
    world = failing
    down = world.run(*command)
    with hook() as there:
        world.env[VARIABLE] = there.url
        for _ in range(3):
            assert world.run(*command).code == 3
    events = world.events()

    assert "no notification of retries-exhausted of clicks" in down.err
    assert specs(there) == ["clicks", "views"]
    assert [sum(isinstance(event, kind) for event in events) for kind in (Notified, Undelivered, Redelivering)] == [
        2
    ] * 3
    assert "c4n4ry" not in str(events)


def test_a_receiver_that_is_down_is_asked_once_a_pass(failing: World):
    """After the first failure, the second notification is only recorded. A pass during the pause after a failure posts
    nothing."""
    world = failing
    with hook(*(500,) * 100) as there:
        world.env[VARIABLE] = there.url
        world.run("reconcile")
        first = specs(there)
        world.run("reconcile")
        second = specs(there)
        world.run("reconcile")
        third = specs(there)

    assert first == ["clicks"] * 4  # with its retries
    assert (second, third) == (["clicks"] * 8, second)
    attempts = [(event.spec, event.attempts) for event in world.events() if isinstance(event, Undelivered)]
    assert attempts == [("clicks", 1), ("views", 0), ("clicks", 2)]


def test_each_webhook_is_told_by_itself(failing: World):
    """If one webhook accepted a notification and another did not, only the latter receives it again."""
    world = failing
    with hook() as there, hook(500, 500, 500, 500) as other:
        world.env |= {VARIABLE: there.url, f"{VARIABLE}_2": other.url}
        world.write("reconciler.yaml", with_hooks(f"{{urlEnv: {VARIABLE}}}", f"{{urlEnv: {VARIABLE}_2}}"))
        for _ in range(3):
            world.run("reconcile")

    assert specs(there) == ["clicks", "views"]
    assert specs(other) == [*["clicks"] * 5, "views"]
    assert len({document["id"] for document in other.documents}) == 2


@contextmanager
def silent(received: Event) -> Iterator[str]:
    """Returns the address of a receiver that reads a document, sets `received` and never replies."""
    release = Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            received.set()
            release.wait(60)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_receiver_that_does_not_answer_is_told_again_in_a_later_pass(failing: World, monkeypatch: pytest.MonkeyPatch):
    """The document is not posted again at once, because it may have arrived. Later it is posted with the same id."""
    world = failing
    monkeypatch.setattr(webhooks, "READ_SECONDS", 0.2)
    received = Event()
    with silent(received) as address:
        world.env[VARIABLE] = address
        slow = world.run("reconcile")
    monkeypatch.undo()
    with hook() as there:
        world.env[VARIABLE] = there.url
        world.run("reconcile")

    assert received.is_set()
    assert "no notification of retries-exhausted of clicks" in slow.err
    assert specs(there) == ["clicks", "views"]


def test_a_process_that_is_killed_after_the_receiver_got_a_document(failing: World):
    """The outcome of the attempt is unknown, so the document is not posted again. The other document is posted."""
    world = failing
    received = Event()
    with silent(received) as address:
        process = world.start("reconcile", **{VARIABLE: address})
        assert received.wait(60)
        os.kill(process.pid, signal.SIGKILL)
        finished(process)
    with hook() as there:
        world.env[VARIABLE] = there.url
        for _ in range(2):
            world.run("reconcile")

    assert specs(there) == ["views"]


def test_two_processes_post_an_undelivered_notification_once(failing: World):
    """Both processes find a notification due, but the ledger lets only one of them post it."""
    world = failing
    world.run("reconcile")
    with hook() as there:
        processes = [world.start("reconcile", **{VARIABLE: there.url}) for _ in range(3)]
        ends = [finished(process) for process in processes]

    assert [done.code for done in ends] == [3, 3, 3]
    assert specs(there) == ["clicks", "views"]
