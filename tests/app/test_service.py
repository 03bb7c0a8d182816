"""Tests the passes of a service: each pass reads the specs again, a failed pass does not stop the service, and a
missing git remote is reported."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from reconciler.app.options import CommandOptions
from reconciler.app.reconcile import Pass
from reconciler.app.service import Service
from reconciler.errors import UsageError
from tests.cli.test_service import with_origin
from tests.cli.world import World
from tests.waiting import PATIENCE_SECONDS


class Serving:
    """A service that runs in a thread, with its passes and its log messages."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.passes: list[Pass] = []
        self._caplog = caplog

    def wait(self, until: Callable[[], object]) -> None:
        """Waits until a condition holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not until():
            assert time.monotonic() < deadline, self._caplog.messages
            time.sleep(0.01)

    def logged(self, *texts: str) -> bool:
        """Returns whether a single log message contains all these texts."""
        return any(all(text in message for text in texts) for message in self._caplog.messages)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Callable[..., object]:
    """Starts a service with 50 ms between passes, and stops it at the end of the block."""

    @contextmanager
    def serving(world: World, *, git_pull: bool = False) -> Iterator[Serving]:
        for name, value in world.env.items():
            monkeypatch.setenv(name, value)
        caplog.set_level(logging.INFO, "reconciler.app.service")
        monkeypatch.setattr(logging.getLogger("reconciler"), "propagate", True)
        running, stop = Serving(caplog), Event()
        options = CommandOptions(directory=world.folder)
        with Service(
            options, 0.05, max_checkout_age=60 if git_pull else None, metrics_address=None, report=running.passes.append
        ) as service:
            thread = Thread(target=service.run, args=(stop,))
            thread.start()
            try:
                yield running
            finally:
                stop.set()
                thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()

    return serving


def test_each_pass_reads_the_specs_again(world: World, serve):
    """A spec that is added later runs once, and a broken spec is logged. While the project file is broken, passes fail;
    after it is fixed, they succeed again."""
    world.batch("clicks")
    with serve(world) as service:
        service.wait(lambda: len(world.runs()) == 1)
        world.batch("later")
        service.wait(lambda: len(world.runs()) == 2)
        broken = world.write("broken.yaml", "apiVersion: reconciler/v1\nkind: Nothing\n")
        service.wait(lambda: service.logged("not valid", "broken.yaml:1:1"))
        broken.unlink()
        project = (world.folder / "reconciler.yaml").read_text()
        world.write("reconciler.yaml", "oops")
        service.wait(lambda: service.logged("the pass failed", "reconciler.yaml:1:1"))
        world.write("reconciler.yaml", project)
        before = len(service.passes)
        service.wait(lambda: len(service.passes) > before)
    assert [str(action.action) for action in service.passes[-1].plan.actions] == ["none", "none"]
    assert len(world.runs()) == 2


def test_a_checkout_that_cannot_be_updated_is_used_as_it_is(world: World, serve, tmp_path: Path):
    """The failure is logged, and the pass runs with the current checkout."""
    _, origin = with_origin(world, tmp_path)
    origin.rename(tmp_path / "gone")

    with serve(world, git_pull=True) as service:
        service.wait(lambda: service.passes)

    assert service.logged("the checkout is not up to date: git fetch")
    assert len(world.sent("clicks")) == 1


def test_a_port_that_is_taken_is_wrong_usage(world: World):
    """The error message contains the host and the port, and no service is started."""
    port = int(world.aws.url.rpartition(":")[2])

    with pytest.raises(UsageError, match=f"metrics cannot be served on 127.0.0.1:{port}"):
        Service(
            CommandOptions(directory=world.folder),
            60,
            max_checkout_age=None,
            metrics_address=("127.0.0.1", port),
            report=lambda _: None,
        )
